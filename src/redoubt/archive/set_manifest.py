"""`single_backup_set_info`: the manifest of a complete data backup. Nothing of the backup is written after it.

Files consist of extents of parts; bytes that no extent covers are zero (a hole).
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

from redoubt.archive.part import MAX_LENGTH, MAX_SIZE
from redoubt.archive.record import (
    INFO_FORMAT,
    LARGEST_NUMBER,
    Hex,
    RecordError,
    record_of,
    seal,
    shown,
    stored_fields,
    unseal,
)
from redoubt.archive.set_layout import SetIdentity
from redoubt.model.bases import BASE_FOLDERS, Base

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_ALL_PERMISSIONS = 0o777
_LONGEST_PATH = 4096
_T = TypeVar("_T")


@dataclass(frozen=True)
class SetSummary:
    """The owner of a set's data, and its place in the log. LSNs in bytes, SCNs and times in ns since the epoch.

    `pause_us`: the pause of the engine in microseconds; `passes`: how often the files were read; `method`: hot, reflink
    or rolled. `input_bytes` is the size of the files without holes. `engine` is the engine's version. `data_key` is the
    id of the key that the parts are encrypted with, empty if they are not.
    """

    of: SetIdentity
    engine: str
    start_lsn: int
    start_scn: int
    snapshot_lsn: int
    snapshot_scn: int
    began_at: int
    completed_at: int
    pause_us: int
    passes: int
    method: str
    input_bytes: int
    output_bytes: int
    data_key: Hex = ""
    format: int = INFO_FORMAT

    @property
    def base(self) -> Base:
        """The set as the start of a restore."""
        return Base(self.of.key, self.of.source, self.start_lsn, self.snapshot_lsn, self.snapshot_scn)


@dataclass(frozen=True)
class Extent:
    """`length` bytes at `offset` of a file, stored at `part_offset` in the content of part number `part`."""

    offset: int
    length: int
    part: int
    part_offset: int


@dataclass(frozen=True)
class SetFile:
    """A file: its path relative to the engine's directory, its size in bytes, its permissions, its content."""

    path: str
    size: int
    mode: int
    extents: tuple[Extent, ...]


@dataclass(frozen=True)
class SetPart:
    """A part: its number, the size of its object in bytes, the SHA-256 of the object."""

    number: int
    size: int
    sha256: str


@dataclass(frozen=True)
class SetManifest:
    """The complete manifest."""

    summary: SetSummary
    parts: tuple[SetPart, ...]
    files: tuple[SetFile, ...]


def dump_set_manifest(manifest: SetManifest) -> bytes:
    """The JSON text: the summary's fields, `parts`, `files`, and the seal."""
    files = [asdict(each) | {"extents": [_numbers(extent) for extent in each.extents]} for each in manifest.files]
    parts = [asdict(each) for each in manifest.parts]
    return seal(json.dumps(stored_fields(manifest.summary) | {"parts": parts, "files": files}, indent=1).encode())


def load_set_manifest(text: bytes) -> SetManifest:
    """The manifest in `text`. Raises RecordError."""
    values = unseal(text)
    summary = record_of(SetSummary, values)
    parts = tuple(_part(each) for each in _list(values, "parts"))
    files = tuple(_file(each) for each in _list(values, "files"))
    _check_parts(parts, files)
    _check_paths(files)
    _check_room(summary, files)
    return SetManifest(summary, parts, files)


def _check_parts(parts: tuple[SetPart, ...], files: tuple[SetFile, ...]) -> None:
    """Check that each part is listed once, and that each part that a file needs is listed. Raises RecordError."""
    numbers = [part.number for part in parts]
    if len(set(numbers)) != len(numbers):
        raise RecordError("'parts' lists a part twice")
    if missing := {extent.part for file in files for extent in file.extents}.difference(numbers):
        raise RecordError(f"'parts' does not list part {min(missing)}, but a file needs it")


