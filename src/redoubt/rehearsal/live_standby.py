"""A standby at work: an engine that replays archived log while it runs, and answers reads meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from redoubt.errors import RedoubtError
from redoubt.model.keeping import EngineStartError
from redoubt.model.log import LogPosition
from redoubt.model.scratch_engine import Login
from redoubt.model.standby import LogFeed, LogSource, StandbyEngine, TakeOverError

_POLL = 0.2
_SOON = 0.02
_PATIENCE = 600.0
"""Seconds for the engine to receive the rest of the log before it takes over."""
_ANSWER = 60.0
"""Seconds for the destination to tell the end of the log: a directory of a server that is lost may never answer."""
_STARTS = 12
"""The most starts in a row without any log received: in this role an engine may fail on half replayed tables."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class LiveStandby:
    """Keeps an engine following a feed. `source(feed)` makes what serves the log.

    `say` gets a line about a start that failed.
    """

    def __init__(
        self, engine: StandbyEngine, feed: LogFeed, source: Callable[[LogFeed], LogSource], say: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._feed = feed
        self._source = source
        self._say = say
        self._serving: LogSource | None = None
        self.received = LogPosition(0)
        """The place up to which the engine has all log; LSN 0 if it has not asked yet."""
        self.follows = asyncio.Event()
        """Set when the engine has asked for log for the first time, and answers clients."""
        self.has_taken_over = asyncio.Event()
        """Set when the engine is a primary."""

    @property
    def is_primary(self) -> bool:
        """Whether the engine has taken over."""
        return self.has_taken_over.is_set()

    async def run(self) -> None:
        """Follow until this is cancelled; the engine ends with it.

        Raises NoPrivateNetworkError, OpenedError, EngineStartError if the engine does not start, OSError.
        """
        starts, pause = 0, _FIRST_PAUSE
        while True:
            try:
                await self._follow()
            except EngineStartError as error:
                if self.is_primary:
                    raise
                has_followed = self.received.lsn > 0
                starts, pause = (1, _FIRST_PAUSE) if has_followed else (starts + 1, min(pause * 2, _LONGEST_PAUSE))
                if starts >= _STARTS:
                    raise
                self.received = LogPosition(0)
                self.follows.clear()
                self._say(f"{error}; starting it again")
                await asyncio.sleep(pause)

    async def activate(
        self,
        logins: Sequence[Login],
        say: Callable[[str], None],
        *,
        without_archive: bool,
        decide: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Make the engine a primary that has all archived log, and in which nothing is open; it goes on running.

        With `without_archive`, it has only the log that it has received. `say` gets a line for each step. `decide` is
        called when the engine has all log, before any log is made here; if it raises, the engine goes on following.
        Raises TakeOverError.
        """
        source = self._serving
        if self.is_primary:
            raise TakeOverError("the engine has taken over already")
        if source is None or not self.follows.is_set():
            raise TakeOverError("the engine does not follow yet: try again when redoubt follow says that it does")
        end = source.received if without_archive else await self._end_of_archive()
        try:
            say(f"waiting until the engine has the log up to LSN {end.lsn}")
            end = await self._stopped_at(source, end)
            if decide is not None:
                await decide()
            last = await asyncio.to_thread(self._engine.aborts, logins, end.lsn)
        except BaseException:
            source.stop_at(None)
            raise
        if last is not None:
            say("rolling back the transactions that are open")
            source.append(last)
            await self._received(source, last.end.lsn)
            end = last.end
        say("the engine becomes a primary")
        await asyncio.to_thread(self._engine.become_primary, logins, end)
        self.has_taken_over.set()

    async def _end_of_archive(self) -> LogPosition:
        try:
            async with asyncio.timeout(_ANSWER):
                return await asyncio.to_thread(self._feed.end, is_new=True)
        except TimeoutError:
            cause = f"the destination has not answered for {_ANSWER:g} s"
        except RedoubtError as error:
            cause = str(error)
        raise TakeOverError(
            f"the end of the archived log is unknown ({cause}); with --without-archive (of a standby tenant: after SET "
            "LOG_RESTORE_SOURCE = '') the engine takes over with the log that it has received, up to LSN "
            f"{self.received.lsn}"
        )

    async def _stopped_at(self, source: LogSource, end: LogPosition) -> LogPosition:
        """Serve no log behind `end`, and wait until the engine has all before; more may have been under way to it."""
        while True:
            source.stop_at(end.lsn)
            await self._received(source, end.lsn)
            if source.received.lsn == end.lsn:
                return end
            end = source.received

    async def _received(self, source: LogSource, lsn: int) -> None:
        """Wait until the engine asks for log from an LSN on. Raises TakeOverError if it ends, or does not."""
        try:
            async with asyncio.timeout(_PATIENCE):
                while source.received.lsn < lsn:
                    if self._serving is not source:
                        raise TakeOverError("the engine has ended meanwhile: try again")
                    await asyncio.sleep(_SOON)
        except TimeoutError:
            raise TakeOverError(
                f"the engine has the log up to LSN {source.received.lsn}, and not up to LSN {lsn} within "
                f"{_PATIENCE:g} s: try again"
            ) from None

    async def _follow(self) -> None:
        """Start the engine and serve it until it ends. Raises as `run`."""
        source = self._source(self._feed)
        try:
            await source.listen(await asyncio.to_thread(self._engine.begin))
            self._serving = source
            while True:
                self._engine.check_alive()
                self.received = max(self.received, source.received, key=lambda place: (place.lsn, place.scn))
                if not self.follows.is_set() and self.received.lsn and await asyncio.to_thread(self._engine.answers):
                    self.follows.set()
                await asyncio.sleep(_POLL)
        finally:
            self._serving = None
            await source.close()
            await asyncio.to_thread(self._engine.stop)
