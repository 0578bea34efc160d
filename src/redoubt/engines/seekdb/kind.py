"""OceanBase seekdb as an engine kind: hands out the objects of the other modules of this package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redoubt.engines.private_network import private_networks_work
from redoubt.engines.seekdb import closed, external
from redoubt.engines.seekdb.account import NAME, connect
from redoubt.engines.seekdb.base_source import SeekdbBaseSource
from redoubt.engines.seekdb.catalog_tables import read_catalog
from redoubt.engines.seekdb.confinement import what_confines
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import MAX_SOCKET_PATH, BaseDir
from redoubt.engines.seekdb.first_start import start_once
from redoubt.engines.seekdb.holding import LogHolder
from redoubt.engines.seekdb.keeping import EmbeddedKeeper, ExternalKeeper
from redoubt.engines.seekdb.log_copy import SeekdbLogCopy
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter, SeekdbLogLayer
from redoubt.engines.seekdb.log_source.answering import Answers
from redoubt.engines.seekdb.log_source.server import LogServer
from redoubt.engines.seekdb.replaying import laid_bytes, size_of, sizes_for
from redoubt.engines.seekdb.rolling import SeekdbRoller
from redoubt.engines.seekdb.scratch_seekdb import ScratchSeekdb
from redoubt.engines.seekdb.standby_instance import StandbySeekdb
from redoubt.model.engine_kind import SEEKDB, EngineKind, FirstStart
from redoubt.model.keeping import EngineSizes
from redoubt.model.scratch_engine import Login, Roller, Rows, ScratchEngine
from redoubt.model.standby import LogFeed

if TYPE_CHECKING:
    from pymysql.connections import Connection


class RestoredSeekdb:
    """See `RestoredDirectory`."""

    def __init__(self, base: BaseDir) -> None:
        self._base = base

    def warnings(self, log_bytes: int) -> list[str]:
        """See `RestoredDirectory`."""
        warnings, needed, socket = [], sizes_for(log_bytes), self._base.socket
        if size_of(needed.memory_budget) > size_of(EngineSizes().memory_budget):
            warnings.append(
                f"the first start needs memory_budget={needed.memory_budget} to replay this much log; take data "
                "backups more often to need less"
            )
        if len(os.fsencode(socket)) > MAX_SOCKET_PATH:
            warnings.append(
                f"an engine cannot start there: the path of the unix socket {socket} is longer than {MAX_SOCKET_PATH} "
                "bytes; name a shorter directory, or move the directory afterwards"
            )
        return warnings

    def how_to_open(self) -> str:
        """See `RestoredDirectory`."""
        return f"pylibseekdb.open({str(self._base.path)!r})"

    def first_start(self, login: Login, say: Callable[[str], None], *, flush: bool) -> FirstStart:
        """See `RestoredDirectory`."""
        return start_once(self._base, login, say, flush=flush)

    def scratch_engine(self, log_bytes: int) -> ScratchEngine:
        """See `RestoredDirectory`."""
        return ScratchSeekdb(self._base, sizes_for(log_bytes))

    def roller(self, say: Callable[[str], None]) -> Roller:
        """See `RestoredDirectory`."""
        return SeekdbRoller(self._base, say)

    def refuse_opened(self) -> None:
        """See `RestoredDirectory`."""
        closed.refuse_opened(self._base)

    def kept_closed(self) -> AbstractContextManager[None]:
        """See `RestoredDirectory`."""
        return closed.kept_closed(self._base)


class SeekdbKind:
    """See `EngineKind`."""

    name = SEEKDB
    account_name = NAME

    @property
    def confinement(self) -> str:
        """See `EngineKind`."""
        return what_confines()

    cutter = SeekdbLogCutter()

    def engine(self, directory: Path) -> SeekdbEngine:
        """See `EngineKind`."""
        return SeekdbEngine(BaseDir(directory))

    def keep_up(self, directory: Path) -> None:
        """See `EngineKind`."""
        LogHolder(BaseDir(directory)).keep_up()

    def base_source(self, directory: Path) -> SeekdbBaseSource:
        """See `EngineKind`."""
        return SeekdbBaseSource(self.engine(directory))

    def catalog(self, directory: Path, scn: int) -> Iterator[tuple[str, Rows]]:
        """See `EngineKind`."""
        engine = self.engine(directory)
        try:
            yield from read_catalog(engine.run, scn)
        finally:
            engine.close()

    def layer(self, directory: Path, start_lsn: int) -> SeekdbLogLayer:
        """See `EngineKind`."""
        return SeekdbLogLayer(BaseDir(directory), start_lsn)

    def log_copy(self, directory: Path, folder: Path) -> SeekdbLogCopy:
        """See `EngineKind`."""
        return SeekdbLogCopy(BaseDir(directory), folder)

    def restored(self, directory: Path) -> RestoredSeekdb:
        """See `EngineKind`."""
        return RestoredSeekdb(BaseDir(directory))

    def embedded(
        self, directory: Path, sizes: EngineSizes, *, may_be_new: bool = False, is_exposed: bool = False
    ) -> EmbeddedKeeper:
        """See `EngineKind`."""
        return EmbeddedKeeper(BaseDir(directory), sizes, may_be_new=may_be_new, is_exposed=is_exposed)

    def application(self, directory: Path, *, is_exposed: bool = False) -> ExternalKeeper:
        """See `EngineKind`."""
        return ExternalKeeper(BaseDir(directory), is_exposed=is_exposed)

    def check_source(self, directory: Path, home: Path) -> None:
        """See `EngineKind`."""
        external.check(BaseDir(directory), home)

    def why_no_standby(self) -> str:
        """See `EngineKind`."""
        return private_networks_work()

    def standby(self, directory: Path, memory_budget: str) -> StandbySeekdb:
        """See `EngineKind`."""
        base = BaseDir(directory)
        return StandbySeekdb(base, EngineSizes(memory_budget, sizes_for(laid_bytes(base)).log_disk_size))

    def log_source(self, feed: LogFeed, refused: Callable[[str], None]) -> LogServer:
        """See `EngineKind`."""
        return LogServer(Answers(feed), refused)

    def has_engine(self, directory: Path) -> bool:
        """See `EngineKind`."""
        return BaseDir(directory).log.is_dir()

    def socket(self, directory: Path) -> Path:
        """See `EngineKind`."""
        return BaseDir(directory).socket

    def connect(self, directory: Path) -> Connection[Any]:
        """See `EngineKind`."""
        return connect(BaseDir(directory))


SEEKDB_KIND: EngineKind = SeekdbKind()
