"""Which segments are merged: the planner's promises, and a day of a round in figures."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.listing import Listing
from redoubt.archive.segment import SegmentName
from redoubt.archive.store import PieceStore
from redoubt.archiver import merger as merger_module
from redoubt.archiver.chores import Chores
from redoubt.archiver.merger import Merged, Merger
from redoubt.archiver.merging import (
    BUDGET,
    LOG_CAP,
    MANY,
    NEWEST,
    SPAN,
    STORED_CAP,
    Part,
    plan_final,
    plan_merge,
)
from redoubt.archiver.opening import Tenure
from tests.archive.fakes import PATH, Clock, InlineExecutor, MemoryDestination

HEADER = 440
SIZES = st.sampled_from([450, 700, 100_000, 1_000_000, 4_100_000, STORED_CAP, 20_000_000])
LOGS = st.sampled_from([1, 600, 4_000_000, 8_000_000, LOG_CAP, LOG_CAP + 5])


def parts_of(sizes: Sequence[tuple[int, int]], suffix: str = ".zst", start: int = 0) -> list[Part]:
    """Neighbouring parts of these sizes (object, log), one a second."""
    parts: list[Part] = []
    for second, (size, log) in enumerate(sizes):
        parts.append(Part(SegmentName(start, start + log, suffix), size, float(second)))
        start += log
    return parts


def small(number: int, suffix: str = ".zst", start: int = 0) -> list[Part]:
    """So many small parts."""
    return parts_of([(700, 600)] * number, suffix, start)


@pytest.mark.parametrize(
    ("number", "now", "merged"),
    [
        (MANY + NEWEST, SPAN, MANY),
        (MANY + NEWEST, SPAN - 1, 0),
        (MANY + NEWEST - 1, 10 * SPAN, 0),
        (500, SPAN, 500 - NEWEST),
        (NEWEST, 1e9, 0),
        (1, 1e9, 0),
        (0, 1e9, 0),
    ],
)
def test_many_and_old_parts_are_merged(number: int, now: float, merged: int) -> None:
    """Both at once, and never the newest few."""
    parts = small(number)
    plan = plan_merge(parts, now)

    assert plan.settled == 0
    assert tuple(parts[:merged]) == plan.parts


def test_parts_that_fill_an_object_are_merged_at_once() -> None:
    """Whatever their number and age; by their size, and by that of their log."""
    by_size = parts_of([(4_000_000, 4_100_000)] * (5 + NEWEST))
    by_log = parts_of([(1000, LOG_CAP // 4)] * (4 + NEWEST))

    assert tuple(by_size[:4]) == plan_merge(by_size, 0).parts
    assert tuple(by_log[:4]) == plan_merge(by_log, 0).parts
    assert plan_merge(by_size[: 4 + NEWEST], 0).parts == ()


def test_another_codec_ends_a_run() -> None:
    """What is before it is merged, as nothing more can join it; a single one is passed over."""
    three = [*small(3), *small(1 + NEWEST, suffix=".lz4", start=1800)]
    one = [*small(1), *small(MANY + NEWEST, suffix=".lz4", start=600)]

    assert tuple(three[:3]) == plan_merge(three, 0).parts
    assert plan_merge(one, 0).settled == 1
    assert plan_merge(one, 100).settled == 1
    assert tuple(one[1 : 1 + MANY]) == plan_merge(one, 100).parts


def test_a_merged_object_between_ends_a_run() -> None:
    """Parts that are not neighbours are never joined."""
    parts = [*small(2), *small(2 + NEWEST, start=5000)]

    assert tuple(parts[:2]) == plan_merge(parts, 0).parts


def test_a_large_part_is_passed_over() -> None:
    """There is nothing to win."""
    parts = parts_of([(STORED_CAP + 500, 1)] * (2 + NEWEST))
    plan = plan_merge(parts, 0)

    assert (plan.settled, plan.parts) == (2, ())


@given(st.lists(st.tuples(SIZES, LOGS, st.sampled_from([".zst", ".lz4"])), max_size=100), st.floats(0, 1000))
def test_a_plan_keeps_its_promises(drawn: list[tuple[int, int, str]], now: float) -> None:
    """A run of neighbours of one codec, within the caps, and never the newest few."""
    parts: list[Part] = []
    for size, log, suffix in drawn:
        parts += parts_of([(size, log)], suffix, parts[-1].name.end_lsn if parts else 0)
    plan = plan_merge(parts, now)
    run = plan.parts

    assert run == tuple(parts[plan.settled : plan.settled + len(run)])
    assert plan.settled + len(run) <= max(len(parts) - NEWEST, 0)
    assert len(run) != 1
    assert len({part.name.suffix for part in run}) <= 1
    assert sum(part.size - HEADER for part in run) <= STORED_CAP
    assert sum(part.name.end_lsn - part.name.start_lsn for part in run) <= LOG_CAP


@given(st.lists(st.tuples(SIZES, st.integers(1, 900), st.booleans(), st.sampled_from([".zst", ".lz4"])), max_size=100))
def test_the_last_merging_stays_within_the_budget(drawn: list[tuple[int, int, bool, str]]) -> None:
    """Whatever was merged before: all writing over what was stored first."""
    objects: list[Part] = []
    for size, log, is_merged, suffix in drawn:
        start = objects[-1].name.end_lsn if objects else 0
        objects.append(Part(SegmentName(start, start + log, suffix, is_merged), size))
    groups = plan_final(objects)
    first = sum(part.size for part in objects)
    before = first + sum(part.size for part in objects if part.name.is_merged)

    assert before + sum(part.size for group in groups for part in group) <= BUDGET * max(first, 1)
    for group in groups:
        at = objects.index(group[0])
        assert tuple(part for part in objects[at:] if part in group) == group
        assert len(group) > 1
        assert all(a.name.end_lsn == b.name.start_lsn for a, b in pairwise(group))
        assert len({(part.name.is_merged, part.name.suffix) for part in group}) == 1


def test_the_last_merging_takes_the_rest_and_small_merged_ones() -> None:
    """What is fresh becomes one object, and of the small ones as many as the budget allows."""
    merged = [Part(SegmentName(n * 100, n * 100 + 100, ".zst", is_merged=True), 30_000) for n in range(10)]
    fresh = small(10, start=1000)
    groups = plan_final([*merged, *fresh])
    plenty = plan_final([*merged[:2], *parts_of([(90_000, 100)], start=200)])

    assert [tuple(fresh)] == groups
    assert [tuple(merged[:2])] == plenty


class Day:
    """A round's merging in figures: objects are counted and not stored."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.objects: dict[SegmentName, int] = {}
        self.first = self.written = self.most = 0
        executor: Executor = InlineExecutor()
        monkeypatch.setattr(merger_module, "merge", self._merge)
        monkeypatch.setattr(merger_module, "remove", self._remove)
        store = PieceStore(MemoryDestination(), PATH)
        self.chores = Chores(executor, self.clock, lambda: None)
        self.merger = Merger(store, self.chores, Listing((), ()), self.clock, Tenure(store, "a test"))

    def run(self, seconds: int, rate: int, size: int, log: int = 600) -> None:
        """Have `rate` segments a second stored."""
        lsn = 0
        for _ in range(seconds):
            for _ in range(rate):
                self.clock.now += 1 / rate
                name = SegmentName(lsn, lsn + log, ".zst")
                lsn += log
                self.objects[name] = size
                self.first += size
                self.written += size
                self.merger.add(name, size, "digest")
                self.chores.step()
                self.merger.step()
            self.most = max(self.most, len(self.objects))
        while not self.chores.is_idle():
            self.chores.step()

    def _merge(self, _store: PieceStore, parts: tuple[Part, ...]) -> Merged:
        size = HEADER + sum(part.size - HEADER for part in parts)
        name = SegmentName(parts[0].name.start_lsn, parts[-1].name.end_lsn, ".zst", is_merged=True)
        self.objects[name] = size
        self.written += size
        return Merged(name, "digest", parts, sum(part.size for part in parts) - size)

    def _remove(self, _store: PieceStore, parts: tuple[Part, ...]) -> None:
        for part in parts:
            del self.objects[part.name]


@pytest.mark.parametrize("size", [700, 50_000, 2_000_000])
def test_a_day_of_a_segment_a_second_is_two_thousand_objects(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """And nothing is written more than two and a half times, the last merging included."""
    day = Day(monkeypatch)
    day.run(86_400, 1, size, log=size * 2)
    final = sum(part.size for group in plan_final([Part(*each) for each in day.objects.items()]) for part in group)
    held = sum(day.objects.values())

    assert len(day.objects) <= (2000 if size < 100_000 else 86_400 * size // STORED_CAP * 1.2)
    assert day.written <= 2 * day.first
    assert day.written + final <= BUDGET * day.first
    assert (day.first - day.merger.saved_bytes, 86_400 - day.merger.saved_objects) == (held, len(day.objects))


def test_a_day_of_synchronous_commits_is_two_thousand_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hundred tiny segments a second, in ten minutes of it."""
    day = Day(monkeypatch)
    day.run(600, 500, 700)
    waiting = sum(not name.is_merged for name in day.objects)

    assert (len(day.objects) - waiting) * 86_400 / 600 <= 2000
    assert waiting <= (SPAN + 2) * 500
    assert day.written <= 2 * day.first
