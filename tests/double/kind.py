"""The double as an engine kind: its log is written as seekdb's is, so seekdb's reader, cutter and layer do for it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from redoubt.durable import kept_line
from redoubt.engines.seekdb.files import BaseDir, block_ids
from redoubt.engines.seekdb.holding import LogHolder
from redoubt.engines.seekdb.log_copy import SeekdbLogCopy
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter, SeekdbLogLayer
from redoubt.engines.seekdb.log_source.answering import Answers
from redoubt.engines.seekdb.log_source.server import LogServer
from redoubt.engines.seekdb.standby_instance import StandbySeekdb
from redoubt.engines.seekdb.still_source import StillSource
from redoubt.model.engine_kind import EngineKind, FirstStart, SourceError
from redoubt.model.keeping import EngineSizes, EngineStartError, KeptEngine
from redoubt.model.scratch_engine import Login, NotRolledError, Roller, Rows, ScratchEngine, ScratchError
from redoubt.model.standby import LogFeed, NoPrivateNetworkError

from .engine import DoubleEngine, end_of

_PAUSE = 0.1


class DoubleKeeper:
    """See `ApplicationKeeper`. One in the service's home is within reach when it has log."""

    def __init__(self, directory: Path, is_there: Callable[[], object]) -> None:
        self.directory = directory
        self.engine = DoubleEngine(directory)
        self.trouble = "the engine has not been started yet"
        self.was_tried = asyncio.Event()
        self.is_open_door = False
        self.may_be_new = False
        self.reached: Callable[[KeptEngine], None] = lambda _: None
        self._is_there = is_there

    async def start(self) -> None:
        """See `Keeper`."""
        try:
            self._is_there()
            BaseDir(self.directory).ours.mkdir(mode=0o700, exist_ok=True)
            self.engine.source_id()
            kept_line(BaseDir(self.directory).account, lambda: "secret")
            await asyncio.to_thread(self.reached, self.engine)
        except OSError as error:
            self.trouble = str(error)
            raise EngineStartError(str(error)) from error
        finally:
            self.was_tried.set()
        self.trouble = ""

    async def keep(self) -> None:
        """See `Keeper`."""
        while True:
            try:
                await self.start()
            except EngineStartError:
                self.was_tried.set()
            await asyncio.sleep(_PAUSE)

    async def stop(self) -> None:
        """See `Keeper`."""

    async def kill(self) -> None:
        """See `Keeper`."""

    async def leave(self, *, force: bool) -> str:
        """See `ApplicationKeeper`."""
        await asyncio.to_thread(shutil.rmtree, self.directory / "redoubt")
        return ""


class RestoredDouble:
    """See `RestoredDirectory`. There is nothing to start."""

    def warnings(self, log_bytes: int) -> list[str]:
        """See `RestoredDirectory`."""
        return [f"no engine replays these {log_bytes} bytes of log"]

    def how_to_open(self) -> str:
        """See `RestoredDirectory`."""
        return "open_double()"

    def first_start(self, login: Login, say: Callable[[str], None], *, flush: bool) -> FirstStart:
        """See `RestoredDirectory`."""
        return FirstStart(is_open=True, rolled_back=0)

    def scratch_engine(self, log_bytes: int) -> ScratchEngine:
        """See `RestoredDirectory`."""
        raise ScratchError("a double has no engine to be started")

    def roller(self, say: Callable[[str], None]) -> Roller:
        """See `RestoredDirectory`."""
        raise NotRolledError("a double has no engine to be rolled")

    def refuse_opened(self) -> None:
        """See `RestoredDirectory`."""

    def kept_closed(self) -> AbstractContextManager[None]:
        """See `RestoredDirectory`."""
        return nullcontext()


class DoubleKind:
    """See `EngineKind`."""

    name = "double"
    account_name = "nobody"
    confinement = ""
    cutter = SeekdbLogCutter()

    def engine(self, directory: Path) -> DoubleEngine:
        """See `EngineKind`."""
        return DoubleEngine(directory)

    def keep_up(self, directory: Path) -> None:
        """See `EngineKind`."""
        LogHolder(BaseDir(directory)).keep_up()

    def base_source(self, directory: Path) -> StillSource:
        """See `EngineKind`. Its files never change."""
        source = DoubleEngine(directory).source_id()
        return StillSource(BaseDir(directory), source, "double 1.0", 0, end_of(directory))

    def catalog(self, directory: Path, scn: int) -> Iterator[tuple[str, Rows]]:
        """See `EngineKind`."""
        yield "nothing", ()

    def layer(self, directory: Path, start_lsn: int) -> SeekdbLogLayer:
        """See `EngineKind`."""
        return SeekdbLogLayer(BaseDir(directory), start_lsn)

    def log_copy(self, directory: Path, folder: Path) -> SeekdbLogCopy:
        """See `EngineKind`."""
        return SeekdbLogCopy(BaseDir(directory), folder)

    def restored(self, directory: Path) -> RestoredDouble:
        """See `EngineKind`."""
        return RestoredDouble()

    def embedded(
        self, directory: Path, sizes: EngineSizes, *, may_be_new: bool = False, is_exposed: bool = False
    ) -> DoubleKeeper:
        """See `EngineKind`."""
        return DoubleKeeper(directory, BaseDir(directory).log.stat)

    def application(self, directory: Path, *, is_exposed: bool = False) -> DoubleKeeper:
        """See `EngineKind`."""
        return DoubleKeeper(directory, lambda: end_of(directory))

    def check_source(self, directory: Path, home: Path) -> None:
        """See `EngineKind`."""
        if not block_ids(BaseDir(directory).log):
            raise SourceError(f"{directory} is no double's directory")

    def why_no_standby(self) -> str:
        """See `EngineKind`."""
        return "a double follows no log"

    def standby(self, directory: Path, memory_budget: str) -> StandbySeekdb:
        """See `EngineKind`. A double follows no log."""
        raise NoPrivateNetworkError(f"the double in {directory} follows no log")

    def log_source(self, feed: LogFeed, refused: Callable[[str], None]) -> LogServer:
        """See `EngineKind`. Its log is seekdb's."""
        return LogServer(Answers(feed), refused)

    def has_engine(self, directory: Path) -> bool:
        """See `EngineKind`."""
        return BaseDir(directory).log.is_dir()

    def socket(self, directory: Path) -> Path:
        """See `EngineKind`. Nobody listens there."""
        return directory / "socket"

    def connect(self, directory: Path) -> Connection[Any]:
        """See `EngineKind`."""
        raise pymysql.err.OperationalError(2003, f"nobody answers in {directory}")


DOUBLE: EngineKind = DoubleKind()
