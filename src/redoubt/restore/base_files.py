"""Writes the files of a data backup into a directory."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from redoubt.archive.set_manifest import Extent, SetFile, SetManifest
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError


def write_files(store: SetStore, manifest: SetManifest, into: Path, done: Callable[[int], None]) -> None:
    """Write every file, durably; `done` is told of bytes of files that were written, from time to time.

    Holes stay holes. Writing the same again does no harm. Raises ArchiveError, DestinationError, OSError.
    """
    wanted: dict[int, list[tuple[SetFile, Extent]]] = defaultdict(list)
    for file in manifest.files:
        _make(into / file.path, file)
        for extent in file.extents:
            wanted[extent.part].append((file, extent))
    known = {part.number: part for part in manifest.parts}
    if missing := set(wanted) - set(known):
        raise ArchiveError(f"{store.path.manifest} is damaged: it does not list part {min(missing)}")
    for number, extents in sorted(wanted.items()):
        _, content = store.read_part(known[number])
        for file, extent in extents:
            data = memoryview(content)[extent.part_offset : extent.part_offset + extent.length]
            if len(data) != extent.length:
                raise ArchiveError(f"{store.path.manifest} is damaged: part {number} is shorter than it says")
            _write(into / file.path, data, extent.offset)
            done(extent.length)
    for file in manifest.files:
        _sync(into / file.path)
    for folder in {
        parent for file in manifest.files for parent in (into / file.path).parents if into in parent.parents
    }:
        _sync(folder)
    _sync(into)


def _make(path: Path, file: SetFile) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.ftruncate(descriptor, file.size)
        os.fchmod(descriptor, file.mode)
    finally:
        os.close(descriptor)


def _write(path: Path, data: memoryview, offset: int) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        while data:
            written = os.pwrite(descriptor, data, offset)
            data, offset = data[written:], offset + written
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
