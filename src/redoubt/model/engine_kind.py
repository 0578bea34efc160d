"""The seam to a kind of engine: everything that the rest of Redoubt needs to know about the kind.

The service, its worker, its jobs and the command line use `EngineKind`. Only the command line uses
`RestoredDirectory`, for a directory that was restored.
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
from redoubt.model.standby import LogFeed, LogSource, StandbyEngine

if TYPE_CHECKING:
    from pymysql.connections import Connection

SEEKDB = "seekdb"
"""The kind of sys and main, and of all objects that were stored before objects named their kind."""
_SOURCE = re.compile(r"(?P<kind>[a-z][a-z0-9_]*)://(?P<path>.*)\Z", re.IGNORECASE | re.DOTALL)
_EXAMPLE = "write SOURCE='seekdb:///absolute/path'"


class UnknownEngineKindError(RedoubtError):
    """No engine kind of that name is installed; the text names the installed kinds and says what to do."""


class SourceError(RedoubtError):
    """A directory cannot be a tenant's; the text says why and what to do."""


@dataclass(frozen=True)
class FirstStart:
    """The result of the first start of an engine after a restore.

    `is_open`: the engine opened the directory. `rolled_back`: the number of transactions that were open at the end of
    the log and were rolled back, None if unknown. `trouble`: what the user still has to do, and how; empty if nothing.
    `remark`: a note for the user that is not a failure.
    """

    is_open: bool
    rolled_back: int | None = None
    trouble: str = ""
    remark: str = ""


class RestoredDirectory(Protocol):
    """A directory with a base and the log laid over the base, as the command line uses it. Methods block."""

    def warnings(self, log_bytes: int) -> list[str]:
        """Warnings about an engine in this directory that has to replay `log_bytes` bytes of log."""
        ...

    def how_to_open(self) -> str:
        """The call with which an application opens the directory, as text for the user."""
        ...

    def first_start(self, login: Login, say: Callable[[str], None], *, flush: bool) -> FirstStart:
        """Start an engine, replay the log, roll back the transactions that are open at its end, and stop the engine.

        With `flush`, or if the next start needs a flush, the engine writes the replayed data into its files. `say`
        receives a line of text for each step.
        """
        ...

    def scratch_engine(self, log_bytes: int) -> ScratchEngine:
        """An engine that inspects this directory, with room to replay `log_bytes` bytes of log."""
        ...

    def roller(self, say: Callable[[str], None]) -> Roller:
        """The roller that rolls the directory forward; `say` receives the progress as text."""
        ...

    def refuse_opened(self) -> None:
        """Raise OpenedError if an engine was ever started here."""
        ...

    def kept_closed(self) -> AbstractContextManager[None]:
        """Keep engines out while the context is open.

        Entering raises OpenedError if an engine runs in the directory, or was ever started there.
        """
        ...


class LogCopy(Protocol):
    """A copy of an engine's log files, made without a `LogReader`: an archive is compared with the copy."""

    def keep_up(self) -> None:
        """Keep the log written since the last call. Call this before the engine recycles that log."""
        ...

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The log from LSN `start` to LSN `end`, in parts. Raises OSError if that log was not kept."""
        ...


class EngineKind(Protocol):
    """A kind of engine. A kind has no state: any thread may call its methods. Methods that do I/O block.

    `directory` is always an engine's directory. Once a keeper has reached the engine, the directory contains the files
    `source_id` and `account` of `OwnFiles`: the engine's id, and the password of the service's account on the engine.
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
    def confinement(self) -> str:
        """What keeps the engines of `embedded` from all files but their own, such as `Landlock`; empty if nothing."""
        ...

    @property
    def cutter(self) -> LogCutter:
        """The cutter for the log of such engines."""
        ...

    def engine(self, directory: Path) -> Engine:
        """The engine there, as the owner of a log. The engine's process need not run."""
        ...

    def keep_up(self, directory: Path) -> None:
        """Hold the log written since the last call, if the engine's log is held; cheap without new log.

        Raises OSError.
        """
        ...

    def base_source(self, directory: Path) -> BaseSource:
        """The engine there, as the source of a base."""
        ...

    def catalog(self, directory: Path, scn: int) -> Iterator[tuple[str, Rows]]:
        """The running engine's system tables as of an SCN, see `ScratchEngine.catalog`. Raises OSError."""
        ...

    def layer(self, directory: Path, start_lsn: int) -> LogLayer:
        """Lays log into a directory, from `start_lsn` on; older blocks of log are removed."""
        ...

    def log_copy(self, directory: Path, folder: Path) -> LogCopy:
        """Keeps a copy of the engine's log in a folder on the same file system."""
        ...

    def restored(self, directory: Path) -> RestoredDirectory:
        """A directory into which log of such an engine was laid, or will be laid."""
        ...

    def embedded(
        self, directory: Path, sizes: EngineSizes, *, may_be_new: bool = False, is_exposed: bool = False
    ) -> Keeper:
        """Keeps one of the service's own engines, with these sizes. `is_exposed`: see `application`."""
        ...

    def application(self, directory: Path, *, is_exposed: bool = False) -> ApplicationKeeper:
        """Waits for an engine that an application runs.

        `is_exposed`: the gateway can be reached from other machines, so the keeper refuses an engine whose root has no
        password.
        """
        ...

    def check_source(self, directory: Path, home: Path) -> None:
        """Check that the log of an application's engine in `directory` can be read and held there.

        `directory` must not overlap with `home`, the service's own. Leaves nothing behind. Raises SourceError.
        """
        ...

    def why_no_standby(self) -> str:
        """Why no engine can follow log on this machine, such as no network of its own; empty if engines can."""
        ...

    def standby(self, directory: Path, memory_budget: str) -> StandbyEngine:
        """An engine that follows log in a directory that was restored; `memory_budget` as in `EngineSizes`."""
        ...

    def log_source(self, feed: LogFeed, refused: Callable[[str], None]) -> LogSource:
        """Serves a feed's log to engines of this kind. `refused` is told which request got no log, and why."""
        ...

    def has_engine(self, directory: Path) -> bool:
        """Whether such an engine has initialized the directory."""
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
        raise SourceError(f"SOURCE {text!r} is not valid; {_EXAMPLE}")
    path = Path(match["path"])
    if not path.is_absolute() or "\0" in text:
        raise SourceError(f"SOURCE {text!r} needs an absolute path without zero bytes; {_EXAMPLE}")
    return match["kind"].lower(), path


def real_directory(path: Path) -> Path:
    """The absolute path without symbolic links and dots: no directory is registered twice. Raises SourceError."""
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise SourceError(f"cannot use the directory {path}: {error}") from error
