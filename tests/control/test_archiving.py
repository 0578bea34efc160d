"""Rounds with a worker, an engine and a catalog that fail when told to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from redoubt.control.rounds import archiving as module
from redoubt.messages.archiving import (
    ArchivePiece,
    Configure,
    Flush,
    Flushed,
    HoleClosed,
    HoleOpened,
    PieceBroken,
    PieceFreezing,
    PieceProgress,
    PieceStopped,
    PieceTrouble,
    StopRound,
)
from redoubt.model.holes import Hole
from redoubt.model.rounds import Round, RoundStatus, TenantRound
from redoubt.sql.errors import SqlError
from redoubt.sql.statements import ArchiveLog, MinorFreeze, NoArchiveLog
from tests.control.fakes import FakeEngine, FakeSession, one_piece, tenant_with
from tests.control.stage import FAR, Stage, TimelessLoop, play


def test_an_engine_that_is_down_is_asked_again(stage: Stage) -> None:
    """The worker gets its task when the engine can say where to begin."""

    async def scene() -> None:
        stage.engine.failures = 2
        await stage.archiving.start()
        await stage.until(lambda: stage.sent(ArchivePiece) == 1)
        await stage.archiving.close()

    play(scene())

    assert stage.engine.calls == ["hold_log", "source_id", "start_point"]


def test_a_round_stopped_before_its_engine_answers_holds_nothing(stage: Stage) -> None:
    """What was to be archived is not, and the log is released."""

    async def scene() -> None:
        stage.engine.failures = 10**6
        await stage.archiving.start()
        await stage.archiving.stop()
        stage.archiving.worker_says(PieceStopped(1001, 1, ""))
        stage.engine.failures = 0
        await stage.look()
        await stage.until(lambda: len(stage.archiving._orders._tasks) == 1)  # the one that would force the stop
        await stage.archiving.close()

    play(scene())

    assert stage.sent(ArchivePiece) == 0
    assert "hold_log" not in stage.engine.calls
    assert "release_all_log" in stage.engine.calls
    assert stage.archiving.round.status is RoundStatus.STOP


def test_a_worker_that_does_not_stop_is_done_without(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The round ends by itself, the worker is killed, the cause is on record."""
    stage.archiving._stop_patience = 0.01
    monkeypatch.setattr(module, "_WORKER_PATIENCE", 0.01)

    async def scene() -> None:
        await stage.archiving.start()
        await stage.archiving.stop()
        await stage.until(lambda: stage.worker.kills == 1)
        await stage.archiving.close()

    play(scene())

    assert stage.archiving.round.status is RoundStatus.STOP
    assert "did not answer in time" in stage.archiving.round.tenants[1001].comment


