"""Directories for a drill: made in a folder, ours alone, and gone when the drill is, however that ends.

A drill that was killed leaves its directory; the next one in the same folder finds that nobody holds its lock any more,
and removes it. The engine in it ended by itself when the drill's process did.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redoubt.restore.planning import Plan

_PREFIX = "redoubt-drill-"
_KEPT = "redoubt-kept-"
_LOCK = "lock"
_DATA = "d"
_ENGINE_ROOM = 512 * 1024 * 1024
"""What an engine needs beside what it is given: log of its own, in blocks of 64 MiB, and memory that it flushes."""


class NoScratchError(Exception):
    """There is no place for a drill; the text says why and what to do."""


@contextmanager
def scratch_directory(folder: Path | None, *, keep: bool) -> Iterator[Path]:
    """An empty directory in a folder (that for temporary files if None), removed on leaving unless `keep`.

    Raises NoScratchError.
    """
    home = Path(tempfile.gettempdir()) if folder is None else folder
    try:
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep(home)
        path, lock = _make(home.resolve())
    except OSError as error:
        raise NoScratchError(f"cannot use {home}: {error.strerror}; name another folder with --scratch") from error
    try:
        yield path / _DATA
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def keep_directory(data: Path) -> Path:
    """Where what a drill has left stays for good: no later drill removes it."""
    kept = data.parent.with_name(data.parent.name.replace(_PREFIX, _KEPT, 1))
    data.parent.rename(kept)
    (kept / _LOCK).unlink()
    return kept / data.name


def sweep(folder: Path) -> None:
    """Remove what drills left in a folder that were killed. What is another user's stays."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another drill's, in this instant, or another user's
            if path.is_symlink() or path.stat().st_uid != os.geteuid():
                continue
            with suppress(OSError):
                path.rmdir()  # killed when it had only just begun
                continue
            lock = _locked(path / _LOCK)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def room_for(plan: Plan) -> int:
    """The bytes that a restore needs on the disk, and an engine that is started on it."""
    return plan.base_bytes + plan.log_bytes + _ENGINE_ROOM


def check_room(directory: Path, needed: int) -> None:
    """Raise NoScratchError if so many bytes are not free there."""
    free = shutil.disk_usage(directory.parent).free
    if free < needed:
        raise NoScratchError(
            f"the disk of {directory.parent} must have {needed} bytes free, but has {free}; "
            "name a folder on another disk with --scratch"
        )


def _make(home: Path) -> tuple[Path, int]:
    """A new directory and the descriptor that holds its lock."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=home))
        with suppress(FileNotFoundError, BlockingIOError):  # another drill has taken it for a leftover
            lock = _locked(path / _LOCK)
            try:
                (path / _DATA).mkdir(mode=0o700)
            except OSError:
                os.close(lock)
                raise
            return path, lock


def _locked(path: Path) -> int:
    """A descriptor that holds the lock of that file. Raises BlockingIOError if another has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor
