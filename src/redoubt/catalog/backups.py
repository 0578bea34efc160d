"""Reads pieces, data backups and ended rounds from the catalog. Raises CatalogError."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

from redoubt.catalog import tables
from redoubt.catalog.session import CatalogSession
from redoubt.model.pieces import PieceKey
from redoubt.model.retention import BackupPiece, BackupSet, FileStatus, SetStatus

_PIECE = (
    *("round_id", "backup_piece_id", "copy_id", "create_date", "tenant_id", "status", "file_status"),
    *("start_scn", "max_scn", "backup_dest"),
)
_SET = (
    *("bs_key", "copy_id", "tenant_id", "backup_type", "status", "file_status"),
    *("snapshot_scn", "start_replay_scn", "backup_dest", "create_date", "keep_until"),
)


class Backups:
    """The backups in the catalog: originals, and the copies of second backups."""

    def __init__(self, session: CatalogSession) -> None:
        self._session = session

    def pieces(self) -> list[BackupPiece]:
        """All original pieces in order, those that were deleted included."""
        return self._pieces("copy_id = 0")

    def sets(self) -> list[BackupSet]:
        """All original data backups in order, those that were deleted included."""
        return self._sets("copy_id = 0")

    def piece_copies(self) -> list[BackupPiece]:
        """All copies of pieces in order, those that were deleted included."""
        return self._pieces("copy_id > 0")

    def set_copies(self) -> list[BackupSet]:
        """All copies of data backups in order, those that were deleted included."""
        return self._sets("copy_id > 0")

    def stopped_rounds(self) -> set[int]:
        """The numbers of the rounds that have ended."""
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT DISTINCT log_archive_round FROM {tables.HISTORY_TABLE}")
            return {row[0] for row in cursor.fetchall()}

    def _pieces(self, where: str) -> list[BackupPiece]:
        rows = self._rows(tables.PIECE_TABLE, _PIECE, where, "round_id, backup_piece_id, copy_id, tenant_id")
        return [_piece(parts) for parts in _grouped(rows, itemgetter("round_id", "backup_piece_id", "copy_id"))]

    def _sets(self, where: str) -> list[BackupSet]:
        rows = self._rows(tables.SET_TABLE, _SET, where, "bs_key, copy_id, tenant_id")
        return [_set(parts) for parts in _grouped(rows, itemgetter("bs_key", "copy_id"))]

    def _rows(self, table: str, columns: tuple[str, ...], where: str, order: str) -> list[dict[str, Any]]:
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {where} ORDER BY {order}")
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _grouped(rows: Iterable[dict[str, Any]], key: Callable[[dict[str, Any]], Any]) -> Iterable[list[dict[str, Any]]]:
    return (list(parts) for _, parts in groupby(rows, key))


def _piece(parts: list[dict[str, Any]]) -> BackupPiece:
    """A piece from its tenants' rows; its status is the least advanced of theirs."""
    whole = parts[0]  # the cluster's row, if there is one: tenant 1 comes first
    statuses, number = [part["status"] for part in parts], whole["backup_piece_id"]
    return BackupPiece(
        key=PieceKey(whole["round_id"], number, whole["create_date"] if number else 0),
        status=next((status for status in ("ACTIVE", "FREEZING") if status in statuses), whole["status"]),
        file_status=FileStatus(whole["file_status"]),
        max_scn=max(part["max_scn"] for part in parts),
        destination=whole["backup_dest"],
        tenants=tuple(part["tenant_id"] for part in parts if part["tenant_id"] != tables.SYS_TENANT_ID),
        copy_id=whole["copy_id"],
        min_scn=min(part["start_scn"] for part in parts),
    )


def _set(parts: list[dict[str, Any]]) -> BackupSet:
    """A data backup from its tenants' rows: the last snapshot and the first start of replay, so that no log is missing.

    The part of a tenant that was dropped during the backup is FAILED; it does not count.
    """
    whole = parts[0]
    counting = [part for part in parts if part["status"] != SetStatus.FAILED] or parts
    return BackupSet(
        set_id=whole["bs_key"],
        is_full=whole["backup_type"] == "D",
        status=whole["status"],
        file_status=FileStatus(whole["file_status"]),
        snapshot_scn=max(part["snapshot_scn"] for part in counting),
        start_replay_scn=min(part["start_replay_scn"] for part in counting),
        destination=whole["backup_dest"],
        create_date=whole["create_date"],
        tenants=tuple(part["tenant_id"] for part in parts if part["tenant_id"] != tables.SYS_TENANT_ID),
        copy_id=whole["copy_id"],
        keep_until=whole["keep_until"],
    )
