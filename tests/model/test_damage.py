"""What damage costs, and what backups cover: figures and properties."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.bases import Base, SetKey
from redoubt.model.coverage import ENDLESS, Gap, Obstacle, coverage, missing
from redoubt.model.damage import Holding, Loss, Span, difference, joined
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun

DATE = 20260921
ONE, TWO = PieceKey(1), PieceKey(2)
SPANS = st.lists(st.integers(0, 60), unique=True, max_size=12).map(
    lambda ends: [Span(*pair) for pair in zip(*[iter(sorted(ends))] * 2, strict=False)]
)


def link(start: int, end: int, key: PieceKey = ONE, cause: str = "") -> LogRun:
    """A link whose LSNs are its SCNs."""
    return LogRun(key, "engine", start, end, start, end, cause)


def base(number: int, start: int, snapshot: int) -> Base:
    """A base whose LSNs are its SCNs."""
    return Base(SetKey(number, DATE), "engine", start, snapshot, snapshot)


@given(before=SPANS, after=SPANS)
def test_a_difference_is_what_is_in_the_one_and_not_in_the_other(before: list[Span], after: list[Span]) -> None:
    """Moment by moment."""

    def moments(spans: list[Span]) -> set[int]:
        return {scn for span in spans for scn in range(span.start_scn, span.end_scn + 1)}

    assert moments(difference(before, after)) == moments(before) - moments(after)


def test_links_that_continue_each_other_are_one_run() -> None:
    """Within a piece; the cause is that of the last."""
    assert joined([link(5, 9, cause="it stopped"), link(0, 5), link(9, 12, TWO), link(20, 30)]) == [
        link(0, 9, cause="it stopped"),
        link(20, 30),
        link(9, 12, TWO),
    ]


def test_damage_costs_until_the_next_base_whose_log_does_not_need_it() -> None:
    """A link before, within and behind what the second base needs; a base; nothing."""
    holding = Holding((base(1, 0, 10), base(2, 40, 50)), tuple(link(at, at + 10) for at in range(0, 100, 10)))

    def cost(start: int, end: int) -> list[Span]:
        return holding.cost([Loss(None, ONE, start, end)])

    assert cost(20, 30) == [Span(21, 49)]
    assert cost(0, 10) == [Span(10, 49)]
    assert cost(45, 46) == [Span(41, 100)]
    assert cost(90, 100) == [Span(91, 100)]
    assert holding.cost([Loss(of_set=SetKey(1, DATE))]) == [Span(10, 49)]
    assert holding.cost([Loss(of_set=SetKey(2, DATE))]) == []
    assert holding.cost([]) == []


def test_gaps_have_the_causes_that_are_on_record() -> None:
    """A hole between them, log that no base leads to, an interruption that began there; or nothing at all."""
    runs = [link(0, 20), link(30, 100, TWO)]
    bases = [base(1, 0, 10), base(2, 40, 50)]
    obstacles = [Obstacle(20, 30, "the spool is full"), Obstacle(20, ENDLESS, "the spool is full")]
    found = coverage(bases, runs, obstacles, is_live=True)
    bare = coverage([base(1, 0, 10), base(2, 30, 30)], runs, [], is_live=False)
    told = coverage([base(1, 0, 10), base(2, 30, 30)], [link(0, 20, cause="why"), runs[1]], [], is_live=False)

    assert found.gaps == (Gap(20, 50, ("the spool is full", "log is archived, but no data backup leads to it")),)
    assert found.unreached == (Span(0, 9), Span(30, 49))
    assert bare.gaps == (Gap(20, 30, ("no log is archived, and the cause is unknown",)),)
    assert told.gaps == (Gap(20, 30, ("why",)),)
    assert (found.log_end_scn, found.ending) == (100, "")


def test_what_is_missing_is_said() -> None:
    """No window; one that ends too early, or begins too late; a hole within the time asked for."""
    bases, runs = [base(1, 0, 10), base(2, 40, 50)], [link(0, 20), link(30, 100, TWO)]
    whole = coverage(bases[:1], [link(0, 100)], [], is_live=True)
    ended = coverage(bases[:1], [link(0, 100)], [Obstacle(100, ENDLESS, "archiving was stopped")], is_live=False)
    unsaid = coverage(bases[:1], [link(0, 100)], [], is_live=False)

    assert missing(whole, 105, 90, 10) == []
    assert "no older data backup" in missing(whole, 105, 100, 10)[0]
    assert "the archive is behind" in missing(whole, 115, 90, 10)[0]
    assert "archiving was stopped" in missing(ended, 115, 90, 10)[0]
    assert "log is not being archived" in missing(unsaid, 115, 90, 10)[0]
    assert "a hole of" in missing(coverage(bases, runs, [], is_live=True), 105, 90, 10)[0]
    assert "nothing can be restored" in missing(coverage([], runs, [], is_live=True), 105, 90, 10)[0]


def test_log_that_overlaps_is_counted_once() -> None:
    """Two rounds of the same log are one stretch of moments without a base."""
    found = coverage([], [link(0, 50), link(40, 90, TWO)], [], is_live=False)

    assert found.unreached == (Span(0, 90),)
