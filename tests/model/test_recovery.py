"""Which moments can be restored: against a model that tries every sequence of runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.bases import Base, SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun, NotRecoverableError, Stretch, follow, way_to, windows

BASE = Base(SetKey(1, 20261123), "engine-a", start_lsn=0, snapshot_lsn=50, snapshot_scn=500)


def run_of(start: int, end: int, round_id: int = 1, *, scn: int | None = None, source: str = "engine-a") -> LogRun:
    """A run of a log in which the SCN is ten times the LSN."""
    return LogRun(PieceKey(round_id), source, start, end, start * 10, end * 10 if scn is None else scn)


def reached(base: Base, runs: list[LogRun]) -> Iterator[list[LogRun]]:
    """The slow model: every sequence of the base's log without a gap, that does not contradict itself or the base."""

    def go_on(taken: list[LogRun]) -> Iterator[list[LogRun]]:
        if taken[-1].end_lsn >= base.snapshot_lsn:
            yield taken
        for run in runs:
            meets = run.start_lsn <= taken[-1].end_lsn < run.end_lsn and taken[-1].end_scn < run.end_scn
            if meets and is_possible(run):
                yield from go_on([*taken, run])

    def is_possible(run: LogRun) -> bool:
        if run.source != base.source:
            return False
        if run.end_lsn < base.snapshot_lsn:
            return run.end_scn <= base.snapshot_scn
        return run.end_scn >= base.snapshot_scn

    for first in runs:
        if first.start_lsn <= base.start_lsn < first.end_lsn and is_possible(first):
            yield from go_on([first])


def can_have(scn: int, bases: list[Base], runs: list[LogRun]) -> bool:
    """Whether the slow model finds a way to a moment."""
    return any(
        base.snapshot_scn <= scn <= taken[-1].end_scn
        for base in bases
        for taken in reached(base, runs)
        if base.snapshot_scn <= scn
    )


SOURCES = st.sampled_from(["engine-a", "engine-a", "engine-a", "engine-b"])


@st.composite
def logs(draw: st.DrawFn) -> list[LogRun]:
    """Runs of two engines, one of which may have been set back: overlapping, touching, apart, of equal ranges."""
    drawn = []
    for number in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, 12))
        end = start + draw(st.integers(1, 8))
        later = draw(st.sampled_from([0, 0, 0, 5, 100]))
        drawn.append(LogRun(PieceKey(number + 1), draw(SOURCES), start, end, start * 10, end * 10 + later))
    return drawn


@st.composite
def taken_bases(draw: st.DrawFn) -> list[Base]:
    """Up to three bases, some of which have no log."""
    drawn = []
    for number in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, 12))
        snapshot = start + draw(st.integers(0, 6))
        later = draw(st.sampled_from([0, 0, 5, 100]))
        drawn.append(Base(SetKey(number + 1, 20261123), draw(SOURCES), start, snapshot, snapshot * 10 + later))
    return drawn


MOMENTS = range(0, 320, 5)


@given(bases=taken_bases(), runs=logs())
def test_a_moment_is_in_a_window_exactly_if_there_is_a_way(bases: list[Base], runs: list[LogRun]) -> None:
    """Windows, ways and the slow model agree at every moment; windows are in order and apart."""
    found = windows(bases, runs)
    for scn in MOMENTS:
        inside = any(window.start_scn <= scn <= window.end_scn for window in found)
        assert inside == can_have(scn, bases, runs)
        try:
            way_to(scn, bases, runs)
        except NotRecoverableError:
            assert not inside
        else:
            assert inside
    ends = [scn for window in found for scn in (window.start_scn, window.end_scn)]
    assert ends == sorted(ends)
    assert all(earlier.end_scn < later.start_scn for earlier, later in pairwise(found))


@given(bases=taken_bases(), runs=logs(), scn=st.one_of(st.none(), st.sampled_from(MOMENTS)))
def test_a_way_has_no_gap_and_no_log_of_another(bases: list[Base], runs: list[LogRun], scn: int | None) -> None:
    """From the latest base that leads there, to the moment; in one log, LSNs and SCNs grow together."""
    try:
        way = way_to(scn, bases, runs)
    except NotRecoverableError:
        return
    wanted = windows(bases, runs)[-1].end_scn if scn is None else scn
    taken = [stretch.run for stretch in way.stretches]

    assert way.base.snapshot_scn <= wanted <= way.end_scn
    assert taken in list(reached(way.base, runs))
    assert way.stretches[0].start_lsn == way.base.start_lsn
    for before, after in pairwise(way.stretches):
        assert (after.start_lsn, before.run.end_scn < wanted) == (before.end_lsn, True)
    for stretch in way.stretches:
        assert stretch.run.start_lsn <= stretch.start_lsn < stretch.end_lsn == stretch.run.end_lsn
    later = [base for base in bases if way.base.snapshot_scn < base.snapshot_scn <= wanted]
    assert not any(can_have(wanted, [base], runs) for base in later)


