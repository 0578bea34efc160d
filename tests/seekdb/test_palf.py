"""The engine's log format: real log verifies to its end, and nothing else is ever taken for sound."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.engines.seekdb.palf import (
    BLOCK_LOG_SIZE,
    INFO_SIZE,
    MAX_GROUP_SIZE,
    BadLogError,
    BlockInfo,
    Tail,
    VerifiedGroups,
    parse_block_info,
    verify_groups,
)

from .conftest import CopiedLog
from .written import LOG, PADDING, block_info, entry, group, group_around, padding, signed

GOLDEN = (Path(__file__).parent / "golden.palf").read_bytes()
"""Eight groups that an engine wrote (pylibseekdb 1.4.0.post1)."""
CHAIN_BEFORE, SCN_BEFORE = 3365247171, 1795389716098630011
PLACES = st.integers(0, len(GOLDEN) - 1)


def places_of_groups(data: bytes) -> list[int]:
    """Where each group begins, and where the last one ends."""
    places = [0]
    while places[-1] < len(data):
        places.append(places[-1] + 48 + int(struct.unpack_from(">i", data, places[-1] + 4)[0]))
    return places


def places_of_headers(data: bytes) -> list[tuple[int, int]]:
    """Where the headers of groups and entries begin, and how long each is."""
    headers = []
    for start, end in pairwise(places_of_groups(data)):
        headers.append((start, 48))
        at = start + 48
        while at < end:
            headers.append((at, 32))
            at += 32 + int(struct.unpack_from(">i", data, at + 4)[0])
    return headers


GROUPS = places_of_groups(GOLDEN)
PARTS = [GOLDEN[start:end] for start, end in pairwise(GROUPS)]
AT_EACH = [verify_groups(GOLDEN[:end], CHAIN_BEFORE, SCN_BEFORE) for end in GROUPS]
"""What is said of each true prefix."""


def check_is_true_prefix(damaged: bytes, found: VerifiedGroups) -> None:
    """What was found sound is a prefix of the real log, and is described as such."""
    assert found.size in GROUPS
    assert GOLDEN[: found.size] == damaged[: found.size]
    expected = AT_EACH[GROUPS.index(found.size)]
    assert expected == replace(found, tail=expected.tail, needed=expected.needed, why="")


def verified(damaged: bytes) -> VerifiedGroups:
    """What is found sound in bytes that stand in the place of the golden ones."""
    found = verify_groups(damaged, CHAIN_BEFORE, SCN_BEFORE)
    check_is_true_prefix(damaged, found)
    return found


def test_the_golden_log_verifies() -> None:
    """To its last byte, and also without a predecessor to compare with."""
    alone = verify_groups(GOLDEN, None)

    assert len(GOLDEN) == verified(GOLDEN).size
    assert len(GOLDEN) == alone.size
    assert verified(GOLDEN).chain == alone.chain
    assert len(PARTS) == 8
    assert len(places_of_headers(GOLDEN)) > len(PARTS) * 2


def test_a_real_log_verifies_to_its_live_end(copied: CopiedLog) -> None:
    """Groups stand back to back, and the chain goes on over the block's boundary."""
    first = verify_groups(copied.data(0), None)
    second = verify_groups(copied.data(1), first.chain, first.max_scn)
    live = (copied.base.log / "1").read_bytes()[INFO_SIZE:]
    beyond = verify_groups(live, first.chain, first.max_scn)

    assert (first.size, second.size) == (BLOCK_LOG_SIZE, copied.end - BLOCK_LOG_SIZE)
    assert first.max_scn < second.min_scn <= second.max_scn
    assert beyond.size >= second.size
    assert beyond.tail is Tail.BLANK


def test_a_real_blocks_info_is_parsed(copied: CopiedLog) -> None:
    """Its number, and the SCN after which its log begins."""
    infos = [parse_block_info((copied.base.log / str(block)).read_bytes()) for block in (0, 1)]
    end = verify_groups(copied.data(0), None).max_scn

    assert [info.block_id for info in infos if info] == [0, 1]
    assert infos[1]
    assert 0 < infos[1].min_scn <= end + 1


def test_a_real_log_does_not_verify_in_another_place(copied: CopiedLog) -> None:
    """Neither after another log nor after a later one."""
    data = copied.data(1)[:1_000_000]
    first = verify_groups(copied.data(0), None)
    assert first.chain is not None

    assert verify_groups(data, first.chain ^ 1, first.max_scn).size == 0
    assert verify_groups(data, first.chain, first.max_scn + 2**62).size == 0


