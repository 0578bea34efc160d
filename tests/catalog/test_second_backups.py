"""Jobs of second backups and their copies, on a real sys engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redoubt.catalog import tables
from redoubt.catalog.backups import Backups
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.cleaning import Cleaning, CleanType
from redoubt.catalog.second_backups import CopyJob, CopyKind, CopyResult, CopyStatus, SecondBackupTable
from redoubt.catalog.session import CatalogSession
from redoubt.catalog.set_table import SetTable
from redoubt.model import data_backups, rounds
from redoubt.model.bases import SetKey
from redoubt.model.retention import Backup, BackupPiece, FileStatus
from redoubt.model.rounds import Round
from tests.catalog.rows import Rows

DATE, AT, FIRST, SECOND = 20260921, 1_790_000_000 * 10**9, "file:///first", "file:///second"
JOB = CopyJob(0, CopyKind.PIECE, 0, 0, SECOND, AT)


def copy(original: Backup, copy_id: int = 1) -> Backup:
    """A copy that is being made."""
    return replace(original, copy_id=copy_id, destination=SECOND, file_status=FileStatus.COPYING)


@pytest.fixture
def piece(session: CatalogSession) -> BackupPiece:
    """The frozen piece of a stopped round of two tenants."""
    now = rounds.begin(Round(), tenants=[1001, 1002], start_scn=AT, create_date=DATE, destination=FIRST)
    for tenant in (1001, 1002):
        now = rounds.progressed(now, tenant, AT + tenant, 100, 50)
    now = rounds.stopping(now)
    for tenant in (1001, 1002):
        now = rounds.tenant_stopped(now, tenant)
    Catalog(session).save_round(now)
    (found,) = Backups(session).pieces()
    return found


def test_a_copy_has_its_originals_rows_in_another_place(
    session: CatalogSession, piece: BackupPiece, rows: Rows
) -> None:
    """Under its own number, of the cluster and of each tenant; the original's rows stay as they are."""
    table = SecondBackupTable(session)
    job = table.begin(JOB, [copy(piece)])
    assert job == replace(JOB, job_id=1) == table.unfinished()
    (made,) = Backups(session).piece_copies()
    assert made == copy(piece)
    assert Backups(session).pieces() == [piece]
    shown = rows.view("CDB_OB_BACKUP_PIECE_FILES")
    assert sorted((row["TENANT_ID"], row["COPY_ID"], row["FILE_STATUS"]) for row in shown) == [
        *((1, 0, "AVAILABLE"), (1, 1, "COPYING")),
        *((1001, 0, "AVAILABLE"), (1001, 1, "COPYING"), (1002, 0, "AVAILABLE"), (1002, 1, "COPYING")),
    ]
    assert Catalog(session).knows_destination(f"{SECOND}/")
    assert {row["DEST_ID"] for row in rows.view("CDB_OB_ARCHIVELOG_PIECE_FILES")} == {1001}

    table.progress(job, made, 5, 10)
    (task,) = rows.view("CDB_OB_BACKUP_BACKUPPIECE_TASK")
    assert (task["ROUND_ID"], task["BACKUP_PIECE_ID"], task["COPY_ID"], task["OUTPUT_BYTES"], task["INPUT_BYTES"]) == (
        *(1, 0, 1),
        *(5, 10),
    )
    assert (task["STATUS"], task["BACKUP_DEST"], task["END_TIME"]) == ("DOING", SECOND, None)
    assert rows.view("CDB_OB_BACKUP_BACKUPSET_TASK") == []

    table.ended(job, made, AT + 10**9, CopyResult.GOOD)
    table.save(replace(job, status=CopyStatus.FINISH, end_time=AT + 10**9))
    assert table.unfinished() is None
    assert Backups(session).piece_copies()[0].file_status is FileStatus.AVAILABLE
    assert rows.view("CDB_OB_BACKUP_BACKUPPIECE_JOB") == []
    (over,) = rows.view("CDB_OB_BACKUP_BACKUPPIECE_JOB_HISTORY")
    assert (over["JOB_ID"], over["STATUS"], over["RESULT"], over["TYPE"]) == (1, "FINISH", 0, "ALL")
    (done,) = rows.view("CDB_OB_BACKUP_BACKUPPIECE_TASK_HISTORY")
    assert (done["STATUS"], done["RESULT"]) == ("FINISH", 0)


