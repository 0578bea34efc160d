"""Where things are in a seekdb base directory, the engine's own and ours beside them."""

from __future__ import annotations

from pathlib import Path

from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE
from redoubt.model.own_files import OwnFiles

MAX_SOCKET_PATH = 107
"""Bytes that the path of a unix socket may have on Linux."""


class BaseDir(OwnFiles):
    """A seekdb base directory. Nothing of ours may lie in the engine's `log` folder: it refuses to start then."""

    @property
    def socket(self) -> Path:
        """The engine's unix socket (MySQL protocol)."""
        return self.path / "run" / "sql.sock"

    @property
    def clients(self) -> Path:
        """The lock file whose shared holders keep the engine alive."""
        return self.path / "run" / "seekdb.clients"

    @property
    def pid(self) -> Path:
        """The engine's own pid file."""
        return self.path / "run" / "seekdb.pid"

    @property
    def log(self) -> Path:
        """The folder of redo blocks."""
        return self.path / "store" / "redo" / "sys" / "log_stream" / "log"

    @property
    def own_log(self) -> Path:
        """What the engine logs of its work, for people."""
        return self.path / "log" / "seekdb.log"

    @property
    def held(self) -> Path:
        """The folder of hard links to held blocks; that it exists means that log is being held."""
        return self.ours / "held"

    @property
    def read_only_before(self) -> Path:
        """The file that says that writes are closed by us, with the engine's `read_only` as it was before."""
        return self.ours / "read_only_before"

    @property
    def pausing(self) -> Path:
        """The mark that the engine's process is, or was left, stopped by us."""
        return self.ours / "pausing"

    @property
    def replayed(self) -> Path:
        """The mark that the engine's files hold all log that a restore has laid."""
        return self.ours / "replayed"

    @property
    def settled(self) -> Path:
        """The mark that no transaction is open any more that was open where a restore ended."""
        return self.ours / "settled"

    @property
    def parameters_before(self) -> Path:
        """The engine's parameters as they were before we changed its role; there until they are put back."""
        return self.ours / "parameters_before"

    @property
    def output(self) -> Path:
        """What the engine's process prints."""
        return self.ours / "engine.out"


def block_of(lsn: int) -> int:
    """The number of the block that holds the log at `lsn`."""
    return lsn // BLOCK_LOG_SIZE


def block_ids(folder: Path) -> list[int]:
    """The numbers of the block files in a folder, in order; none if there is no such folder."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(name) for name in names if name.isdecimal())
