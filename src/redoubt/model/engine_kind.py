"""The seam to a kind of engine: everything that the rest of Redoubt needs to know of one.

`EngineKind` is for whoever archives, takes bases and lays log: the service, its worker and its jobs. What only a
command line asks of a directory that was restored is `RestoredDirectory`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from redoubt.errors import RedoubtError
from redoubt.model.bases import BaseSource, LogCutter, LogLayer
from redoubt.model.keeping import ApplicationKeeper, EngineSizes, Keeper
from redoubt.model.scratch_engine import Login, Roller, Rows, ScratchEngine
from redoubt.model.seams import Engine

if TYPE_CHECKING:
    from pymysql.connections import Connection

SEEKDB = "seekdb"
"""The kind of sys and main, and of everything that was stored before objects named their kind."""
_SOURCE = re.compile(r"(?P<kind>[a-z][a-z0-9_]*)://(?P<path>.*)\Z", re.IGNORECASE | re.DOTALL)
_EXAMPLE = "write SOURCE='seekdb:///absolute/path'"


class UnknownEngineKindError(RedoubtError):
    """No engine kind of that name is installed; the text names those that are, and says what to do."""


class SourceError(RedoubtError):
    """A directory cannot be a tenant's; the text says why and what to do."""


@dataclass(frozen=True)
class FirstStart:
    """What came of the first start of an engine after a restore.

    `is_open`: the engine opened the directory. `rolled_back`: how many transactions were rolled back that were open
    where the log ends, None if that is not known. `trouble`: what is left to do and how, empty if nothing. `remark`:
    what is worth knowing, and is no failure.
    """

    is_open: bool
    rolled_back: int | None = None
    trouble: str = ""
    remark: str = ""


class RestoredDirectory(Protocol):
    """A directory into which a base was written and log laid, as the command line handles it. Methods block."""

    def warnings(self, log_bytes: int) -> list[str]:
        """What an engine will need, or cannot do, in this directory, where it finds `log_bytes` bytes of log."""
        ...

    def how_to_open(self) -> str:
        """The call by which an application opens the directory, for people."""
        ...

    def first_start(self, login: Login, say: Callable[[str], None], *, flush: bool) -> FirstStart:
        """Have an engine replay the log, roll back what was open where it ends, and end.

        With `flush`, or where the next start needs it, what was replayed is brought into the files. `say` is told what
        is being done.
        """
        ...

    def scratch_engine(self, log_bytes: int) -> ScratchEngine:
        """An engine to look at what it finds here, with room for `log_bytes` bytes of log to replay."""
        ...

    def roller(self, say: Callable[[str], None]) -> Roller:
        """What rolls the directory forward; `say` is told how far that is."""
        ...

    def refuse_opened(self) -> None:
        """Raise OpenedError if an engine was ever started here."""
        ...

    def kept_closed(self) -> AbstractContextManager[None]:
        """Keep engines out meanwhile. Entering it raises OpenedError if one is in there, or ever was."""
        ...


class LogCopy(Protocol):
    """A copy of an engine's log as its files have it, read by no `LogReader`: to compare an archive with."""

    def keep_up(self) -> None:
        """Keep the log that has come since; to be called before the engine recycles it."""
        ...

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The log from LSN `start` to LSN `end`, in parts. Raises OSError where it was not kept."""
        ...


class EngineKind(Protocol):
    """A kind of engine. It has no state: any thread may call its methods, of which those that do I/O block.

    `directory` is always an engine's directory. Where a keeper has come to an engine, the files `source_id` and
    `account` of `OwnFiles` are there: the engine's id, and the password of the service's account on it.
    """

    @property
    def name(self) -> str:
        """The name in the catalog, in messages, in stored objects, and before `://` in a tenant's SOURCE."""
        ...

    @property
    def account_name(self) -> str:
        """The user as which the service logs in to engines of this kind."""
        ...

    @property
    def cutter(self) -> LogCutter:
        """What finds places in the log of such engines."""
        ...

    def engine(self, directory: Path) -> Engine:
        """The engine there, as the owner of a log; whether its process runs is another's concern."""
        ...

    def base_source(self, directory: Path) -> BaseSource:
        """The engine there, as the source of a base."""
        ...

    def catalog(self, directory: Path, scn: int) -> Iterator[tuple[str, Rows]]:
        """The running engine's system tables as of an SCN, see `ScratchEngine.catalog`. Raises OSError."""
        ...

    def layer(self, directory: Path, start_lsn: int) -> LogLayer:
        """Lays log into a directory, from `start_lsn` on: nothing before that stays."""
        ...

    def log_copy(self, directory: Path, folder: Path) -> LogCopy:
        """Keeps a copy of the log of the engine there in a folder, which is on the same disk."""
        ...

    def restored(self, directory: Path) -> RestoredDirectory:
        """A directory into which log of such an engine was laid, or will be."""
        ...

    def embedded(
        self, directory: Path, sizes: EngineSizes, *, may_be_new: bool = False, is_exposed: bool = False
    ) -> Keeper:
        """Keeps an engine of the service's own, with these sizes. `is_exposed`: see `application`."""
        ...

    def application(self, directory: Path, *, is_exposed: bool = False) -> ApplicationKeeper:
        """Waits for an engine that an application runs.

        `is_exposed`: the gateway is reached from other machines, so that an engine whose root has no password must be
        out of reach.
        """
        ...

    def check_source(self, directory: Path, home: Path) -> None:
        """Whether log of an application's engine can be read and held there, beside the service's own directory.

        Leaves nothing behind. Raises SourceError.
        """
        ...

    def has_engine(self, directory: Path) -> bool:
        """Whether such an engine has made itself in a directory."""
        ...

    def socket(self, directory: Path) -> Path:
        """The unix socket on which the engine speaks the MySQL protocol: where the gateway connects."""
        ...

    def connect(self, directory: Path) -> Connection[Any]:
        """A connection to the engine with the service's account, autocommit on, in UTC.

        Raises pymysql.err.Error or OSError.
        """
        ...


def parse_source(text: str) -> tuple[str, Path]:
    """The kind's name and the directory of `kind:///absolute/path`. Raises SourceError."""
    match = _SOURCE.match(text)
    if match is None:
        raise SourceError(f"{text!r} is no source; {_EXAMPLE}")
    path = Path(match["path"])
    if not path.is_absolute() or "\0" in text:
        raise SourceError(f"{text!r} has no absolute path; {_EXAMPLE}")
    return match["kind"].lower(), path


def real_directory(path: Path) -> Path:
    """An absolute path without links and dots: nobody registers a directory twice. Raises SourceError."""
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise SourceError(f"{path} cannot be used: {error}") from error
