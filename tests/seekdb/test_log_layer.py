"""Laying log into a directory, block by block, and finding places in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.engines.seekdb.files import BaseDir, block_ids
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter, SeekdbLogLayer, last_scn
from redoubt.engines.seekdb.palf import BadLogError, parse_block_info
from redoubt.engines.seekdb.undo_log import last_log_id
from redoubt.model.log import LogDamagedError, LogPosition

from .written import BLOCK, INFO, LOG, WrittenLog, block_info, chain_after, group

NEWEST = 2**63 - 1


@pytest.fixture
def two_blocks(log: WrittenLog) -> WrittenLog:
    """A log that goes on in a second block."""
    log.append(b"first", b"second")
    log.append(b"third")
    log.fill_block()
    log.append(b"fourth")
    log.append(b"fifth")
    return log


@pytest.fixture
def base(tmp_path: Path) -> BaseDir:
    """A directory to lay into."""
    return BaseDir(tmp_path / "laid")


def bytes_of(log: WrittenLog, start: int, end: int) -> bytes:
    """The log between two LSNs."""
    parts = [log.block(block).read_bytes()[INFO:] for block in range(end // LOG + 1)]
    return b"".join(parts)[start:end]


def content(base: BaseDir, block: int) -> bytes:
    """The log in a block that was laid."""
    data = (base.log / str(block)).read_bytes()
    assert len(data) == BLOCK
    return data[INFO:]


def parts(log: bytes) -> Iterator[bytes]:
    """The log in parts that end anywhere, as it is decoded."""
    size = 100_003
    return (log[at : at + size] for at in range(0, len(log), size))


def breaking_off(log: bytes) -> Iterator[bytes]:
    """The log, and then no more of it can be had."""
    yield log
    raise OSError("gone")


def test_log_is_laid_over_blocks(two_blocks: WrittenLog, base: BaseDir) -> None:
    """In one go: each block's info says after which SCN it begins; behind the end there are zeros."""
    end = two_blocks.end
    layer = SeekdbLogLayer(base, 0)
    layer.lay(0, parts(bytes_of(two_blocks, 0, end.lsn)), 0)
    layer.sync()
    layer.finish(end)
    last_of_first = next(place for place in two_blocks.ends if place.lsn == LOG)
    infos = [parse_block_info((base.log / str(block)).read_bytes()[:INFO]) for block in (0, 1)]

    assert block_ids(base.log) == [0, 1]
    assert content(base, 0) == bytes_of(two_blocks, 0, LOG)
    assert content(base, 1) == bytes_of(two_blocks, LOG, end.lsn).ljust(LOG, b"\0")
    assert [info and info.min_scn for info in infos] == [two_blocks.ends[1].scn, last_of_first.scn + 1]


def test_log_that_comes_in_two_at_once_is_the_same(two_blocks: WrittenLog, base: BaseDir) -> None:
    """The later part first, and one that breaks off is laid again."""
    end, cut = two_blocks.end, two_blocks.ends[2]
    log = bytes_of(two_blocks, 0, end.lsn)
    layer = SeekdbLogLayer(base, 0)
    layer.lay(cut.lsn, parts(log[cut.lsn :]), cut.scn)
    with pytest.raises(OSError, match="gone"):
        layer.lay(0, breaking_off(log[:10]), 0)
    layer.lay(0, parts(log[: cut.lsn]), 0)
    layer.sync()
    layer.finish(end)
    whole = SeekdbLogLayer(BaseDir(base.path / "whole"), 0)
    whole.lay(0, parts(log), 0)
    whole.finish(end)

    assert content(base, 0) == content(BaseDir(base.path / "whole"), 0)
    assert (base.log / "1").read_bytes() == (BaseDir(base.path / "whole").log / "1").read_bytes()


def test_blocks_that_are_there_keep_their_info(two_blocks: WrittenLog, base: BaseDir) -> None:
    """Those before the start go, and those behind the end; laying again from a place in between does no harm."""
    base.log.mkdir(parents=True)
    for block in (0, 1, 2):
        (base.log / str(block)).write_bytes(block_info(block, 77).ljust(INFO, b"\0"))
    end, start = two_blocks.end, LOG
    log = bytes_of(two_blocks, start, end.lsn)
    place = two_blocks.ends[-2]
    for at in (start, place.lsn):
        layer = SeekdbLogLayer(base, start)
        layer.lay(at, parts(log[at - start :]), place.scn)
        layer.finish(end)
    info = parse_block_info((base.log / "1").read_bytes()[:INFO])

    assert block_ids(base.log) == [1]
    assert content(base, 1)[: len(log)] == log
    assert info is not None
    assert info.min_scn == 77


def test_what_lies_behind_the_end_goes(log: WrittenLog, base: BaseDir) -> None:
    """Laid by an attempt that was to go further; at a block's end, the next block goes whole."""
    data = log.append(b"first") + log.append(b"second")
    for end in (log.ends[2], log.ends[1]):
        layer = SeekdbLogLayer(base, 0)
        layer.lay(0, parts(data), 0)
        layer.lay(LOG, parts(data), 70)
        layer.finish(end)
        assert block_ids(base.log) == [0]
        assert content(base, 0)[:4096] == data[: end.lsn].ljust(4096, b"\0")
    layer = SeekdbLogLayer(base, 0)
    layer.lay(LOG, parts(data), 70)
    layer.finish(LogPosition(LOG, 70, 7))

    assert block_ids(base.log) == [0]


