"""The valve at work: what it measures, does, tells; with an engine whose figures are set by hand."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from redoubt.catalog.journal import Journal
from redoubt.control.modes import valve as module
from redoubt.control.modes.chronicle import Chronicle
from redoubt.control.modes.valve import Valve
from redoubt.messages.archiving import Flush, PieceBroken, PieceTrouble
from redoubt.model.health import Health
from redoubt.model.rounds import Round, RoundStatus, TenantRound
from redoubt.model.valve import DISK_RESERVE, MIN_LIMIT
from tests.control.fakes import one_piece
from tests.control.stage import FAR, Stage, play

OPTION, LIMIT = "backup_log_archive_option", "log_archive_spool_limit"
MANDATORY, OPTIONAL = {OPTION: "mandatory", LIMIT: "64M"}, {OPTION: "optional", LIMIT: "64M"}
BASE = 10 * MIN_LIMIT
CLOSED_THEN_OPEN = [("OPEN", "CLOSED"), ("CLOSED", "OPEN")]


def _restarted(stage: Stage, status: RoundStatus = RoundStatus.DOING) -> None:
    """As after a start of the service: a round goes on, and the worker has told nothing yet."""
    stage.catalog.round = one_piece(Round(7, status, 100, tenants={1001: TenantRound(1001, status, 200)}))


def test_what_waits_is_the_engines_end_less_the_archives(stage: Stage) -> None:
    """Log of before the round is none of it; what became durable is let go of, once."""

    async def scene() -> None:
        stage.engine.end, stage.engine.held = BASE, 0
        stage.parameters.change(OPTIONAL)
        await stage.archiving.start()
        await stage.look()
        assert (stage.archive.backlog, stage.archive.begun_at_lsn) == (0, BASE)
        stage.engine.end += 1000
        await stage.look()
        assert stage.archive.backlog == 1000
        stage.progress(BASE // 2)  # it has not come to where the log ended at the beginning
        await stage.look()
        assert (stage.archive.backlog, stage.archive.limit) == (1000, MIN_LIMIT)
        stage.progress(BASE + 400)
        await stage.look()
        await stage.look()
        assert stage.archive.backlog == 600
        await stage.archiving.close()

    play(scene())

    assert stage.engine.released == [BASE // 2, BASE + 400]


def test_an_engine_that_is_away_when_a_round_begins(stage: Stage) -> None:
    """Where the log ended is asked again: what was there before is no backlog, and breaks no round."""

    async def scene() -> None:
        stage.engine.held, stage.engine.end = 0, BASE
        stage.parameters.change(OPTIONAL)
        await stage.archiving.start()
        stage.engine.is_away = True
        await stage.look()
        assert not stage.archive.begun_at_lsn
        stage.engine.is_away = False
        await stage.look()
        assert (stage.archive.backlog, stage.archive.begun_at_lsn) == (0, BASE)
        assert stage.archiving.round.is_archiving
        await stage.archiving.close()

    play(scene())


def test_optional_breaks_the_round_beyond_the_limit(stage: Stage) -> None:
    """Not at it. The hole is on record, the log is let go of, no gate is closed."""

    async def scene() -> None:
        await stage.doing(**OPTIONAL)
        stage.engine.end = MIN_LIMIT
        await stage.look()
        assert stage.archiving.round.is_archiving
        stage.engine.end += 1
        stage.archiving.worker_says(PieceTrouble(1001, 1, "No space left on device"))
        await stage.look()
        assert stage.archiving.round.status is RoundStatus.INTERRUPTED
        assert "release_all_log" not in stage.engine.calls
        await stage.look()
        assert (stage.archive.health, stage.archive.backlog) == (Health.BROKEN, 0)
        await stage.archiving.close()

    play(scene())

    hole = stage.chronicle.hole(1001, 1)
    assert hole is not None
    assert hole.cause == stage.archiving.round.comment
    assert "more than log_archive_spool_limit allows: No space left on device" in hole.cause
    assert "release_all_log" in stage.engine.calls
    assert stage.told("GATE") == []


def test_mandatory_closes_the_gate_and_opens_it_below_half(stage: Stage) -> None:
    """Once each: a backlog between the marks changes nothing."""

    async def scene() -> None:
        await stage.doing(**MANDATORY)
        stage.engine.end = MIN_LIMIT + 1
        await stage.look()
        assert (stage.archive.gate.is_closed, stage.archive.health) == (True, Health.GATED)
        for durable in (1, 5, MIN_LIMIT // 2 + 1):
            stage.progress(durable)
            await stage.look()
            assert stage.archive.gate.is_closed
        stage.progress(MIN_LIMIT // 2 + 2)
        await stage.look()
        assert not stage.archive.gate.is_closed
        stage.engine.end += MIN_LIMIT // 2
        await stage.look()
        assert not stage.archive.gate.is_closed
        await stage.archiving.close()

    play(scene())

    assert stage.told("GATE") == CLOSED_THEN_OPEN
    assert stage.engine.calls[-2:] == ["close_writes", "open_writes"]
    assert stage.archiving.round.status is RoundStatus.DOING
    assert stage.chronicle.hole(1001, 1) is None


@pytest.mark.parametrize("way", ["optional", "stop", "interrupt"])
def test_a_closed_gate_opens_when_it_has_no_reason_any_more(stage: Stage, way: str) -> None:
    """As soon as the engine answers; until then it is tried again."""

    async def scene() -> None:
        await stage.doing(**MANDATORY)
        stage.engine.end = 2 * MIN_LIMIT
        await stage.look()
        if way == "optional":
            stage.parameters.change({OPTION: "optional"})
        elif way == "stop":
            await stage.archiving.stop()
        else:
            stage.archiving.worker_says(PieceBroken(1001, 1, "damaged"))
        stage.engine.is_away = True
        await stage.look()
        assert stage.archive.gate.is_closed
        stage.engine.is_away = False
        await stage.look()
        assert not stage.archive.gate.is_closed
        await stage.archiving.close()

    play(scene())

    assert stage.told("GATE") == CLOSED_THEN_OPEN


def test_a_gate_that_closed_without_its_engine_is_enforced_later(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Applications that use the engine's own door would write on for ever."""

    def refuse() -> None:
        raise ConnectionError("the engine does not answer")

    async def scene() -> None:
        await stage.doing(**MANDATORY)
        stage.engine.end = 2 * MIN_LIMIT
        monkeypatch.setattr(stage.engine, "close_writes", refuse)
        await stage.look()
        monkeypatch.undo()
        assert (stage.archive.gate.is_closed, stage.engine.writes_are_closed) == (True, False)
        await stage.look()
        assert stage.engine.writes_are_closed
        await stage.archiving.close()

    play(scene())


