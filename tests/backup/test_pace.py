"""The pace of a data backup: never above its limit, whoever shares it, and no pause that is not needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redoubt.backup.pace import Pace


class Clock:
    """A clock that moves only while somebody sleeps, or by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0.0

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        self.now += seconds
        self.slept += seconds


@given(st.lists(st.tuples(st.integers(1, 10**8), st.floats(0, 50)), min_size=1, max_size=20), st.integers(10**3, 10**9))
def test_no_more_than_the_limit(sends: list[tuple[int, float]], limit: int) -> None:
    """From the first byte on, all but the last object have had their time; without hurry nobody waits."""
    clock = Clock()
    pace = Pace(limit, lambda: clock.now, clock.sleep)
    sent = 0
    for size, pause in sends:
        pace.wait(size)
        assert sent <= (clock.now - 100.0) * limit * (1 + 1e-9) + 1e-3
        sent += size
        clock.now += pause
    busy = sum(size for size, _ in sends[:-1]) / limit
    assert clock.slept <= busy * (1 + 1e-9) + 1e-6


def test_no_limit() -> None:
    """0 is none."""
    clock = Clock()
    Pace(0, lambda: clock.now, clock.sleep).wait(10**12)

    assert clock.slept == 0
