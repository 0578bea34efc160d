"""Keeps the engine of a standby tenant following its archive, in a process of its own; see `follower.py`."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import structlog

from redoubt.control.child_messages import LONGEST_LINE, messages_from
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
from redoubt.model.keeping import Keeper, KeptEngine
from redoubt.model.standby import TakeOverError

_END_PATIENCE = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
COMMAND = (sys.executable, "-m", "redoubt.follower")
_NOT_STARTED = "the engine is being started"
_log = structlog.get_logger("redoubt.standby_keeper")


class StandbyKeeper:
    """See `Keeper`. For the event loop. The engine answers reads only, until it has taken over.

    `primary` keeps the engine after that, from the moment at which the process that follows has ended: `keep` returns
    then. `is_exposed`: other machines can reach the gateway.
    """

    def __init__(self, primary: Keeper, *, is_exposed: bool) -> None:
        self.primary = primary
        self.trouble = _NOT_STARTED
        self.was_tried = asyncio.Event()
        self.is_open_door = False
        self.may_be_new = False
        self.reached: Callable[[KeptEngine], None] = lambda _: None
        self.place = Following(0, 0, 0, is_complete=False)
        """How far the engine is, as it was told last."""
        self.source_trouble = ""
        """Why no log comes; empty if it comes, or if there is none."""
        self._is_exposed = is_exposed
        self._request: Follow | None = None
        self._asked = asyncio.Event()
        self._process: Process | None = None
        self._reports: asyncio.Queue[FollowReport | None] | None = None
        """What `activate` waits for; None without it."""
        self._has_decided = False

    @property
    def directory(self) -> Path:
        """See `Keeper`."""
        return self.primary.directory

    @property
    def engine(self) -> KeptEngine:
        """See `Keeper`."""
        return self.primary.engine

    def follow(self, request: Follow) -> None:
        """Follow this log from now on. Only the end of a log that is followed changes without a restart."""
        before, self._request = self._request, request
        self._asked.set()
        if before is None or before == request:
            return
        self.place = replace(self.place, is_complete=False)
        if replace(before, until_scn=request.until_scn) == request:
            self._send(FollowUntil(request.until_scn))
        elif self._process is not None:
            self._kill()

    async def start(self) -> None:
        """See `Keeper`. A standby is started by `keep` alone."""

    async def keep(self) -> None:
        """Follow until the engine has taken over and its process has ended, or this is cancelled."""
        pause = _FIRST_PAUSE
        await self._asked.wait()
        while not self._has_decided:
            began = asyncio.get_running_loop().time()
            try:
                await self._run()
            except OSError as error:
                self._complain(f"cannot start the process that follows: {error}")
            pause = _FIRST_PAUSE if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE else pause
            if not self._has_decided:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def activate(self, decide: Callable[[], Awaitable[None]], *, without_archive: bool) -> None:
        """Let the engine take over; returns when it writes. `decide` records that it is a primary.

        If `decide` raises, or before it is called, the engine goes on following; afterwards, `primary` lets the engine
        take over if this fails. Raises TakeOverError, and what `decide` raises.
        """
        if self._process is None or self.trouble:
            raise TakeOverError(f"the engine does not follow yet: {self.trouble or _NOT_STARTED}; try again")
        self._reports = asyncio.Queue()
        try:
            self._send(Activate(without_archive))
            while True:
                match await self._reports.get():
                    case LogComplete():
                        await self._decide(decide)
                    case TakenOver():
                        _log.info("a standby has taken over", directory=str(self.directory))
                        return
                    case NotTakenOver(cause=cause):
                        if not self._has_decided:
                            raise TakeOverError(cause)
                        _log.error("a standby is restarted to take over", directory=str(self.directory), cause=cause)
                        self._kill()
                    case None:
                        if not self._has_decided:
                            raise TakeOverError("the engine ended meanwhile: try again")
                        await self.primary.was_tried.wait()
                        return
        finally:
            self._reports = None

    async def stop(self) -> None:
        """End the engine; it goes on from its log at the next start."""
        if (process := self._process) is not None:
            if process.stdin is not None:
                process.stdin.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_PATIENCE):
                    await process.wait()
            self._kill()
        await self.primary.stop()

    async def kill(self) -> None:
        """See `Keeper`."""
        await self.stop()
        await self.primary.kill()

    async def _decide(self, decide: Callable[[], Awaitable[None]]) -> None:
        try:
            await decide()
        except BaseException:
            self._kill()  # it waits for the decision; the next one follows again
            raise
        self._has_decided = True
        self._send(Decided())

    async def _run(self) -> None:
        """Run the process until it ends. Raises OSError."""
        assert self._request is not None, "keep has waited for it"
        process = self._process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=PIPE,
            stdout=PIPE,
            limit=LONGEST_LINE,
            start_new_session=True,
        )
        _log.info("a standby follows", directory=str(self.directory), pid=process.pid)
        try:
            self._send(self._request)
            assert process.stdout is not None
            async for report in messages_from(process.stdout, _report):
                await self._take(report)
            status = await process.wait()
            if not self._has_decided:
                self._complain(self.source_trouble or f"the process that follows ended with status {status}")
        finally:
            if process.returncode is None:
                await self._end(process)
            self._process = None
            self.was_tried.set()
            if self._reports is not None:
                self._reports.put_nowait(None)

    async def _end(self, process: Process) -> None:
        """End the process with its engine: its input ends; if that does not help, kill it."""
        assert process.stdin is not None
        process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_PATIENCE):
                await process.wait()
        if process.returncode is None:
            process.kill()

    async def _take(self, report: FollowReport) -> None:
        match report:
            case Following():
                self.place = report
            case Follows():
                self.is_open_door = self._is_exposed and report.is_open_door
                if self.trouble:
                    _log.info("a standby answers", directory=str(self.directory))
                self.trouble = ""
                self.was_tried.set()
            case FollowTrouble():
                if report.cause and report.cause != self.source_trouble:
                    _log.warning("a standby gets no log", directory=str(self.directory), cause=report.cause)
                self.source_trouble = report.cause
            case _:
                if isinstance(report, TakenOver):
                    await self._keep_account()
                if self._reports is not None:
                    self._reports.put_nowait(report)

    async def _keep_account(self) -> None:
        """Tell who keeps the passwords of engines."""
        try:
            await asyncio.to_thread(self.reached, self.engine)
        except OSError as error:
            _log.error("cannot keep the password of a standby", directory=str(self.directory), cause=str(error))

    def _send(self, command: FollowCommand) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(ConnectionError):  # it has just ended; the next one is told all
                self._process.stdin.write(to_line(command))

    def _kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    def _complain(self, trouble: str) -> None:
        if trouble != self.trouble:  # once: the trouble may last for days
            _log.error("a standby does not follow, retrying", directory=str(self.directory), cause=trouble)
        self.trouble = trouble


def _report(line: bytes) -> FollowReport:
    """The report in a line. Raises TypeError for another message."""
    report = from_line(line)
    if not isinstance(report, FollowReport):
        raise TypeError(f"{type(report).__name__} is not a report")
    return report
