"""The log that rolls a transaction back: the bytes that the engine writes when it aborts a transaction. Pure.

`docs/FORMAT.md` has the measured layout. When the engine replays this log, it undoes the changes, releases the locks,
and records the transaction as aborted from `start_scn` to the SCN of the entry.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from redoubt.engines.seekdb.palf import ENTRY_HEADER_SIZE, GROUP_HEADER_SIZE, groups_in, make_group
from redoubt.engines.seekdb.proven import refuse_unproven
from redoubt.model.log import LogPosition

PRE_BARRIER = 1 << 30
"""The flag of an entry that is replayed after all earlier log: several threads replay redo."""
_BASE = struct.Struct(">hhIq")
_I64 = struct.Struct(">q")
_GROUP = struct.Struct(">16xQqq")
_SIZE = struct.Struct(">4xi")
_VERSION = 1
_TRANSACTION = 1
_COMPRESSED = 1 << 29
_ABORT = 0x200
_LENGTH_SIZE = 5
_NO_SOURCES = b"\0"
_NO_FLAGS = b"\0"
_NUMBER_AT = _BASE.size + 1 + _LENGTH_SIZE
_ID_AT = _NUMBER_AT + _I64.size + 1 + _LENGTH_SIZE


@dataclass(frozen=True)
class Orphan:
    """A transaction that has redo in the log and that no session will end; `start_scn` is the SCN of its first redo."""

    tx_id: int
    start_scn: int


@dataclass(frozen=True)
class LogEnd:
    """The end of a log, and the number of the log's last group."""

    at: LogPosition
    log_id: int


def abort_data(orphan: Orphan, number: int, flags: int = PRE_BARRIER) -> bytes:
    """The data of the entry that aborts a transaction; the entry is the transaction's `number`th, from 0.

    The engine sets a barrier only after redo that was written in parallel. In other cases a barrier does no harm.
    """
    head = _I64.pack(number) + _framed(_varint(orphan.tx_id)) + _NO_FLAGS
    record = _NO_SOURCES + _framed(_varint(orphan.start_scn))
    base = _BASE.pack(_VERSION, _TRANSACTION, flags, orphan.tx_id)
    return base + _framed(head) + _I64.pack(_ABORT) + _framed(record)


def abort_groups(orphans: dict[Orphan, int], end: LogEnd, version: str) -> bytes:
    """The groups that abort transactions, each with the number of its entry, for the end of a log.

    An engine of that `version` will replay the groups. Raises UnprovenEngineError.
    """
    refuse_unproven("writing abort records", version)
    lsn, scn, chain, log_id = end.at.lsn, end.at.scn, end.at.chain or 0, end.log_id
    written = b""
    for orphan, number in orphans.items():
        scn, log_id = scn + 1, log_id + 1
        group = make_group(abort_data(orphan, number), lsn, scn, chain, log_id)
        written += group
        lsn, chain = lsn + len(group), _GROUP.unpack_from(group)[1]
    return written


def last_log_id(groups: bytes | memoryview) -> int:
    """The number of the last group in these bytes, which are whole, verified groups; 0 without a group."""
    log_id = 0
    for at, _, _ in groups_in(groups):
        log_id = _GROUP.unpack_from(groups, at)[2]
    return log_id


def entry_numbers(groups: bytes | memoryview, tx_ids: frozenset[int]) -> dict[int, int]:
    """The number of each transaction's last entry in whole, verified groups."""
    found: dict[int, int] = {}
    for start_of_group, length, _ in groups_in(groups):
        at, end = start_of_group + GROUP_HEADER_SIZE, start_of_group + length
        while at < end:
            size, start = _SIZE.unpack_from(groups, at)[0], at + ENTRY_HEADER_SIZE
            at = start + size
            number, tx_id = _number_and_transaction(groups[start : min(at, start + _ID_AT + 10)])
            if tx_id in tx_ids:
                found[tx_id] = max(number, found.get(tx_id, 0))
    return found


def _number_and_transaction(data: bytes | memoryview) -> tuple[int, int]:
    """An entry's number in its transaction, and the transaction's id; zeros without a transaction or if unreadable."""
    if len(data) <= _ID_AT:
        return 0, 0
    _, kind, flags, _ = _BASE.unpack_from(data)
    if kind != _TRANSACTION or flags & _COMPRESSED:
        return 0, 0
    tx_id = shift = 0
    for byte in data[_ID_AT:]:
        tx_id |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004  # the top bit says that another byte follows
            break
    return _I64.unpack_from(data, _NUMBER_AT)[0], tx_id


def _framed(content: bytes) -> bytes:
    """Content after a version and the length, which always has five bytes."""
    length = len(content)
    sizes = [length >> 7 * number & 0x7F | (0x80 if number < _LENGTH_SIZE - 1 else 0) for number in range(_LENGTH_SIZE)]
    return bytes([_VERSION, *sizes]) + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first, the top bit set in all but the last."""
    written = bytearray()
    while number > 0x7F:  # noqa: PLR2004
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])
