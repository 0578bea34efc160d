"""Data backups: what begins and ends one, what it waits for, what becomes of tenants that leave, what is removed."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from redoubt.archive.deletion import SetDeletion
from redoubt.archive.layout import ClusterInfo, ClusterPath
from redoubt.archive.record import dump_record, load_record
from redoubt.archive.set_layout import set_path
from redoubt.catalog.session import CatalogError
from redoubt.catalog.set_table import Remains
from redoubt.control.backups import backup_work, data_backups
from redoubt.control.parameters.parameter_list import BACKUP_DEST, BACKUP_PAUSE_LIMIT
from redoubt.control.rounds import archiving
from redoubt.destinations.file import FileDestination
from redoubt.messages.archiving import Flush, PieceProgress, PieceStopped
from redoubt.messages.jobs import BaseTaken, Failed, TenantRestored
from redoubt.model.bases import SetKey
from redoubt.model.data_backups import DataBackup
from redoubt.model.retention import FileStatus, SetStatus
from redoubt.model.rounds import RoundStatus
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import parse
from redoubt.sql.statements import BackupDatabase, CancelBackup, DropTenant
from tests.control.fakes import FakeEngine, FakeSession, tenant_with
from tests.control.stage import Stage, play

FULL = BackupDatabase()
TAKEN = BaseTaken(
    start_lsn=0, start_scn=4, snapshot_lsn=50, snapshot_scn=9, pause_us=18000, passes=2, method="hot",
    input_bytes=100, output_bytes=40,
)  # fmt: skip
PATH = ClusterPath("c", 1)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at is looked at soon."""
    monkeypatch.setattr(backup_work, "_LOOK", 0.01)
    monkeypatch.setattr(backup_work, "_RETRY", 0.01)
    monkeypatch.setattr(data_backups, "_LOOK_PAUSE", 0.01)


async def _over(stage: Stage) -> DataBackup:
    await stage.until(lambda: not stage.backups.is_running)
    await stage.archiving.close()
    return stage.set_table.last


async def _begun(stage: Stage) -> None:
    """A data backup whose job is under way."""
    await stage.doing()
    await stage.handler.handle(FULL, FakeSession())
    await stage.until(lambda: bool(stage.jobs.asked))


async def _code(stage: Stage, statement: BackupDatabase | CancelBackup) -> int:
    with pytest.raises(SqlError) as refused:
        await stage.handler.handle(statement, FakeSession())
    return refused.value.code


async def _second_tenant(stage: Stage) -> None:
    """A tenant 1002 beside main, in the round."""
    await stage.archiving.add_tenant(replace(tenant_with(FakeEngine()), tenant_id=1002, name="shop"))
    stage.progress(0)


def test_a_data_backup_is_complete_when_its_log_is_archived(stage: Stage) -> None:
    """On record when the statement returns, with what the job says; SUCCESS only with the log up to its snapshot."""

    async def scene() -> None:
        stage.parameters.change({BACKUP_PAUSE_LIMIT: "200ms"})
        await _begun(stage)
        begun = stage.set_table.saved[0]
        assert (begun.status, begun.key.set_id) == (SetStatus.DOING, 1)
        assert begun.key.create_date == int(datetime.now().astimezone().strftime("%Y%m%d"))
        assert (stage.jobs.asked[0].tenant, stage.jobs.asked[0].pause_limit) == ("main", 0.2)
        stage.jobs.progress(30, 100)
        await stage.until(lambda: stage.set_table.last.tenants[1001].input_bytes == 30)
        assert await _code(stage, FULL) == 9036
        stage.jobs.tell(1001, TAKEN)
        await stage.until(lambda: stage.set_table.last.tenants[1001].is_taken)
        stage.progress(49)
        await asyncio.sleep(0.05)
        assert stage.backups.is_running
        assert stage.sent(Flush) == 1, "the log may be an idle engine's, which waits for longer by itself"
        stage.progress(50)
        over = await _over(stage)
        part = over.tenants[1001]
        assert (over.status, part.status, part.snapshot_scn, part.start_scn) == ("SUCCESS", "SUCCESS", 9, 4)
        assert (part.pause_us, part.passes, part.method, part.input_bytes, part.output_bytes) == (
            18000,
            2,
            "hot",
            100,
            40,
        )
        assert stage.backups.last_snapshot == 9
        assert await _code(stage, CancelBackup()) == 9049

    play(scene())


