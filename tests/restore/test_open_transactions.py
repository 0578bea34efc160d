"""Restores to moments at which transactions were open, the headline among them: just before a table was dropped."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from redoubt.engines.seekdb.account import connect
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.keeping import EmbeddedKeeper
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter
from redoubt.engines.seekdb.orphans import may_have_orphans
from redoubt.model.keeping import EngineSizes
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.restore import planning
from redoubt.restore.planning import Plan, make_plan
from tests.dose import dose
from tests.seekdb.running import running_seekdb, short_directory
from tests.seekdb.template import await_packages
from tests.seekdb.test_tx_log import REDO, UPKEEP, transaction

from .archived import TENANT, ArchivedEngine, opened, restore
from .small import SmallArchive, assert_restored, restoration

ROWS = 200
OPEN = transaction(REDO)


def with_open_tail() -> SmallArchive:
    """Four groups that decide, a base after the second; upkeep, and redo in two pieces: groups 6, 8 and 9."""
    archive = SmallArchive()
    archive.begin(1, 1, archive.end)
    archive.write(2)
    archive.take_base()
    archive.write(1, 1)
    archive.write(1, content=UPKEEP)
    archive.write(1, content=OPEN)
    archive.freeze()
    archive.begin(1, 2, archive.end)
    archive.write(1, content=UPKEEP)
    archive.write(1, 1, content=OPEN)
    return archive


def test_redo_that_nothing_follows_is_left_out(tmp_path: Path) -> None:
    """From its first group on, over segments and pieces; the same place again for the SCN, also when it is laid."""
    archive = with_open_tail()
    last = archive.ends[5]

    assert [archive.plan(scn).end for scn in (300, 400, 500)] == archive.ends[3:6]
    assert {archive.plan(scn).end for scn in (500, 600, 650, 700, 800, 900, None)} == {last}
    assert len(archive.plan(None).parts) == 1
    assert_restored(archive, tmp_path, restoration(archive.plan(None), tmp_path).run())
    archive.write(1)
    assert archive.plan(None).end == archive.end


def test_a_plan_that_more_log_will_follow_has_all() -> None:
    """A standby's: the transaction may be decided by what comes."""
    archive = with_open_tail()
    plan = make_plan(archive.destination, archive.tenant, 850, SeekdbLogCutter(), is_settled=False)

    assert plan.end == archive.ends[8]


def test_redo_that_the_base_may_have_stays() -> None:
    """Its files hold what was written up to its snapshot; without log before the snapshot, all stays."""
    archive = with_open_tail()
    archive.take_base(2)
    archive.write(2, content=OPEN)

    assert archive.plan(None).end == archive.ends[9]
    assert archive.plan(None, set_id=1).end == archive.ends[5]
    first = SmallArchive()
    first.begin(1, 1, first.end)
    first.take_base()
    first.write(2, content=OPEN)
    assert first.plan(None).end == first.end


def test_redo_of_a_transaction_that_began_too_long_ago_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing that decides is found in reach, the end is that of the moment."""
    archive = with_open_tail()
    ends = archive.ends
    monkeypatch.setattr(planning, "_LOOK_BACK", ends[9].lsn - ends[3].lsn)
    assert archive.plan(None).end == ends[5]
    for reach in (ends[9].lsn - ends[3].lsn - 1, ends[9].lsn - ends[7].lsn, 1):
        monkeypatch.setattr(planning, "_LOOK_BACK", reach)
        assert archive.plan(None).end == ends[9]


def test_redo_is_found_where_rounds_overlap() -> None:
    """The later round's first segment begins before the earlier one's end."""
    archive = with_open_tail()
    archive.freeze()
    archive.begin(2, start=LogPosition(archive.ends[7].lsn))
    archive.archive("none")
    archive.write(2, content=OPEN)

    assert archive.plan(None).end == archive.ends[5]


@dataclass(frozen=True)
class Dropped:
    """An archive of an engine whose table was dropped right after a commit; the groups from there to the drop's."""

    engine: ArchivedEngine
    groups: list[LogPosition]

    def plan(self, scn: int) -> Plan:
        """The plan for a moment."""
        return make_plan(self.engine.destination, TENANT, scn, SeekdbLogCutter())


@pytest.fixture(scope="module")
def dropped() -> Iterator[Dropped]:
    """The archive, when the engine has ended.

    Own engine: its log must end right behind a DROP.
    """
    with short_directory() as root:
        with running_seekdb() as seekdb:
            engine = ArchivedEngine(seekdb, root)
            engine.begin_piece(PieceKey(1, 1, 20261123))
            rows = ", ".join(f"({number}, 'x')" for number in range(1, ROWS))
            seekdb.run(f"INSERT INTO test.rows_of_test (id, content) VALUES {rows}")
            engine.take_base(1)
            seekdb.run(f"INSERT INTO test.rows_of_test (id, content) VALUES ({ROWS}, 'the last')")
            committed = seekdb.engine.end_of_log()
            seekdb.run("DROP TABLE test.rows_of_test")
            engine.archive()
        yield Dropped(engine, [group for group in engine.groups if group.lsn >= committed])


def is_there(directory: Path) -> bool:
    """Whether the table is in a restored directory; if it is, with all rows, and an application writes and drops it."""
    there = opened(directory, "SHOW TABLES LIKE 'rows_of_test'")[0]
    if not there:
        return False
    *_, written, _, _, left = opened(
        directory,
        "SET ob_query_timeout = 20000000",
        "SET ob_trx_lock_timeout = 2000000",
        "UPDATE rows_of_test SET content = 'written after the restore'",
        "COMMIT",
        "SELECT COUNT(*), COUNT(DISTINCT id), MAX(id), MIN(content) FROM rows_of_test",
        "ALTER TABLE rows_of_test ADD COLUMN more INT",
        "DROP TABLE rows_of_test",
        "SHOW TABLES LIKE 'rows_of_test'",
    )
    assert written == [[str(ROWS), str(ROWS), str(ROWS), "written after the restore"]]
    assert left == []
    return True


