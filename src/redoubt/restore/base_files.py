"""Writes the files of a data backup into a directory."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from redoubt.archive.set_manifest import Extent, SetFile, SetManifest
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError
from redoubt.durable import sync
from redoubt.restore.prefetch import made_ahead

_SYNC_EVERY = 256 * 1024 * 1024
_OTHERS_CANNOT_WRITE = 0o755
"""The most permissions of a restored file, whatever its manifest says."""


def write_files(
    store: SetStore,
    manifest: SetManifest,
    into: Path,
    done: Callable[[int], None],
    durable: Callable[[int], None] = lambda _part: None,
    first_part: int = 1,
) -> None:
    """Write every file, durably. `done` is called with the number of bytes written since the last call.

    `durable` is called from time to time with the number of the next part: a later call with that `first_part` resumes.
    Holes stay holes. Idempotent. Raises ArchiveError, DestinationError, OSError.
    """
    wanted = _by_part(manifest)
    known = {part.number: part for part in manifest.parts}
    for file in manifest.files:
        _make(into / file.path, file, is_new=first_part == 1)
    for number in (number for number in wanted if number < first_part):
        done(sum(extent.length for _, extent in wanted[number]))
    unsynced: set[Path] = set()
    written = 0
    left = [number for number in wanted if number >= first_part]
    with made_ahead((number, store.read_part(known[number])[1]) for number in left) as parts:
        for number, content in parts:
            for file, extent in wanted[number]:
                data = memoryview(content)[extent.part_offset : extent.part_offset + extent.length]
                if len(data) != extent.length:
                    raise ArchiveError(
                        f"{store.path.manifest} is damaged: part {number} is shorter than the manifest says"
                    )
                _write(into / file.path, data, extent.offset)
                unsynced.add(into / file.path)
                written += extent.length
                done(extent.length)
            if written >= _SYNC_EVERY:
                _sync_all(into, manifest, unsynced)
                durable(number + 1)
                unsynced, written = set(), 0
    _sync_all(into, manifest, {into / file.path for file in manifest.files})


def _by_part(manifest: SetManifest) -> dict[int, list[tuple[SetFile, Extent]]]:
    """The extents of each part, in the order of the parts."""
    wanted: dict[int, list[tuple[SetFile, Extent]]] = defaultdict(list)
    for file in manifest.files:
        for extent in file.extents:
            wanted[extent.part].append((file, extent))
    return dict(sorted(wanted.items()))


def _sync_all(into: Path, manifest: SetManifest, files: set[Path]) -> None:
    """Make these files durable, and all folders."""
    parents = {parent for file in manifest.files for parent in (into / file.path).parents if into in parent.parents}
    for path in (*sorted(files), *parents, into):
        sync(path)


def _make(path: Path, file: SetFile, *, is_new: bool) -> None:
    """Give a file its size and mode. What is there already may lack both after a loss of power."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if is_new else 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        os.ftruncate(descriptor, file.size)
        os.fchmod(descriptor, file.mode & _OTHERS_CANNOT_WRITE)
    finally:
        os.close(descriptor)


def _write(path: Path, data: memoryview, offset: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        while data:
            written = os.pwrite(descriptor, data, offset)
            data, offset = data[written:], offset + written
    finally:
        os.close(descriptor)