def test_a_copy_of_a_data_backup_has_only_the_parts_that_succeeded(session: CatalogSession, rows: Rows) -> None:
    """The part of a tenant that was dropped meanwhile has no files. A copy that fails is incomplete."""
    now = data_backups.begin(SetKey(7, DATE), 1, FIRST, [1001, 1002], AT)
    part = replace(now.tenants[1001], snapshot_scn=9, start_scn=4, snapshot_lsn=50, output_bytes=40, method="hot")
    now = data_backups.archived(data_backups.changed(now, part), 1001, AT + 1)
    SetTable(session).save(data_backups.ended(data_backups.left(now, 1002, "dropped", AT + 2), AT + 3))
    table = SecondBackupTable(session)
    job = table.begin(replace(JOB, kind=CopyKind.SET, number=7), [copy(Backups(session).sets()[0], 10_001)])

    (made,) = Backups(session).set_copies()
    assert (made.tenants, made.copy_id, made.status, made.snapshot_scn) == ((1001,), 10_001, "SUCCESS", 9)
    assert [row["COPY_ID"] for row in rows.view("CDB_OB_BACKUP_SET_DETAILS")] == [0] * 3, "a copy has to be complete"
    table.ended(job, made, AT, CopyResult.CANCELLED, "cancelled")
    assert table.first_failure(job) == "cancelled"
    assert Backups(session).set_copies()[0].file_status is FileStatus.INCOMPLETE
    shown = rows.view("CDB_OB_BACKUP_SET_FILES")
    assert [(row["TENANT_ID"], row["FILE_STATUS"]) for row in shown if row["COPY_ID"] == 10_001] == [
        *((1, "INCOMPLETE"), (1001, "INCOMPLETE"))
    ]
    (task,) = rows.view("CDB_OB_BACKUP_BACKUPSET_TASK_HISTORY")
    assert (task["BS_KEY"], task["STATUS"], task["RESULT"], task["COMMENT"]) == (7, "CANCEL", -4072, "cancelled")

    with session.cursor() as cursor:
        cursor.execute(f"UPDATE {tables.SET_TABLE} SET file_status = 'DELETED' WHERE copy_id = 0")
        cursor.execute(f"UPDATE {tables.SET_TABLE} SET file_status = 'AVAILABLE' WHERE copy_id > 0")
    assert SetTable(session).last_snapshot() == 0, "of an original"
    again = table.begin(replace(JOB, kind=CopyKind.SET), [copy(made, 10_001)])
    assert (again.job_id, Backups(session).set_copies()[0].file_status) == (2, FileStatus.COPYING)


def test_a_tenant_whose_log_never_came_into_the_piece_has_no_folder(
    session: CatalogSession, piece: BackupPiece
) -> None:
    """It is not copied. A piece of an older catalog, which did not count bytes, is."""
    with session.cursor() as cursor:
        cursor.execute(f"UPDATE {tables.PIECE_TABLE} SET input_bytes = 0")
        cursor.execute(f"UPDATE {tables.PIECE_TABLE} SET start_scn = 0 WHERE tenant_id = 1002")
    SecondBackupTable(session).begin(JOB, [copy(piece)])
    (made,) = Backups(session).piece_copies()
    assert made.tenants == (1001,)


def test_a_deleted_copy_leaves_its_original(session: CatalogSession, piece: BackupPiece, rows: Rows) -> None:
    """The history names the copy."""
    SecondBackupTable(session).begin(JOB, [copy(piece)])
    (made,) = Backups(session).piece_copies()
    Cleaning(session).begin(CleanType.PIECE, "1", "a statement", [made], AT)
    assert Backups(session).piece_copies()[0].file_status is FileStatus.DELETING
    Cleaning(session).deleted(made)
    assert Backups(session).piece_copies()[0].file_status is FileStatus.DELETED
    assert Backups(session).pieces() == [piece]
    assert {row["DELETED_OUTPUT_BYTES"] for row in rows.view("CDB_OB_ARCHIVELOG_SUMMARY")} == {0}
    with session.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT copy_id FROM {tables.CLEAN_TABLE}")
        assert cursor.fetchall() == ((1,),)


def test_a_data_backup_is_kept_and_its_copy_is_not(session: CatalogSession, rows: Rows) -> None:
    """Views show until when; a hold that is over is none."""
    now = data_backups.begin(SetKey(7, DATE), 1, FIRST, [1001], AT)
    now = data_backups.changed(now, replace(now.tenants[1001], snapshot_scn=9, snapshot_lsn=50))
    SetTable(session).save(data_backups.ended(data_backups.archived(now, 1001, AT + 1), AT + 3))
    SecondBackupTable(session).begin(replace(JOB, kind=CopyKind.SET), [copy(Backups(session).sets()[0])])
    for until, shown in ((4_102_444_800 * 10**9, "2100-01-01 00:00:00.000000"), (tables.MAX_SCN, "MAX"), (0, "")):
        SetTable(session).keep(7, until)
        assert [each.keep_until for each in (*Backups(session).sets(), *Backups(session).set_copies())] == [until, 0]
        found = {
            (row["COPY_ID"], row["KEEP"], row["KEEP_UNTIL"])
            for view in ("CDB_OB_BACKUP_SET_FILES", "CDB_OB_BACKUP_SET_DETAILS")
            for row in rows.view(view)
        }
        assert found == {(0, "YES" if until else "NO", shown), (1, "NO", "")}
    SetTable(session).keep(7, 1)
    assert {row["KEEP"] for row in rows.view("CDB_OB_BACKUP_SET_FILES")} == {"NO"}