def test_a_table_can_be_used_however_shortly_before_its_drop_a_restore_ends(dropped: Dropped) -> None:
    """From the last commit to the drop: all rows are there before it, and nothing is locked."""
    ends = sorted({dropped.plan(group.scn).end for group in dropped.groups}, key=lambda end: end.lsn)
    found = []
    for end in spread(ends, dose(2, 6)):
        with short_directory() as folder:
            target = folder / "restored"
            run = restore(dropped.engine.uri, "--tenant", "main", "--scn", str(end.scn), "--to", target)
            assert (run.returncode, run.stderr) == (0, "")
            found.append(is_there(target))

    assert len(ends) < len(dropped.groups)
    assert found == sorted(found, reverse=True)
    assert (found[0], found[-1]) == (True, False)


def spread(ends: list[LogPosition], most: int) -> list[LogPosition]:
    """The first and the last, and as many evenly between them; the engine's own work may have put hundreds there."""
    last = len(ends) - 1
    return [ends[number] for number in sorted({last * step // (most - 1) for step in range(most)})]


def test_a_plan_comes_to_its_own_end_again(dropped: Dropped) -> None:
    """Whatever was left out behind it: its SCN is the exact form of the moment."""
    for group in dropped.groups:
        plan = dropped.plan(group.scn)
        assert plan.end.lsn <= group.lsn
        assert dropped.plan(plan.end.scn).end == plan.end


@pytest.fixture(scope="module")
def open_moment() -> Iterator[tuple[ArchivedEngine, int]]:
    """The archive of an engine, and a moment at which a large transaction was open and a later one was committed.

    Own engine: a transaction of it is open in the midst of its log.
    """
    with short_directory() as root:
        with running_seekdb() as seekdb:
            engine = ArchivedEngine(seekdb, root)
            engine.begin_piece(PieceKey(1, 1, 20261123))
            seekdb.run("INSERT INTO test.rows_of_test (id, content) VALUES (1, 'old'), (2, 'old')")
            engine.take_base(1)
            with closing(connect(seekdb.base)) as connection, connection.cursor() as cursor:
                cursor.execute("SET autocommit = 0")
                cursor.execute("UPDATE test.rows_of_test SET content = 'new' WHERE id = 1")
                for _ in range(6):
                    cursor.execute("INSERT INTO test.rows_of_test (content) VALUES (%s)", (os.urandom(250_000).hex(),))
                seekdb.run("UPDATE test.rows_of_test SET content = 'committed' WHERE id = 2")
                engine.archive()
                moment = engine.at.scn
                connection.rollback()
            engine.archive()
        yield engine, moment


USED = (
    "SET ob_query_timeout = 20000000",
    "SELECT id, content FROM rows_of_test ORDER BY id",
    "UPDATE rows_of_test SET content = 'mine' WHERE id = 1",
    "COMMIT",
    "CREATE TABLE made_afterwards (id INT)",
)


def test_what_was_open_is_rolled_back(open_moment: tuple[ArchivedEngine, int]) -> None:
    """By the command, which says so; then an application can write what was locked, and make tables."""
    engine, moment = open_moment
    with short_directory() as folder:
        target = folder / "restored"
        run = restore(engine.uri, "--tenant", "main", "--scn", str(moment), "--to", target)
        assert (run.returncode, run.stderr) == (0, "")
        assert "rolled back: 1 transaction that was open at that moment" in run.stdout
        assert opened(target, *USED)[1] == [["1", "old"], ["2", "committed"]]


def test_the_service_rolls_back_what_was_open(open_moment: tuple[ArchivedEngine, int]) -> None:
    """When it first starts an engine in a directory that was restored, and never again."""
    engine, moment = open_moment
    with short_directory() as folder:
        target = BaseDir(folder / "restored")
        options = ("--tenant", "main", "--scn", str(moment), "--to", target.path)
        assert restore(engine.uri, *options, "--no-start").returncode == 0
        keeper = EmbeddedKeeper(target, EngineSizes(), may_be_new=False)
        try:
            assert may_have_orphans(target)
            asyncio.run(keeper.start())
            assert not may_have_orphans(target)
        finally:
            asyncio.run(keeper.stop())
        assert opened(target.path, *USED)[1] == [["1", "old"], ["2", "committed"]]


@pytest.mark.soak
def test_what_a_new_engine_makes_by_itself_locks_nothing() -> None:
    """Its system packages are large transactions, with DDL among them; such a restore hung when they were left open.

    Own engine: a new one, in its first seconds.
    """
    with short_directory() as root, short_directory() as folder:
        with running_seekdb(is_new=True) as seekdb:
            engine = ArchivedEngine(seekdb, root)
            engine.begin_piece(PieceKey(1, 1, 20261123))
            seekdb.run("INSERT INTO test.rows_of_test (id, content) VALUES (1, 'old'), (2, 'committed')")
            base = engine.take_base(1).summary
            with closing(connect(seekdb.base)) as connection, connection.cursor() as cursor:
                await_packages(cursor)
            engine.archive()
        later = [group for group in engine.groups if group.scn > base.snapshot_scn]
        moment, target = later[len(later) // 5].scn, folder / "restored"
        run = restore(engine.uri, "--tenant", "main", "--scn", str(moment), "--to", target)
        assert (run.returncode, run.stderr) == (0, "")
        assert opened(target, *USED)[1] == [["1", "old"], ["2", "committed"]]