def _check_paths(files: tuple[SetFile, ...]) -> None:
    """Check that no path is listed twice, or both as a file and as a folder. Raises RecordError."""
    paths = {file.path for file in files}
    if len(paths) != len(files):
        raise RecordError("'files' lists a file twice")
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
    if both := paths & folders:
        raise RecordError(f"'files' lists {shown(min(both))} as a file and as a folder")


def _check_room(summary: SetSummary, files: tuple[SetFile, ...]) -> None:
    """Check that the files hold no more than the summary says: a restore makes sure of that much room on the disk."""
    held = sum(extent.length for file in files for extent in file.extents)
    if held > summary.input_bytes:
        raise RecordError(f"'input_bytes' is {summary.input_bytes}, but the files hold {held} bytes")


def _numbers(extent: Extent) -> list[int]:
    return [extent.offset, extent.length, extent.part, extent.part_offset]


def _list(values: Any, name: str) -> list[Any]:
    found = values.get(name) if isinstance(values, dict) else None
    if not isinstance(found, list):
        raise RecordError(f"invalid value: {name!r} is {shown(found)}")
    return found


def _part(values: Any) -> SetPart:
    number, size, digest = _field(values, "number", int), _field(values, "size", int), _field(values, "sha256", str)
    if not _DIGEST.match(digest) or not 1 <= number <= LARGEST_NUMBER or not 0 <= size <= MAX_SIZE:
        raise RecordError(f"invalid entry: one of 'parts' is {shown(values)}")
    return SetPart(number, size, digest)


def _file(values: Any) -> SetFile:
    path, size, mode = _field(values, "path", str), _field(values, "size", int), _field(values, "mode", int)
    if not _is_inside(path):
        raise RecordError(
            f"invalid entry: one of 'files' is {shown(path)}, which is not inside {' or '.join(sorted(BASE_FOLDERS))}"
        )
    if not 0 <= size <= LARGEST_NUMBER or not 0 <= mode <= _ALL_PERMISSIONS:
        raise RecordError(f"invalid entry: one of 'files' has size {shown(size)} and mode {shown(mode)}")
    return SetFile(path, size, mode, _extents(values, size))


def _is_inside(path: str) -> bool:
    """Whether a path is normalized, and in a folder of a base: not in Redoubt's own, and not in the engine's `run`."""
    parts = path.split("/")
    is_plain = _is_of_a_system(path) and not {"", ".", ".."} & set(parts)
    return is_plain and len(parts) > 1 and parts[0] in BASE_FOLDERS


def _is_of_a_system(path: str) -> bool:
    """Whether an operating system may have given the path."""
    try:
        return len(os.fsencode(path)) <= _LONGEST_PATH and "\0" not in path
    except UnicodeEncodeError:
        return False


def _extents(values: Any, size: int) -> tuple[Extent, ...]:
    """A file's extents: in order, without overlaps, within the file. Raises RecordError."""
    extents, end = [], 0
    for each in _list(values, "extents"):
        if not isinstance(each, list) or len(each) != len(Extent.__dataclass_fields__):
            raise RecordError(f"invalid entry: one of 'extents' is {shown(each)}")
        if not all(type(value) is int and 0 <= value <= LARGEST_NUMBER for value in each):
            raise RecordError(f"invalid entry: one of 'extents' is {shown(each)}")
        extent = Extent(*each)
        if extent.offset < end or extent.length < 1:
            raise RecordError(f"invalid entry: one of 'extents' is {shown(each)}, but the one before ends at {end}")
        if extent.part_offset + extent.length > MAX_LENGTH:
            raise RecordError(f"invalid entry: one of 'extents' is {shown(each)}, but no part is that long")
        end = extent.offset + extent.length
        if end > size:
            raise RecordError(f"invalid entry: one of 'extents' reaches past a file's {size} bytes")
        extents.append(extent)
    return tuple(extents)


def _field(values: Any, name: str, kind: type[_T]) -> _T:
    value = values.get(name) if isinstance(values, dict) else None
    if type(value) is not kind:
        raise RecordError(f"invalid value: {name!r} is {shown(value)}")
    return value
