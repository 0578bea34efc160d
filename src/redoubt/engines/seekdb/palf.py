"""The engine's log format (PALF): block info, group entries, log entries, and every checksum in them. Pure.

A group is the unit in which the engine appends: one 48-byte header, then one or more log entries. `verify_groups` is
the only reader of groups, and checks everything: magic, sizes, header checksums, data checksums, the group checksum,
and the accumulated checksum that connects each group with its predecessor. The format was measured, not taken from the
engine's code: `docs/FORMAT.md` has the byte tables. Integers are big-endian on disk; the header checksums are computed
from the little-endian form that the engine has in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import google_crc32c
import xxhash

BLOCK_SIZE = 64 * 1024 * 1024
"""Size of a block file in bytes."""
INFO_SIZE = 4096
"""Bytes of a block file before its log."""
BLOCK_LOG_SIZE = BLOCK_SIZE - INFO_SIZE
"""Bytes of log in a block file; a block holds the LSNs from `block_id * BLOCK_LOG_SIZE` on."""
GROUP_HEADER_SIZE = 48
ENTRY_HEADER_SIZE = 32
MAX_GROUP_SIZE = 16 * 1024 * 1024
"""A size field beyond this is damage, not a group (the engine's own bound on a group buffer is smaller)."""

_GROUP_MAGIC = 0x4752
_GROUP_VERSION = 3
_ENTRY_MAGIC = 0x4C48
_ENTRY_VERSION = 2
_INFO_MAGIC = 0x4942
_PADDING_FLAG = 1 << 62
_NO_MAX_SCN = 2**64 - 1
_CHECKSUM_BITS = 0xFFFF
_PADDING_COVERED = 16

LAST_SCN = 2**63 - 1
"""An SCN beyond this is damage: the engine's own largest SCN is smaller."""

_GROUP = struct.Struct(">hhiQQqqq")
_GROUP_LE = struct.Struct("<hhiQQqqq")
_SIZE_AND_SCN = struct.Struct(">4xi8xQ")
_ENTRY = struct.Struct(">hhiQqq")
_ENTRY_LE = struct.Struct("<hhiQqq")
_INFO = struct.Struct(">hhiQQQqq")
_INFO_LE = struct.Struct("<hhiQQQq")
_I64_LE = struct.Struct("<q")


def crc(data: bytes, previous: int = 0) -> int:
    """CRC-32C without the usual inversions, continued from `previous`."""
    return int(google_crc32c.extend(previous ^ 0xFFFFFFFF, data)) ^ 0xFFFFFFFF


class Tail(Enum):
    """Why `verify_groups` stopped."""

    SHORT = "the next group extends past the end of the data"
    BLANK = "no log has been written here yet"
    BAD = "a checksum or a field is wrong"


@dataclass(frozen=True)
class VerifiedGroups:
    """The run of whole, sound groups at the start of some log bytes.

    `size` is in bytes; `chain` is the accumulated checksum after the last group (without a group, the predecessor's);
    `min_scn` and `max_scn` are the first and the last group's SCN (0 without a group). `needed` is the size of the
    first group that did not fit (0 if not known). `why` says what is wrong when `tail` is BAD.
    """

    size: int
    chain: int | None
    min_scn: int
    max_scn: int
    tail: Tail
    needed: int = 0
    why: str = ""


class BadLogError(ValueError):
    """Bytes that the engine would not have written; the text says what is wrong."""


def verify_groups(data: bytes, chain: int | None, after_scn: int = 0) -> VerifiedGroups:
    """Check every group at the start of `data`, which must begin at a group.

    `chain` is the accumulated checksum before the first group, None if there is no predecessor to compare with;
    `after_scn` is the predecessor's SCN. Stops, and says why, at the first group that is not whole and sound.
    """
    at, min_scn, max_scn = 0, 0, 0
    while at + GROUP_HEADER_SIZE <= len(data):
        fields = _GROUP.unpack_from(data, at)
        if fields[0] == 0:
            return VerifiedGroups(at, chain, min_scn, max_scn, Tail.BLANK)
        try:
            size = _check_group_header(fields, max_scn or after_scn)
            if at + size > len(data):
                return VerifiedGroups(at, chain, min_scn, max_scn, Tail.SHORT, needed=size)
            chain = _check_group_body(data, at, size, fields, chain)
        except BadLogError as error:
            return VerifiedGroups(at, chain, min_scn, max_scn, Tail.BAD, why=str(error))
        at += size
        max_scn = fields[4]
        min_scn = min_scn or max_scn
    return VerifiedGroups(at, chain, min_scn, max_scn, Tail.SHORT)


def _check_group_header(fields: tuple[int, ...], after_scn: int) -> int:
    """The size in bytes of the group with these header fields, header included."""
    magic, version, size, committed, scn, accumulated, log_id, flag = fields
    if magic != _GROUP_MAGIC:
        raise BadLogError(f"group magic is {magic & 0xFFFF:#06x}")
    if version != _GROUP_VERSION:
        raise BadLogError(f"group version is {version}, this reader knows {_GROUP_VERSION}")
    unsigned = _GROUP_LE.pack(magic, version, size, committed, scn, accumulated, log_id, flag & ~_CHECKSUM_BITS)
    if xxhash.xxh64_intdigest(unsigned) & _CHECKSUM_BITS != flag & _CHECKSUM_BITS:
        raise BadLogError("group header checksum does not match")
    if not 0 < size <= MAX_GROUP_SIZE:
        raise BadLogError(f"group size is {size}")
    if not after_scn < scn <= LAST_SCN:
        raise BadLogError(f"SCN {scn} does not follow {after_scn}")
    return GROUP_HEADER_SIZE + size


def _check_group_body(data: bytes, at: int, size: int, fields: tuple[int, ...], chain: int | None) -> int:
    """The accumulated checksum after the group at `at`."""
    accumulated, flag = fields[5], fields[7]
    checksum = 0
    entry, end = at + GROUP_HEADER_SIZE, at + size
    while entry < end:
        if entry + ENTRY_HEADER_SIZE > end:
            raise BadLogError("the last log entry reaches past its group")
        data_checksum, entry_size = _check_entry(data, entry, end)
        checksum = crc(_I64_LE.pack(data_checksum), checksum)
        entry += entry_size
    if flag & _PADDING_FLAG:
        checksum = 0
    if chain is not None and crc(_I64_LE.pack(checksum), chain) != accumulated:
        raise BadLogError("accumulated checksum does not continue the log before it")
    return accumulated


def _check_entry(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Data checksum and size in bytes, header included, of the log entry at `at`."""
    magic, version, size, scn, checksum, flag = _ENTRY.unpack_from(data, at)
    if magic != _ENTRY_MAGIC:
        raise BadLogError(f"log entry magic is {magic & 0xFFFF:#06x}")
    unsigned = _ENTRY_LE.pack(magic, version, size, scn, checksum, flag & ~_CHECKSUM_BITS)
    if xxhash.xxh64_intdigest(unsigned) & _CHECKSUM_BITS != flag & _CHECKSUM_BITS:
        raise BadLogError("log entry header checksum does not match")
    start = at + ENTRY_HEADER_SIZE
    if not 0 <= size <= end - start:
        raise BadLogError("a log entry reaches past its group")
    covered = min(size, _PADDING_COVERED) if flag & _PADDING_FLAG else size
    if crc(data[start : start + covered]) != checksum:
        raise BadLogError("log entry data checksum does not match")
    return checksum, ENTRY_HEADER_SIZE + size


def make_group(data: bytes, lsn: int, scn: int, chain: int, log_id: int) -> bytes:
    """A group of one log entry with this data, as the engine writes it at `lsn`; `chain` is the checksum before it."""
    checksum = crc(data)
    entry = _signed(_ENTRY_LE, _ENTRY, (_ENTRY_MAGIC, _ENTRY_VERSION, len(data), scn, checksum)) + data
    accumulated = crc(_I64_LE.pack(crc(_I64_LE.pack(checksum))), chain)
    fields = (_GROUP_MAGIC, _GROUP_VERSION, len(entry), lsn, scn, accumulated, log_id)
    return _signed(_GROUP_LE, _GROUP, fields) + entry


def _signed(in_memory: struct.Struct, on_disk: struct.Struct, fields: tuple[int, ...]) -> bytes:
    """A header with its own checksum and no other flags."""
    return on_disk.pack(*fields, xxhash.xxh64_intdigest(in_memory.pack(*fields, 0)) & _CHECKSUM_BITS)


def groups_in(log: bytes | memoryview) -> Iterator[tuple[int, int, int]]:
    """The offset, the size with header, and the SCN of each group whose header is in the log.

    Looks at sizes alone; `verify_groups` checks the content. Raises BadLogError at a size or SCN that cannot be: with a
    negative size, a walk through the log would never end.
    """
    at = 0
    while at + GROUP_HEADER_SIZE <= len(log):
        size, scn = _SIZE_AND_SCN.unpack_from(log, at)
        if not 0 < size <= MAX_GROUP_SIZE or scn > LAST_SCN:
            raise BadLogError(f"the group at byte {at} has size {size} and SCN {scn}")
        yield at, GROUP_HEADER_SIZE + size, scn
        at += GROUP_HEADER_SIZE + size


@dataclass(frozen=True)
class BlockInfo:
    """A block header: the block's number, and the SCN after which the block's log begins (ns since the epoch)."""

    block_id: int
    min_scn: int


def parse_block_info(data: bytes) -> BlockInfo | None:
    """The header at the start of a block file; None if it is blank (all zero)."""
    if len(data) < _INFO.size:
        raise BadLogError(f"a block file of {len(data)} bytes is too short")
    magic, version, flag, min_lsn, min_scn, max_scn, block_id, checksum = _INFO.unpack_from(data)
    if magic == 0:
        return None
    if magic != _INFO_MAGIC:
        raise BadLogError(f"block magic is {magic & 0xFFFF:#06x}")
    if crc(_INFO_LE.pack(magic, version, flag, min_lsn, min_scn, max_scn, block_id)) != checksum:
        raise BadLogError("block info checksum does not match")
    if min_lsn != block_id * BLOCK_LOG_SIZE:
        raise BadLogError(f"the header of block {block_id} has the wrong start, LSN {min_lsn}")
    return BlockInfo(block_id, min_scn)


def block_info(block_id: int, min_scn: int) -> bytes:
    """The header of a block that the engine writes to, for `parse_block_info`."""
    fields = (_INFO_MAGIC, 1, 0, block_id * BLOCK_LOG_SIZE, min_scn, _NO_MAX_SCN, block_id)
    return _INFO.pack(*fields, crc(_INFO_LE.pack(*fields)))
