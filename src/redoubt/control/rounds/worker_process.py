"""Keeps the archive worker's process running; commands on its standard input, events on its standard output."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import structlog

from redoubt.control.child_messages import LONGEST_LINE, messages_from
from redoubt.messages.archiving import Command, Event, from_line, to_line

_RESTART_PAUSE = 0.5
_STOP_PATIENCE = 5.0
_KILL_PATIENCE = 2.0
MEMORY_LIMITS = {"MALLOC_MMAP_THRESHOLD_": "262144"}
"""The C library gives buffers of that size back to the system. Without this it keeps some 40 MB of them."""
_log = structlog.get_logger("redoubt.control.rounds.worker_process")


class Listener(Protocol):
    """The receiver of the worker's events."""

    def worker_started(self) -> None:
        """A new worker has started and has no commands yet."""

    def worker_says(self, event: Event) -> None:
        """The worker has sent an event."""


class WorkerProcess:
    """Starts the worker, and restarts it whenever it ends."""

    def __init__(self, home: Path, segment_size: int, segment_age: float) -> None:
        self._arguments = (str(home), str(segment_size), str(segment_age))
        self._process: Process | None = None
        self._killed = asyncio.Event()
        self._held: set[asyncio.Task[None]] = set()
        self._ending = False

    async def run(self, listener: Listener) -> None:
        """Keep a worker running until `stop`.

        A killed worker may be stuck in uninterruptible I/O; another worker takes its place.
        """
        while not self._ending:
            self._killed.clear()
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "redoubt.worker", *self._arguments),
                stdin=PIPE,
                stdout=PIPE,
                limit=LONGEST_LINE,
                start_new_session=True,
                env=os.environ | MEMORY_LIMITS,
            )
            _log.info("worker started", pid=self._process.pid)
            listener.worker_started()
            attending = asyncio.create_task(self._attend(self._process, listener.worker_says))
            killing = asyncio.create_task(self._killed.wait())
            await asyncio.wait({attending, killing}, return_when=asyncio.FIRST_COMPLETED)
            killing.cancel()
            if not attending.done():
                await asyncio.wait({attending}, timeout=_KILL_PATIENCE)
            if attending.done():
                await self._end_of(attending)
            else:
                _log.error("a killed worker is stuck in uninterruptible I/O, starting another", pid=self._process.pid)
                self._held.add(attending)
                attending.add_done_callback(self._held.discard)
            if not self._ending:
                await asyncio.sleep(_RESTART_PAUSE)

    def send(self, command: Command) -> None:
        """Send a command. Without a worker nothing happens: a new worker gets all commands."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(ConnectionError):  # the worker has just ended
                self._process.stdin.write(to_line(command))

    def kill(self) -> None:
        """Kill a worker that does not answer; another takes its place."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._killed.set()

    async def stop(self) -> None:
        """End the worker for good."""
        self._ending = True
        for task in self._held:
            task.cancel()
        await asyncio.gather(*self._held, return_exceptions=True)
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_PATIENCE)
        except TimeoutError:
            self.kill()

    async def _end_of(self, attending: asyncio.Task[None]) -> None:
        """Raise the error of a listener, without a worker that nobody listens to."""
        try:
            await attending
        except Exception:
            self.kill()
            raise

    async def _attend(self, process: Process, tell: Callable[[Event], None]) -> None:
        """Listen to a worker until it ends; ignore events of a worker that has a successor."""
        assert process.stdout is not None
        async for event in messages_from(process.stdout, _event):
            if process is self._process:
                tell(event)
        status = await process.wait()
        if not self._ending:
            _log.warning("worker ended", pid=process.pid, status=status)


def _event(line: bytes) -> Event:
    """The event in a line. Raises TypeError for another message."""
    event = from_line(line)
    if not isinstance(event, Event):
        raise TypeError(f"{type(event).__name__} is not an event")
    return event
