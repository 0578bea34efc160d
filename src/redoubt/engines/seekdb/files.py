"""The paths in a seekdb base directory: the engine's files, and Redoubt's own files beside them."""

from __future__ import annotations

from pathlib import Path

from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE
from redoubt.model.own_files import OwnFiles

MAX_SOCKET_PATH = 107
"""Limit of the length of a unix socket's path on Linux, in bytes."""


class BaseDir(OwnFiles):
    """A seekdb base directory. With a foreign file in its `log` folder, an engine refuses to start."""

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
        """The engine's diagnostic log, for people."""
        return self.path / "log" / "seekdb.log"

    @property
    def held(self) -> Path:
        """The folder of hard links to held blocks; log is held while this folder exists."""
        return self.ours / "held"

    @property
    def read_only_before(self) -> Path:
        """The mark that Redoubt has closed writes; the file holds the engine's old value of `read_only`."""
        return self.ours / "read_only_before"

    @property
    def pausing(self) -> Path:
        """The mark that Redoubt has paused the engine's process, or has left it paused."""
        return self.ours / "pausing"

    @property
    def replayed(self) -> Path:
        """The mark that the engine has flushed all log that a restore has laid into its files."""
        return self.ours / "replayed"

    @property
    def settled(self) -> Path:
        """The mark that all transactions which were open at the end of a restore were rolled back."""
        return self.ours / "settled"

    @property
    def parameters_before(self) -> Path:
        """The engine's parameters before a change of its role; exists until the parameters are put back."""
        return self.ours / "parameters_before"

    @property
    def output(self) -> Path:
        """The output of the engine's process."""
        return self.ours / "engine.out"


def block_of(lsn: int) -> int:
    """The number of the block that holds the log at `lsn`."""
    return lsn // BLOCK_LOG_SIZE


def block_ids(folder: Path) -> list[int]:
    """The numbers of the block files in a folder, in order; empty if the folder does not exist."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(name) for name in names if name.isdecimal())
