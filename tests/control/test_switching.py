"""Pieces that are switched, and tenants that come and go, while a round is under way."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

from redoubt.control.modes.tenant_archive import TenantArchive
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.rounds import archiving as module
from redoubt.control.rounds import piece_switch as switching
from redoubt.control.rounds.piece_switch import PieceSwitch
from redoubt.messages.archiving import (
    ALL_PIECES,
    ArchivePiece,
    PieceBroken,
    PieceCut,
    PieceFrozen,
    PieceProgress,
    PieceStopped,
    PieceTrouble,
    StopRound,
    SwitchPiece,
)
from redoubt.model.pieces import PieceStatus
from redoubt.model.rounds import Round, RoundStatus
from tests.control.fakes import FakeEngine, tenant_with
from tests.control.stage import FAR, Stage, play


@pytest.fixture(autouse=True)
def interval(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The piece interval in effect."""
    found = SimpleNamespace(seconds=3600.0)
    monkeypatch.setattr(Parameters, "piece_switch_interval", property(lambda _self: found.seconds))
    monkeypatch.setattr(switching, "_PAUSE", 0.005)
    return found


async def doing(stage: Stage) -> None:
    """A round with pieces that is DOING."""
    await stage.archiving.start()
    await stage.until(lambda: stage.archive.told == {1})
    stage.archiving.worker_says(PieceProgress(1001, 1, 100, FAR, 10, 5, 1, 1))
    assert stage.archiving.round.status is RoundStatus.DOING


def tasks(stage: Stage) -> list[ArchivePiece]:
    """The tasks that the worker was given."""
    return [command for command in stage.worker.commands if isinstance(command, ArchivePiece)]


def statuses(now: Round) -> list[str]:
    """The statuses of a round's pieces."""
    return [str(piece.status) for piece in now.pieces]


def test_a_piece_whose_time_is_over_is_switched(stage: Stage, interval: SimpleNamespace) -> None:
    """In the catalog first; the worker is told where to cut, and when it has, of the next piece."""

    async def scene() -> None:
        await doing(stage)
        switch = asyncio.create_task(PieceSwitch(stage.archiving, stage.parameters).run())
        await asyncio.sleep(0.02)
        assert statuses(stage.archiving.round) == ["ACTIVE"]
        interval.seconds = 0.001
        stage.catalog.failures = 1
        await stage.until(lambda: stage.sent(SwitchPiece) == 1)
        assert stage.catalog.round is not None
        assert statuses(stage.catalog.round) == ["FREEZING", "ACTIVE"]
        switch.cancel()
        stage.archiving.worker_says(PieceCut(1001, 1, 1, 150, FAR + 5))
        await stage.until(lambda: stage.archive.told == {1, 2})
        stage.archiving.worker_says(PieceProgress(1001, 1, 200, FAR + 9, 20, 7, 1, 2))
        stage.archiving.worker_says(PieceFrozen(1001, 1, 1))
        await stage.archiving.close()

    play(scene())

    now = stage.archiving.round
    (first, second), (cut,) = tasks(stage), [c for c in stage.worker.commands if isinstance(c, SwitchPiece)]
    assert statuses(now) == ["FROZEN", "ACTIVE"]
    assert (now.pieces[0].tenants[1001].checkpoint_scn, now.pieces[1].start_scn) == (FAR + 5, FAR + 5)
    assert (cut.piece, cut.next_piece, cut.switch_scn) == (1, 2, now.pieces[0].switch_scn)
    assert (first.piece, first.previous, first.next) == (1, None, None)
    assert (second.piece, second.previous, second.start_lsn, second.after) == (2, first.key, None, None)
    assert (now.tenants[1001].input_bytes, stage.archive.durable_lsn) == (30, 200)


def test_no_second_switch_while_a_piece_freezes(stage: Stage, interval: SimpleNamespace) -> None:
    """Nor in a round that is not DOING."""

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.switch_piece()
        await stage.archiving.switch_piece()
        interval.seconds = 0.001
        switch = asyncio.create_task(PieceSwitch(stage.archiving, stage.parameters).run())
        await asyncio.sleep(0.03)
        switch.cancel()
        await stage.archiving.close()

    play(scene())

    assert statuses(stage.archiving.round) == ["FREEZING", "ACTIVE"]