def test_numbers_go_on_from_what_the_destination_holds(stage: Stage, tmp_path: Path) -> None:
    """Also of sets that the catalog does not know."""

    async def scene() -> None:
        await stage.doing()
        FileDestination(tmp_path).put_if_absent(set_path(PATH, 1009, SetKey(6, 20260921)).info, b"...")
        stage.jobs.outcomes[1001] = TAKEN
        await stage.handler.handle(FULL, FakeSession())
        stage.progress(50)
        assert (await _over(stage)).key.set_id == 7

    play(scene())


def test_what_cannot_begin_is_refused(stage: Stage, tmp_path: Path) -> None:
    """Incremental backups with what to do instead; without a destination, one that cannot be read, without tenants."""

    async def scene() -> None:
        await stage.doing()
        with pytest.raises(SqlError, match="every data backup of Redoubt is full") as refused:
            await stage.handler.handle(BackupDatabase(is_incremental=True), FakeSession())
        assert refused.value.code == 1235
        for uri in ("", "nonsense"):
            stage.parameters.change({BACKUP_DEST: uri})
            assert await _code(stage, FULL) == 9026
        stage.parameters.change({BACKUP_DEST: f"file://{tmp_path}"})
        stage.archive.gone = asyncio.get_running_loop().create_future()
        assert await _code(stage, FULL) == 1235
        stage.archive.gone = None
        stage.set_table.failures = 1
        assert await _code(stage, FULL) == 1053
        assert not stage.backups.is_running
        await stage.archiving.close()

    play(scene())
    assert stage.jobs.asked == []


@pytest.mark.parametrize(
    ("outcome", "cause"),
    [
        (Failed("no engine runs there"), "tenant main: no engine runs there"),
        (TenantRestored("s", 1, 2, 3), "tenant main: the job returned an unexpected result"),
    ],
)
def test_a_part_that_fails_leaves_the_others_alone(stage: Stage, outcome: object, cause: str) -> None:
    """The whole has FAILED with its reason, also where the catalog is away for a while; the other parts are good."""

    async def scene() -> None:
        await stage.doing()
        await _second_tenant(stage)
        await stage.handler.handle(FULL, FakeSession())
        await stage.until(lambda: bool(stage.jobs.asked))
        stage.set_table.failures = 3
        stage.jobs.tell(1001, outcome)  # type: ignore[arg-type]  # it is an outcome
        await stage.until(lambda: len(stage.jobs.asked) == 2)
        stage.jobs.tell(1002, TAKEN)
        await stage.until(lambda: stage.backups._work is not None and stage.backups._work.now.tenants[1002].is_taken)
        stage.archiving.worker_says(PieceProgress(1002, stage.archiving.round.round_id, 50, 10**18, 10, 5, 1))
        over = await _over(stage)
        assert (over.status, over.comment, over.file_status) == ("FAILED", cause, FileStatus.AVAILABLE)
        parts = [(part.status, part.comment) for part in over.tenants.values()]
        assert parts == [(SetStatus.FAILED, cause), (SetStatus.SUCCESS, "")]
        assert stage.backups.last_snapshot == 0

    play(scene())
    assert [request.tenant_id for request in stage.jobs.asked] == [1001, 1002]


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_tenant_whose_log_is_not_archived_is_not_backed_up(stage: Stage, *, is_begun: bool) -> None:
    """Its base would need the log; the other tenants' parts are good. Before its turn, and in the midst of it."""

    async def scene() -> None:
        await stage.doing()
        await _second_tenant(stage)
        stage.archiving.worker_says(PieceProgress(1002, stage.archiving.round.round_id, 5, 10**18, 10, 5, 1))
        await stage.handler.handle(FULL, FakeSession())
        await stage.until(lambda: bool(stage.jobs.asked))
        if not is_begun:
            stage.archiving.interrupt(1002, "set back")
        stage.jobs.tell(1001, TAKEN)
        if is_begun:
            await stage.until(lambda: len(stage.jobs.asked) == 2)
            stage.archiving.interrupt(1002, "set back")
        stage.progress(50)
        over = await _over(stage)
        assert [str(part.status) for part in over.tenants.values()] == ["SUCCESS", "FAILED"]
        assert over.comment == "tenant shop: the log that the data backup needs is not archived: set back"

    play(scene())
    assert len(stage.jobs.asked) == 1 + is_begun


def test_an_error_that_nobody_foresaw_ends_a_data_backup(stage: Stage) -> None:
    """It is not DOING for ever."""

    async def scene() -> None:
        await _begun(stage)
        stage.jobs.break_down(1001, ZeroDivisionError("oh"))
        over = await _over(stage)
        assert (over.status, over.comment) == ("FAILED", "ZeroDivisionError: oh")
        assert {part.status for part in over.tenants.values()} == {SetStatus.FAILED}

    play(scene())


