"""Holes: exactly what lies between the end of one round and the start of the next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.holes import Hole, closed

PLACES = st.tuples(st.integers(0, 1000), st.integers(0, 1000))
OPENED = Hole(1001, 3, 10, 20, "the log was too much", opened_at=30)


@given(start=PLACES, end=PLACES, opened=st.sampled_from([None, OPENED]))
def test_a_closed_hole_is_what_is_missing(start: tuple[int, int], end: tuple[int, int], opened: Hole | None) -> None:
    """From the one end to the other; there is none if the rounds meet or overlap."""
    hole = closed(opened, 1001, 3, start, end, now=99)

    if end[0] <= start[0]:
        assert hole is None
    else:
        assert hole is not None
        assert (hole.start_lsn, hole.start_scn, hole.end_lsn, hole.end_scn) == (*start, *end)
        assert (hole.tenant_id, hole.after, hole.closed_at, hole.is_open) == (1001, 3, 99, False)


def test_a_hole_keeps_its_cause() -> None:
    """The interruption's if there was one; else somebody stopped archiving."""
    interrupted, stopped = (closed(hole, 1001, 3, (1, 1), (2, 2), now=99) for hole in (OPENED, None))

    assert interrupted is not None
    assert stopped is not None
    assert OPENED.is_open
    assert (interrupted.cause, interrupted.opened_at) == (OPENED.cause, 30)
    assert (stopped.cause, stopped.opened_at) == ("archiving was stopped (NOARCHIVELOG)", 0)
