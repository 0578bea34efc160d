"""A lock in a directory: `flock` on a hidden file. The kernel releases the lock when its holder ends for any reason.

The file is never removed: otherwise two processes could hold locks of one name, on two files. On NFS the server keeps
the lock, so the lock works between machines.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

from redoubt.model.seams import DestinationError, LockedError

LOCK_PREFIX = ".lock-"
"""Prefix of the name of a lock's file; such a file is not an object."""
_LOCK_MODE = 0o640
_LONGEST_HOLDER = 1000
_WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})


class FileLock:
    """A lock that is held from `take` or `share` to `release`.

    The open file is the lock: a forked process shares the lock.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor: int | None = descriptor
        self._path = path

    @classmethod
    def take(cls, path: Path, holder: str) -> FileLock:
        """Lock the file `path`, create it if needed, and write `holder` into it. Raises LockedError, OSError."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, _LOCK_MODE)
        try:
            check_regular(os.fstat(descriptor))
            _lock(descriptor, path)
            with contextlib.suppress(OSError):  # a full disk: the lock works without a name in the file
                os.ftruncate(descriptor, 0)
                os.write(descriptor, holder.encode()[:_LONGEST_HOLDER])
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, path)

    @classmethod
    def share(cls, path: Path) -> FileLock | None:
        """Share the lock with other readers; None without a lock file, or without the right to.

        The file is not created: it would belong to the reader's user, and the writer could perhaps not open the file.
        Raises LockedError, OSError.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, PermissionError):
            return None
        try:
            check_regular(os.fstat(descriptor))
            is_shared = _flock(descriptor, fcntl.LOCK_SH)
            error = None if is_shared else _written(descriptor, path)
        except OSError as failed:
            os.close(descriptor)
            if failed.errno in _WITHOUT_LOCKS:
                return None
            raise
        if error is not None:
            os.close(descriptor)
            raise error
        return cls(descriptor, path)

    @property
    def epoch(self) -> int:
        """See `Lock`."""
        return 0

    def is_in_place(self) -> bool:
        """See `Lock`."""
        if self._descriptor is None:
            return False
        try:
            ours, there = os.fstat(self._descriptor), os.lstat(self._path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise DestinationError(f"{self._path}: {error.strerror}") from error
        return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

    def release(self) -> None:
        """See `Lock`."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):  # closing releases the lock, even if the disk fails
                os.ftruncate(descriptor, 0)
            with contextlib.suppress(OSError):  # Linux closes even if close() reports an error of an earlier write
                os.close(descriptor)


def check_regular(status: os.stat_result) -> int:
    """The size in bytes of the open file with this status. Raises OSError unless it is a regular file."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file; remove it")
    return status.st_size


def _lock(descriptor: int, path: Path) -> None:
    try:
        if _flock(descriptor, fcntl.LOCK_EX):
            return
        is_read = _flock(descriptor, fcntl.LOCK_SH)
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        raise DestinationError(
            f"{path}: {error.strerror} (the file system has no locks, which keep two writers apart; on NFS, mount it "
            "without nolock, or with vers=4)"
        ) from error
    if is_read:
        raise LockedError(f"{path.parent} is being read, by a restore or a drill; wait until that has ended")
    raise _written(descriptor, path)


def _flock(descriptor: int, kind: int) -> bool:
    """Whether the lock could be had, without waiting. Raises OSError."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _written(descriptor: int, path: Path) -> LockedError:
    holder = os.pread(descriptor, _LONGEST_HOLDER, 0).decode(errors="replace").strip() or "another process"
    return LockedError(f"{path.parent} is being written by {holder}")
