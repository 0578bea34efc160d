"""Targets: the engine's log. The oracle is the model; for edits of a real log, the real log itself."""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.palf import BadLogError, groups_in, parse_block_info, verify_groups
from redoubt.engines.seekdb.reader import SeekdbLogReader
from redoubt.model.log import LogBatch, LogDamagedError, LogError, LogPosition
from tests.seekdb.written import BLOCK, INFO, LOG, PADDING, block_info, chain_after, crc, entry, group, padding

from .mutation import edited
from .palf_model import ENTRY_SIZE, GROUP_SIZE, Sound, resigned, sound_groups, starts
from .target import Target

GOLDEN = (Path(__file__).parents[1] / "seekdb" / "golden.palf").read_bytes()
CHAIN_BEFORE, SCN_BEFORE = 3365247171, 1795389716098630011
MEMORY = Path("/dev/shm")
"""Where files of a check lie, if there is such a place: the disk has no part in it."""

_INFO_LE, _INFO_BE = struct.Struct("<hhiQQQq"), struct.Struct(">hhiQQQqq")


def in_general(text: str) -> str:
    """A message without its figures and names."""
    return re.sub(r"'[^']*'?|0x[0-9a-f]+|-?[0-9]+", "#", text)


def check_groups(data: bytes) -> str:
    """`verify_groups` says what the model says, and the same when it is asked in two steps."""
    chain = _chain_of(data)
    log, scn = data[1:], 0 if chain is None else SCN_BEFORE
    found = verify_groups(log, chain, scn)
    model = sound_groups(log, chain, scn)
    assert astuple(model) == (found.size, found.chain, found.min_scn, found.max_scn, found.tail.name), (found, model)
    assert bool(found.why) == (found.tail.name == "BAD")
    ends = starts(log[: found.size])
    assert [at for at, _, _ in groups_in(log[: found.size])] == ends[:-1]
    with suppress(BadLogError):
        assert len(list(groups_in(log))) <= len(log) / 49 + 1
    middle = ends[len(ends) // 2]
    first = verify_groups(log[:middle], chain, scn)
    rest = verify_groups(log[middle:], first.chain, first.max_scn or scn)
    assert (first.size + rest.size, rest.chain, rest.tail, rest.why) == (found.size, found.chain, found.tail, found.why)
    return f"{min(len(ends) - 1, 3)} groups, {found.tail.name} {in_general(found.why)}"


def fix_groups(data: bytes) -> bytes:
    """All checksums made right."""
    return data[:1] + resigned(data[1:], _chain_of(data))


def _chain_of(data: bytes) -> int | None:
    return None if data[:1] == b"\0" else CHAIN_BEFORE


def seeds_of_groups() -> Iterator[tuple[str, bytes]]:
    """Real groups, written ones, padding, and what only its checksums hold together."""
    ends = starts(GOLDEN)
    written = [group([b"a" * 10, b""], SCN_BEFORE + 1, CHAIN_BEFORE)]
    written.append(group([b"b" * 100], SCN_BEFORE + 2, chain_after(written[-1]), log_id=2))
    written.append(padding(200, SCN_BEFORE + 3, chain_after(written[-1])) + bytes(200 - 48 - 32 - 16))
    odd_chain = bytearray(written[0] + written[1])
    struct.pack_into(">q", odd_chain, 24, -5)
    yield "real", b"\1" + GOLDEN[: ends[3]]
    yield "real-alone", b"\0" + GOLDEN[ends[1] : ends[3]] + bytes(60)
    yield "written", b"\1" + b"".join(written)
    yield "written-blank", b"\1" + written[0] + bytes(48)
    yield "padding-entry", b"\1" + resigned(written[0][:48] + entry(b"c" * 40, 5, PADDING), CHAIN_BEFORE)
    yield "chain-out-of-range", b"\0" + resigned(bytes(odd_chain), None)
    yield "size-too-large", b"\1" + resigned(written[0], CHAIN_BEFORE)[:4] + b"\1\0\0\1" + written[0][8:]


def check_edits(program: bytes) -> str:
    """Of an edited real log nothing is taken for sound but what is in the real one.

    Compared are the entries' contents, which 32 bits of checksum and the chain cover. SCNs, log ids and versions in the
    headers have 16 bits: of 65536 changes to them one passes, which is the engine's format and not to be mended here.
    """
    data = edited(GOLDEN, program)
    found = verify_groups(data, CHAIN_BEFORE, SCN_BEFORE)
    contents = list(_contents(data[: found.size]))
    assert contents == list(_contents(GOLDEN))[: len(contents)]
    assert astuple(sound_groups(data, CHAIN_BEFORE, SCN_BEFORE))[:4] == astuple(found)[:4]
    changed = data[: found.size] != GOLDEN[: found.size]
    return f"{len(starts(data[: found.size])) - 1} groups{' with other headers' if changed else ''}"


def _contents(data: bytes) -> Iterator[bytes]:
    for start, end in zip(starts(data)[:-1], starts(data)[1:], strict=True):
        at = start + GROUP_SIZE
        while at < end:
            size = int(struct.unpack_from(">i", data, at + 4)[0])
            yield data[at + ENTRY_SIZE : at + ENTRY_SIZE + size]
            at += ENTRY_SIZE + size


def seeds_of_edits() -> Iterator[tuple[str, bytes]]:
    """Each kind of edit, in a header and in a content."""
    yield "none", b""
    for kind in range(7):
        yield f"kind-{kind}", bytes((kind, 0, 0x10, 60, 0, 40, 1, 7))


def check_info(data: bytes) -> str:
    """A block's info is taken exactly when its fields say so, and what is said is what stands there."""
    fields = _INFO_BE.unpack_from(data) if len(data) >= _INFO_BE.size else None
    try:
        info = parse_block_info(data)
    except BadLogError as error:
        assert not fields or fields[0] != 0x4942 or fields[7] != crc(_INFO_LE.pack(*fields[:7])) or _is_lost(fields)
        return in_general(str(error))
    assert fields
    if info is None:
        assert fields[0] == 0
        return "blank"
    assert (info.block_id, info.min_scn) == (fields[6], fields[4])
    assert fields[0] == 0x4942
    assert fields[7] == crc(_INFO_LE.pack(*fields[:7]))
    assert not _is_lost(fields)
    return "sound"


def _is_lost(fields: tuple[int, ...]) -> bool:
    return fields[3] != fields[6] * LOG


def fix_info(data: bytes) -> bytes:
    """The checksum made right."""
    if len(data) < _INFO_BE.size:
        return data
    checksum = crc(_INFO_LE.pack(*_INFO_BE.unpack_from(data)[:7]))
    return data[:40] + checksum.to_bytes(8, "big") + data[48:]


def seeds_of_info() -> Iterator[tuple[str, bytes]]:
    """Of the first and of a later block, blank, of another place."""
    yield "first", block_info(0)
    yield "later", block_info(7, 5)
    yield "elsewhere", block_info(7, min_lsn=5)
    yield "negative", fix_info(block_info(0)[:32] + b"\xff" * 8 + bytes(8))
    yield "blank", bytes(64)
    yield "short", block_info(0)[:47]


def check_reader(data: bytes) -> str:
    """Over block files of any content, the reader gives what the model finds sound in each, in order, or a LogError.

    Input: what the engine and the files do (1), the read limit (1), the bytes of log left in block 0 (2), the log.
    """
    if len(data) < 4:
        return "too short"
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        return _read_all(BaseDir(Path(folder)), data[0], 1 << data[1] % 24, int.from_bytes(data[2:4], "big"), data[4:])


def _read_all(base: BaseDir, how: int, limit: int, left: int, log: bytes) -> str:
    _write_blocks(base, how, left, log)
    position = LogPosition(LOG - left, SCN_BEFORE, CHAIN_BEFORE)
    first = log[:left] if how & 8 else log[:left].ljust(left, b"\0")  # the rest of a block is zeros, or is not there
    expected = _sound_by_block(first, log[left:] if how & 1 else b"")
    reader = SeekdbLogReader(base, _end_of_log(how, position.lsn + len(log)), clock=lambda: 0.0)
    read = bytearray()
    try:
        while (batch := reader.read(position, limit)) is not None:
            _check_batch(batch, position)
            read += batch.data
            position = batch.end
    except LogError as error:
        assert bytes(read) == expected
        return "damaged" if isinstance(error, LogDamagedError) else "gone"
    finally:
        reader.close()
    assert bytes(read) == expected
    return "all" if len(read) == len(log) else f"some {bool(read)}"


def _write_blocks(base: BaseDir, how: int, left: int, log: bytes) -> None:
    """Block 0, with the log at its end; a block 1 with the rest, if wanted."""
    for folder in (base.log, base.held):
        folder.mkdir(parents=True)
    with ((base.held if how & 2 else base.log) / "0").open("wb") as file:
        file.write(block_info(0))
        file.seek(BLOCK - left)
        file.write(log if how & 4 else log[:left])
        if not how & 8:
            file.truncate(max(BLOCK, file.tell()))
    if how & 1:
        (base.log / "1").write_bytes(block_info(1).ljust(INFO, b"\0") + log[left:])


def _sound_by_block(first: bytes, second: bytes) -> bytes:
    sound = sound_groups(first, CHAIN_BEFORE, SCN_BEFORE)
    if sound.size < len(first) or not second:
        return first[: sound.size]
    before = sound if sound.size else Sound(0, CHAIN_BEFORE, 0, SCN_BEFORE, "")
    return first + second[: sound_groups(second, before.chain, before.max_scn).size]


class _end_of_log:  # noqa: N801 - a function with a memory
    """The engine's answer: nothing to say, far away, the truth, or no answer."""

    def __init__(self, how: int, truth: int) -> None:
        self._how, self._truth = how >> 4 & 3, truth

    def __call__(self) -> int:
        if self._how == 3:
            raise ConnectionError("no engine")
        return (0, 2**62, self._truth)[self._how]


def _check_batch(batch: LogBatch, position: LogPosition) -> None:
    assert batch.start == position
    assert batch.end.lsn == position.lsn + len(batch.data) > position.lsn
    assert position.lsn // LOG == (batch.end.lsn - 1) // LOG
    assert position.scn < batch.min_scn <= batch.end.scn


def fix_reader(data: bytes) -> bytes:
    """All checksums made right."""
    return data[:4] + resigned(data[4:], CHAIN_BEFORE)


def seeds_of_reader() -> Iterator[tuple[str, bytes]]:
    """The real log in one block and over two, with every answer of the engine."""
    ends = starts(GOLDEN)
    for how in (0, 1, 2, 16, 32, 48):
        yield f"one-block-{how}", bytes((how, 16)) + (60000).to_bytes(2, "big") + GOLDEN[: ends[2]]
    for how in (1, 5, 9, 4):
        yield f"two-blocks-{how}", bytes((how, 0)) + ends[1].to_bytes(2, "big") + GOLDEN[: ends[3]]
    yield "across", bytes((4, 16)) + (ends[1] + 9).to_bytes(2, "big") + GOLDEN[: ends[3]]


_WORDS = (b"\x47\x52\x00\x03", b"\x4c\x48\x00\x01", b"\x49\x42\x00\x01", b"\x40" + bytes(7))
TARGETS = (
    Target("palf-groups", check_groups, seeds_of_groups, _WORDS, fix_groups, executions=600),
    Target("palf-edits", check_edits, seeds_of_edits, longest=64, executions=300),
    Target("palf-info", check_info, seeds_of_info, _WORDS, fix_info, longest=128, executions=600),
    Target("palf-reader", check_reader, seeds_of_reader, _WORDS, fix_reader, longest=30_000, executions=250),
)