def test_what_was_last_known_counts_while_the_engine_is_away(stage: Stage) -> None:
    """The backlog stays, and shrinks with what is archived."""

    async def scene() -> None:
        await stage.doing(**MANDATORY)
        stage.engine.end = 500
        await stage.look()
        stage.engine.is_away = True
        stage.engine.end = 2 * MIN_LIMIT
        await stage.look()
        assert stage.archive.backlog == 500
        stage.progress(400)
        await stage.look()
        assert (stage.archive.backlog, stage.archive.gate.is_closed) == (100, False)
        await stage.archiving.close()

    play(scene())


@pytest.mark.parametrize(("own_trouble", "word"), [("", "UNAVAILABLE"), (None, "BEHIND")])
def test_an_engine_that_stays_away_is_not_fine(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, own_trouble: str | None, word: str
) -> None:
    """After a few seconds, with the cause, until it answers; a restart takes less, and is no trouble.

    An application may well have ended its engine: its log waits.
    """
    now = [0.0]
    monkeypatch.setattr("redoubt.control.modes.tenant_archive.time", SimpleNamespace(monotonic=lambda: now[0]))
    seen: list[tuple[str, str]] = []
    stage.own_trouble = own_trouble

    async def scene() -> None:
        await stage.doing(**OPTIONAL)
        await stage.look()
        stage.engine.is_away = True
        for seconds in (0, 3, 3):
            now[0] += seconds
            await stage.look()
            seen.append((str(stage.archive.health), stage.archive.cause))
        stage.engine.is_away = False
        await stage.look()
        seen.append((str(stage.archive.health), stage.archive.cause))
        await stage.archiving.close()

    play(scene())

    assert [health for health, _ in seen] == ["FINE", "FINE", word, "FINE"]
    assert [bool(cause) for _, cause in seen] == [False, False, True, False]


