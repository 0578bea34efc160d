"""A seekdb directory as the source of a base: the files of a base, and the pause of the engine.

Measured: `store/sstable/block_file` is written asynchronously with O_DIRECT when memory is flushed, once in minutes;
`store/slog` and the log's `meta` are small and written synchronously; `meta.db` is a SQLite file with its own log
beside it; no file is mapped into memory. A base leaves the redo log out, except the block headers, the first 4096 bytes
of each block. A base also leaves out the engine's diagnostic log, `run/`, and Redoubt's own files.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir, block_of
from redoubt.engines.seekdb.log_layer import last_scn
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE, INFO_SIZE, BadLogError, parse_block_info
from redoubt.engines.seekdb.pausing import EnginePause, pause
from redoubt.model.bases import BASE_FOLDERS, BaseFile
from redoubt.model.log import LogPosition

_FICLONE = 0x40049409
_SETTLING = 10.0
_CLONE = "clone-"


class SeekdbBaseSource:
    """See `BaseSource`."""

    settling = _SETTLING
    """The engine writes asynchronously: a file's time changes when a write begins, its content a moment later."""

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
        block = block_of(int(lsn))  # the engine reads whole blocks
        return block_start(self._base, block)

    def end_of_log(self) -> LogPosition:
        """See `BaseSource`. The engine's END_SCN may belong to a place a little before its END_LSN (measured)."""
        (lsn,) = self._engine.ask("SELECT END_LSN FROM oceanbase.V$OB_LOG_STAT")
        block = block_of(int(lsn) - 1)
        with (self._base.log / str(block)).open("rb", buffering=0) as file:
            log = os.pread(file.fileno(), int(lsn) - block * BLOCK_LOG_SIZE, INFO_SIZE)
        try:
            return LogPosition(int(lsn), last_scn(log))
        except BadLogError as error:
            raise OSError(f"{self._base.log / str(block)} is damaged: {error}") from error

    def files(self) -> list[BaseFile]:
        """See `BaseSource`."""
        return files_of(self._base)

    def files_in(self, clone: Path) -> list[BaseFile]:
        """See `BaseSource`."""
        return files_of(BaseDir(clone))

    def open(self, file: BaseFile) -> int:
        """See `BaseSource`.

        Reads come from the disk: if the engine writes a page with O_DIRECT during a read, the page cache may keep the
        old page.
        """
        descriptor = os.open(self._base.path / file.path, os.O_RDONLY)
        if os.fstat(descriptor).st_ino != file.node:
            os.close(descriptor)
            raise FileNotFoundError(f"{file.path} was replaced by another file")
        os.posix_fadvise(descriptor, 0, file.content, os.POSIX_FADV_DONTNEED)
        return descriptor

    def pause(self, limit: float) -> AbstractContextManager[EnginePause]:
        """See `BaseSource`."""
        return pause(self._base, limit)

    @contextlib.contextmanager
    def clone(self) -> Iterator[Path | None]:
        """See `BaseSource`. Removes clones that an earlier process left behind."""
        _sweep(self._base)
        copy = self._base.ours / f"{_CLONE}{uuid.uuid4().hex}"
        copy.mkdir(mode=0o700)
        lock = os.open(copy, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield copy if _clone(self._base, self.files(), copy) else None
        finally:
            shutil.rmtree(copy, ignore_errors=True)
            os.close(lock)


def block_start(base: BaseDir, block: int) -> LogPosition:
    """The position at which a block of the log begins, from the block header. Raises OSError."""
    with (base.log / str(block)).open("rb") as file:
        try:
            info = parse_block_info(file.read(INFO_SIZE))
        except BadLogError as error:
            raise OSError(f"{base.log / str(block)}: {error}") from error
    if info is None:
        raise OSError(f"{base.log / str(block)}: its block header is blank")
    return LogPosition(block * BLOCK_LOG_SIZE, info.min_scn - 1)


def _sweep(base: BaseDir) -> None:
    """Remove the clones that no process holds: the processes that made them were killed."""
    for leftover in base.ours.glob(f"{_CLONE}*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):  # another process has removed it, or uses it
            lock = os.open(leftover, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(leftover, ignore_errors=True)
            finally:
                os.close(lock)


def files_of(base: BaseDir) -> list[BaseFile]:
    """The files of a base, see `BaseSource.files`."""
    found = []
    for folder in sorted(BASE_FOLDERS):
        for path, folders, names in os.walk(base.path / folder, onerror=_unless_gone):
            found += [each for name in names if (each := _file(base, Path(path) / name)) is not None]
            for name in folders:
                _refuse_link(Path(path) / name)
    return sorted(found, key=lambda each: each.path)


def _unless_gone(error: OSError) -> None:
    """Accept a folder that was just removed; a folder that cannot be read must not be left out silently."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _file(base: BaseDir, path: Path) -> BaseFile | None:
    _refuse_link(path)
    try:
        is_now = path.stat()
    except FileNotFoundError:  # the engine has just removed it
        return None
    if not stat.S_ISREG(is_now.st_mode):
        return None
    content = min(INFO_SIZE, is_now.st_size) if path.parent == base.log else is_now.st_size
    name = str(path.relative_to(base.path))
    # ctime changes with mtime and with renames, and cannot be set
    return BaseFile(name, is_now.st_size, content, is_now.st_mode & 0o777, is_now.st_ctime_ns, is_now.st_ino)


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise OSError(errno.ENOTSUP, "a data backup follows no links; replace the link by its target", str(path))


def _clone(base: BaseDir, files: list[BaseFile], into: Path) -> bool:
    """Copy the files by sharing their blocks; whether the file system supports that and has enough room."""
    for file in files:
        target = into / file.path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with (base.path / file.path).open("rb") as source, target.open("wb") as copy:
                fcntl.ioctl(copy.fileno(), _FICLONE, source.fileno())
        except FileNotFoundError:  # removed while the engine runs; in a pause no file is removed
            target.unlink(missing_ok=True)
            continue
        except OSError:
            return False
        target.chmod(file.mode)
    return True
