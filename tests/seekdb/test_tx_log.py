"""Redo of transactions that are not decided is told from everything else, in real log and in log of any shape."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.engines.seekdb.log_layer import SeekdbLogCutter
from redoubt.engines.seekdb.palf import verify_groups
from redoubt.engines.seekdb.tx_log import Matter, is_upkeep, matter_of
from redoubt.model.bases import OpenTail

from .conftest import CopiedLog
from .test_palf import places_of_groups
from .written import LOG, PADDING, group, padding

DROP = (Path(__file__).parent / "drop.palf").read_bytes()
"""The last groups of a `DROP TABLE`, the drop's own transaction the very last (pylibseekdb 1.4.0.post1)."""
IDLE = (Path(__file__).parent / "idle.palf").read_bytes()
"""The transaction that an idle engine commits every 10 s (pylibseekdb 1.4.0.post1), in a group made for it."""
PLACES = places_of_groups(DROP)
GROUPS = [DROP[start:end] for start, end in pairwise(PLACES)]
REDO, ROLLBACK, SOURCES, RECORD, COMMIT_INFO, COMMIT, ABORT = 0x1, 0x2, 0x4, 0x20, 0x40, 0x100, 0x200
BIG_SEGMENT = 0x200000


def frame(content: bytes, version: int = 1) -> bytes:
    """Content with its version and its length before it."""
    length = [len(content) >> 7 * number & 0x7F | (0x80 if number < 4 else 0) for number in range(5)]
    return bytes([version, *length]) + content


def transaction(*kinds: int, flags: int = 0, kind: int = 1, version: int = 1, tail: bytes = b"") -> bytes:
    """The data of a transaction's entry with a record of each kind."""
    records = b"".join(struct.pack(">q", each) + frame(b"content" * 40) for each in kinds)
    return struct.pack(">hhIq", version, kind, flags, 5) + frame(bytes(16)) + records + tail


UPKEEP = transaction(kind=6)


def scn_of(data: bytes) -> int:
    """The SCN of a group."""
    return int(struct.unpack_from(">Q", data, 16)[0])


def test_the_redo_of_a_drop_is_told_from_its_commit() -> None:
    """In real log: the groups in which one of the drop's transactions began, and nothing else."""
    matters = [matter_of(data) for data in GROUPS]

    assert verify_groups(DROP, None).size == len(DROP)
    assert [number for number, matter in enumerate(matters) if matter is Matter.REDO] == [0, 3, 5]
    assert matters.count(Matter.OTHER) == len(GROUPS) - 3


def test_the_tail_of_real_log_begins_with_its_redo() -> None:
    """At every group; nothing before the offset is looked at."""
    cutter = SeekdbLogCutter()
    for number, end in enumerate(PLACES[1:]):
        is_open = number in {0, 3, 5}
        expected = OpenTail(scn_of(GROUPS[number]) if is_open else None, is_all=number == 0)
        assert cutter.open_tail(DROP[:end], 0) == expected
        assert cutter.open_tail(DROP[:end], end) == OpenTail(None, is_all=True)
        assert cutter.open_tail(DROP[:end], PLACES[number]) == OpenTail(expected.scn, is_all=is_open)


