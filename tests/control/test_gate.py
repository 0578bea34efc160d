"""The write gate: who waits first, who is waited for, and what the engine is told when."""

from __future__ import annotations

import asyncio

import pytest

from redoubt.control.modes import gate as module
from redoubt.control.modes.gate import TenantGate
from redoubt.sql.errors import SqlError
from tests.control.fakes import FakeEngine
from tests.control.stage import Stage, play


def test_a_gate_closes_in_front_of_statements_first(stage: Stage) -> None:
    """Then those that run are waited for, and only then does the engine refuse."""
    gate, engine = stage.archive.gate, stage.engine

    async def scene() -> None:
        with gate.writing():
            with gate.writing():
                closing = asyncio.create_task(gate.close())
                await stage.until(lambda: gate.is_closed)
                waiting = asyncio.create_task(gate.wait_until_open())
            await asyncio.sleep(0)
            assert engine.calls == []
        await closing
        assert engine.calls == ["close_writes"]
        assert not waiting.done()
        await gate.open()
        await waiting

    play(scene())

    assert engine.calls == ["close_writes", "open_writes"]
    assert (gate.is_closed, engine.writes_are_closed) == (False, False)


def test_a_statement_that_runs_on_and_on_keeps_no_gate_open(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the engine refuses it, too."""
    monkeypatch.setattr(module, "_DRAIN_PATIENCE", 0.01)

    async def scene() -> None:
        with stage.archive.gate.writing():
            await stage.archive.gate.close()

    play(scene())

    assert stage.engine.writes_are_closed


def test_the_engine_accepts_writes_before_statements_pass(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first of them would fail."""
    gate, engine = stage.archive.gate, stage.engine
    seen: list[bool] = []
    open_writes = engine.open_writes

    def look_and_open() -> None:
        seen.append(gate.is_closed)
        open_writes()

    monkeypatch.setattr(engine, "open_writes", look_and_open)

    async def scene() -> None:
        await gate.close()
        await gate.open()

    play(scene())

    assert seen == [True]
    assert not gate.is_closed


def test_an_engine_that_does_not_answer(stage: Stage) -> None:
    """The gate closes without it, and it is told when it answers; it does not open without it."""
    gate, engine = stage.archive.gate, stage.engine

    async def scene() -> None:
        engine.is_away = True
        await gate.close()
        assert gate.is_closed
        await gate.enforce()
        with pytest.raises(OSError, match="does not answer"):
            await gate.open()
        assert gate.is_closed
        engine.is_away = False
        await gate.enforce()
        await gate.enforce()
        assert engine.calls == ["close_writes"]
        await gate.open()
        await gate.close()

    play(scene())

    assert engine.calls == ["close_writes", "open_writes", "close_writes"]


@pytest.mark.parametrize(
    ("was_closed", "stays", "is_away", "is_closed", "calls"),
    [
        (False, True, False, False, []),
        (False, False, False, False, []),
        (True, True, False, True, []),
        (True, False, False, False, ["open_writes"]),
        (True, False, True, True, []),
    ],
)
def test_a_gate_after_a_start(
    stage: Stage, *, was_closed: bool, stays: bool, is_away: bool, is_closed: bool, calls: list[str]
) -> None:
    """One that was closed stays so, or the engine is put right; if that cannot be done yet, nobody passes."""
    stage.engine.writes_are_closed, stage.engine.is_away = was_closed, is_away

    play(stage.archive.gate.recover(stays_closed=stays))

    assert (stage.archive.gate.is_closed, stage.engine.calls) == (is_closed, calls)


def test_a_statement_that_waited_in_vain_is_told_why(stage: Stage) -> None:
    """How much waits, of how much, what holds it up, and how long it waited."""
    stage.archive.backlog, stage.archive.limit = 70, 64
    plain = stage.archive.gate.refusal(1.26)
    stage.archive.troubles[0] = "No space left on device"
    held_up = stage.archive.gate.refusal(1.26)

    assert plain.code == 4012
    assert "70 bytes of log wait to be archived (limit: 64 bytes). The statement waited 1.3 s" in plain.message
    assert "(limit: 64 bytes; cause: No space left on device). The statement waited" in held_up.message


def test_a_gate_asks_its_commits(stage: Stage) -> None:
    """Whether a commit waits, and for how long, is theirs."""

    class Commits:
        is_synchronous = True

        async def make_durable(self) -> None:
            raise SqlError(1, "HY000", "not durable")

    gate = TenantGate(FakeEngine(), Commits(), lambda: "")  # type: ignore[arg-type] # what is needed of one
    assert gate.is_synchronous
    with pytest.raises(SqlError, match="not durable"):
        asyncio.run(gate.make_durable())