def test_a_new_worker_is_told_of_both_pieces(stage: Stage) -> None:
    """Of the old one with its cut, and of the next one if its log has begun."""

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.switch_piece()
        stage.worker.commands.clear()
        stage.archiving.worker_started()
        await stage.until(lambda: stage.archive.told == {1})
        stage.archiving.worker_says(PieceCut(1001, 1, 1, 150, FAR))
        await stage.until(lambda: stage.archive.told == {1, 2})
        stage.worker.commands.clear()
        stage.archiving.worker_started()
        await stage.until(lambda: stage.archive.told == {1, 2})
        await stage.archiving.close()

    play(scene())

    first, second = tasks(stage)
    assert first.next is not None
    assert (first.next.piece, first.switch_scn > 0, second.next) == (2, True, None)
    assert stage.engine.calls.count("start_point") == 1


def test_a_switch_while_the_worker_is_being_told_is_told_with_it(stage: Stage) -> None:
    """The task that was being made did not say where to cut."""

    async def scene() -> None:
        await doing(stage)
        stage.engine.failures = 1
        stage.archiving.worker_started()
        await stage.archiving.switch_piece()
        await stage.until(lambda: stage.archive.told == {1})
        await stage.archiving.close()

    play(scene())

    assert stage.sent(SwitchPiece) == 0
    assert tasks(stage)[-1].switch_scn > 0


def test_a_stop_waits_for_both_pieces(stage: Stage) -> None:
    """Whichever ends first."""

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.switch_piece()
        await stage.archiving.stop()
        stage.archiving.worker_says(PieceCut(1001, 1, 1, 150, FAR))
        await stage.until(lambda: stage.archive.told == {1, 2})
        stage.archiving.worker_says(PieceStopped(1001, 1, "", 1))
        assert stage.archiving.round.status is RoundStatus.STOPPING
        stage.archiving.worker_says(PieceStopped(1001, 1, "", 2))
        await stage.archiving.close()

    play(scene())

    assert stage.archiving.round.status is RoundStatus.STOP
    assert statuses(stage.archiving.round) == ["FROZEN", "FROZEN"]
    assert stage.sent(StopRound) == 2


def test_trouble_with_a_piece_goes_with_it(stage: Stage) -> None:
    """The newest piece's counts first."""

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.switch_piece()
        stage.archiving.worker_says(PieceCut(1001, 1, 1, 150, FAR))
        stage.archiving.worker_says(PieceTrouble(1001, 1, "cannot be frozen", 1))
        assert stage.archive.trouble == "cannot be frozen"
        stage.archiving.worker_says(PieceTrouble(1001, 1, "no room", 2))
        assert stage.archive.trouble == "no room"
        stage.archiving.worker_says(PieceTrouble(1001, 1, "", 2))
        stage.archiving.worker_says(PieceTrouble(1001, 1, "what piece is that?", 9))
        assert stage.archive.trouble == "cannot be frozen"
        stage.archiving.worker_says(PieceFrozen(1001, 1, 1))
        assert stage.archive.trouble == ""
        await stage.archiving.close()

    play(scene())


def test_an_interruption_during_a_switch_is_told_of_both_pieces(stage: Stage) -> None:
    """The older one is whole, or is seen to be in the destination."""

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.switch_piece()
        stage.archiving.worker_says(PieceCut(1001, 1, 1, 150, FAR))
        await stage.until(lambda: stage.archive.told == {1, 2})
        stage.worker.commands.clear()
        stage.archiving.worker_says(PieceBroken(1001, 1, "the log is gone", 2))
        await stage.until(lambda: stage.archive.told == {1, 2})
        await stage.archiving.close()

    play(scene())

    assert [(task.piece, task.broken_by) for task in tasks(stage)] == [(1, "the log is gone"), (2, "the log is gone")]


def test_a_switch_leaves_an_interrupted_tenant_where_it_is(stage: Stage) -> None:
    """The others go on in new pieces; the tenant's part ends with the round, and keeps nobody from its end."""

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.add_tenant(OTHER)
        await stage.until(lambda: other(stage).told == {1})
        stage.archiving.worker_says(PieceProgress(1002, 1, 10, FAR, 7, 3, 1, 1))
        stage.archiving.interrupt(1002, "the log is gone")
        await stage.until(lambda: other(stage).told == {1})
        for number in (1, 2):
            await stage.archiving.switch_piece()
            stage.archiving.worker_says(PieceCut(1001, 1, number, 150 * number, FAR))
            stage.archiving.worker_says(PieceFrozen(1001, 1, number))
            await stage.until(partial(stage.archive.told.__contains__, number + 1))
        await stage.archiving.stop()
        for tenant_id in (1001, 1002):
            stage.archiving.worker_says(PieceStopped(tenant_id, 1, "", ALL_PIECES))
        await stage.archiving.close()

    play(scene())

    now = stage.archiving.round
    assert [each.tenant_id for each in stage.worker.commands if isinstance(each, SwitchPiece)] == [1001, 1001]
    assert (now.status, {piece.status for piece in now.pieces}) == (RoundStatus.STOP, {PieceStatus.FROZEN})
    assert [sorted(piece.tenants) for piece in now.pieces] == [[1001, 1002], [1001], [1001]]


