"""Files that survive a loss of power."""

from __future__ import annotations

import os
from pathlib import Path

NEW = ".new"
"""What the name of a file ends with that is to replace another."""


def sync(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk when this returns. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes) -> None:
    """Have data in a file, for the owner's eyes only. Its name is not durable by that. Raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """The same, but that a crash leaves the old content or the new one, never half; the name is durable too."""
    temporary = path.with_suffix(NEW)
    write_file(temporary, data)
    temporary.rename(path)
    sync(path.parent)