def test_only_the_first_bytes_of_real_padding_are_covered(copied: CopiedLog) -> None:
    """The engine's checksum of a padding entry is that of its first 16 bytes; the rest says nothing and is not log."""
    data = bytearray(copied.data(0))
    places = places_of_groups(bytes(data))
    start = places[-2]
    chain, scn = verify_groups(bytes(data[:start]), None).chain, 0
    size = len(data) - start
    sound = verify_groups(bytes(data[start:]), chain, scn)

    def flipped(at: int) -> int:
        data[start + at] ^= 1
        found = verify_groups(bytes(data[start:]), chain, scn).size
        data[start + at] ^= 1
        return found

    assert int(struct.unpack_from(">q", data, start + 40)[0]) & PADDING
    assert size == sound.size
    assert [flipped(48 + 32 + at) for at in range(16)] == [0] * 16
    assert [size] * 3 == [flipped(at) for at in (48 + 32 + 16, size // 2, size - 1)]


def test_every_flipped_bit_of_a_header_is_found() -> None:
    """Headers have 16 bits of checksum, and of each 65536 such flips one may pass; none of these does."""
    damaged = bytearray(GOLDEN)
    for start, length in places_of_headers(GOLDEN):
        sound = max(place for place in GROUPS if place <= start)
        after = GROUPS[GROUPS.index(sound) + 1]
        for bit in range(8 * start, 8 * (start + length)):
            damaged[bit // 8] ^= 1 << bit % 8
            part = bytes(damaged[sound:after])
            before = AT_EACH[GROUPS.index(sound)]
            found = verify_groups(part, before.chain, before.max_scn or SCN_BEFORE)
            damaged[bit // 8] ^= 1 << bit % 8

            assert found.size == 0


@given(place=PLACES, bit=st.integers(0, 7))
def test_a_flipped_bit_ends_the_sound_part_before_it(place: int, bit: int) -> None:
    """Exactly at the group that it is in."""
    damaged = bytearray(GOLDEN)
    damaged[place] ^= 1 << bit
    found = verified(bytes(damaged))

    assert max(start for start in GROUPS if start <= place) == found.size


@given(length=st.integers(0, len(GOLDEN)))
def test_a_cut_log_is_sound_to_its_last_whole_group(length: int) -> None:
    """What is missing is not called bad, and the size that the next group needs is told where it is known."""
    found = verified(GOLDEN[:length])
    start = max(place for place in GROUPS if place <= length)

    assert (start, Tail.SHORT) == (found.size, found.tail)
    if length - start >= 48:
        assert GROUPS[GROUPS.index(start) + 1] - start == found.needed
    else:
        assert found.needed == 0


@given(order=st.lists(st.integers(0, len(PARTS) - 1), max_size=12))
def test_groups_in_another_order_are_sound_as_far_as_they_are_in_theirs(order: list[int]) -> None:
    """Swapped, dropped and doubled ones alike."""
    found = verified(b"".join(PARTS[number] for number in order))
    in_order = 0
    while in_order < len(order) and order[in_order] == in_order:
        in_order += 1

    assert GROUPS[in_order] == found.size
    assert (found.tail is Tail.BAD) == (in_order < len(order))


@given(place=PLACES, length=st.integers(1, len(GOLDEN)))
def test_a_zeroed_range_ends_the_sound_part(place: int, length: int) -> None:
    """Whether it begins at a group, where it looks as if no more had been written, or in one."""
    end = min(place + length, len(GOLDEN))
    damaged = GOLDEN[:place] + bytes(end - place) + GOLDEN[end:]
    found = verified(damaged)
    first_changed = next((at for at in range(place, end) if GOLDEN[at]), len(GOLDEN))

    assert max(start for start in GROUPS if start <= first_changed) == found.size


@given(place=PLACES, junk=st.binary(min_size=1, max_size=100))
def test_overwritten_bytes_end_the_sound_part(place: int, junk: bytes) -> None:
    """Whatever is written over them."""
    verified(GOLDEN[:place] + junk + GOLDEN[place + len(junk) :])


@given(place=PLACES, size=st.sampled_from([512, 4096]), seed=st.integers(0, 100))
def test_a_lost_sector_ends_the_sound_part(place: int, size: int, seed: int) -> None:
    """Old content of the disk stands in its place."""
    start = place - place % size
    lost = random.Random(seed).randbytes(min(size, len(GOLDEN) - start))
    found = verified(GOLDEN[:start] + lost + GOLDEN[start + len(lost) :])

    assert found.size <= start


@given(chain=st.integers(0, 2**32 - 1).filter(lambda chain: chain != CHAIN_BEFORE))
def test_another_chain_is_refused(chain: int) -> None:
    """However sound the groups are by themselves."""
    found = verify_groups(GOLDEN, chain, SCN_BEFORE)

    assert (found.size, found.tail) == (0, Tail.BAD)
    assert found.why == "accumulated checksum does not continue the log before it"


@given(st.binary(max_size=300), st.none() | st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_random_bytes_are_no_log(data: bytes, chain: int | None, after_scn: int) -> None:
    """And never an exception."""
    assert verify_groups(data, chain, after_scn).size == 0


I64 = st.integers(-(2**63), 2**63 - 1)


@given(
    size=st.integers(-(2**31), 2**31 - 1) | st.integers(0, 200),
    scn=st.integers(0, 2**64 - 1),
    accumulated=I64,
    flag=st.sampled_from([0, PADDING, -(2**63)]),
    body=st.binary(max_size=150) | st.binary(max_size=60).map(lambda data: entry(data, 1)),
    chain=st.none() | I64,
)
def test_hostile_headers_never_raise(
    size: int, scn: int, accumulated: int, flag: int, body: bytes, chain: int | None
) -> None:
    """A header whose checksum is right may say anything."""
    data = signed("hhiQQqqq", (0x4752, 3, size, 0, scn, accumulated, 1), flag) + body
    found = verify_groups(data * 2, chain)

    assert found.size in {0, 48 + size}


@given(size=st.integers(-(2**31), 2**31 - 1), flag=st.sampled_from([0, PADDING]), body=st.binary(max_size=100))
def test_hostile_entries_never_raise(size: int, flag: int, body: bytes) -> None:
    """As little as an entry's header."""
    data = group_around(signed("hhiQqq", (0x4C48, 1, size, 1, 0), flag) + body, 0, 1, 0)
    verify_groups(data, 0)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x00\x01" + bytes(46), "group magic is 0x0001"),
        (signed("hhiQQqqq", (0x4752, 4, 10, 0, 1, 0, 1), 0), "group version is 4, this reader knows 3"),
        (struct.pack(">hhiQQqqq", 0x4752, 3, 10, 0, 1, 0, 1, 0x1234), "group header checksum does not match"),
        (group_around(b"", 0, 1, 0), "group size is 0"),
        (group_around(b"", 0, 1, 0, size=-5), "group size is -5"),
        (group_around(b"", 0, 1, 0, size=MAX_GROUP_SIZE + 1), f"group size is {MAX_GROUP_SIZE + 1}"),
        (group([b"log"], 0, 0), "SCN 0 does not follow 0"),
        (group_around(bytes(31), 0, 1, 0), "the last log entry reaches past its group"),
        (group_around(bytes(32), 0, 1, 0), "log entry magic is 0x0000"),
        (group_around(entry(b"log", 1)[:31] + b"\x7f" + b"log", 0, 1, 0), "log entry header checksum does not match"),
        (group_around(entry(b"log", 1, size=4), 0, 1, 0), "a log entry reaches past its group"),
        (group_around(entry(b"log", 1, size=-1), 0, 1, 0), "a log entry reaches past its group"),
        (group_around(entry(b"log", 1)[:-1] + b"h", 0, 1, 0), "log entry data checksum does not match"),
        (group([b"log"], 1, 99), "accumulated checksum does not continue the log before it"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, why: str) -> None:
    """By the first check that it does not pass."""
    assert VerifiedGroups(0, 0, 0, 0, Tail.BAD, why=why) == verify_groups(data, 0)


def test_groups_made_here_verify() -> None:
    """With several entries, none of whose sizes matter, and padding."""
    data = group([b"", b"log", bytes(100)], 5, 77)
    chain = verify_groups(data, 77).chain
    assert chain is not None
    whole = data + padding(500, 6, chain)
    found = verify_groups(whole + bytes(500 - 48 - 32 - 16), 77)

    assert (len(data) + 500, 5, 6, Tail.SHORT) == (found.size, found.min_scn, found.max_scn, found.tail)


def test_an_scn_must_follow_the_one_before() -> None:
    """In the same bytes as over two reads."""
    first = group([b"log"], 5, 0)
    chain = verify_groups(first, 0).chain
    assert chain is not None

    assert len(first) == verify_groups(first + group([b"log"], 5, chain), 0).size
    assert verify_groups(group([b"log"], 6, chain), chain, 6).why == "SCN 6 does not follow 6"


def test_a_blocks_info_made_here_is_parsed() -> None:
    """A block that has not been written to has none."""
    assert BlockInfo(3, 12) == parse_block_info(block_info(3, 12))
    assert parse_block_info(bytes(4096)) is None


@pytest.mark.parametrize("bit", range(48 * 8))
def test_every_flipped_bit_of_a_blocks_info_is_found(bit: int) -> None:
    """All of its 48 bytes are covered."""
    data = bytearray(block_info(3, 12))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadLogError):
        parse_block_info(bytes(data))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "a block file of 0 bytes is too short"),
        (bytes(47), "a block file of 47 bytes is too short"),
        (b"\x49\x43" + block_info(0)[2:], "block magic is 0x4943"),
        (block_info(0)[:-1] + b"\x00", "block info checksum does not match"),
        (block_info(2, min_lsn=LOG), f"the header of block 2 has the wrong start, LSN {LOG}"),
    ],
)
def test_what_is_wrong_with_a_blocks_info_is_said(data: bytes, text: str) -> None:
    """By the first check that it does not pass."""
    with pytest.raises(BadLogError, match=text):
        parse_block_info(data)


@given(st.binary(max_size=100))
def test_random_bytes_are_no_blocks_info(data: bytes) -> None:
    """Nothing but BadLogError comes of them; all zeros are a block that has not been written to."""
    try:
        info = parse_block_info(data)
    except BadLogError:
        return

    assert info is None
    assert data[:2] == b"\0\0"