def test_a_round_that_breaks_while_a_switch_is_written(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is INTERRUPTED, with a piece to come that will never begin."""
    save = stage.catalog.save_round

    async def scene() -> None:
        await doing(stage)
        loop = asyncio.get_running_loop()

        def save_and_break(now: Round, before: Round | None = None) -> None:
            done = asyncio.run_coroutine_threadsafe(_interrupt(stage), loop)
            done.result(10)
            save(now, before)

        monkeypatch.setattr(stage.catalog, "save_round", save_and_break)
        await stage.archiving.switch_piece()
        monkeypatch.setattr(stage.catalog, "save_round", save)
        await stage.until(lambda: stage.archive.told == {1})
        await stage.archiving.stop()
        stage.archiving.worker_says(PieceStopped(1001, 1, "", 1))
        await stage.archiving.close()

    play(scene())

    assert (stage.archiving.round.status, statuses(stage.archiving.round)) == (RoundStatus.STOP, ["FROZEN", "FROZEN"])


async def _interrupt(stage: Stage) -> None:
    stage.archiving.interrupt(1001, "too much log")


def test_a_cancelled_round_ends_at_once(stage: Stage) -> None:
    """Nothing is asked of the destination; what the old worker said last is passed over."""

    async def scene() -> None:
        await stage.archiving.cancel()
        await doing(stage)
        await stage.archiving.cancel()
        stage.archiving.worker_says(PieceProgress(1001, 1, 900, FAR + 1, 99, 99, 1, 1))
        await stage.archiving.close()

    play(scene())

    now = stage.archiving.round
    assert (now.status, now.tenants[1001].input_bytes, stage.worker.kills) == (RoundStatus.STOP, 10, 1)
    assert "CANCEL ALL BACKUP FORCE" in now.comment
    assert stage.catalog.round == now


def test_a_cancelled_stop_ends_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that comes to its end in that moment."""
    save = stage.catalog.save_round

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.stop()
        loop = asyncio.get_running_loop()

        def save_and_stop(now: Round, before: Round | None = None) -> None:
            said = PieceStopped(1001, 1, "", 1)
            loop.call_soon_threadsafe(stage.archiving.worker_says, said)
            save(now, before)

        monkeypatch.setattr(stage.catalog, "save_round", save_and_stop)
        await stage.archiving.cancel()
        await stage.archiving.close()

    play(scene())

    assert stage.archiving.round.status is RoundStatus.STOP


OTHER = replace(tenant_with(FakeEngine()), tenant_id=1002, name="other")


def other(stage: Stage) -> TenantArchive:
    """The archive of the tenant that joins."""
    return next(archive for archive in stage.archiving.archives if archive.tenant.tenant_id == 1002)


def test_a_tenant_joins_a_round(stage: Stage) -> None:
    """And is DOING when it has caught up; it begins at its engine's freeze point, and follows no round."""

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.add_tenant(OTHER)
        await stage.until(lambda: other(stage).told == {1})
        before = stage.archiving.round.tenants[1002].status
        stage.archiving.worker_says(PieceProgress(1002, 1, 10, FAR + 9, 1, 1, 1, 1))
        assert (before, stage.archiving.round.tenants[1002].status) == (RoundStatus.BEGINNING, RoundStatus.DOING)
        await stage.archiving.close()

    play(scene())

    task = tasks(stage)[-1]
    assert (task.tenant_id, task.tenant, task.start_lsn, task.piece) == (1002, "other", 0, 1)
    assert task.start_scn > stage.archiving.round.start_scn


def test_a_tenant_that_is_created_without_a_round_waits_for_the_next(stage: Stage) -> None:
    """It is in it from the beginning."""

    async def scene() -> None:
        await stage.archiving.add_tenant(OTHER)
        await stage.archiving.start()
        await stage.until(lambda: other(stage).told == {1})
        await stage.archiving.close()

    play(scene())

    assert set(stage.archiving.round.tenants) == {1001, 1002}


def test_a_tenant_that_joins_as_the_round_breaks_is_in_the_hole(stage: Stage) -> None:
    """So that its stop ends as well."""

    async def scene() -> None:
        await doing(stage)
        adding = asyncio.create_task(stage.archiving.add_tenant(OTHER))
        await asyncio.sleep(0)
        stage.archiving.interrupt(1001, "too much log")
        await adding
        await stage.until(lambda: other(stage).told == {1})
        await stage.archiving.close()

    play(scene())

    assert stage.chronicle.hole(1002, 1) is not None
    assert stage.archiving.round.tenants[1002].status is RoundStatus.INTERRUPTED


def test_a_tenant_leaves_a_round(stage: Stage) -> None:
    """When its log is archived to the end; how far it came is in the history, and the others go on."""

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.add_tenant(OTHER)
        await stage.until(lambda: other(stage).told == {1})
        dropping = asyncio.create_task(stage.archiving.drop_tenant(1002, force=False))
        await stage.until(lambda: stage.sent(StopRound) == 1)
        stage.archiving.worker_says(PieceProgress(1002, 1, 10, FAR + 9, 7, 3, 1, 1))
        assert not dropping.done()
        stage.archiving.worker_says(PieceStopped(1002, 1, "", 1))
        await dropping
        stage.archiving.worker_says(PieceStopped(1002, 1, "", 1))
        await stage.archiving.close()

    play(scene())

    ((round_id, gone),) = stage.catalog.departed
    assert (round_id, gone.tenant_id, gone.input_bytes) == (1, 1002, 7)
    assert (list(stage.archiving.round.tenants), len(stage.archiving.archives)) == ([1001], 1)
    assert stage.archiving.round.status is RoundStatus.DOING
    assert stage.archiving.round.pieces[0].tenants[1002].status is PieceStatus.FROZEN


def test_a_tenant_that_breaks_while_it_leaves_breaks_no_round(stage: Stage) -> None:
    """Its log may be gone already."""

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.add_tenant(OTHER)
        await stage.until(lambda: other(stage).told == {1})
        dropping = asyncio.create_task(stage.archiving.drop_tenant(1002, force=False))
        await stage.until(lambda: stage.sent(StopRound) == 1)
        stage.archiving.worker_says(PieceBroken(1002, 1, "the log is gone", 1))
        await dropping
        await stage.archiving.close()

    play(scene())

    assert stage.archiving.round.status is RoundStatus.DOING


def test_a_tenant_that_has_stopped_is_dropped_at_once(stage: Stage) -> None:
    """While the others are being stopped still: nothing more will be told of it, and the worker goes on."""

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.add_tenant(OTHER)
        await stage.until(lambda: other(stage).told == {1})
        await stage.archiving.stop()
        stage.archiving.worker_says(PieceStopped(1002, 1, "", 1))
        async with asyncio.timeout(5):
            await stage.archiving.drop_tenant(1002, force=False)
        await stage.archiving.close()

    play(scene())

    assert stage.worker.kills == 0
    assert stage.archiving.round.status is RoundStatus.STOPPING


def test_a_forced_drop_waits_for_nobody(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that does not even let go is ended; without a round there is nothing to wait for."""
    monkeypatch.setattr(module, "_WORKER_PATIENCE", 0.01)

    async def scene() -> None:
        await doing(stage)
        await stage.archiving.add_tenant(OTHER)
        await stage.until(lambda: other(stage).told == {1})
        await stage.archiving.drop_tenant(1002, force=True)
        await stage.archiving.cancel()
        await stage.archiving.drop_tenant(1001, force=False)
        await stage.archiving.close()

    play(scene())

    (stop,) = [command for command in stage.worker.commands if isinstance(command, StopRound)]
    assert (stop.tenant_id, stop.patience) == (1002, 0.0)
    assert stage.worker.kills == 2
    assert stage.archiving.archives == []


def test_a_round_without_tenants_is_up_to_date(stage: Stage) -> None:
    """Nothing is missing at any time, and NOARCHIVELOG ends it at once."""

    async def scene() -> None:
        await stage.archiving.drop_tenant(1001, force=False)
        await stage.archiving.start()
        switch = asyncio.create_task(PieceSwitch(stage.archiving, stage.parameters).run())
        begun = stage.archiving.round.checkpoint_scn
        await stage.until(lambda: stage.archiving.round.checkpoint_scn > begun)
        assert stage.archiving.round.status is RoundStatus.DOING
        await stage.archiving.stop()
        switch.cancel()
        await stage.archiving.close()

    play(scene())

    assert stage.archiving.round.status is RoundStatus.STOP


def test_a_stop_that_nobody_asked_for_changes_nothing(stage: Stage) -> None:
    """A worker that is wrong must not end a round."""

    async def scene() -> None:
        await doing(stage)
        before = stage.archiving.round
        stage.archiving.worker_says(PieceStopped(1001, 1, "", 1))
        assert stage.archiving.round is before
        await stage.archiving.close()

    play(scene())