@pytest.mark.parametrize(
    ("contents", "matter"),
    [
        ([transaction(REDO)], Matter.REDO),
        ([transaction(REDO, ROLLBACK, SOURCES, RECORD, flags=0xC0000000)], Matter.REDO),
        ([transaction(REDO), UPKEEP], Matter.REDO),
        ([UPKEEP], Matter.UPKEEP),
        ([transaction(REDO, COMMIT_INFO)], Matter.OTHER),
        ([transaction(REDO, COMMIT_INFO, COMMIT)], Matter.OTHER),
        ([transaction(ABORT)], Matter.OTHER),
        ([transaction(BIG_SEGMENT)], Matter.OTHER),
        ([transaction(REDO), transaction(COMMIT), transaction(REDO)], Matter.OTHER),
        ([transaction(REDO, flags=1 << 29)], Matter.OTHER),
        ([transaction(REDO, version=2)], Matter.OTHER),
        ([transaction(REDO, kind=5)], Matter.OTHER),
        ([transaction()], Matter.OTHER),
        ([transaction(REDO, tail=b"more")], Matter.OTHER),
        ([transaction(REDO, tail=struct.pack(">q", REDO) + b"\x01\x80")], Matter.OTHER),
        ([transaction(REDO, tail=struct.pack(">q", REDO) + frame(b"", version=2))], Matter.OTHER),
        ([transaction(REDO, tail=struct.pack(">q", REDO) + b"\x01\x80\x00\x80\x80\x00")], Matter.OTHER),
        ([transaction(REDO, tail=struct.pack(">q", REDO) + b"\x01\x85\x80\x80\x80\x00")], Matter.OTHER),
        ([struct.pack(">hhIq", 1, 1, 0, 5)], Matter.OTHER),
        ([b"short"], Matter.OTHER),
    ],
)
def test_only_what_is_surely_redo_is_taken_for_it(contents: list[bytes], matter: Matter) -> None:
    """A compressed entry, one of another version, one with a record that is not known: each may decide something."""
    assert matter_of(group(contents, 10, 0)) is matter


def test_padding_is_upkeep() -> None:
    """It is an entry of its own kind with nothing in it; what only looks like padding is not taken for it."""
    head = struct.pack(">hhIq", 1, 25, 0, 0)

    assert matter_of(group([head], 10, 0, flag=PADDING)) is Matter.UPKEEP
    assert matter_of(padding(4096, 10, 0) + bytes(4000)) is Matter.OTHER


@given(st.lists(st.sampled_from(["redo", "upkeep", "commit"]), min_size=1, max_size=12), st.integers(0, 12))
def test_no_tail_has_a_decision_in_it(kinds: list[str], low: int) -> None:
    """What is left of the log without the tail is whole groups, and all that were decided before its end."""
    entries = {"redo": transaction(REDO), "upkeep": UPKEEP, "commit": transaction(REDO, COMMIT_INFO, COMMIT)}
    groups = [group([entries[kind]], 10 * number, 0) for number, kind in enumerate(kinds, 1)]
    places = [sum(map(len, groups[:number])) for number in range(len(kinds) + 1)]
    low = min(low, len(kinds))
    tail = SeekdbLogCutter().open_tail(b"".join(groups), places[low])
    last = max((number for number, kind in enumerate(kinds, 1) if kind == "commit" and number > low), default=0)
    opening = [number for number, kind in enumerate(kinds, 1) if kind == "redo" and number > max(last, low)]

    assert tail == OpenTail(10 * opening[0] if opening else None, is_all=not last)


def test_the_padding_of_an_engine_is_upkeep(copied: CopiedLog) -> None:
    """A whole block of real log: its last group is padding, and nothing in it is beyond the reader."""
    data = copied.data(0)
    places = places_of_groups(data)
    matters = {matter_of(data[start:end]) for start, end in pairwise(places)}

    assert len(data) == places[-1] == LOG
    assert matters == set(Matter)
    assert matter_of(data[places[-2] :]) is Matter.UPKEEP


def test_what_an_idle_engine_writes_is_upkeep() -> None:
    """Its own transaction, signs of life, padding; together with anything else, or in bulk, it counts as data."""
    life = group([struct.pack(">hhIQ", 1, 6, 0, 0) + bytes(8)], 1, 0)

    assert is_upkeep(IDLE)
    assert is_upkeep(life + IDLE + life)
    assert not is_upkeep(IDLE + DROP[PLACES[0] : PLACES[1]])
    assert not is_upkeep(IDLE * 8)
    assert matter_of(IDLE) is Matter.OTHER, "a restore must not leave it out"
