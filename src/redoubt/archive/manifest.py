"""`single_piece_info`: the manifest of a frozen piece, which lists its segments. No segment is written after it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from redoubt.archive.record import (
    INFO_FORMAT,
    LARGEST_NUMBER,
    LONGEST_NAME,
    Prose,
    RecordError,
    record_of,
    seal,
    shown,
    stored_fields,
    unseal,
)
from redoubt.archive.segment import SegmentName
from redoubt.model.log import LogPosition

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class ManifestPiece:
    """The owner and the range of a piece's log. LSNs in bytes, SCNs and times in ns since the epoch.

    `start_lsn` and `start_scn` are the claim's. `end_lsn` and `end_scn` are those of the last group. The chains are the
    log's checksums at both ends (null where the log was never read). A piece without log has the end of the piece that
    it continues; if it continues none, its `end_scn` is 0. `broken_by` is the cause of an interruption, otherwise
    empty.
    """

    identity: str
    cluster: str
    cluster_id: int
    tenant_id: int
    tenant: str
    round: int
    piece: int
    source: str
    start_lsn: int
    end_lsn: int
    start_scn: int
    end_scn: int
    chain_before: int | None
    chain_after: int | None
    frozen_at: int
    broken_by: Prose
    format: int = INFO_FORMAT

    @property
    def end(self) -> LogPosition:
        """Where the piece's log ends."""
        return LogPosition(self.end_lsn, self.end_scn, self.chain_after)


@dataclass(frozen=True)
class Entry:
    """A segment: its name in the folder, its size in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The complete manifest."""

    piece: ManifestPiece
    segments: tuple[Entry, ...]

    @property
    def names(self) -> list[SegmentName]:
        """The names of the segments, without those that are none."""
        return [name for entry in self.segments if (name := SegmentName.parse(entry.name))]

    @property
    def output_bytes(self) -> int:
        """The sum of the segments' sizes in bytes."""
        return sum(entry.size for entry in self.segments)


def dump_manifest(manifest: Manifest) -> bytes:
    """The JSON text: the piece's fields, `segments` in the order of the log, and the seal."""
    segments = [asdict(entry) for entry in manifest.segments]
    return seal(json.dumps(stored_fields(manifest.piece) | {"segments": segments}, indent=2).encode())


def load_manifest(text: bytes) -> Manifest:
    """The manifest in `text`. Raises RecordError."""
    values = unseal(text)
    piece = record_of(ManifestPiece, values)
    segments: Any = values.get("segments")
    if not isinstance(segments, list):
        raise RecordError(f"invalid value: 'segments' is {shown(segments)}")
    return Manifest(piece, tuple(_entry(each) for each in segments))


def _entry(values: Any) -> Entry:
    if isinstance(values, dict):
        name: Any
        size: Any
        digest: Any
        name, size, digest = values.get("name"), values.get("size"), values.get("sha256")
        is_name = isinstance(name, str) and len(name) <= LONGEST_NAME and name.isprintable()
        is_size = type(size) is int and 0 <= size <= LARGEST_NUMBER
        if is_name and is_size and isinstance(digest, str) and _DIGEST.match(digest):
            return Entry(name, size, digest)
    raise RecordError(f"invalid entry: one of 'segments' is {shown(values)}")
