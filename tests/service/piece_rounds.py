"""Rounds with a short piece interval, and their pieces."""

from __future__ import annotations

from typing import Any

from tests.service.cluster import ServiceUnderTest, wait_until


def archive_in_pieces(service: ServiceUnderTest, seconds: int, option: str = "optional") -> None:
    """Begin a round with a short piece interval."""
    interval = f"log_archive_piece_switch_interval={seconds}s"
    service.run(f"ALTER SYSTEM SET _allow_short_intervals = True, backup_log_archive_option = '{option}'")
    service.run(f"ALTER SYSTEM SET backup_dest_option = '{interval}'")
    service.archive()


def pieces(service: ServiceUnderTest, tenant_id: int = 1001) -> list[dict[str, Any]]:
    """A tenant's rows of CDB_OB_BACKUP_PIECE_FILES."""
    sql = f"SELECT * FROM CDB_OB_BACKUP_PIECE_FILES WHERE TENANT_ID = {tenant_id} ORDER BY BACKUP_PIECE_ID"
    return service.run(sql)


def wait_for_pieces(service: ServiceUnderTest, number: int) -> None:
    """Wait until the tenant has so many."""
    wait_until(f"{number} pieces", lambda: len(pieces(service)) >= number)
