"""Backups and the jobs that delete them, on a real sys engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from redoubt.catalog import tables
from redoubt.catalog.backups import Backups
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.cleaning import Cleaning, CleanStatus, CleanType
from redoubt.catalog.session import CatalogSession
from redoubt.catalog.set_table import SetTable
from redoubt.model import data_backups, rounds
from redoubt.model.bases import SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.retention import BackupSet, FileStatus
from redoubt.model.rounds import Round

DATE, AT, URI = 20260921, 1_790_000_000 * 10**9, "file:///b"


@pytest.fixture
def round_of_two(session: CatalogSession) -> Round:
    """A stopped round of two pieces and two tenants, in an otherwise empty catalog."""
    with session.cursor() as cursor:
        for table in (tables.SET_TABLE, tables.CLEAN_TABLE):
            cursor.execute(f"DELETE FROM {table}")
    now = rounds.begin(Round(), tenants=[1001, 1002], start_scn=AT, create_date=DATE, destination=URI, has_pieces=True)
    for tenant in (1001, 1002):
        now = rounds.progressed(now, tenant, AT + tenant, 100, 50, 1)
    now = rounds.switched(now, AT + 2000, DATE + 1)
    for tenant in (1001, 1002):
        now = rounds.piece_cut(now, tenant, 1, AT + 2000)
        now = rounds.piece_frozen(now, tenant, 1)
        now = rounds.progressed(now, tenant, AT + 2000 + tenant, 100, 50, 2)
    Catalog(session).save_round(now)
    return now


def _column(session: CatalogSession, table: str, column: str) -> list[Any]:
    with session.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table}")
        return [row[0] for row in cursor.fetchall()]


def test_a_piece_is_as_far_as_its_last_tenant(session: CatalogSession, round_of_two: Round) -> None:
    """And ends with the last of them; the cluster's row says whose folder it is."""
    first, second = Backups(session).pieces()

    assert (first.key, second.key) == (PieceKey(1, 1, DATE), PieceKey(1, 2, DATE + 1))
    assert (first.status, first.file_status, first.max_scn) == ("FROZEN", FileStatus.AVAILABLE, AT + 2000)
    assert (second.status, second.max_scn, second.tenants) == ("ACTIVE", tables.MAX_SCN, (1001, 1002))
    assert Backups(session).stopped_rounds() == set()
    stopped = rounds.stopping(round_of_two)
    for tenant in (1001, 1002):
        stopped = rounds.tenant_stopped(stopped, tenant)
    Catalog(session).save_round(stopped)
    assert Backups(session).stopped_rounds() == {1}


def test_a_set_is_as_its_tenants_together(session: CatalogSession, round_of_two: Round) -> None:
    """The last snapshot, the first start of replay."""
    with session.cursor() as cursor:
        for tenant, snapshot, replay in ((1, 90, 80), (1001, 100, 80), (1002, 90, 70)):
            cursor.execute(
                f"INSERT INTO {tables.SET_TABLE} VALUES (1, %s, 4, 0, 'D', 'NONE', 'SUCCESS', 'AVAILABLE', 1, 2, "
                f"%s, %s, 0, 0, 1, %s, '', {DATE}, 0, 0, 0, 0, 0, 'hot', 0)",
                (tenant, snapshot, replay, URI),
            )

    expected = BackupSet(4, True, "SUCCESS", FileStatus.AVAILABLE, 100, 70, URI, DATE, (1001, 1002))  # noqa: FBT003
    assert Backups(session).sets() == [expected]
    with session.cursor() as cursor:  # dropped meanwhile
        cursor.execute(f"UPDATE {tables.SET_TABLE} SET status = 'FAILED', start_replay_scn = 0 WHERE tenant_id = 1002")
    assert Backups(session).sets() == [replace(expected, start_replay_scn=80)]


def test_a_set_is_marked_with_what_it_consists_of(session: CatalogSession, round_of_two: Round) -> None:
    """DELETING, then DELETED, in all its rows; another set is not touched."""
    table, cleaning = SetTable(session), Cleaning(session)
    for number in (4, 5):
        taken = data_backups.begin(SetKey(number, DATE), 1, URI, [1001, 1002], AT)
        for tenant in (1001, 1002):
            part = replace(taken.tenants[tenant], snapshot_lsn=9, snapshot_scn=AT + 5)
            taken = data_backups.archived(data_backups.changed(taken, part), tenant, AT + 7)
        table.save(data_backups.ended(taken, AT + 8))
    first = Backups(session).sets()[0]

    job = cleaning.begin(CleanType.SET, "4", "ALTER SYSTEM DELETE BACKUPSET 4", [first], AT)
    assert [each.file_status for each in Backups(session).sets()] == ["DELETING", "AVAILABLE"]
    assert len(_column(session, tables.CLEAN_TABLE, "tenant_id")) == 3
    cleaning.deleted(first)
    assert cleaning.unfinished() == job
    assert sorted(_column(session, tables.SET_TABLE, "file_status")) == ["AVAILABLE"] * 3 + ["DELETED"] * 3
    assert (table.last_id(), table.last_snapshot()) == (5, AT + 5)


def test_a_job_marks_what_it_deletes_and_says_how_far_it_is(session: CatalogSession, round_of_two: Round) -> None:
    """A row for the cluster and each tenant; numbers go up; what is not done is found again."""
    cleaning, backups = Cleaning(session), Backups(session)
    first = backups.pieces()[0]
    assert (cleaning.unfinished(), cleaning.last_end(CleanType.PIECE)) == (None, 0)

    job = cleaning.begin(CleanType.PIECE, "1", "ALTER SYSTEM DELETE BACKUPPIECE 1", [first], AT)
    assert backups.pieces()[0].file_status is FileStatus.DELETING
    assert backups.pieces()[1].file_status is FileStatus.AVAILABLE
    cleaning.save(replace(job, error="no answer \udcff" + "x" * 5000))
    found = cleaning.unfinished()
    assert found is not None
    assert replace(found, error="") == job
    assert found.error.startswith("no answer ?x")

    cleaning.deleted(first)
    cleaning.save(replace(job, status=CleanStatus.STOP, end_time=AT + 5))
    assert backups.pieces()[0].file_status is FileStatus.DELETED
    assert (cleaning.unfinished(), cleaning.last_end(CleanType.PIECE)) == (None, AT + 5)
    assert sorted(_column(session, tables.CLEAN_TABLE, "tenant_id")) == [1, 1001, 1002]
    assert set(_column(session, tables.CLEAN_TABLE, "status")) == {"STOP"}
    assert cleaning.begin(CleanType.OBSOLETE, "0", "by itself", [], AT).job_id == job.job_id + 1


def test_a_round_that_is_saved_late_brings_no_piece_back(session: CatalogSession, round_of_two: Round) -> None:
    """Only a deletion changes FILE_STATUS."""
    first = Backups(session).pieces()[0]
    Cleaning(session).begin(CleanType.PIECE, "1", "", [first], AT)

    Catalog(session).save_round(round_of_two)

    assert Backups(session).pieces()[0].file_status is FileStatus.DELETING
