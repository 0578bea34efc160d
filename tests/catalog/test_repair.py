"""A catalog brought to what a destination says: rows added and corrected, final ones left, nothing twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from redoubt.archive.archived_history import cluster_of, history
from redoubt.archive.deletion import SetDeletion
from redoubt.archive.record import dump_record
from redoubt.catalog import tables
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.repair import _of_set, carry_out, plan
from redoubt.catalog.session import CatalogSession
from redoubt.model.history import History
from redoubt.model.retention import FileStatus, SetStatus
from redoubt.model.rounds import Round, RoundStatus
from tests.verify.small import CAUSE, CLUSTER, DATE, IDENTITY, SET, SmallArchive

URI = "file:///b"


@pytest.fixture
def found() -> History:
    """What the small archive says."""
    destination = SmallArchive().destination
    return history(destination, cluster_of(destination, IDENTITY), URI)


@pytest.fixture
def empty(session: CatalogSession) -> CatalogSession:
    """A catalog that knows of no round."""
    with session.cursor() as cursor:
        for table in (tables.STATUS_TABLE, tables.PIECE_TABLE, tables.PARAMETER_TABLE):
            cursor.execute(f"DELETE FROM {table}")
    Catalog(session).prepare()
    return session


def rows(session: CatalogSession, table: str, columns: str, where: str = "") -> list[tuple[Any, ...]]:
    """Rows in the order of these columns."""
    with session.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {table} {where} ORDER BY {columns}")
        return list(cursor.fetchall())


def test_an_empty_catalog_learns_everything(empty: CatalogSession, found: History) -> None:
    """Rounds, pieces, data backups, holes, the destination; the next round is the fourth, the next piece too."""
    repair = plan(empty, found, URI)
    carry_out(empty, repair)
    again = plan(empty, found, URI)
    last = Catalog(empty).load_round()

    assert (again.changes, again.backup_dest, repair.backup_dest) == ((), "", URI)
    assert last is not None
    assert (last.round_id, last.status, last.last_piece_id) == (3, RoundStatus.STOP, 3)
    assert rows(empty, tables.HISTORY_TABLE, "log_archive_round, tenant_id, comment", "WHERE tenant_id = 1001")[1] == (
        2,
        1001,
        CAUSE,
    )
    assert rows(empty, tables.PIECE_TABLE, "round_id, backup_piece_id, status, file_status", "WHERE tenant_id = 1") == [
        (1, 0, "FROZEN", "DELETED"),
        (2, 1, "FROZEN", "AVAILABLE"),
        (2, 2, "FROZEN", "AVAILABLE"),
        (3, 3, "FROZEN", "AVAILABLE"),
    ]
    assert rows(empty, tables.SET_TABLE, "bs_key, tenant_id, status, file_status, log_archive_round")[:2] == [
        (1, 1, "SUCCESS", "AVAILABLE", 2),
        (1, 1001, "SUCCESS", "AVAILABLE", 2),
    ]
    assert [hole[:2] for hole in rows(empty, tables.HOLE_TABLE, "`after`, cause")] == [(2, CAUSE)]
    assert str(repair.changes[0]).startswith("add     __all_backup_log_archive_status_history_v2: log_archive_round 1")


def test_what_is_not_final_is_corrected(empty: CatalogSession, found: History) -> None:
    """A piece that was ACTIVE, a hole that was open, a piece and a set that have been deleted since."""
    carry_out(empty, plan(empty, found, URI))
    with empty.cursor() as cursor:
        cursor.execute(f"UPDATE {tables.PIECE_TABLE} SET status = 'ACTIVE' WHERE backup_piece_id = 1")
        cursor.execute(f"UPDATE {tables.PIECE_TABLE} SET file_status = 'AVAILABLE' WHERE round_id = 1")
        cursor.execute(f"UPDATE {tables.HOLE_TABLE} SET closed_at = 0")
        cursor.execute(f"UPDATE {tables.HISTORY_TABLE} SET comment = 'final' WHERE tenant_id = 1")
    repair = plan(empty, found, URI)
    told = [str(change) for change in repair.changes]

    assert len(repair.changes) == 5
    assert any("status ACTIVE -> FROZEN" in text for text in told)
    assert any("file_status AVAILABLE -> DELETED" in text for text in told)
    assert any("__redoubt_archivelog_hole" in text for text in told)


def test_sets_that_are_gone_or_unfinished_keep_their_numbers(empty: CatalogSession) -> None:
    """A deleted one is DELETED, also where the catalog has it as there; one without manifest has FAILED."""
    small = SmallArchive()
    whole = history(small.destination, CLUSTER, URI)
    carry_out(empty, plan(empty, whole, URI))
    folder = small.set_store(SET).path
    small.destination.objects[folder.deletion] = b"{}"
    deleted = plan(empty, history(small.destination, CLUSTER, URI), URI)
    del small.destination.objects[folder.deletion]
    del small.destination.objects[folder.manifest]
    unfinished = history(small.destination, CLUSTER, URI)

    assert [change.row["file_status"] for change in deleted.changes] == ["DELETED", "DELETED"]
    assert [(each.key.set_id, str(each.status), str(each.file_status)) for each in unfinished.sets] == [
        (1, "FAILED", "INCOMPLETE"),
        (2, "SUCCESS", "AVAILABLE"),
    ]


@pytest.mark.parametrize(
    ("others", "whole"),
    [
        ([("FAILED", "DELETED")], ("FAILED", "AVAILABLE")),
        ([("SUCCESS", "DELETED")], ("SUCCESS", "DELETING")),
        ([("FAILED", "INCOMPLETE")], ("FAILED", "AVAILABLE")),
        ([], ("SUCCESS", "AVAILABLE")),
    ],
)
def test_a_set_is_whole_only_with_all_its_parts(
    empty: CatalogSession, found: History, others: list[tuple[str, str]], whole: tuple[str, str]
) -> None:
    """A part that had failed makes no older set needless, after a repair either."""
    part = next(each for each in found.sets if each.file_status is FileStatus.AVAILABLE)
    parts = [
        replace(
            part,
            tenant_id=part.tenant_id + number,
            status=SetStatus(status),
            file_status=FileStatus(files),
            start_scn=0,
        )
        for number, (status, files) in enumerate(others, 1)
    ]
    row = _of_set(empty, [*parts, part], URI)[0].row

    assert (row["status"], row["file_status"], row["start_replay_scn"]) == (*whole, part.start_scn)


def test_the_record_of_a_deletion_tells_a_failed_part_from_a_good_one() -> None:
    """The service removes the files of a failed part without a job."""
    small = SmallArchive()
    folder = small.set_store(SET).path
    for job, status in ((0, SetStatus.FAILED), (7, SetStatus.SUCCESS)):
        record = SetDeletion(1001, 1, job, "a statement", "host", 1)
        small.destination.objects[folder.deletion] = dump_record(record)
        (one, *_) = history(small.destination, CLUSTER, URI).sets
        assert (one.status, one.file_status) == (status, FileStatus.DELETED)


def test_a_round_that_is_under_way_is_not_touched(empty: CatalogSession, found: History) -> None:
    """Nor is anything of it; what the destination has beyond it has to wait, and that is said."""
    now = Round(2, RoundStatus.DOING, 5, DATE, URI, last_piece_id=1)
    Catalog(empty).save_round(now)
    repair = plan(empty, found, URI)
    carry_out(empty, repair)

    assert "round 2 is DOING in the catalog, but the destination has rounds up to 3" in repair.held_up
    assert {change.row.get("log_archive_round", 1) for change in repair.changes if "bs_key" not in change.row} == {1}
    assert Catalog(empty).load_round() == replace(now, pieces=())


def test_damage_is_left_out(found: History) -> None:
    """What cannot be read is named, and the rest is there."""
    small = SmallArchive()
    names = [
        name for name in small.destination.objects if name.endswith(("hole_info", "1_full_20260921/backup_set_info"))
    ]
    for name in names:
        small.destination.objects[name] = b"{"
    damaged = history(small.destination, CLUSTER, URI)

    assert len(damaged.left_out) == 2
    assert len(damaged.rounds) == len(found.rounds)


def test_a_destination_of_copies_changes_no_original(empty: CatalogSession, found: History) -> None:
    """Its deleted copies are no deletion of originals elsewhere; what the catalog does not know is added."""
    carry_out(empty, plan(empty, found, URI))
    with empty.cursor() as cursor:
        cursor.execute(f"UPDATE {tables.PIECE_TABLE} SET file_status = 'AVAILABLE', backup_dest = 'file:///first/'")
        cursor.execute(f"DELETE FROM {tables.PIECE_TABLE} WHERE round_id = 3")
    repair = plan(empty, found, "file:///copies")
    assert {
        (change.table, change.row["round_id"]) for change in repair.changes if change.table == tables.PIECE_TABLE
    } == {(tables.PIECE_TABLE, 3)}
