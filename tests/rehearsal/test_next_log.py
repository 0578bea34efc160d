"""What a standby makes of the log that there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun
from redoubt.rehearsal.next_log import LogEndsError, stretches_after


def _run(number: int, start: int, end: int, source: str = "a", cause: str = "") -> LogRun:
    return LogRun(PieceKey(number, 0, 0), source, start, end, start, end, cause)


_bounds = st.tuples(st.integers(0, 30), st.integers(1, 10))


@given(st.lists(_bounds, max_size=8), st.integers(0, 40))
def test_what_is_laid_has_no_gap_and_reaches_as_far_as_it_can(bounds: list[tuple[int, int]], lsn: int) -> None:
    """Byte by byte, as one who looks at each would find; an end is told where log lies behind a gap only."""
    runs = [_run(number, start, start + size) for number, (start, size) in enumerate(bounds, 1)]
    there = {byte for run in runs for byte in range(run.start_lsn, run.end_lsn)}
    end = next(byte for byte in range(lsn, 60) if byte not in there)
    try:
        found = stretches_after(lsn, "a", runs)
    except LogEndsError:
        assert end == lsn
        assert max(there) > lsn
        return

    assert [each.start_lsn for each in found] == [lsn, *(each.end_lsn for each in found)][: len(found)]
    assert (found[-1].end_lsn if found else lsn) == end
    assert found or not any(byte > lsn for byte in there)


def test_an_end_says_what_is_missing_and_why() -> None:
    """The interruption's cause, and which round comes after the gap."""
    runs = [_run(1, 0, 10, cause="the log was recycled"), _run(2, 12, 20)]

    with pytest.raises(
        LogEndsError,
        match=r"^the log from LSN 10 to 12 is missing \(the log was recycled\): round 2 begins after the gap$",
    ):
        stretches_after(10, "a", runs)
    with pytest.raises(LogEndsError, match=r"^the log from LSN 11 to 12 is missing: round 2 begins after the gap$"):
        stretches_after(11, "a", runs)


def test_another_engine_s_log_is_the_end_of_it() -> None:
    """If it is of a later round; what another engine left in an earlier one does not count."""
    assert stretches_after(10, "a", [_run(1, 0, 20, "b"), _run(2, 0, 10)]) == ()
    with pytest.raises(LogEndsError, match=r"^round 2 holds the log of another engine$"):
        stretches_after(10, "a", [_run(1, 0, 10), _run(2, 0, 20, "b")])
