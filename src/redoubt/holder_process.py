"""Keeps the holder's process running, and tells it which directories there are."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from redoubt.control.child_messages import LONGEST_LINE, messages_from
from redoubt.messages.holding import Hold, HoldingTrouble, from_line, to_line
from redoubt.model.engine_kind import EngineKind

_STAND_IN_PAUSE = 0.25
_STAND_INS = 20
"""How often the service itself holds the log, while no process can be started, before it tries again."""
_log = structlog.get_logger("redoubt.holder_process")


class HolderProcess:
    """For the event loop. `kind_of` gives the engine kind of a name; see `engine_kind`."""

    def __init__(self, kind_of: Callable[[str], EngineKind]) -> None:
        self._kind_of = kind_of
        self._directories: set[tuple[str, str]] = set()
        self._process: Process | None = None

    def add(self, kind: str, directory: Path) -> None:
        """Hold the log in a directory from now on."""
        self._directories.add((kind, str(directory)))
        self._tell()

    def remove(self, directory: Path) -> None:
        """Leave a directory alone from now on."""
        self._directories = {each for each in self._directories if each[1] != str(directory)}
        self._tell()

    async def run(self) -> None:
        """Run the process until it ends. Raises OSError if it ends, or cannot be started."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "redoubt.holder"),
                stdin=PIPE,
                stdout=PIPE,
                limit=LONGEST_LINE,
                start_new_session=True,
            )
        except OSError:
            await self._stand_in()
            raise
        try:
            self._tell()
            assert self._process.stdout is not None
            async for trouble in messages_from(self._process.stdout, from_line):
                if isinstance(trouble, HoldingTrouble):
                    _report(trouble)
            raise ChildProcessError(f"the holder's process ended with status {await self._process.wait()}")
        finally:
            if self._process.returncode is None:
                self._process.kill()
            self._process = None

    def _tell(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(ConnectionError):  # it has just ended; the next one is told all
                self._process.stdin.write(to_line(Hold(sorted(map(list, self._directories)))))

    async def _stand_in(self) -> None:
        """Hold the log here for a while."""
        for _ in range(_STAND_INS):
            for kind, directory in self._directories:
                with suppress(OSError):  # the process will tell it
                    await asyncio.to_thread(self._kind_of(kind).keep_up, Path(directory))
            await asyncio.sleep(_STAND_IN_PAUSE)


def _report(trouble: HoldingTrouble) -> None:
    if trouble.cause:
        _log.error("cannot hold the log, retrying", directory=trouble.directory, cause=trouble.cause)
    else:
        _log.info("the log is held again", directory=trouble.directory)
