"""PALF once more, from the byte tables of docs/FORMAT.md alone: slow, plain, and what `palf.py` is compared with."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise

import xxhash

from tests.seekdb.written import crc

GROUP, ENTRY = "hhiQQqqq", "hhiQqq"
GROUP_SIZE, ENTRY_SIZE = 48, 32
PADDING = 1 << 62
LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True)
class Sound:
    """The sound groups at the start of some bytes: size, last accumulated checksum, SCNs, and what comes behind."""

    size: int
    chain: int | None
    min_scn: int
    max_scn: int
    tail: str


def header_checksum(layout: str, header: bytes) -> int:
    """What the low 16 bits of a header's flag have to be."""
    *fields, flag = struct.unpack(f">{layout}", header)
    return xxhash.xxh64_intdigest(struct.pack(f"<{layout}", *fields, flag & ~0xFFFF)) & 0xFFFF


def _fields(layout: str, header: bytes) -> tuple[int, ...] | None:
    """A header's fields, None if its checksum is wrong."""
    fields = struct.unpack(f">{layout}", header)
    return fields if fields[-1] & 0xFFFF == header_checksum(layout, header) else None


def _group_checksum(body: bytes) -> int | None:
    """The checksum over the entries of a group, None if one of them is not sound."""
    checksum = 0
    while body:
        fields = _fields(ENTRY, body[:ENTRY_SIZE]) if len(body) >= ENTRY_SIZE else None
        if fields is None or fields[0] != 0x4C48 or not 0 <= fields[2] <= len(body) - ENTRY_SIZE:
            return None
        data, body = body[ENTRY_SIZE : ENTRY_SIZE + fields[2]], body[ENTRY_SIZE + fields[2] :]
        if crc(data[:16] if fields[5] & PADDING else data) != fields[4]:
            return None
        checksum = crc(struct.pack("<q", fields[4]), checksum)
    return checksum


def sound_groups(data: bytes, chain: int | None, after_scn: int) -> Sound:
    """What `verify_groups` has to say."""
    scns = [after_scn]
    at, tail = 0, "SHORT"
    while len(data) - at >= GROUP_SIZE:
        header = data[at : at + GROUP_SIZE]
        if header[:2] == b"\0\0":
            tail = "BLANK"
            break
        fields = _fields(GROUP, header)
        if fields is None or fields[:2] != (0x4752, 3) or not 0 < fields[2] <= LARGEST:
            tail = "BAD"
            break
        if not scns[-1] < fields[4] < 2**63:
            tail = "BAD"
            break
        body = data[at + GROUP_SIZE : at + GROUP_SIZE + fields[2]]
        if len(body) < fields[2]:
            break
        checksum = _group_checksum(body)
        if checksum is None or not _continues(chain, 0 if fields[7] & PADDING else checksum, fields[5]):
            tail = "BAD"
            break
        chain = fields[5]
        scns.append(fields[4])
        at += GROUP_SIZE + fields[2]
    return Sound(at, chain, scns[1] if scns[1:] else 0, scns[-1] if scns[1:] else 0, tail)


def _continues(chain: int | None, checksum: int, accumulated: int) -> bool:
    return chain is None or crc(struct.pack("<q", checksum), chain) == accumulated


def starts(data: bytes) -> list[int]:
    """Where groups begin, going by their sizes alone, and where the last whole one ends."""
    found = [0]
    while len(data) - found[-1] >= GROUP_SIZE:
        end = found[-1] + GROUP_SIZE + int(struct.unpack_from(">i", data, found[-1] + 4)[0])
        if not found[-1] + GROUP_SIZE < end <= len(data):
            break
        found.append(end)
    return found


def resigned(data: bytes, chain: int | None) -> bytes:
    """The same groups with all checksums made right, as far as their sizes make sense."""
    fixed = bytearray(data)
    for start, end in pairwise(starts(data)):
        checksum = _resign_entries(fixed, start + GROUP_SIZE, end)
        flag = int(struct.unpack_from(">q", fixed, start + 40)[0])
        if chain is not None:
            chain = crc(struct.pack("<q", 0 if flag & PADDING else checksum), chain)
            struct.pack_into(">q", fixed, start + 24, chain)
        else:
            chain = int(struct.unpack_from(">q", fixed, start + 24)[0])
        _sign(fixed, GROUP, start)
    return bytes(fixed)


def _resign_entries(data: bytearray, at: int, end: int) -> int:
    checksum = 0
    while end - at >= ENTRY_SIZE:
        size, flag = struct.unpack_from(">i", data, at + 4)[0], struct.unpack_from(">q", data, at + 24)[0]
        content = bytes(data[at + ENTRY_SIZE : min(end, at + ENTRY_SIZE + max(size, 0))])
        covered = crc(content[:16] if flag & PADDING else content)
        struct.pack_into(">q", data, at + 16, covered)
        _sign(data, ENTRY, at)
        checksum = crc(struct.pack("<q", covered), checksum)
        at += ENTRY_SIZE + max(size, 0)
    return checksum


def _sign(data: bytearray, layout: str, at: int) -> None:
    size = struct.calcsize(f">{layout}")
    struct.pack_into(">H", data, at + size - 2, header_checksum(layout, bytes(data[at : at + size])))
