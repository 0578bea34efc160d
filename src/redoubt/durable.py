"""Files that survive a loss of power."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

NEW = ".new"
"""Suffix of a file that will replace another file."""


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's names, to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes) -> None:
    """Write data durably to a file that only its owner can read. The name is not durable yet. Raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, data: bytes) -> None:
    """Like `write_file`, but a crash leaves the old content or the new content, and the name is durable too."""
    temporary = path.with_suffix(NEW)
    write_file(temporary, data)
    temporary.rename(path)
    sync(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder for its owner only, and the folders above it that are missing; durable. Raises OSError."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in missing:
        sync(each.parent)


def kept_line(path: Path, make: Callable[[], str]) -> str:
    """The line in one of our files. If the file is missing, write the line of `make` to it durably, for its owner only.

    Neither a crash nor a concurrent process leaves half a line or a second line.
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