def test_a_round_that_stopped_in_time_is_not_forced(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker lives on."""
    stage.archiving._stop_patience = 0.01
    monkeypatch.setattr(module, "_WORKER_PATIENCE", 0.01)

    async def scene() -> None:
        await stage.archiving.start()
        await stage.archiving.stop()
        stage.archiving.worker_says(PieceStopped(1001, 1, ""))
        await stage.until(lambda: not stage.archiving._orders._tasks)

    play(scene())

    assert stage.worker.kills == 0


def test_a_catalog_that_fails_is_written_later(stage: Stage) -> None:
    """What the worker tells is not lost."""

    async def scene() -> None:
        await stage.archiving.start()
        saving = asyncio.create_task(stage.archiving.save_changes())
        stage.catalog.failures = 2
        stage.archiving.worker_says(PieceProgress(1001, 1, 5, 2**62, 10, 5, 1))
        await stage.until(lambda: stage.catalog.round is stage.archiving.round)
        saving.cancel()
        await stage.archiving.close()

    play(scene())

    assert stage.catalog.round is not None
    assert stage.catalog.round.status is RoundStatus.DOING


def test_what_comes_too_late_is_passed_over(stage: Stage) -> None:
    """Words about another round, and a stop that was not asked for, change nothing."""

    async def scene() -> None:
        await stage.archiving.start()
        before = stage.archiving.round
        stage.archiving.worker_says(PieceTrouble(1001, 99, "old"))
        stage.archiving.worker_says(PieceStopped(1001, 1, ""))
        assert stage.archiving.round is before
        await stage.archiving.close()

    play(scene())


def test_a_break_while_stopping_ends_the_round(stage: Stage) -> None:
    """There is nothing more to wait for."""

    async def scene() -> None:
        await stage.archiving.start()
        await stage.archiving.stop()
        stage.archiving.worker_says(PieceBroken(1001, 1, "damaged"))
        await stage.archiving.close()

    play(scene())

    assert stage.archiving.round.status is RoundStatus.STOP


def test_a_new_worker_is_told_to_stop_what_was_stopping(stage: Stage) -> None:
    """A worker that was killed while a round stopped is followed by one that ends it."""

    async def scene() -> None:
        await stage.archiving.start()
        await stage.archiving.stop()
        stage.worker.commands.clear()
        stage.archiving.worker_started()
        await stage.until(lambda: stage.sent(StopRound) >= 1)
        await stage.archiving.close()

    play(scene())


def test_work_that_fails_in_the_background_is_logged(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing else happens."""

    async def fail() -> None:
        raise RuntimeError("unforeseen")

    async def scene() -> None:
        stage.archiving._orders.begin(fail())
        await stage.until(lambda: not stage.archiving._orders._tasks)

    play(scene())

    assert "background work failed" in capsys.readouterr().out


def test_statements_say_that_an_engine_is_away(stage: Stage) -> None:
    """A catalog or an engine that does not answer is 1053, and nothing has begun."""

    async def scene() -> None:
        stage.catalog.failures = 1
        with pytest.raises(SqlError) as catalog:
            await stage.handler.handle(ArchiveLog(), FakeSession())
        stage.engine.is_away = True
        with pytest.raises(SqlError) as engine:
            await stage.handler.handle(MinorFreeze(), FakeSession())
        assert (catalog.value.code, engine.value.code) == (1053, 1053)

    play(scene())

    assert stage.archiving.round.status is RoundStatus.STOP


def test_a_bad_destination_in_the_catalog_is_refused(stage: Stage) -> None:
    """Also when it got there by other ways than SET."""
    stage.parameters.change({"backup_dest": "nonsense"})

    with pytest.raises(SqlError, match="write the destination as file:///absolute/path"):
        asyncio.run(stage.archiving.start())


def test_user_tenants_hand_other_statements_to_their_engine(stage: Stage) -> None:
    """A minor freeze is the tenant's own; NOARCHIVELOG is not for it."""

    async def scene() -> None:
        assert await stage.handler.handle(MinorFreeze(), FakeSession("main")) is None
        with pytest.raises(SqlError, match="Access denied"):
            await stage.handler.handle(NoArchiveLog(), FakeSession("main"))

    play(scene())


def test_a_stopped_round_is_loaded_and_releases_its_log(stage: Stage) -> None:
    """What an earlier service still held is given up."""

    async def scene() -> None:
        stage.catalog.round = Round(3)
        await stage.archiving.load()
        await stage.valve.recover()

    play(scene())

    assert stage.engine.calls == ["release_all_log"]


def test_progress_told_while_a_stop_is_written_is_kept(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What became durable in that moment counts in the round's end."""

    async def scene() -> None:
        await stage.archiving.start()
        save = stage.catalog.save_round

        def save_and_tell(now: Round, _before: Round | None = None) -> None:
            stage.archiving.worker_says(PieceTrouble(1001, 1, "told meanwhile"))
            save(now)

        monkeypatch.setattr(stage.catalog, "save_round", save_and_tell)
        await stage.archiving.stop()
        await stage.archiving.close()

    play(scene())

    assert stage.archiving.round.status is RoundStatus.STOPPING
    assert stage.archiving.round.tenants[1001].comment == "told meanwhile"


def _tasks(stage: Stage) -> list[ArchivePiece]:
    return [command for command in stage.worker.commands if isinstance(command, ArchivePiece)]


def test_an_interruption_is_on_record_at_once(stage: Stage) -> None:
    """The round is INTERRUPTED, the hole open, and the worker told to record it; a second cause changes nothing."""

    async def scene() -> None:
        await stage.doing()
        await stage.until(lambda: stage.sent(ArchivePiece) == 1)
        stage.progress(777)
        stage.archiving.interrupt(1001, "too much log")
        assert stage.archive.kicked.is_set()
        await stage.until(lambda: stage.sent(ArchivePiece) == 2)
        stage.archiving.worker_says(PieceBroken(1001, 1, "the log is gone"))
        await stage.until(lambda: not stage.archiving._orders._tasks)

    play(scene())

    assert (stage.archiving.round.status, stage.archiving.round.comment) == (RoundStatus.INTERRUPTED, "too much log")
    hole = stage.chronicle.hole(1001, 1)
    assert hole is not None
    assert (hole.start_lsn, hole.cause, hole.is_open) == (777, "too much log", True)
    first, second = _tasks(stage)
    assert (first.broken_by, first.broken_at) == ("", 0)
    assert (second.broken_by, second.broken_at) == ("too much log", hole.opened_at)
    assert stage.engine.calls.count("hold_log") == 1


def test_a_task_of_before_an_interruption_is_not_sent_after_it(stage: Stage) -> None:
    """While the engine does not answer, two are under way: only the one that says what broke the round is sent."""

    async def scene() -> None:
        stage.engine.is_away = True
        await stage.archiving.start()
        await stage.until(lambda: "hold_log" in stage.engine.calls)
        stage.archiving.interrupt(1001, "too much log")
        stage.engine.is_away = False
        await stage.until(lambda: not stage.archiving._orders._tasks)

    play(scene())

    assert {task.broken_by for task in _tasks(stage)} == {"too much log"}


def test_a_task_that_was_being_made_when_the_round_broke_is_not_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not say what broke the round; the next one does."""
    source_id = stage.engine.source_id

    async def scene() -> None:
        loop = asyncio.get_running_loop()

        def interrupt() -> str:
            if stage.archiving.round.is_archiving:
                loop.call_soon_threadsafe(stage.archiving.interrupt, 1001, "too much log")
            return source_id()

        monkeypatch.setattr(stage.engine, "source_id", interrupt)
        await stage.archiving.start()
        await stage.until(lambda: stage.sent(ArchivePiece) == 1 and not stage.archiving._orders._tasks)

    play(scene())

    assert [task.broken_by for task in _tasks(stage)] == ["too much log"]


def test_a_new_worker_is_told_of_a_broken_round(stage: Stage) -> None:
    """So that the destination says how it ended, also when the first worker did not come to it."""

    async def scene() -> None:
        await stage.doing()
        stage.archiving.interrupt(1001, "too much log")
        await stage.until(lambda: not stage.archiving._orders._tasks)
        stage.worker.commands.clear()
        stage.archiving.worker_started()
        await stage.until(lambda: stage.sent(ArchivePiece) == 1)
        await stage.archiving.stop()
        stage.worker.commands.clear()
        stage.archiving.worker_started()
        await stage.until(lambda: stage.sent(StopRound) == 1)
        await stage.archiving.close()

    play(scene())

    kinds = [type(command) for command in stage.worker.commands]
    assert kinds == [Configure, ArchivePiece, StopRound]
    assert [task.broken_by for task in _tasks(stage)] == ["too much log"]


def test_a_hole_that_the_last_service_did_not_write_is_opened_again(stage: Stage) -> None:
    """The round is written first: its cause is the hole's. One that is on record stays."""
    broken = Round(4, RoundStatus.INTERRUPTED, comment="too much log", destination="file:///b")
    broken = replace(broken, tenants={1001: TenantRound(1001, RoundStatus.INTERRUPTED, 55, comment="too much log")})
    broken = one_piece(broken)

    async def scene() -> None:
        stage.catalog.round = broken
        await stage.archiving.load()
        first = stage.chronicle.hole(1001, 4)
        await stage.archiving.load()
        assert first is stage.chronicle.hole(1001, 4)
        stage.archiving.worker_started()
        await stage.until(lambda: stage.sent(ArchivePiece) == 1)

    play(scene())

    hole = stage.chronicle.hole(1001, 4)
    assert hole is not None
    assert (hole.start_scn, hole.cause, _tasks(stage)[0].broken_by) == (55, "too much log", "too much log")


def test_an_interruption_of_which_only_the_hole_was_written_is_completed(stage: Stage) -> None:
    """Its log may be let go of already; and a worker must not be told of a break that the round does not know of."""
    hole = Hole(1001, 4, 10, 20, "too much log", opened_at=30)
    doing = one_piece(Round(4, RoundStatus.DOING, tenants={1001: TenantRound(1001, RoundStatus.DOING, 55)}))

    async def scene() -> None:
        stage.catalog.round, stage.journal.kept[1001, 4] = doing, hole
        await stage.archiving.load()
        await stage.until(lambda: not stage.archiving._orders._tasks)

    play(scene())

    assert (stage.archiving.round.status, stage.archiving.round.comment) == (RoundStatus.INTERRUPTED, "too much log")
    assert stage.chronicle.hole(1001, 4) is hole
    assert (_tasks(stage)[0].broken_by, _tasks(stage)[0].broken_at) == ("too much log", 30)


def test_a_round_without_a_hole_is_taken_over_as_it_is(stage: Stage) -> None:
    """It goes on."""

    async def scene() -> None:
        stage.catalog.round = one_piece(
            Round(4, RoundStatus.DOING, tenants={1001: TenantRound(1001, RoundStatus.DOING, 55)})
        )
        await stage.archiving.load()

    play(scene())

    assert stage.archiving.round is stage.catalog.round


def test_who_reads_that_a_round_is_broken_finds_the_hole(stage: Stage) -> None:
    """It is written first."""
    found: list[bool] = []
    save_round = stage.catalog.save_round

    def save_and_look(now: Round, _before: Round | None = None) -> None:
        if now.status is RoundStatus.INTERRUPTED:
            found.append((1001, 1) in stage.journal.kept)
        save_round(now)

    async def scene() -> None:
        await stage.doing()
        stage.catalog.save_round = save_and_look  # type: ignore[assignment,method-assign] # to be there when it is called
        saving = asyncio.create_task(stage.archiving.save_changes())
        stage.archiving.interrupt(1001, "too much log")
        await stage.until(lambda: bool(found))
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)
        await stage.archiving.close()

    play(scene())

    assert found == [True]


def test_a_hole_is_what_the_destination_says(stage: Stage) -> None:
    """Where it really begins, and with the next round where it ends."""

    async def scene() -> None:
        await stage.doing()
        stage.archiving.interrupt(1001, "too much log")
        stage.archiving.worker_says(HoleOpened(1001, 1, 500, 50))
        opened = stage.chronicle.hole(1001, 1)
        assert opened is not None
        assert (opened.start_lsn, opened.start_scn) == (500, 50)
        await stage.stopped()
        await stage.archiving.start()
        stage.archiving.worker_says(HoleClosed(1001, 2, 1, 500, 50, 900, 90))
        await stage.until(lambda: [task.after for task in _tasks(stage)][-1:] == [1])
        await stage.archiving.close()

    play(scene())

    hole = stage.chronicle.hole(1001, 1)
    assert hole is not None
    assert (hole.end_lsn, hole.end_scn, hole.is_open) == (900, 90, False)


def test_the_end_of_a_round_is_written_before_the_next_begins(stage: Stage) -> None:
    """Also when nobody came to write it in between: the history has it, and the next round knows its predecessor."""

    async def scene() -> None:
        await stage.doing()
        await stage.stopped()
        await stage.archiving.start()
        await stage.until(lambda: stage.sent(ArchivePiece) >= 1 and _tasks(stage)[-1].round == 2)
        await stage.archiving.close()

    play(scene())

    assert [(ended.round_id, ended.status) for ended in stage.catalog.history] == [(1, RoundStatus.STOP)]
    assert _tasks(stage)[-1].after == 1


def test_the_interruption_of_a_tenant_is_its_own(stage: Stage) -> None:
    """The others go on: their log is held and archived, also after a restart of the worker; NOARCHIVELOG ends both."""
    engine = FakeEngine()
    shop = replace(tenant_with(engine), tenant_id=1002, name="shop")

    async def scene() -> None:
        await stage.doing()
        await stage.archiving.add_tenant(shop)
        stage.archiving.worker_says(PieceProgress(1002, 1, 5, FAR, 10, 5, 1))
        await stage.until(lambda: {task.tenant_id for task in _tasks(stage)} == {1001, 1002})
        stage.archiving.worker_says(PieceBroken(1002, 1, "the log is damaged"))
        now = stage.archiving.round
        assert (now.status, now.shown_status) == (RoundStatus.DOING, RoundStatus.INTERRUPTED)
        assert [now.status_of(each) for each in (1001, 1002)] == [RoundStatus.DOING, RoundStatus.INTERRUPTED]
        assert now.shown_comment.startswith("tenant 1002: the log is damaged; the others go on")
        assert stage.chronicle.hole(1001, 1) is None
        assert stage.chronicle.hole(1002, 1) is not None
        await stage.until(lambda: _tasks(stage)[-1].broken_by == "the log is damaged")
        stage.archiving.worker_started()
        await stage.until(lambda: len(_tasks(stage)) == 5)
        assert sorted((task.tenant_id, task.broken_by) for task in _tasks(stage)[3:]) == [
            (1001, ""),
            (1002, "the log is damaged"),
        ]
        for archive in stage.archiving.archives:
            await stage.valve.look(archive)
        assert [str(archive.health) for archive in stage.archiving.archives] == ["FINE", "BROKEN"]
        stage.archiving.worker_says(PieceProgress(1001, 1, 50, FAR + 1, 10, 5, 1))
        assert stage.archive.durable_lsn == 50
        await stage.archiving.stop()
        for tenant_id in (1001, 1002):
            stage.archiving.worker_says(PieceStopped(tenant_id, 1, ""))
        await stage.archiving.close()

    play(scene())

    assert (stage.archiving.round.status, stage.archiving.round.comment) == (RoundStatus.STOP, "the log is damaged")
    assert "release_all_log" in engine.calls
    assert "release_all_log" not in stage.engine.calls


def test_a_commit_that_waits_is_told_of_the_interruption(stage: Stage) -> None:
    """Not of the stop that follows it, which would let it go as if it were archived."""

    async def scene() -> None:
        await stage.doing(backup_log_archive_option="mandatory", log_archive_sync_commit="True")
        await stage.look()
        waiting = asyncio.create_task(stage.archive.gate.make_durable())
        await stage.until(lambda: stage.sent(Flush) == 1)
        stage.archiving.interrupt(1001, "the log is damaged")
        await stage.archiving.stop()
        await stage.look()
        with pytest.raises(SqlError, match="interrupted: the log is damaged"):
            await waiting
        await stage.archiving.close()

    play(scene())


def test_a_flush_that_is_done_lets_a_commit_go(stage: Stage) -> None:
    """And one that was asked for of a worker that died is asked for again of the next."""

    async def scene() -> None:
        await stage.doing(backup_log_archive_option="mandatory", log_archive_sync_commit="True")
        await stage.look()
        waiting = asyncio.create_task(stage.archive.gate.make_durable())
        await stage.until(lambda: stage.sent(Flush) == 1)
        stage.worker.commands.clear()
        stage.archiving.worker_started()
        await stage.until(lambda: stage.sent(Flush) == 1)
        assert [type(command) for command in stage.worker.commands] == [Configure, ArchivePiece, Flush]
        stage.archiving.worker_says(Flushed(1001, 1, 1))
        await waiting
        await stage.archiving.close()

    play(scene())


def test_a_stop_is_not_forced_while_the_worker_freezes_the_round(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merging a long round may take longer than any patience; what counts is that the worker tells something."""
    stage.archiving._stop_patience = 10.0
    monkeypatch.setattr(module, "_WORKER_PATIENCE", 5.0)
    loop = TimelessLoop()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=loop.time))
    tenants = {1001: TenantRound(1001, RoundStatus.STOPPING)}
    stage.archiving._book.round = one_piece(Round(1, RoundStatus.STOPPING, tenants=tenants))
    stage.archiving._heard_at = loop.time()
    force = loop.create_task(stage.archiving._force_stop(1))
    for done in range(6):
        loop.pass_time(10)
        stage.archiving.worker_says(PieceFreezing(1001, 1, done, 6))
        assert stage.archive.trouble == f"freezing: {done} of 6 objects read"
    assert (stage.worker.kills, stage.archiving.round.status) == (0, RoundStatus.STOPPING)
    loop.pass_time(14)
    assert not force.done()
    loop.pass_time(2)
    loop.close()

    assert (stage.worker.kills, stage.archiving.round.status) == (1, RoundStatus.STOP)
    assert stage.archive.trouble == ""


def test_a_stop_of_the_last_service_is_forced_too(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would end it if the destination hangs."""
    stage.archiving._stop_patience = 0.01
    monkeypatch.setattr(module, "_WORKER_PATIENCE", 0.01)

    async def scene() -> None:
        stopping = one_piece(Round(2, RoundStatus.STOPPING, tenants={1001: TenantRound(1001, RoundStatus.STOPPING)}))
        stage.catalog.round = stopping
        await stage.archiving.load()
        await stage.until(lambda: stage.archiving.round.status is RoundStatus.STOP)

    play(scene())

    assert stage.worker.kills == 1


def test_trouble_goes_with_the_worker_that_told_it(stage: Stage) -> None:
    """A new one tells its own; how a round ended stays."""

    async def scene() -> None:
        await stage.doing()
        stage.archiving.worker_says(PieceTrouble(1001, 1, "no room"))
        assert stage.archive.trouble == "no room"
        stage.archiving.worker_started()
        assert (stage.archive.trouble, stage.archiving.round.tenants[1001].comment) == ("", "")
        await stage.archiving.stop()
        stage.archiving.worker_says(PieceStopped(1001, 1, "the destination did not answer in time"))
        stage.archiving.worker_started()
        await stage.archiving.close()

    play(scene())

    assert "in time" in stage.archiving.round.tenants[1001].comment


def test_changed_parameters_are_told_to_the_worker(stage: Stage) -> None:
    """Codec and ages are the worker's, all else is looked at at once. No log waits for half of `archive_lag_target`."""
    for change in (
        {"backup_log_archive_option": "optional compression=disable"},
        {"backup_log_archive_option": "compression=zstd_1.3.8", "archive_lag_target": "10s"},
        {"log_archive_checkpoint_interval": "5s", "archive_lag_target": "1h"},
    ):
        stage.parameters.change(change)
        stage.archiving.parameters_changed()

    assert stage.worker.commands == [
        Configure("none", 60.0),
        Configure("zstd_1.3.8", 5.0),
        Configure("zstd_1.3.8", 5.0),
    ]
    assert stage.archive.kicked.is_set()


def test_what_was_saved_is_not_saved_again(stage: Stage) -> None:
    """A word of the worker's that changes nothing costs no writing."""

    async def scene() -> None:
        await stage.doing()
        saving = asyncio.create_task(stage.archiving.save_changes())
        await stage.until(lambda: stage.catalog.round is stage.archiving.round)
        stage.catalog.round = None
        stage.archiving._book._changed.set()
        await stage.until(lambda: not stage.archiving._book._changed.is_set())
        saving.cancel()
        await stage.archiving.close()

    play(scene())

    assert stage.catalog.round is None


def test_log_is_not_let_go_of_when_a_round_has_begun_meanwhile(stage: Stage) -> None:
    """The valve decides, and then waits for the statement that is being carried out."""

    async def scene() -> None:
        await stage.doing()
        await stage.archiving.release_all_log(stage.archive)
        await stage.archiving.close()

    play(scene())

    assert "release_all_log" not in stage.engine.calls


def test_what_cannot_be_done_now_is_refused(stage: Stage) -> None:
    """A second start, a second stop, and a start without a destination."""

    async def scene() -> None:
        stage.parameters.change({"backup_dest": ""})
        with pytest.raises(SqlError, match="backup_dest is empty; run ALTER SYSTEM SET"):
            await stage.archiving.start()
        with pytest.raises(SqlError, match="already disabled"):
            await stage.archiving.stop()

    play(scene())


def test_a_second_start_is_refused(stage: Stage) -> None:
    """The round goes on."""

    async def scene() -> None:
        await stage.doing()
        with pytest.raises(SqlError, match="when not STOP"):
            await stage.archiving.start()
        await stage.archiving.close()

    play(scene())

    assert (stage.archiving.round.round_id, stage.archiving.round.status) == (1, RoundStatus.DOING)


def test_a_forced_stop_is_for_those_that_have_not_stopped(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant that has keeps its comment."""
    stage.archiving._stop_patience = 0.01
    monkeypatch.setattr(module, "_WORKER_PATIENCE", 0.01)
    tenants = {1001: TenantRound(1001, RoundStatus.STOPPING), 1002: TenantRound(1002, RoundStatus.STOP, comment="mine")}

    async def scene() -> None:
        stage.catalog.round = one_piece(Round(2, RoundStatus.STOPPING, tenants=tenants))
        await stage.archiving.load()
        await stage.until(lambda: stage.archiving.round.status is RoundStatus.STOP)

    play(scene())

    assert [tenant.comment for tenant in stage.archiving.round.tenants.values()] == [
        "the destination did not answer in time",
        "mine",
    ]


def test_a_worker_that_does_not_know_the_round_is_not_told_to_stop_it(stage: Stage) -> None:
    """It would say at once that it has stopped, and the log's end would be missing: it is told the round first."""

    async def scene() -> None:
        await stage.archiving.start()
        await stage.until(lambda: stage.sent(ArchivePiece) == 1)
        stage.engine.failures = 10**6
        stage.archiving.worker_started()
        stage.worker.commands.clear()
        await stage.archiving.stop()
        assert stage.worker.commands == []
        stage.engine.failures = 0
        await stage.until(lambda: stage.sent(StopRound) == 1)
        await stage.archiving.close()

    play(scene())

    assert [type(command) for command in stage.worker.commands] == [ArchivePiece, StopRound]
