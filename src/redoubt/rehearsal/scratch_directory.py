"""Private directories for drills, made in a folder and removed when the drill ends.

A killed drill leaves its directory. The next drill in the same folder finds the directory's lock free, and removes the
directory. The engine in the directory ended by itself with the drill's process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redoubt.errors import RedoubtError
from redoubt.restore.planning import Plan

_PREFIX = "redoubt-drill-"
_KEPT = "redoubt-kept-"
_LOCK = "lock"
_DATA = "d"
_ENGINE_ROOM = 512 * 1024 * 1024
"""Extra bytes that an engine needs: its own log, in blocks of 64 MiB, and flushed memory."""


class NoScratchError(RedoubtError):
    """No scratch directory is available; the text says why and what to do."""


@contextmanager
def scratch_directory(folder: Path | None, *, keep: bool) -> Iterator[Path]:
    """An empty directory in a folder (None: the system's temporary folder), removed on leaving unless `keep`.

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
    """Rename a drill's directory so that no later drill removes it; returns the new path."""
    kept = data.parent.with_name(data.parent.name.replace(_PREFIX, _KEPT, 1))
    data.parent.rename(kept)
    (kept / _LOCK).unlink()
    return kept / data.name


def sweep(folder: Path) -> None:
    """Remove the directories of killed drills in a folder. Directories of other users stay."""
    for path in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # just taken by another drill, or of another user
            if path.is_symlink() or path.stat().st_uid != os.geteuid():
                continue
            with suppress(OSError):
                path.rmdir()  # the drill was killed just after it began
                continue
            lock = _locked(path / _LOCK)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def room_for(plan: Plan) -> int:
    """The bytes that a restore and an engine started on it need on the disk."""
    return plan.base_bytes + plan.log_bytes + _ENGINE_ROOM


def check_room(directory: Path, needed: int) -> None:
    """Raise NoScratchError if the disk has less than `needed` bytes free."""
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
        with suppress(FileNotFoundError, BlockingIOError):  # another drill has removed it as a leftover
            lock = _locked(path / _LOCK)
            try:
                (path / _DATA).mkdir(mode=0o700)
            except OSError:
                os.close(lock)
                raise
            return path, lock


def _locked(path: Path) -> int:
    """Lock a file; returns the descriptor. Raises BlockingIOError if another process holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor
