"""A seekdb directory as the source of a base: which files make one, and how the engine stands still for it.

Measured: `store/sstable/block_file` is written with O_DIRECT when memory is flushed, once in minutes; `store/slog` and
the log's `meta` are small; the log itself is left out, but for the first 4096 bytes of its blocks, which say what the
block holds. The engine's own log, `run/`, and what is ours are no data.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir, block_of
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE, INFO_SIZE, parse_block_info
from redoubt.engines.seekdb.pausing import EnginePause, pause
from redoubt.model.bases import BaseFile
from redoubt.model.log import LogPosition

_FOLDERS = ("etc", "store")
_FICLONE = 0x40049409
_SETTLING = 10.0
_CLONE = "clone-"


class SeekdbBaseSource:
    """See `BaseSource`."""

    settling = _SETTLING
    """The engine writes asynchronously: a file's time is set when a write begins, and its content a moment later."""

    def __init__(self, engine: SeekdbEngine) -> None:
        self._engine = engine
        self._base = engine.base

    def source_id(self) -> str:
        """See `BaseSource`."""
        return self._engine.source_id()

    def version(self) -> str:
        """See `BaseSource`."""
        return str(self._engine.ask("SELECT @@version")[0])

    def checkpoint(self) -> LogPosition:
        """See `BaseSource`."""
        (lsn,) = self._engine.ask("SELECT checkpoint_lsn FROM oceanbase.__all_virtual_ls_info")
        block = block_of(int(lsn))  # the engine looks at whole blocks
        with (self._base.log / str(block)).open("rb") as file:
            info = parse_block_info(file.read(INFO_SIZE))
        if info is None:
            raise OSError(f"{self._base.log / str(block)}: its first bytes say nothing of the log in it")
        return LogPosition(block * BLOCK_LOG_SIZE, info.min_scn - 1)

    def end_of_log(self) -> LogPosition:
        """See `BaseSource`."""
        lsn, scn = self._engine.ask("SELECT END_LSN, END_SCN FROM oceanbase.V$OB_LOG_STAT")
        return LogPosition(int(lsn), int(scn))

    def files(self) -> list[BaseFile]:
        """See `BaseSource`."""
        return _files(self._base)

    def files_in(self, clone: Path) -> list[BaseFile]:
        """See `BaseSource`."""
        return _files(BaseDir(clone))

    def open(self, path: str) -> int:
        """See `BaseSource`."""
        return os.open(self._base.path / path, os.O_RDONLY)

    def pause(self, limit: float) -> AbstractContextManager[EnginePause]:
        """See `BaseSource`."""
        return pause(self._base, limit)

    @contextlib.contextmanager
    def clone(self) -> Iterator[Path | None]:
        """See `BaseSource`."""
        for leftover in self._base.ours.glob(f"{_CLONE}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        copy = self._base.ours / f"{_CLONE}{uuid.uuid4().hex}"
        try:
            yield copy if _clone(self._base, self.files(), copy) else None
        finally:
            shutil.rmtree(copy, ignore_errors=True)


def _files(base: BaseDir) -> list[BaseFile]:
    found = []
    for folder in _FOLDERS:
        for path, _, names in os.walk(base.path / folder):
            found += [each for name in names if (each := _file(base, Path(path) / name)) is not None]
    return sorted(found, key=lambda each: each.path)


def _file(base: BaseDir, path: Path) -> BaseFile | None:
    try:
        stat = path.stat()
    except FileNotFoundError:  # the engine has just removed it
        return None
    content = min(INFO_SIZE, stat.st_size) if path.parent == base.log else stat.st_size
    name = str(path.relative_to(base.path))
    return BaseFile(name, stat.st_size, content, stat.st_mode & 0o777, stat.st_mtime_ns, stat.st_ino)


def _clone(base: BaseDir, files: list[BaseFile], into: Path) -> bool:
    """Copy the files by sharing their blocks; whether the file system can."""
    for file in files:
        target = into / file.path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (base.path / file.path).open("rb") as source, target.open("wb") as copy:
            try:
                fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
            except OSError:
                return False
    return True
