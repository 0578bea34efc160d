"""Data backups on record and in the views, on a real sys engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from redoubt.catalog import tables
from redoubt.catalog.session import CatalogSession
from redoubt.catalog.set_table import Remains, SetTable
from redoubt.model import data_backups
from redoubt.model.bases import SetKey
from redoubt.model.data_backups import DataBackup
from tests.catalog.rows import AT, HOLE, SECOND, Rows

KEY, URI = SetKey(4, 20260921), "file:///b"


@pytest.fixture
def table(session: CatalogSession, rows: Rows) -> SetTable:
    """Without a data backup."""
    return SetTable(session)


def _begun(number: int = 4) -> DataBackup:
    return data_backups.begin(replace(KEY, set_id=number), 3, URI, [1001, 1002], AT)


def _taken(of: DataBackup, tenant_id: int, after: int) -> DataBackup:
    """A tenant's base, with a snapshot so many seconds after AT."""
    part = replace(
        of.tenants[tenant_id],
        snapshot_scn=AT + after * SECOND,
        start_scn=AT + (after - 5) * SECOND,
        snapshot_lsn=1000 * after,
        start_lsn=64,
        input_bytes=1000,
        total_bytes=1000,
        output_bytes=400,
        pause_us=18_500 * after,
        passes=2,
        method="hot",
    )
    return data_backups.changed(of, part)


def _succeeded(number: int = 4) -> DataBackup:
    now = _taken(_taken(_begun(number), 1001, 10), 1002, 12)
    for tenant_id in (1001, 1002):
        now = data_backups.archived(now, tenant_id, AT + 20 * SECOND)
    return data_backups.ended(now, AT + 20 * SECOND)


def test_a_data_backup_is_seen_while_it_is_taken(rows: Rows, table: SetTable) -> None:
    """How many tenants are done, how many bytes are read; macro blocks are not what it copies."""
    now = _taken(_begun(), 1001, 10)
    now = data_backups.changed(now, replace(now.tenants[1002], input_bytes=30, total_bytes=500))
    table.save(_begun())
    table.save(now)

    whole, main, other = rows.view("CDB_OB_BACKUP_PROGRESS")
    names = ("PARTITION_COUNT", "FINISH_PARTITION_COUNT", "MACRO_BLOCK_COUNT", "INPUT_BYTES", "STATUS")
    assert [whole[name] for name in names] == [2, 1, None, 1030, "RUNNING"]
    assert [main[name] for name in names] == [1, 1, None, 1000, "RUNNING"]
    assert [other[name] for name in names] == [1, 0, None, 30, "RUNNING"]
    assert {row["STATUS"] for row in rows.view("CDB_OB_BACKUP_JOB_DETAILS")} == {"RUNNING"}
    assert rows.view("CDB_OB_BACKUP_SET_DETAILS") == []
    assert {row["FILE_STATUS"] for row in rows.view("CDB_OB_BACKUP_SET_FILES")} == {"INCOMPLETE"}
    assert [row["TOTAL_BYTES"] for row in rows.view("CDB_REDOUBT_BACKUP_SETS")] == [1500, 1000, 500]
    assert (table.last_id(), table.last_snapshot()) == (4, 0)


def test_a_data_backup_that_succeeded_is_seen_in_every_view(rows: Rows, table: SetTable) -> None:
    """The cluster's row has the last snapshot, the first start, the longest pause, and the sums."""
    table.save(_succeeded())

    assert rows.view("CDB_OB_BACKUP_PROGRESS") == []
    whole, main, _ = rows.view("CDB_REDOUBT_BACKUP_SETS")
    assert (whole["SNAPSHOT_SCN"], whole["START_REPLAY_SCN"]) == (AT + 12 * SECOND, AT + 5 * SECOND)
    assert (whole["PAUSE_MS"], main["PAUSE_MS"]) == (Decimal("222.000"), Decimal("185.000"))
    assert (whole["OUTPUT_BYTES"], main["OUTPUT_BYTES"], main["METHOD"], main["PASSES"]) == (800, 400, "hot", 2)
    assert (main["START_LSN"], main["SNAPSHOT_LSN"], main["ROUND_ID"], main["PATH"]) == (64, 10_000, 3, URI)
    details = rows.view("CDB_OB_BACKUP_SET_DETAILS")[1]
    assert (details["STATUS"], details["DEVICE_TYPE"], details["COMPRESSED"]) == ("COMPLETED", "FILE", "YES")
    job = rows.view("CDB_OB_BACKUP_JOB_DETAILS")[1]
    assert (job["STATUS"], job["DATE"], job["TIME_TAKEN_DISPLAY"]) == ("COMPLETED", 20260921, timedelta(seconds=20))
    assert (job["INPUT_BYTES_PER_SEC"], job["OUTPUT_BYTES_PER_SEC"]) == (50, 20)
    assert job["START_REPLAY_LOG_TS"] == (AT + 5 * SECOND) // 1000
    assert table.last_snapshot() == AT + 12 * SECOND


