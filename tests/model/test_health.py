"""Health: the gravest thing that is true, with its cause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.health import Health, Vitals, judge, waiting_since
from redoubt.model.rounds import RoundStatus

DOING = RoundStatus.DOING
CAUSES = st.sampled_from(["", "No space left on device"])
VITALS = st.builds(
    Vitals,
    status=st.sampled_from(RoundStatus),
    backlog=st.integers(0, 2**40),
    lag=st.floats(0, 10_000),
    lag_target=st.floats(1, 7200),
    gate_is_closed=st.booleans(),
    trouble=CAUSES,
    broken_by=CAUSES,
    unsynced_by=CAUSES,
    unavailable_by=CAUSES,
)


@pytest.mark.parametrize(
    ("now", "health", "cause"),
    [
        (Vitals(RoundStatus.STOP), Health.STOPPED, ""),
        (Vitals(RoundStatus.STOPPING, trouble="freezing: 1 of 2 objects read"), Health.STOPPED, "freezing: 1 of 2"),
        (Vitals(RoundStatus.BEGINNING), Health.FINE, ""),
        (Vitals(DOING, backlog=5, lag=120.0), Health.FINE, ""),
        (Vitals(DOING, lag=500.0), Health.FINE, ""),
        (Vitals(DOING, trouble="no room"), Health.BEHIND, "no room"),
        (Vitals(DOING, trouble="no room", unsynced_by="fell back"), Health.BEHIND, "fell back"),
        (Vitals(DOING, backlog=5, lag=121.0), Health.STALE, "no log was archived for 121 s while the log grew"),
        (Vitals(DOING, backlog=5, lag=121.0), Health.STALE, "the cause is unknown"),
        (Vitals(DOING, backlog=5, lag=121.0, trouble="no room"), Health.STALE, "no room"),
        (Vitals(DOING, backlog=5, lag=121.0, gate_is_closed=True), Health.GATED, "5 bytes of log wait"),
        (Vitals(RoundStatus.STOP, unavailable_by="it ended"), Health.UNAVAILABLE, "it ended"),
        (Vitals(DOING, trouble="no room", unavailable_by="it hangs"), Health.UNAVAILABLE, "it hangs"),
        (Vitals(RoundStatus.INTERRUPTED), Health.BROKEN, "the round is INTERRUPTED"),
        (Vitals(RoundStatus.INTERRUPTED, gate_is_closed=True, broken_by="damaged"), Health.BROKEN, "damaged"),
    ],
)
def test_the_gravest_thing_counts(now: Vitals, health: Health, cause: str) -> None:
    """Each word with the cause that it is about."""
    assert judge(now)[0] is health
    assert cause in judge(now)[1]


@given(VITALS)
def test_whatever_is_wrong_has_a_cause(now: Vitals) -> None:
    """All is well without one, and nothing bad is said without one."""
    health, cause = judge(now)

    assert (health is Health.FINE) <= (cause == "")
    assert (health in {Health.BEHIND, Health.STALE, Health.GATED, Health.UNAVAILABLE, Health.BROKEN}) <= (cause != "")
    assert (health is Health.BROKEN) == (now.status is RoundStatus.INTERRUPTED)
    assert (health is Health.UNAVAILABLE) == (now.status is not RoundStatus.INTERRUPTED and now.unavailable_by != "")
    is_over = now.status in {RoundStatus.STOP, RoundStatus.STOPPING}
    assert (health is Health.STOPPED) == (is_over and now.unavailable_by == "")


@given(checkpoint=st.integers(0, 10), caught_up=st.integers(0, 10), backlog=st.integers(0, 2))
def test_log_waits_since_it_was_written(checkpoint: int, caught_up: int, backlog: int) -> None:
    """Not before what is archived, nor before nothing waited; and nothing waits when all is archived."""
    since = waiting_since(checkpoint, caught_up, backlog)

    assert since == (max(checkpoint, caught_up) if backlog else 0)
