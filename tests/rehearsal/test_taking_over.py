"""What keeps an engine following, with stand-ins for engine and source: restarts, the takeover, and failures."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from redoubt.model.keeping import EngineStartError
from redoubt.model.log import LogPosition
from redoubt.model.scratch_engine import Login, OpenedError
from redoubt.model.seams import DestinationError
from redoubt.model.standby import FedLog, TakeOverError
from redoubt.rehearsal import live_standby
from redoubt.rehearsal.live_standby import LiveStandby

_ARCHIVED, _AFTER = LogPosition(500, 5000), LogPosition(600, 6000)
_ABORTS = FedLog(_ARCHIVED, LogPosition(550, 5001), bytes(50))


@dataclass
class Stand:
    """An engine, its source and its feed in one: the engine has received all that is served, as soon as it is asked."""

    steps: list[str] = field(default_factory=list)
    open_ones: FedLog | None = None
    failing: dict[str, Exception] = field(default_factory=dict)
    dies: list[Exception] = field(default_factory=list)
    """What the next starts end with."""
    received: LogPosition = field(default_factory=lambda: LogPosition(0))
    limit: int | None = None

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.failing:
            raise self.failing[name]

    # the engine
    def refuse_opened(self) -> None:
        """See `StandbyEngine`."""

    def begin(self) -> socket.socket:
        """See `StandbyEngine`."""
        if self.dies:
            raise self.dies.pop(0)
        self.received = _AFTER
        return socket.socket()

    def answers(self) -> bool:
        """See `StandbyEngine`."""
        return True

    def check_alive(self) -> None:
        """See `StandbyEngine`."""
        if "death" in self.failing:
            raise self.failing.pop("death")

    def is_open_door(self) -> bool:
        """See `StandbyEngine`."""
        return False

    def readable_scn(self) -> int | None:
        """See `StandbyEngine`."""
        return None

    def aborts(self, logins: Sequence[Login], end_lsn: int) -> FedLog | None:
        """See `StandbyEngine`."""
        self._step(f"aborts of {end_lsn}")
        return self.open_ones

    def become_primary(self, logins: Sequence[Login], end: LogPosition) -> None:
        """See `StandbyEngine`."""
        self._step(f"primary at {end.lsn}")

    def stop(self) -> None:
        """See `StandbyEngine`."""

    # the source
    async def listen(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """See `LogSource`."""
        listening.close()

    async def close(self) -> None:
        """See `LogSource`."""

    def stop_at(self, lsn: int | None) -> None:
        """See `LogSource`."""
        self.steps.append(f"stop at {lsn}")
        self.limit = lsn

    def append(self, last: FedLog) -> None:
        """See `LogSource`."""
        self._step("append")
        self.received = last.end

    # the feed
    def log_at(self, lsn: int) -> FedLog | None:
        """See `LogFeed`."""
        return None

    def end(self, *, is_new: bool = False) -> LogPosition:
        """See `LogFeed`."""
        self._step("end")
        assert is_new
        return _ARCHIVED


def _run(stand: Stand, test: Callable[[LiveStandby], Awaitable[None]]) -> list[str]:
    """Run a test of a standby that follows; the lines about failed starts."""
    said = list[str]()

    async def whole() -> None:
        standby = LiveStandby(stand, stand, lambda _feed: stand, said.append)
        running = asyncio.create_task(standby.run())
        following = asyncio.create_task(standby.follows.wait())
        await asyncio.wait({running, following}, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        following.cancel()
        try:
            if running.done():
                await running
            await test(standby)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(whole())
    return said


def _activate(standby: LiveStandby, *, without_archive: bool = False) -> Awaitable[None]:
    return standby.activate([Login("root", "")], lambda _line: None, without_archive=without_archive)


def test_the_steps_of_a_takeover_with_and_without_open_transactions() -> None:
    """Log that is under way beyond the archive's end counts; the abort records are the last log; once only."""
    for open_ones, last in ((None, ["primary at 600"]), (_ABORTS, ["append", "primary at 550"])):
        stand = Stand(open_ones=open_ones)

        async def test(standby: LiveStandby) -> None:
            await _activate(standby)
            assert standby.is_primary
            with pytest.raises(TakeOverError, match="already"):
                await _activate(standby)

        _run(stand, test)
        assert stand.steps == ["end", "stop at 500", "stop at 600", "aborts of 600", *last]


def test_a_destination_that_is_lost_is_told_and_can_be_left_out() -> None:
    """The message names the option, which then needs no destination."""
    stand = Stand(failing={"end": DestinationError("the bucket is gone")})

    async def test(standby: LiveStandby) -> None:
        with pytest.raises(TakeOverError, match=r"the bucket is gone\); with --without-archive .* up to LSN 600"):
            await _activate(standby)
        assert not standby.is_primary
        await _activate(standby, without_archive=True)

    _run(stand, test)
    assert stand.steps == ["end", "stop at 600", "aborts of 600", "primary at 600"]


def test_a_destination_that_hangs_is_told_and_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a directory of a server that is lost; what waits for it holds up nothing else."""
    monkeypatch.setattr(live_standby, "_ANSWER", 0.05)
    stand, hanging = Stand(), threading.Event()

    def hang(*, is_new: bool) -> LogPosition:
        assert hanging.wait(20)
        return _ARCHIVED

    monkeypatch.setattr(stand, "end", hang)

    async def test(standby: LiveStandby) -> None:
        with pytest.raises(TakeOverError, match=r"not answered for 0\.05 s.*LOG_RESTORE_SOURCE = ''"):
            await _activate(standby)
        await _activate(standby, without_archive=True)
        hanging.set()

    _run(stand, test)


def test_after_a_failure_it_goes_on_following_and_can_be_repeated() -> None:
    """As after a wrong password: all log is served again."""
    stand = Stand(failing={"aborts of 600": TakeOverError("wrong password")})

    async def test(standby: LiveStandby) -> None:
        with pytest.raises(TakeOverError, match="wrong password"):
            await _activate(standby)
        assert stand.limit is None
        stand.failing.clear()
        await _activate(standby)

    _run(stand, test)
    assert stand.steps[-1] == "primary at 600"


def test_an_engine_that_ends_is_started_again_and_at_last_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After starts that failed, and after it has followed; a directory that is no standby is not tried again."""
    monkeypatch.setattr(live_standby, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(live_standby, "_LONGEST_PAUSE", 0.0)
    stand = Stand(dies=[EngineStartError("half replayed")] * 11)

    async def dies(standby: LiveStandby) -> None:
        stand.failing["death"] = EngineStartError("killed")
        standby.follows.clear()
        await asyncio.wait_for(standby.follows.wait(), 20)

    assert _run(stand, dies) == ["half replayed; starting it again"] * 11 + ["killed; starting it again"]

    async def never(_standby: LiveStandby) -> None:
        pytest.fail("it follows")

    with pytest.raises(EngineStartError, match="half replayed"):
        _run(Stand(dies=[EngineStartError("half replayed")] * 12), never)
    with pytest.raises(OpenedError):
        _run(Stand(dies=[OpenedError("no standby")]), never)
