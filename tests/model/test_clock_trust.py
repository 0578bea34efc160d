"""When the clock is believed: jumps, reboots, corrections, and ages that were witnessed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.clock_trust import SECOND, ClockTrust, Reading, read

HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
WEEK = 7 * DAY
NOON = 1_800_000_000 * SECOND


class Machine:
    """A machine whose clock can be set."""

    def __init__(self) -> None:
        self.wall, self.boot, self.since_boot = NOON, 1, 5 * SECOND
        self.known: ClockTrust | None = None

    def runs(self, duration: int, every: int = HOUR, window: int = WEEK) -> bool:
        """The service looks now and then; returns whether the clock is believed at the end."""
        for _ in range(max(duration // every, 1)):
            self.wall += every
            self.since_boot += every
            self.known = read(self.known, Reading(self.wall, str(self.boot), self.since_boot), window)
        assert self.known is not None
        return self.known.is_believed

    def was_off(self, duration: int) -> None:
        """Off, and on again."""
        self.wall += duration
        self.boot, self.since_boot = self.boot + 1, 0


def test_a_clock_that_jumps_is_not_believed_until_it_comes_back() -> None:
    """Ahead or behind; small corrections are believed."""
    for jump in (30 * DAY, -30 * DAY):
        machine = Machine()
        assert machine.runs(DAY)
        machine.wall += jump
        assert not machine.runs(HOUR)
        assert not machine.runs(2 * DAY)
        machine.wall -= jump
        assert machine.runs(HOUR)
        machine.wall += HOUR // 2
        assert machine.runs(HOUR)


def test_a_jump_over_a_reboot_is_a_jump() -> None:
    """A machine may be off for a night; a month that nobody has seen is not believed."""
    machine = Machine()
    assert machine.runs(DAY)
    machine.was_off(12 * HOUR)
    assert machine.runs(HOUR)
    machine.was_off(30 * DAY)
    assert not machine.runs(HOUR)
    machine.wall -= 30 * DAY
    assert machine.runs(HOUR), "it was the clock, and it has been set right"


def test_after_the_recovery_window_every_older_backup_is_old() -> None:
    """So that a clock which was right all the time does not stop deletion for ever, reboots or not."""
    machine = Machine()
    assert machine.runs(DAY)
    machine.was_off(60 * DAY)
    assert not machine.runs(3 * DAY)
    machine.was_off(HOUR)
    assert not machine.runs(3 * DAY)
    assert machine.runs(2 * DAY)


def test_a_home_that_moves_to_another_machine_takes_no_witness_with_it() -> None:
    """The other machine's time since its boot was not witnessed: it proves no age, and makes no clock wrong."""
    for up, jump, is_believed in ((30 * DAY, 365 * DAY, False), (3 * DAY, 0, True), (3 * DAY, 20 * DAY, False)):
        machine = Machine()
        assert machine.runs(DAY)
        machine.wall += 600 * SECOND + jump
        machine.boot, machine.since_boot = 77, up
        assert machine.runs(60 * SECOND, every=60 * SECOND) is is_believed


def test_reboots_do_not_buy_belief() -> None:
    """Whoever sees the doubt starts the machine again: the clock is no better for it."""
    machine = Machine()
    assert machine.runs(DAY)
    machine.wall += 20 * DAY
    assert not machine.runs(60 * SECOND, every=60 * SECOND)
    for _ in range(30):
        machine.was_off(60 * SECOND)
        assert not machine.runs(60 * SECOND, every=60 * SECOND)


def test_a_machine_without_a_clock_that_runs_on_is_set_right_after_its_boot() -> None:
    """It boots with the clock of its shutdown, and a time server sets the clock a moment later."""
    machine = Machine()
    assert machine.runs(DAY)
    machine.was_off(0)
    assert machine.runs(60 * SECOND, every=60 * SECOND)
    machine.wall += 12 * HOUR
    assert machine.runs(60 * SECOND, every=60 * SECOND)
    assert machine.runs(DAY)
    machine.wall += 12 * HOUR
    assert not machine.runs(HOUR), "not a day later"


@given(st.lists(st.tuples(st.integers(0, 40 * DAY), st.sampled_from(["jump", "off", "run"])), max_size=20))
def test_nothing_is_believed_to_be_older_than_witnessed(moves: list[tuple[int, str]]) -> None:
    """Property: a believed clock is ahead of a backup by no more than the truth, plus what is tolerated for each move.

    The truth is the time in which the machine ran; for each time that it was off, a day is believed. Otherwise so much
    was witnessed that the backup is outside of the window.
    """
    machine, taken_at, ran, tolerated = Machine(), NOON, 0, 0
    machine.runs(HOUR)
    for size, move in moves:
        if move == "jump":
            machine.wall += size
            tolerated += HOUR
        elif move == "off":
            machine.was_off(size)
            tolerated += DAY + HOUR
        else:
            machine.runs(size, every=max(size, 1))
            ran += max(size, 1)
        if machine.runs(1, every=1):
            assert machine.wall - taken_at <= ran + tolerated + 3 * HOUR or ran >= WEEK
