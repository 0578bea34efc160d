"""Distinguishes the redo of undecided transactions from everything else in the log. Pure.

An entry counts as such redo only if that is certain: a transaction entry that can be parsed frame by frame to its end,
with only records of known kinds. Every other entry may decide a transaction, or be the effect of a decision.
`docs/FORMAT.md` has the measured layout.
"""

from __future__ import annotations

import struct
from enum import Enum

from redoubt.engines.seekdb.palf import ENTRY_HEADER_SIZE, GROUP_HEADER_SIZE, groups_in

_SIZE = struct.Struct(">4xi")
_BASE = struct.Struct(">hhI8x")
_KIND = struct.Struct(">q")
_VERSION = 1
_TRANSACTION = 1
_UPKEEP = frozenset({4, 6, 7, 8, 25})
"""Tablet sequences, heartbeats, limits of timestamps and of transaction ids, padding: invisible to users."""
_OWN_NOTE = (b"__all_global_stat", b"change_stream_min_dep_lsn")
"""The words in a transaction of 547 bytes that an idle engine commits every 10 s."""
_MOST_UPKEEP = 4096
_BARRIERS = 0xC0000000
"""The flags of an entry that set the order of replay; all other flags are unknown here."""
_LENGTH_SIZE = 5
_MORE = 0x80
_REDO = frozenset({0x1, 0x2, 0x4, 0x20})
"""Kinds of records: redo, rollback to a savepoint, multi data source, list of redo. None of them decides anything."""


class Matter(Enum):
    """The meaning of a group for transactions."""

    UPKEEP = "belongs to no transaction; no data is lost without it"
    REDO = "only redo of transactions that the group does not decide, and upkeep"
    OTHER = "decides a transaction, or may decide one"


def matter_of(group: bytes | memoryview) -> Matter:
    """The meaning of a whole, verified group, which includes the header."""
    found, at = Matter.UPKEEP, GROUP_HEADER_SIZE
    while at < len(group):
        end = at + ENTRY_HEADER_SIZE + _SIZE.unpack_from(group, at)[0]
        matter = _matter_of_entry(group[at + ENTRY_HEADER_SIZE : end])
        if matter is Matter.OTHER:
            return matter
        found = Matter.REDO if matter is Matter.REDO else found
        at = end
    return found


def is_upkeep(groups: bytes | memoryview) -> bool:
    """Whether whole, verified groups are what an idle engine writes by itself, and no more.

    A note of the engine's is told by its words. So a user's small transaction with these words counts as upkeep too,
    which must not matter to the caller.
    """
    if len(groups) > _MOST_UPKEEP:
        return False
    for at, size, _ in groups_in(groups):
        group = bytes(groups[at : at + size])
        if matter_of(group) is not Matter.UPKEEP and not all(word in group for word in _OWN_NOTE):
            return False
    return True


def _matter_of_entry(data: bytes | memoryview) -> Matter:
    """The meaning of an entry's data."""
    if len(data) < _BASE.size:
        return Matter.OTHER
    version, kind, flags = _BASE.unpack_from(data)
    if version != _VERSION or flags & ~_BARRIERS:
        return Matter.OTHER
    if kind in _UPKEEP:
        return Matter.UPKEEP
    return Matter.REDO if kind == _TRANSACTION and _is_redo(data, _BASE.size) else Matter.OTHER


def _is_redo(data: bytes | memoryview, at: int) -> bool:
    """Whether a transaction entry's data, with the transaction header at `at`, consists of redo only."""
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
    """The end of the frame that begins at `at`, None if no frame begins there or the frame extends past the data.

    A frame is one byte of version, the length in seven bits a byte (always five bytes, the lowest bits first), and as
    many bytes as the length says.
    """
    head = data[at : at + 1 + _LENGTH_SIZE]
    if len(head) < 1 + _LENGTH_SIZE or head[0] != _VERSION or head[-1] & _MORE:
        return None
    if not all(byte & _MORE for byte in head[1:-1]):
        return None
    length = sum((byte & ~_MORE) << 7 * number for number, byte in enumerate(head[1:]))
    end = at + len(head) + length
    return end if end <= len(data) else None
