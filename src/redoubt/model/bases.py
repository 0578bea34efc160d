"""Data backups: their keys, where in the log they stand, and the seams through which an engine gives and takes them.

A base is a copy of an engine's files as a loss of power would have left them at one instant, without its log. The log
is taken from the archive: it is laid over the base from `Base.start_lsn` on, at least to `Base.snapshot_lsn`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from redoubt.model.log import LogPosition

_KEY = re.compile(r"backup_set_(?P<set>[1-9][0-9]*)_full_(?P<date>[0-9]{8})\Z", re.ASCII)


@dataclass(frozen=True, order=True)
class SetKey:
    """Which data backup; `create_date` is the local day on which it began, as the number YYYYMMDD."""

    set_id: int
    create_date: int

    def __str__(self) -> str:
        """The folder's name, OceanBase's."""
        return f"backup_set_{self.set_id}_full_{self.create_date}"

    @classmethod
    def parse(cls, name: str) -> SetKey | None:
        """The key of a folder's name, None if it is not one."""
        match = _KEY.match(name)
        return None if match is None else cls(int(match["set"]), int(match["date"]))


@dataclass(frozen=True)
class Base:
    """A data backup of one tenant that is complete. LSNs in bytes, SCNs in ns since the epoch.

    Restoring begins with it for every moment from `snapshot_scn` on; the log is needed from `start_lsn` on. `source` is
    the engine whose log goes with it.
    """

    key: SetKey
    source: str
    start_lsn: int
    snapshot_lsn: int
    snapshot_scn: int


@dataclass(frozen=True)
class BaseFile:
    """A file of a base, by its path relative to the engine's directory; `size` in bytes, holes included.

    Of its content only the first `content` bytes matter; what lies behind them is zero in the base. `changed_at` (ns
    since the epoch) and `node` tell one state of a file from another: see `BaseSource.files`.
    """

    path: str
    size: int
    content: int
    mode: int
    changed_at: int
    node: int


class PauseOverError(Exception):
    """The engine's process was not stopped, or not for long enough: nothing read meanwhile can be relied on."""


class Pause(Protocol):
    """The time for which an engine's process stands still."""

    @property
    def seconds(self) -> float:
        """How long it has stood still, until now or in all."""
        ...

    def check(self) -> None:
        """Raise PauseOverError if it has stood still for as long as it may, or does not any more."""
        ...


class BaseSource(Protocol):
    """An engine whose files can be copied while it runs. Methods block."""

    def source_id(self) -> str:
        """See `Engine`."""
        ...

    def version(self) -> str:
        """The engine's kind and version, for whoever wants to start the copy."""
        ...

    def checkpoint(self) -> LogPosition:
        """The place from which its log must be there for it to recover from what its files hold now. Raises OSError.

        Its SCN is that of the last group before it: log up to that SCN is not needed.
        """
        ...

    def end_of_log(self) -> LogPosition:
        """LSN and SCN up to which it has finished writing. Raises OSError."""
        ...

    def files(self) -> list[BaseFile]:
        """The files that make a base now, in order of their paths; of the log, what must be there beside its bytes.

        A file whose `changed_at`, `node` and `size` are as they were has the same content, if it was like that for
        `settling` seconds when it was read. Raises OSError for what could not be copied.
        """
        ...

    def files_in(self, clone: Path) -> list[BaseFile]:
        """The files of a clone, as `files`."""
        ...

    @property
    def settling(self) -> float:
        """Seconds after which a write that was begun has certainly ended."""
        ...

    def open(self, file: BaseFile) -> int:
        """A descriptor to read one of the files. Raises FileNotFoundError if it is gone, or another has its name."""
        ...

    def pause(self, limit: float) -> AbstractContextManager[Pause]:
        """Have the engine's process stand still, for `limit` seconds at most.

        It goes on when the context is left, when the time is over, and when this process dies, however that happens.
        Entering it raises PauseOverError where the process did not stop now, OSError where there is none, or it may not
        be stopped.
        """
        ...

    def clone(self) -> AbstractContextManager[Path | None]:
        """A directory with instant copies of the files, made on entering; None where the disk has none to give.

        They are of one instant if the engine stands still meanwhile. Leaving takes the directory away.
        """
        ...


class LogLayer(Protocol):
    """Writes log into a directory that an engine is to open."""

    def lay(self, lsn: int, log: Iterator[bytes], scn_before: int) -> None:
        """Write log that begins at `lsn`, with a group, and ends with one; how it comes in parts does not matter.

        `scn_before` is the SCN of the last group before, 0 if unknown. Writing the same again does no harm. Several
        threads may lay log of different places at once. Raises what taking the log raises, then part of it is written.
        """
        ...

    def sync(self) -> None:
        """Make what was laid by now survive a loss of power."""
        ...

    def finish(self, end: LogPosition) -> None:
        """The log ends there: nothing that lies behind it stays. Durable when this returns."""
        ...


@dataclass(frozen=True)
class OpenTail:
    """The groups at the end of some log that decide no transaction.

    `scn` is that of the first of them with redo in it, None if there is none; `is_all` if no other groups were found.
    """

    scn: int | None
    is_all: bool


class LogCutter(Protocol):
    """Finds places in an engine's log. Pure."""

    def cut(self, log: bytes, start: LogPosition, scn: int) -> LogPosition:
        """The place behind the last group in `log` whose SCN is at most `scn`; every group before it is verified.

        `log` begins at `start`; `start` itself if no group is that old. Raises LogDamagedError.
        """
        ...

    def open_tail(self, log: bytes, low: int) -> OpenTail:
        """What whole, verified groups end with that belongs to transactions which they do not decide.

        Groups that begin before the offset `low` in `log` are not looked at. Nothing that was committed is lost without
        the tail. In doubt, a group decides.
        """
        ...


Progress = Callable[[int, int], None]
"""Called with the bytes that are done and the bytes that there are, as far as that is known."""

Chunks = Iterator[bytes]