def test_a_data_backup_is_cancelled_at_once(stage: Stage) -> None:
    """The job has ended and FAILED is on record when the statement returns; with CANCEL ALL BACKUP FORCE as well."""

    async def scene() -> None:
        await _begun(stage)
        await stage.handler.handle(CancelBackup(), FakeSession())
        assert (stage.jobs.ended, stage.set_table.last.comment) == ([1001], "cancelled by ALTER SYSTEM CANCEL BACKUP")
        assert not stage.backups.is_running
        await stage.handler.handle(FULL, FakeSession())
        await stage.until(lambda: len(stage.jobs.asked) == 2)
        stage.jobs.tell(1001, TAKEN)
        await stage.until(lambda: stage.set_table.last.tenants[1001].is_taken)
        await asyncio.gather(stage.backups.abandon(), stage.backups.cancel())
        assert stage.set_table.last.comment == "cancelled by ALTER SYSTEM CANCEL ALL BACKUP FORCE"
        await stage.backups.abandon()
        await stage.archiving.close()

    play(scene())


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_round_that_ends_ends_the_data_backup(stage: Stage, *, is_taken: bool) -> None:
    """At once while bases are taken; what is archived until STOP is enough for those that have been."""

    async def scene() -> None:
        await _begun(stage)
        if is_taken:
            stage.jobs.tell(1001, TAKEN)
            await stage.until(lambda: stage.set_table.last.tenants[1001].is_taken)
        await stage.archiving.stop()
        if is_taken:
            await asyncio.sleep(0.05)
            assert stage.backups.is_running
            stage.archiving.worker_says(PieceStopped(1001, stage.archiving.round.round_id, "no answer"))
        over = await _over(stage)
        word = "STOP (no answer)" if is_taken else "STOPPING"
        assert over.status is SetStatus.FAILED
        assert over.comment.endswith(f"log archive status is {word}")

    play(scene())


def test_the_destination_stays_as_it_is_while_one_is_under_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """9036, and 1235 for turning pieces on: also in the moment between the round's end and its own."""
    monkeypatch.setattr(backup_work, "_LOOK", 60.0)

    async def scene() -> None:
        await _begun(stage)
        await stage.stopped()
        for sql, code in (
            ("backup_dest = ''", 9036),
            ("backup_dest_option = 'log_archive_piece_switch_interval=1d'", 1235),
        ):
            statement = parse(f"ALTER SYSTEM SET {sql}")
            assert statement is not None
            with pytest.raises(SqlError) as refused:
                await stage.handler.handle(statement, FakeSession())
            assert refused.value.code == code
        await stage.backups.close()
        await stage.archiving.close()

    play(scene())


def test_an_archive_that_stands_still_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without a step, with what holds it up."""
    monkeypatch.setattr(backup_work, "_PATIENCE", 0.05)

    async def scene() -> None:
        await _begun(stage)
        stage.archive.troubles[0] = "no space"
        stage.jobs.tell(1001, TAKEN)
        await stage.until(lambda: stage.set_table.last.tenants[1001].is_taken)
        stage.progress(20)
        over = await _over(stage)
        assert over.status is SetStatus.FAILED
        assert over.comment.endswith("needs more log: no space")

    play(scene())


def test_tenants_that_stand_still_are_given_up_together(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that the first one's log was waited for counts for the others, too."""
    ticks = itertools.count()
    monkeypatch.setattr(backup_work, "time", SimpleNamespace(monotonic=lambda: next(ticks), time_ns=time.time_ns))
    monkeypatch.setattr(backup_work, "_PATIENCE", 50)

    async def scene() -> None:
        await stage.doing()
        await _second_tenant(stage)
        stage.jobs.outcomes |= {1001: TAKEN, 1002: TAKEN}
        await stage.handler.handle(FULL, FakeSession())
        over = await _over(stage)
        assert [part.status for part in over.tenants.values()] == [SetStatus.FAILED, SetStatus.FAILED]

    play(scene())
    assert 50 < next(ticks) < 70


