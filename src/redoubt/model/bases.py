"""Data backups: their keys, their places in the log, and the seams for taking and restoring them.

A base is a copy of an engine's files as a loss of power would have left them at one instant, without the log. The log
comes from the archive: a restore lays log over the base from `Base.start_lsn` on, at least to `Base.snapshot_lsn`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from redoubt.model.log import LogPosition

BASE_FOLDERS = frozenset({"etc", "store"})
"""The folders in an engine's directory whose files make a base. A restore writes files of a base nowhere else."""
_KEY = re.compile(r"backup_set_(?P<set>[1-9][0-9]{0,17})_full_(?P<date>[0-9]{8})\Z", re.ASCII)


@dataclass(frozen=True, order=True)
class SetKey:
    """The key of a data backup. `create_date` is the local day on which the backup began, as the number YYYYMMDD."""

    set_id: int
    create_date: int

    def __str__(self) -> str:
        """The folder's name, OceanBase's."""
        return f"backup_set_{self.set_id}_full_{self.create_date}"

    @classmethod
    def parse(cls, name: str) -> SetKey | None:
        """Parse a folder's name; None if the name is not a key."""
        match = _KEY.match(name)
        return None if match is None else cls(int(match["set"]), int(match["date"]))


@dataclass(frozen=True)
class Base:
    """A data backup of one tenant that is complete. LSNs in bytes, SCNs in ns since the epoch.

    A restore to any moment from `snapshot_scn` on can begin with the base, and needs the log from `start_lsn` on.
    `source` is the id of the engine.
    """

    key: SetKey
    source: str
    start_lsn: int
    snapshot_lsn: int
    snapshot_scn: int


@dataclass(frozen=True)
class BaseFile:
    """A file of a base, by its path relative to the engine's directory; `size` in bytes, holes included.

    Only the first `content` bytes matter; the rest of the file is zero in the base. `changed_at` (ns since the epoch)
    and `node` tell one state of a file from another: see `BaseSource.files`.
    """

    path: str
    size: int
    content: int
    mode: int
    changed_at: int
    node: int


class PauseOverError(Exception):
    """The engine's process was not stopped for the whole read; data read during the pause is not reliable."""


class Pause(Protocol):
    """A pause of an engine's process."""

    @property
    def seconds(self) -> float:
        """The length of the pause so far, or in total once the pause has ended."""
        ...

    def check(self) -> None:
        """Raise PauseOverError if the pause has reached its limit or has ended."""
        ...


class BaseSource(Protocol):
    """An engine whose files can be copied while it runs. Methods block."""

    def source_id(self) -> str:
        """See `Engine`."""
        ...

    def version(self) -> str:
        """The engine's kind and version, which a restore needs to start the copy."""
        ...

    def checkpoint(self) -> LogPosition:
        """The place in the log from which the engine would recover its files as they are now. Raises OSError.

        The SCN is that of the last group before the place: recovery needs no log up to that SCN.
        """
        ...

    def end_of_log(self) -> LogPosition:
        """LSN and SCN up to which the engine has finished writing log. Raises OSError."""
        ...

    def files(self) -> list[BaseFile]:
        """The files that make a base now, ordered by path. Of the log, only the files beside the log's bytes.

        Every path is in one of BASE_FOLDERS.

        If `changed_at`, `node` and `size` of a file are unchanged, and were unchanged for `settling` seconds before the
        file was read, then the content is unchanged. Raises OSError for files that cannot be copied.
        """
        ...

    def files_in(self, clone: Path) -> list[BaseFile]:
        """The files of a clone, as `files`."""
        ...

    @property
    def settling(self) -> float:
        """Seconds within which every write that has begun ends."""
        ...

    def open(self, file: BaseFile) -> int:
        """A descriptor to read a file. Raises FileNotFoundError if the file is gone or was replaced."""
        ...

    def pause(self, limit: float) -> AbstractContextManager[Pause]:
        """Stop the engine's process for at most `limit` seconds.

        The process goes on when the context is left, when the limit is reached, and when this process dies in any way.
        Entering raises PauseOverError if the process did not stop, and OSError if there is no process or no permission
        to stop the process.
        """
        ...

    def clone(self) -> AbstractContextManager[Path | None]:
        """A directory with instant copies of the files, made on entering; None if the disk cannot make such copies.

        The copies are of one instant if the engine is paused meanwhile. Leaving the context removes the directory.
        """
        ...


class LogLayer(Protocol):
    """Writes log into a directory that an engine is to open."""

    def lay(self, lsn: int, log: Iterator[bytes], scn_before: int) -> None:
        """Write log that begins at `lsn`. The log consists of whole groups, but may be cut into chunks anywhere.

        `scn_before` is the SCN of the last group before the log, 0 if unknown. Idempotent. Several threads may lay log
        of different ranges at once. An exception of the iterator `log` is raised; part of the log is written then.
        """
        ...

    def sync(self) -> None:
        """Make the log laid so far survive a loss of power."""
        ...

    def finish(self, end: LogPosition) -> None:
        """End the log at `end` and remove everything behind it. Durable when this returns."""
        ...


@dataclass(frozen=True)
class OpenTail:
    """The groups at the end of some log that decide no transaction.

    `scn` is the SCN of the first such group with redo, None without one. `is_all`: no other groups were found.
    """

    scn: int | None
    is_all: bool


class LogCutter(Protocol):
    """Finds places in an engine's log. Pure."""

    def cut(self, log: bytes, start: LogPosition, scn: int) -> LogPosition:
        """The place behind the last group in `log` whose SCN is at most `scn`. Verifies every group before that place.

        `log` begins at `start`. Returns `start` if no group is that old. Raises LogDamagedError.
        """
        ...

    def open_tail(self, log: bytes, low: int) -> OpenTail:
        """The groups at the end of `log` that belong only to undecided transactions. `log` is whole, verified groups.

        Groups that begin before the offset `low` are ignored. Removing the tail loses no committed transaction. A group
        in doubt counts as one that decides.
        """
        ...


Progress = Callable[[int, int], None]
"""Called with the bytes done and the total bytes, as far as the total is known."""

Chunks = Iterator[bytes]
