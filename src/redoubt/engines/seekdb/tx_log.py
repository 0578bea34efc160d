"""Tells redo of transactions that are not decided from everything else in the log. Pure.

Only what is surely such redo is taken for it: a transaction entry that can be followed, frame by frame, to its end, and
has nothing but records of known kinds in it. Everything else may be what decides a transaction, or the effect of one.
`docs/FORMAT.md` has the measured layout.
"""

from __future__ import annotations

import struct
from enum import Enum

from redoubt.engines.seekdb.palf import ENTRY_HEADER_SIZE, GROUP_HEADER_SIZE

_SIZE = struct.Struct(">4xi")
_BASE = struct.Struct(">hhI8x")
_KIND = struct.Struct(">q")
_VERSION = 1
_TRANSACTION = 1
_UPKEEP = frozenset({4, 6, 7, 8, 25})
"""Sequences of tablets, signs of life, bounds of timestamps and of transaction ids, padding: nobody sees them."""
_BARRIERS = 0xC0000000
"""The flags of an entry that say in which order it is replayed; any other flag is not known here."""
_LENGTH_SIZE = 5
_MORE = 0x80
_REDO = frozenset({0x1, 0x2, 0x4, 0x20})
"""Kinds of records: redo, rollback to a savepoint, multi data source, list of redo. None of them decides anything."""


class Matter(Enum):
    """What a group is for the transactions."""

    UPKEEP = "it is of no transaction, and nothing is lost without it"
    REDO = "all of it is redo of transactions that it does not decide, or upkeep"
    OTHER = "it decides a transaction, or may do so"


def matter_of(group: bytes | memoryview) -> Matter:
    """What a whole, verified group is, header included."""
    found, at = Matter.UPKEEP, GROUP_HEADER_SIZE
    while at < len(group):
        end = at + ENTRY_HEADER_SIZE + _SIZE.unpack_from(group, at)[0]
        matter = _matter_of_entry(group[at + ENTRY_HEADER_SIZE : end])
        if matter is Matter.OTHER:
            return matter
        found = Matter.REDO if matter is Matter.REDO else found
        at = end
    return found


def _matter_of_entry(data: bytes | memoryview) -> Matter:
    """What the data of an entry is."""
    if len(data) < _BASE.size:
        return Matter.OTHER
    version, kind, flags = _BASE.unpack_from(data)
    if version != _VERSION or flags & ~_BARRIERS:
        return Matter.OTHER
    if kind in _UPKEEP:
        return Matter.UPKEEP
    return Matter.REDO if kind == _TRANSACTION and _is_redo(data, _BASE.size) else Matter.OTHER


def _is_redo(data: bytes | memoryview, at: int) -> bool:
    """Whether a transaction entry's data, which has its own head at `at`, is redo to its end."""
    end = _end_of_frame(data, at)
    if end is None or end == len(data):
        return False
    while end < len(data):
        if end + _KIND.size > len(data) or _KIND.unpack_from(data, end)[0] not in _REDO:
            return False
        end = _end_of_frame(data, end + _KIND.size)
        if end is None:
            return False
    return True


def _end_of_frame(data: bytes | memoryview, at: int) -> int | None:
    """Where the frame that begins at `at` ends, None if none begins there, or it reaches past the data.

    A frame is one byte of version, its length in seven bits a byte (always five bytes, the lowest bits first), and so
    many bytes.
    """
    head = data[at : at + 1 + _LENGTH_SIZE]
    if len(head) < 1 + _LENGTH_SIZE or head[0] != _VERSION or head[-1] & _MORE:
        return None
    if not all(byte & _MORE for byte in head[1:-1]):
        return None
    length = sum((byte & ~_MORE) << 7 * number for number, byte in enumerate(head[1:]))
    end = at + len(head) + length
    return end if end <= len(data) else None
