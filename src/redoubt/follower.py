"""The process that keeps a standby tenant following: it runs the engine, and serves the log to it.

Composition root of a follower, as `service.py` is of the service. A process of its own decodes the log, so that neither
the service nor another standby waits for that. The process and its engine end when its standard input ends: the service
is gone, or no longer wants the standby.

`python -m redoubt.follower` reads and writes the lines of `messages/following.py`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import BinaryIO

from redoubt.archive.archived_log import ArchivedLog
from redoubt.archive.inventory import TenantPath
from redoubt.archive.layout import ClusterPath
from redoubt.destinations.uri import open_destination
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.messages.following import (
    Activate,
    Decided,
    Follow,
    FollowCommand,
    Following,
    FollowReport,
    Follows,
    FollowTrouble,
    FollowUntil,
    LogComplete,
    NotTakenOver,
    TakenOver,
    from_line,
    to_line,
)
from redoubt.model.log import LogPosition
from redoubt.model.own_files import OwnFiles
from redoubt.model.scratch_engine import Login
from redoubt.model.standby import StandbyEngine
from redoubt.rehearsal.live_standby import LiveStandby

_LOOK = 0.25
"""Seconds between two reports of the place."""
_SOUND = 2.0
"""Seconds without a refusal after which the source counts as sound: an engine asks for log ten times a second."""


class Follower:
    """One standby. For one event loop."""

    def __init__(self, request: Follow, reports: BinaryIO) -> None:
        self._reports = reports
        self._kind = engine_kind(request.engine_kind)
        self._directory = Path(request.directory)
        self._engine: StandbyEngine = self._kind.standby(self._directory, request.memory_budget)
        cluster = ClusterPath(request.cluster, request.cluster_id)
        self._feed = ArchivedLog(
            open_destination(request.destination),
            TenantPath(cluster, request.tenant_id, str(request.tenant_id), request.engine_kind),
            self._kind.cutter,
            source=request.source,
            until=request.until_scn,
        )
        self._standby = LiveStandby(
            self._engine, self._feed, lambda feed: self._kind.log_source(feed, self._refused), self._refused
        )
        self._until = request.until_scn
        self._trouble, self._refused_at = "", 0.0
        self._told: dict[type[FollowReport], FollowReport] = {}
        self._decided = asyncio.Event()
        self._ending = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, commands: asyncio.StreamReader) -> None:
        """Follow, and obey commands until they end. Raises RedoubtError and OSError if that cannot go on."""
        works = (self._standby.run(), self._report(), self._obey(commands))
        tasks = [asyncio.create_task(work) for work in works]
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for task in done:
            task.result()

    def tell(self, report: FollowReport) -> None:
        """Write a report."""
        self._reports.write(to_line(report))

    async def _obey(self, commands: asyncio.StreamReader) -> None:
        while line := await commands.readline():
            command = from_line(line)
            assert isinstance(command, FollowCommand)
            match command:
                case FollowUntil():
                    self._until = command.until_scn
                    self._begin(self._end_feed())
                case Activate():
                    self._begin(self._activate(without_archive=command.without_archive))
                case Decided():
                    self._decided.set()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        """Do something while more commands are obeyed: a destination may hang."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_feed(self) -> None:
        """Let the feed end where the last command says."""
        async with self._ending:
            await asyncio.to_thread(self._feed.end_at, self._until)

    async def _activate(self, *, without_archive: bool) -> None:
        try:
            logins = await asyncio.to_thread(self._logins)
            await self._standby.activate(logins, lambda _: None, without_archive=without_archive, decide=self._decision)
        except (RedoubtError, OSError) as error:
            self.tell(NotTakenOver(str(error)))
        else:
            self.tell(TakenOver())

    async def _decision(self) -> None:
        self._decided.clear()
        self.tell(LogComplete())
        await self._decided.wait()

    def _logins(self) -> list[Login]:
        """The accounts that may let an engine take over."""
        account = OwnFiles(self._directory).account
        own = [Login(self._kind.account_name, account.read_text().strip())] if account.exists() else []
        return [*own, Login("root", "")]

    async def _report(self) -> None:
        """Tell what has changed, from time to time, until the engine has taken over."""
        has_told = False
        while not self._standby.is_primary:
            if self._trouble and asyncio.get_running_loop().time() > self._refused_at + _SOUND:
                self._trouble = ""
            self._tell_once(FollowTrouble(self._trouble))
            if self._standby.follows.is_set():
                if not has_told:
                    self.tell(Follows(await asyncio.to_thread(self._engine.is_open_door)))
                    has_told = True
                self._tell_once(await asyncio.to_thread(self._place))
            else:
                has_told = False
            await asyncio.sleep(_LOOK)
        await asyncio.Event().wait()

    def _tell_once(self, report: FollowReport) -> None:
        if report != self._told.get(type(report)):
            self._told[type(report)] = report
            self.tell(report)

    def _place(self) -> Following:
        place, readable = self._standby.received, self._engine.readable_scn()
        received = max(place.scn, readable or 0)  # the place is told a moment later
        end = self._end() if self._until is not None or not place.scn else None
        if end is None:
            return Following(place.lsn, received, readable or 0, is_complete=False)
        scn = max(received, end.scn) if place.lsn == end.lsn else received
        is_there = place.lsn >= end.lsn and (readable is None or readable >= end.scn)
        return Following(place.lsn, scn, readable or 0, is_complete=is_there and self._until is not None)

    def _end(self) -> LogPosition | None:
        """The end of the log that is served, None if it is not known now."""
        try:
            return self._feed.end()
        except (RedoubtError, OSError):  # the source tells it when the engine asks
            return None

    def _refused(self, why: str) -> None:
        self._trouble, self._refused_at = why, asyncio.get_running_loop().time()


async def _follow(reports: BinaryIO) -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    if not (line := await commands.readline()):
        return
    request = from_line(line)
    assert isinstance(request, Follow)
    try:
        await Follower(request, reports).run(commands)
    except (RedoubtError, OSError) as error:
        reports.write(to_line(FollowTrouble(str(error))))


def main() -> None:
    """`python -m redoubt.follower`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the service
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # log lines and printed text must not mix with the reports
    asyncio.run(_follow(reports))
    os._exit(0)  # a hanging destination must not keep the process alive; the engine has ended


if __name__ == "__main__":
    main()
