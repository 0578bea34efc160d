"""Files that survive a loss of power."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
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


def kept_line(path: Path, make: Callable[[], str]) -> str:
    """The line in a file of ours; if there is no such file, a new one's, durably and for the owner's eyes only.

    Neither a crash nor another process at the same time leaves half a line or a second one.
    """
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        write_file(temporary, f"{make()}\n".encode())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
    return path.read_text().strip()
