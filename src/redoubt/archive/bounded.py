"""Reads info objects from a destination: never more bytes than an object of that name may have."""

from __future__ import annotations

from typing import TypeVar

from redoubt.archive.record import Record, RecordError, load_record
from redoubt.model.seams import Destination

T = TypeVar("T", bound=Record)

LARGEST_RECORD = 4 * 1024 * 1024
"""The most bytes of an info object; the largest is a fingerprint, with about 100 bytes for each system table."""
LARGEST_MANIFEST = 64 * 1024 * 1024
"""The most bytes of a manifest: about 300,000 segments, or 200 GB of files in chunks that are all apart."""
PIECE_MANIFEST = "single_piece_info"
SET_MANIFEST = "single_backup_set_info"
_LIMITS = {PIECE_MANIFEST: LARGEST_MANIFEST, SET_MANIFEST: LARGEST_MANIFEST}


def largest(name: str) -> int:
    """The most bytes that the info object of that name may have."""
    return _LIMITS.get(name.rpartition("/")[2], LARGEST_RECORD)


def read_text(destination: Destination, name: str) -> bytes:
    """The bytes of an info object. Raises RecordError if they are too many; ObjectMissingError, DestinationError."""
    limit = largest(name)
    text = destination.get(name, 0, limit + 1)
    if len(text) > limit:
        raise RecordError(f"it has more than {limit} bytes")
    return text


def read_record(kind: type[T], destination: Destination, name: str) -> T:
    """The record in an info object. Raises RecordError, ObjectMissingError, DestinationError."""
    return load_record(kind, read_text(destination, name))