def test_a_tenant_that_is_dropped_is_left_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its turn, in the midst, and after: the others go on; without any there is nothing."""
    monkeypatch.setattr(archiving, "_WORKER_PATIENCE", 0.1)  # the worker of a stage says nothing by itself

    async def scene() -> None:
        await stage.doing()
        await _second_tenant(stage)
        await stage.handler.handle(FULL, FakeSession())
        await stage.until(lambda: bool(stage.jobs.asked))
        await stage.backups.leave(1002)
        stage.jobs.tell(1001, TAKEN)
        stage.progress(50)
        over = await _over(stage)
        assert (over.status, over.tenants[1002].status) == ("SUCCESS", "FAILED")
        assert over.tenants[1002].comment == "the tenant was dropped during the backup"
        assert over.whole(1).start_scn == 4
        await stage.backups.leave(1001)

        await stage.handler.handle(FULL, FakeSession())
        await stage.until(lambda: len(stage.jobs.asked) == 2)
        await stage.backups.leave(1001)
        assert stage.jobs.ended == [1001, 1001]
        await stage.until(lambda: len(stage.jobs.asked) == 3)
        stage.jobs.tell(1002, replace(TAKEN, snapshot_lsn=80))
        await stage.until(lambda: stage.set_table.last.tenants[1002].is_taken)
        await stage.archiving.drop_tenant(1002, force=True)
        over = await _over(stage)
        assert (over.status, over.comment) == ("FAILED", "all its tenants were dropped during the backup")

    stage.archiving._orders._stop_patience = 0
    play(scene())


def test_a_job_that_fails_because_its_tenant_goes_fails_nothing_else(stage: Stage) -> None:
    """The engine is ended under it."""

    async def scene() -> None:
        await _begun(stage)
        await asyncio.sleep(0.05)
        stage.archive.gone = asyncio.get_running_loop().create_future()
        stage.jobs.tell(1001, Failed("no engine runs there"))
        over = await _over(stage)
        assert over.tenants[1001].comment == "the tenant was dropped during the backup"

    play(scene())


def test_drop_tenant_lets_go_of_the_engine_first(stage: Stage) -> None:
    """The job has ended before the engine does; what failed just because of that is no failure."""

    async def scene() -> None:
        await _begun(stage)
        dropping = asyncio.create_task(stage.handler.handle(DropTenant("main", force=True), FakeSession()))
        await stage.until(lambda: stage.jobs.ended == [1001])
        over = await _over(stage)
        assert over.tenants[1001].comment == "the tenant was dropped during the backup"
        stage.archiving.worker_says(PieceStopped(1001, stage.archiving.round.round_id, ""))
        await dropping
        await stage.background.stop()

    play(scene())


def test_stopping_the_service_ends_it_on_record(stage: Stage) -> None:
    """And there may be nothing to end."""

    async def scene() -> None:
        await stage.backups.close()
        await _begun(stage)
        await stage.backups.close()
        assert stage.set_table.last.comment == "the service was stopped during the data backup"
        await stage.archiving.close()

    play(scene())


def test_a_catalog_that_is_away_does_not_hold_up_the_stop(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start sees to it."""
    monkeypatch.setattr(data_backups, "_STOP_PATIENCE", 0.05)

    async def scene() -> None:
        await _begun(stage)
        stage.set_table.failures = 10**6
        await stage.backups.close()
        assert not stage.backups.is_running
        await stage.archiving.close()

    play(scene())
    assert stage.set_table.last.status is SetStatus.DOING


def test_what_a_failed_data_backup_left_is_removed(stage: Stage, tmp_path: Path) -> None:
    """Also when the service ended in the midst of it; while destination or catalog is away it is tried again."""
    key = SetKey(3, 20260921)
    there, names = FileDestination(tmp_path), set_path(PATH, 1001, key)
    for name in (names.info, names.part(1)):
        there.put_if_absent(name, b"...")
    stage.set_table.left = [
        Remains(key, 1001, f"file://{tmp_path}", 5, "killed"),
        Remains(key, 1002, "nonsense", 5, ""),
    ]
    stage.set_table.unfinished = [3]

    async def scene() -> None:
        stage.set_table.failures = 1
        with pytest.raises(CatalogError):
            await stage.backups.load()
        await stage.backups.load()
        assert stage.backups.last_snapshot == 7
        stage.set_table.failures = 1
        running = asyncio.create_task(stage.backups.run())
        await asyncio.sleep(0.1)
        assert len(stage.set_table.left) == 2, "the destination does not say yet that it is ours"
        there.put_if_absent(PATH.info, dump_record(ClusterInfo("c", 1, "identity")))
        await stage.until(lambda: len(stage.set_table.left) == 1)
        stage.set_table.left = []
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    play(scene())

    assert sorted(info.name for info in there.list(names.folder)) == [names.info, names.deletion]
    assert load_record(SetDeletion, there.get(names.deletion)).statement == "the data backup failed: killed"
    assert stage.archiving.round.status is RoundStatus.STOP
