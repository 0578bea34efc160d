"""Renames a file unless the new name exists: for file systems without hard links, such as vfat, SMB and some FUSE."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

_HERE = -100
"""`AT_FDCWD`: paths are relative to the working directory."""
_NO_REPLACE = 1


def rename_if_absent(old: Path, new: Path) -> None:
    """Rename atomically. Raises FileExistsError, and OSError with ENOSYS or EINVAL where the system cannot do it.

    See renameat2(2), `RENAME_NOREPLACE`.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if rename(_HERE, os.fsencode(old), _HERE, os.fsencode(new), _NO_REPLACE) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(new))
