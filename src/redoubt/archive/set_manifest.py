"""`single_backup_set_info`: what a data backup that is complete consists of. Nothing is written after it.

Files are put together from extents of parts; what no extent covers is zero (a hole).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from redoubt.archive.record import INFO_FORMAT, RecordError, record_of, seal, unseal
from redoubt.model.bases import Base, SetKey

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_T = TypeVar("_T")


@dataclass(frozen=True)
class SetSummary:
    """Whose data a set holds, and where it stands in the log. LSNs in bytes, SCNs and times in ns since the epoch.

    `pause_us`: for how long the engine stood still, in microseconds; `passes`: how often its files were read; `method`:
    hot, reflink, or rolled (made from an older set and the log). `input_bytes` is what the files hold, without holes.
    """

    identity: str
    cluster: str
    cluster_id: int
    tenant_id: int
    tenant: str
    source: str
    set_id: int
    create_date: int
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
    rolled_from: int
    input_bytes: int
    output_bytes: int
    format: int = INFO_FORMAT

    @property
    def base(self) -> Base:
        """The set as a start for a restore."""
        key = SetKey(self.set_id, self.create_date)
        return Base(key, self.source, self.start_lsn, self.snapshot_lsn, self.snapshot_scn)


@dataclass(frozen=True)
class Extent:
    """`length` bytes at `offset` of a file are those at `part_offset` of a part's content."""

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
    """The whole record."""

    summary: SetSummary
    parts: tuple[SetPart, ...]
    files: tuple[SetFile, ...]


def dump_set_manifest(manifest: SetManifest) -> bytes:
    """The JSON text: the summary's fields, `parts`, `files`, and the seal."""
    files = [asdict(each) | {"extents": [_numbers(extent) for extent in each.extents]} for each in manifest.files]
    parts = [asdict(each) for each in manifest.parts]
    return seal(json.dumps(asdict(manifest.summary) | {"parts": parts, "files": files}, indent=1).encode())


def load_set_manifest(text: bytes) -> SetManifest:
    """The manifest in `text`. Raises RecordError."""
    values = unseal(text)
    summary = record_of(SetSummary, values)
    parts = tuple(_part(each) for each in _list(values, "parts"))
    files = tuple(_file(each) for each in _list(values, "files"))
    return SetManifest(summary, parts, files)


def _numbers(extent: Extent) -> list[int]:
    return [extent.offset, extent.length, extent.part, extent.part_offset]


def _list(values: Any, name: str) -> list[Any]:
    found = values.get(name) if isinstance(values, dict) else None
    if not isinstance(found, list):
        raise RecordError(f"{name!r} is {found!r}")
    return found


def _part(values: Any) -> SetPart:
    number, size, digest = _field(values, "number", int), _field(values, "size", int), _field(values, "sha256", str)
    if not _DIGEST.match(digest):
        raise RecordError(f"one of 'parts' is {values!r}")
    return SetPart(number, size, digest)


def _file(values: Any) -> SetFile:
    path, size = _field(values, "path", str), _field(values, "size", int)
    extents = tuple(_extent(each, size) for each in _list(values, "extents"))
    if not path or path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise RecordError(f"one of 'files' is {path!r}, which is not inside the directory")
    return SetFile(path, size, _field(values, "mode", int), extents)


def _extent(values: Any, size: int) -> Extent:
    if not isinstance(values, list) or len(values) != len(Extent.__dataclass_fields__):
        raise RecordError(f"one of 'extents' is {values!r}")
    if not all(type(value) is int and value >= 0 for value in values):
        raise RecordError(f"one of 'extents' is {values!r}")
    extent = Extent(*values)
    if extent.offset + extent.length > size:
        raise RecordError(f"one of 'extents' reaches past a file's {size} bytes")
    return extent


def _field(values: Any, name: str, kind: type[_T]) -> _T:
    value = values.get(name) if isinstance(values, dict) else None
    if type(value) is not kind:
        raise RecordError(f"{name!r} is {value!r}")
    return value