def test_an_engine_that_recovers_without_a_round_is_not_unavailable_for_ever(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hung while a round ran, and while none did; trouble with the files of held log is no trouble of the engine."""
    now = [0.0]
    monkeypatch.setattr("redoubt.control.modes.tenant_archive.time", SimpleNamespace(monotonic=lambda: now[0]))
    seen: list[str] = []

    async def looks() -> None:
        for _ in range(4):
            now[0] += 3
            await stage.look()
        seen.append(str(stage.archive.health))

    async def scene() -> None:
        for is_away in (True, False, True, False):
            stage.engine.is_away = is_away
            await looks()
        stage.engine.is_broken = True
        await looks()
        stage.engine.is_broken = False
        await looks()

    play(scene())

    assert seen == ["UNAVAILABLE", "STOPPED", "UNAVAILABLE", "STOPPED", "STOPPED", "STOPPED"]


def test_an_engine_that_cannot_be_used_is_told_without_a_round(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can log in to it; whether log is archived does not matter."""
    now = [0.0]
    monkeypatch.setattr("redoubt.control.modes.tenant_archive.time", SimpleNamespace(monotonic=lambda: now[0]))
    seen: list[str] = []

    async def scene() -> None:
        for seconds, trouble in ((0, ""), (1, "it ended"), (6, "it ended"), (1, "")):
            now[0] += seconds
            stage.own_trouble = trouble
            await stage.look()
            seen.append(f"{stage.archive.health} {stage.archive.cause}".strip())

    play(scene())

    assert seen == ["STOPPED", "STOPPED", "UNAVAILABLE it ended", "STOPPED"]


def test_a_full_disk_is_a_lower_limit(stage: Stage) -> None:
    """Held log leaves the engines their reserve."""

    async def scene() -> None:
        await stage.doing(**{OPTION: "mandatory", LIMIT: "4G"})
        stage.engine.end, stage.engine.free = 3 * MIN_LIMIT, DISK_RESERVE - 1
        await stage.look()
        assert (stage.archive.limit, stage.archive.gate.is_closed) == (3 * MIN_LIMIT - 1, True)
        await stage.archiving.close()

    play(scene())


def test_an_archive_whose_end_is_not_known_yet_breaks_no_round(stage: Stage) -> None:
    """After a start up to a block of what is held may be archived already; beyond that the limit holds."""
    _restarted(stage)

    async def scene() -> None:
        stage.parameters.change(OPTIONAL)
        await stage.archiving.load()
        stage.engine.held, stage.engine.end = BASE, BASE + 2 * MIN_LIMIT
        await stage.valve.recover()
        assert (stage.archive.backlog, stage.archiving.round.status) == (2 * MIN_LIMIT, RoundStatus.DOING)
        stage.progress(BASE + MIN_LIMIT)
        await stage.look()
        assert (stage.archive.backlog, stage.archiving.round.status) == (MIN_LIMIT, RoundStatus.DOING)
        stage.archive.durable_lsn = None
        stage.engine.end += 1
        await stage.look()
        assert stage.archiving.round.status is RoundStatus.INTERRUPTED
        await stage.archiving.close()

    play(scene())


def test_a_gate_that_was_closed_stays_so_until_something_is_known(stage: Stage) -> None:
    """Neither an engine that is away nor an archive that has said nothing opens it."""
    _restarted(stage)
    stage.engine.writes_are_closed = stage.engine.is_away = True

    async def scene() -> None:
        stage.parameters.change(MANDATORY)
        await stage.archiving.load()
        stage.engine.held, stage.engine.end = BASE, BASE + MIN_LIMIT
        await stage.valve.recover()
        assert stage.archive.gate.is_closed
        stage.engine.is_away = False
        await stage.look()
        assert stage.archive.gate.is_closed
        stage.progress(BASE + MIN_LIMIT)
        await stage.look()
        assert not stage.archive.gate.is_closed
        await stage.archiving.close()

    play(scene())

    assert stage.told("GATE") == [("CLOSED", "OPEN")]


def test_a_gate_that_was_closed_is_put_right_at_a_start_in_optional(stage: Stage) -> None:
    """Before any client comes in."""
    _restarted(stage)
    stage.engine.writes_are_closed = True

    async def scene() -> None:
        await stage.archiving.load()
        await stage.valve.recover()

    play(scene())

    assert (stage.engine.writes_are_closed, stage.archive.gate.is_closed) == (False, False)


def test_a_disk_that_fails_ends_nothing(stage: Stage) -> None:
    """The valve looks again."""

    async def scene() -> None:
        await stage.doing(**OPTIONAL)
        stage.engine.end = 1000
        stage.progress(500)
        stage.engine.is_broken = True
        await stage.look()
        assert stage.engine.released == []
        stage.engine.is_broken = False
        await stage.look()
        assert stage.engine.released == [500]
        await stage.archiving.close()

    play(scene())


def test_figures_of_a_round_that_is_over_do_nothing_to_the_next(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that takes its time to answer may answer in the next round."""
    end_of_log = stage.engine.end_of_log

    async def scene() -> None:
        await stage.doing(**OPTIONAL)
        loop = asyncio.get_running_loop()
        stage.engine.end = 5 * MIN_LIMIT

        async def next_round() -> None:
            await stage.stopped()
            await stage.archiving.start()

        def answer_late() -> int:
            asyncio.run_coroutine_threadsafe(next_round(), loop).result()
            return end_of_log()

        monkeypatch.setattr(stage.engine, "end_of_log", answer_late)
        await stage.look()
        assert (stage.archiving.round.round_id, stage.archiving.round.status) == (2, RoundStatus.BEGINNING)
        await stage.archiving.close()

    play(scene())


def test_commits_are_synchronous_where_it_is_wished_and_possible(stage: Stage) -> None:
    """In Mandatory, while the round is DOING."""
    wish = {"log_archive_sync_commit": "True", "log_archive_sync_timeout": "100ms", "log_archive_sync_fallback": "on"}

    async def scene() -> None:
        stage.parameters.change(MANDATORY | wish)
        await stage.archiving.start()
        await stage.look()
        assert not stage.archive.gate.is_synchronous
        stage.progress(0)
        await stage.look()
        assert stage.archive.gate.is_synchronous
        await stage.archive.gate.make_durable()
        await stage.look()
        assert (stage.archive.commits.state, stage.archive.health) == ("ASYNC", Health.BEHIND)
        assert "not archived within 0.1 s" in stage.archive.cause
        stage.parameters.change({OPTION: "optional"})
        await stage.look()
        assert stage.archive.commits.state == "OFF"
        await stage.archiving.close()

    play(scene())

    assert stage.sent(Flush) == 1
    assert stage.told("SYNC_COMMIT") == [("OFF", "SYNC"), ("SYNC", "ASYNC"), ("ASYNC", "OFF")]


def test_each_change_of_health_is_told_once_with_its_cause(stage: Stage) -> None:
    """However often it is looked at; a cause that changes is in the state."""

    async def scene() -> None:
        await stage.look()
        await stage.doing(**MANDATORY)
        for text in ("", "no room", "no room", "no medium", ""):
            stage.archiving.worker_says(PieceTrouble(1001, 1, text))
            await stage.look()
            await stage.look()
            await stage.chronicle.write()
            assert stage.journal.states[1001].cause == text
        await stage.stopped()
        await stage.look()
        await stage.archiving.close()

    play(scene())

    assert stage.told("HEALTH") == [("STOPPED", "FINE"), ("FINE", "BEHIND"), ("BEHIND", "FINE"), ("FINE", "STOPPED")]
    events = [*stage.journal.events, *stage.chronicle._events]
    causes = [event.cause for event in events if event.what == "HEALTH"]
    assert causes == ["", "no room", "", ""]


def test_an_archive_that_stands_still_is_stale_after_the_lag_target(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the log grows. Neither an engine that was idle, nor a service that was down, is the archive's fault."""
    at = 10**18
    now = SimpleNamespace(time_ns=lambda: at)
    monkeypatch.setattr(module, "time", now)

    async def scene() -> None:
        nonlocal at
        await stage.doing(archive_lag_target="60s")
        stage.archiving._book.round = one_piece(
            Round(1, RoundStatus.DOING, at, tenants={1001: TenantRound(1001, RoundStatus.DOING, at)})
        )
        stage.engine.end = 500
        at += 3600 * 10**9
        await stage.look()
        assert (stage.archive.health, stage.archive.lag) == (Health.FINE, 0.0)
        at += 60 * 10**9
        await stage.look()
        assert (stage.archive.health, stage.archive.lag) == (Health.FINE, 60.0)
        at += 10**9
        await stage.look()
        assert (stage.archive.health, stage.archive.lag) == (Health.STALE, 61.0)
        assert "no log was archived for 61 s while the log grew" in stage.archive.cause
        stage.progress(500, at)
        await stage.look()
        assert (stage.archive.health, stage.archive.waiting_since) == (Health.FINE, 0)
        at += 3600 * 10**9
        await stage.look()
        stage.engine.end = 600
        at += 10**9
        await stage.look()
        assert (stage.archive.health, stage.archive.lag) == (Health.FINE, 1.0)
        await stage.archiving.close()

    play(scene())


def test_the_valve_looks_again_and_at_once_when_kicked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it tells is written."""
    looks = 0
    look = stage.valve.look

    async def count(archive: object) -> None:
        nonlocal looks
        looks += 1
        await look(stage.archive)

    monkeypatch.setattr(stage.valve, "look", count)

    async def scene() -> None:
        tasks = [asyncio.create_task(stage.valve.watch(stage.archive)), asyncio.create_task(stage.valve.write())]
        await stage.until(lambda: looks >= 3 and stage.journal.writings >= 1)
        monkeypatch.setattr(module, "_PAUSE", 1000.0)
        await stage.until(lambda: not stage.archive.kicked.is_set())
        before = looks
        while looks < before + 3:
            stage.archiving.parameters_changed()
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    play(scene())

    assert stage.journal.states[1001].health == Health.STOPPED


def test_the_state_of_a_tenant_is_complete(stage: Stage) -> None:
    """As CDB_REDOUBT_ARCHIVELOG_STATUS shows it."""

    async def scene() -> None:
        stage.parameters.change({OPTION: "optional compression= disable"})
        await stage.look()
        await stage.chronicle.write()
        assert stage.journal.states[1001].compression == "none"
        await stage.doing(**{OPTION: "mandatory compression= lz4_1.0", LIMIT: "64M"}, log_archive_sync_commit="1")
        stage.engine.end = 2 * MIN_LIMIT
        await stage.look()
        await stage.chronicle.write()
        await stage.archiving.close()

    play(scene())

    state = stage.journal.states[1001]
    assert (state.tenant_id, state.tenant_name, state.log_archive_round, state.status) == (1001, "main", 1, "DOING")
    assert (state.mode, state.sync_commit, state.gate, state.health) == ("MANDATORY", "SYNC", "CLOSED", "GATED")
    assert (state.backlog_bytes, state.spool_limit, state.lag_target_us) == (2 * MIN_LIMIT, MIN_LIMIT, 120_000_000)
    assert state.checkpoint_scn == FAR
    assert state.since > 0
    assert "the cause is unknown" in state.cause
    assert (state.compression, state.status_cause) == ("lz4_1.0", "the archive has reached the start of the round")
    assert state.status_since > 0


def test_each_change_of_status_is_told_with_its_cause(stage: Stage) -> None:
    """Whatever is known of it; a restart of the service is no change."""

    async def scene() -> None:
        await stage.look()
        await stage.doing()
        await stage.look()
        await stage.chronicle.write()
        began = stage.journal.states[1001].status_since
        restarted = Chronicle(cast("Journal", stage.journal))
        await restarted.load()
        valve = Valve(stage.archiving, stage.parameters, restarted, lambda _: None)
        await valve.look(stage.archive)
        assert restarted.last_state(1001) == stage.journal.states[1001]
        stage.archiving.interrupt(1001, "no medium")
        await stage.look()
        await stage.chronicle.write()
        assert stage.journal.states[1001].status_cause == "no medium"
        assert stage.journal.states[1001].status_since > began
        await stage.stopped()
        await stage.look()
        await stage.archiving.close()

    play(scene())

    assert stage.told("STATUS") == [("STOP", "DOING"), ("DOING", "INTERRUPTED"), ("INTERRUPTED", "STOP")]