@given(scn=st.integers(0, 80), wrong=st.none() | st.integers(0, 499))
def test_a_cut_is_behind_the_last_group_before_a_moment(scn: int, wrong: int | None) -> None:
    """Every group before it is verified; one that is damaged behind it does not matter."""
    ends = [LogPosition(1000, 0, 0)]
    log = b"".join(_groups(ends))
    expected = max((end for end in ends if end.scn <= scn), key=lambda end: end.lsn)
    if wrong is not None and wrong < len(log):
        log = log[:wrong] + bytes([log[wrong] ^ 16]) + log[wrong + 1 :]
    try:
        found = SeekdbLogCutter().cut(log, ends[0], scn)
    except LogDamagedError:
        assert wrong is not None
    else:
        assert wrong is not None or found == expected
        assert wrong is None or found.lsn <= 1000 + wrong or wrong >= len(log)


def _groups(ends: list[LogPosition]) -> list[bytes]:
    made = []
    for number in range(1, 7):
        data = group([bytes([number]) * 10], number * 10, ends[-1].chain or 0, log_id=number)
        made.append(data)
        ends.append(LogPosition(ends[-1].lsn + len(data), number * 10, chain_after(data)))
    return made


def test_a_cut_before_the_first_group_is_the_start(log: WrittenLog) -> None:
    """And log that does not continue is refused."""
    data = log.append(b"first")
    start = LogPosition(0, 0, 0)

    assert SeekdbLogCutter().cut(data, start, 5) == start
    assert SeekdbLogCutter().cut(data, start, NEWEST).lsn == len(data)
    with pytest.raises(LogDamagedError, match="the log at LSN 0 is damaged: accumulated checksum"):
        SeekdbLogCutter().cut(data, LogPosition(0, 0, 9), NEWEST)


SIZES = (-48, -1, 0, -(2**31), 2**31 - 1)
"""Sizes of a group that no engine writes; a walk with the first one would stand still."""


def _sized(size: int, scn: int = 9) -> bytes:
    """A whole group whose header says another size or SCN."""
    data = bytearray(group([b"content" * 9], scn, 0))
    data[4:8] = size.to_bytes(4, "big", signed=True)
    data[16:24] = scn.to_bytes(8, "big")
    return bytes(data)


@pytest.mark.parametrize("size", SIZES)
def test_a_group_of_an_impossible_size_ends_every_walk(size: int, base: BaseDir) -> None:
    """Laying, cutting and looking for the last SCN: each refuses the log, and none goes on for ever."""
    log = group([b"first"], 5, 0) + _sized(size)
    with pytest.raises(BadLogError, match=f"size {size}"):
        last_scn(log)
    with pytest.raises(BadLogError, match=f"size {size}"):
        last_log_id(log)
    with pytest.raises(BadLogError, match=f"size {size}"):
        SeekdbLogCutter().open_tail(log, 0)
    with pytest.raises(LogDamagedError, match="is damaged"):
        SeekdbLogCutter().cut(log, LogPosition(0, 0, 0), NEWEST)
    for lsn in (0, LOG - len(log)):  # the first group of a block, and the last one
        with pytest.raises(LogDamagedError, match=f"the log in block 0 is damaged: .* size {size}"):
            SeekdbLogLayer(base, 0).lay(lsn, iter([_sized(size) if lsn == 0 else log]), 0 if lsn == 0 else 3)
        (base.log / "0").unlink()


def test_an_scn_of_no_engine_is_damage(base: BaseDir) -> None:
    """The SCN after it would not fit into a block's header."""
    log = _sized(len(_sized(1)) - 48, scn=2**64 - 1)
    with pytest.raises(LogDamagedError, match="SCN 18446744073709551615"):
        SeekdbLogLayer(base, 0).lay(0, iter([log]), 0)
    with pytest.raises(LogDamagedError, match="is damaged"):
        SeekdbLogCutter().cut(group([b"x"], 2**63, 0), LogPosition(0, 0, 0), 2**64)


@pytest.mark.parametrize(
    "info",
    [b"\1" * INFO, b"IB" + bytes(INFO - 2), block_info(7)[:40].ljust(INFO, b"\0")],
    ids=["other magic", "nothing but magic", "no checksum"],
)
def test_a_block_whose_header_is_damaged_takes_no_log(base: BaseDir, info: bytes) -> None:
    """It came with a data backup."""
    base.log.mkdir(parents=True)
    (base.log / "0").write_bytes(info)
    with pytest.raises(LogDamagedError, match="the log in block 0 is damaged: block"):
        SeekdbLogLayer(base, 0).lay(0, iter([group([b"first"], 5, 0)]), 0)


@pytest.mark.parametrize("length", [0, 1, 47])
def test_log_that_is_shorter_than_a_header_makes_no_block(base: BaseDir, length: int) -> None:
    """What a header's first SCN is would be unknown; no log at all is none."""
    layer = SeekdbLogLayer(base, 0)
    if length:
        with pytest.raises(LogDamagedError, match="the first group has no whole header"):
            layer.lay(0, iter([bytes(length)]), 0)
    else:
        layer.lay(0, iter([b""]), 0)
        assert block_ids(base.log) == []