@given(bases=taken_bases(), runs=logs(), scn=st.sampled_from(MOMENTS))
def test_the_nearest_moments_are_named(bases: list[Base], runs: list[LogRun], scn: int) -> None:
    """Of a moment that cannot be had: the last before and the first after that can, by trying them all."""
    if can_have(scn, bases, runs):
        return
    with pytest.raises(NotRecoverableError) as caught:
        way_to(scn, bases, runs)
    before = [moment for moment in range(scn) if can_have(moment, bases, runs)]
    after = [moment for moment in range(scn + 1, 400) if can_have(moment, bases, runs)]

    assert caught.value.before == max(before, default=None)
    assert caught.value.after == min(after, default=None)


@given(base=st.one_of(st.just(BASE), taken_bases().filter(bool).map(lambda bases: bases[0])), runs=logs())
def test_following_leads_as_far_as_can_be(base: Base, runs: list[LogRun]) -> None:
    """No sequence of runs leads to a later moment."""
    ends = [taken[-1].end_scn for taken in reached(base, runs)]
    way = follow(base, runs)

    assert (way.end_scn if way else None) == max(ends, default=None)


def test_log_goes_on_from_round_to_round() -> None:
    """Where they touch, and where they overlap; the stretches fit together."""
    runs = [run_of(0, 40, 1), run_of(30, 70, 2), run_of(70, 90, 3), run_of(95, 120, 4)]
    way = follow(BASE, runs)

    assert way is not None
    assert way.stretches == (Stretch(runs[0], 0, 40), Stretch(runs[1], 40, 70), Stretch(runs[2], 70, 90))
    assert [(window.start_scn, window.end_scn) for window in windows([BASE], runs)] == [(500, 900)]


def test_a_moment_between_two_groups_of_two_rounds_can_be_had() -> None:
    """Nothing was written there: the way ends with the round in which nothing is before it."""
    runs = [run_of(0, 60, 1), run_of(60, 70, 2)]

    assert [stretch.run.key.round for stretch in way_to(605, [BASE], runs).stretches] == [1, 2]
    assert [stretch.run.key.round for stretch in way_to(600, [BASE], runs).stretches] == [1]


def test_an_engine_that_was_set_back_has_two_pasts() -> None:
    """A moment is taken from what the engine wrote then, also when its new log has become longer than the old one."""
    old, new = run_of(0, 80, 1), run_of(0, 200, 2, scn=5000)

    assert way_to(700, [BASE], [old, new]).stretches[-1].run is old
    assert way_to(3000, [BASE], [old, new]).stretches[-1].run is new


def test_log_that_ends_before_the_base_was_taken_and_is_longer_is_another_log() -> None:
    """The engine was set back between; nothing but the new log will do."""
    base = replace(BASE, snapshot_scn=3000)
    old, new = run_of(0, 80, 1), run_of(0, 60, 2, scn=3100)

    assert follow(base, [old]) is None
    way = follow(base, [old, new])
    assert way is not None
    assert [stretch.run for stretch in way.stretches] == [new]


@pytest.mark.parametrize(
    ("bases", "runs", "scn", "text"),
    [
        ([], [run_of(0, 90)], 600, "there is no data backup: run ALTER SYSTEM BACKUP DATABASE"),
        ([BASE], [], None, "no data backup has the log that follows it"),
        ([BASE], [run_of(10, 90)], None, "no data backup has the log that follows it"),
        ([BASE], [run_of(0, 90)], 499, "the moment is before the first data backup"),
        ([BASE], [run_of(0, 90)], 901, "the moment is after the end of the archived log"),
    ],
)
def test_a_moment_that_cannot_be_had_has_its_reason(
    bases: list[Base], runs: list[LogRun], scn: int | None, text: str
) -> None:
    """What there is, and what to do."""
    with pytest.raises(NotRecoverableError, match=text):
        way_to(scn, bases, runs)


def test_a_hole_has_the_cause_on_record() -> None:
    """As the last log before it says."""
    later = Base(SetKey(2, 20261124), "engine-a", 100, 110, 1100)
    runs = [replace(run_of(0, 90), cause="spool is full"), run_of(100, 120, 2)]
    with pytest.raises(NotRecoverableError, match=r"log is missing at that moment \(spool is full\)") as caught:
        way_to(1000, [BASE, later], runs)
    assert (caught.value.before, caught.value.after) == (900, 1100)
    with pytest.raises(NotRecoverableError, match=r"log is missing at that moment$"):
        way_to(1000, [BASE, later], [run_of(0, 90), runs[1]])