def test_a_part_that_had_succeeded_survives_the_end_of_the_service(rows: Rows, table: SetTable) -> None:
    """Its tenant can be restored from it; only what was under way has failed."""
    table.save(data_backups.archived(_taken(_begun(), 1001, 10), 1001, AT + 8 * SECOND))

    assert table.fail_unfinished("killed", AT + 9 * SECOND) == [4]
    shown = [(row["TENANT_ID"], row["STATUS"], row["FILE_STATUS"]) for row in rows.view("CDB_REDOUBT_BACKUP_SETS")]
    assert sorted(shown) == [(1, "FAILED", "AVAILABLE"), (1001, "SUCCESS", "AVAILABLE"), (1002, "FAILED", "BROKEN")]
    assert [remains.tenant_id for remains in table.remains()] == [1002]


def test_what_was_under_way_has_failed_and_is_to_be_removed(rows: Rows, table: SetTable) -> None:
    """All its rows, and no other data backup's; removed part by part, then as a whole."""
    table.save(_succeeded(3))
    table.save(_taken(_begun(), 1001, 10))

    assert table.fail_unfinished("killed", AT + 9 * SECOND) == [4]
    assert table.fail_unfinished("killed", AT + 9 * SECOND) == []
    failed = [row for row in rows.view("CDB_REDOUBT_BACKUP_SETS") if row["BS_KEY"] == 4]
    assert {(row["STATUS"], row["FILE_STATUS"], row["CAUSE"]) for row in failed} == {("FAILED", "BROKEN", "killed")}
    first, second = (Remains(KEY, tenant_id, URI, AT, "killed") for tenant_id in (1001, 1002))
    assert table.remains() == [first, second]
    table.removed(first)
    assert table.remains() == [second]
    assert [row["FILE_STATUS"] for row in rows.view("CDB_REDOUBT_BACKUP_SETS") if row["BS_KEY"] == 4].count(
        "BROKEN"
    ) == 2
    table.removed(second)
    statuses = {row["BS_KEY"]: row["FILE_STATUS"] for row in rows.view("CDB_REDOUBT_BACKUP_SETS")}
    assert statuses == {3: "AVAILABLE", 4: "DELETED"}


def test_the_remains_of_a_tenant_that_was_dropped_leave_the_set_as_it_is(rows: Rows, table: SetTable) -> None:
    """It is none the worse for it."""
    now = data_backups.left(_taken(_begun(), 1001, 10), 1002, "dropped", AT + SECOND)
    now = data_backups.ended(data_backups.archived(now, 1001, AT + SECOND), AT + SECOND)
    table.save(now)

    (remains,) = table.remains()
    assert (remains.tenant_id, remains.cause) == (1002, "dropped")
    table.removed(remains)
    shown = [(row["STATUS"], row["FILE_STATUS"]) for row in rows.view("CDB_OB_BACKUP_SET_FILES")]
    assert shown == [("SUCCESS", "AVAILABLE"), ("SUCCESS", "AVAILABLE"), ("FAILED", "DELETED")]
    assert table.last_snapshot() == AT + 10 * SECOND


def test_what_can_be_restored_begins_with_a_snapshot(rows: Rows, table: SetTable) -> None:
    """And ends where its log does; a set whose log was deleted, or that a hole cuts off, is none."""
    rows.status(tenant_id=1001)
    for number in (1, 2, 3):
        rows.piece(
            backup_piece_id=number,
            start_piece_id=1,
            start_scn=AT + 6 * (number - 1) * SECOND,
            checkpoint_scn=AT + 6 * number * SECOND,
            status="ACTIVE" if number == 3 else "FROZEN",
        )
    table.save(_succeeded())

    def seen() -> list[tuple[int, int, str]]:
        return [
            ((row["START_SCN"] - AT) // SECOND, (row["END_SCN"] - AT) // SECOND, row["GROWS"])
            for row in rows.view("CDB_REDOUBT_RESTORABLE_WINDOW")
        ]

    assert seen() == [(10, 18, "YES")]
    rows.piece(backup_piece_id=1, start_piece_id=1, start_scn=AT, checkpoint_scn=AT + 6 * SECOND, file_status="DELETED")
    assert seen() == [], "its log begins five seconds after AT"
    rows.piece(backup_piece_id=1, start_piece_id=1, start_scn=AT, checkpoint_scn=AT + 6 * SECOND, status="FROZEN")
    rows.put(tables.HOLE_TABLE, HOLE | {"start_scn": AT + 9 * SECOND})
    assert seen() == []
