"""Whether the clock may be believed for what cannot be undone, such as deleting old backups. Pure.

A clock that jumps ahead makes every backup look old. So the clock must agree with the time that the service has
witnessed: with the machine's time since its boot, which nobody sets. A machine that was off has witnessed nothing; a
day is believed for each time that it was off. If the clock disagrees, ages are not believed until the clock agrees
again, or until so much time was witnessed that every older backup is outside of the recovery window in any case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SECOND = 10**9
_TOLERANCE = 3600 * SECOND
"""A clock may be set by this much: a leap, a time server after a long boot."""
_OFF = 86_400 * SECOND


@dataclass(frozen=True)
class Reading:
    """`wall`: the clock, in ns since the epoch. `since_boot`: ns since the boot `boot`, sleep included."""

    wall: int
    boot: str
    since_boot: int


@dataclass(frozen=True)
class ClockTrust:
    """What is known: the clock said `agreed` when it was believed last; since then `witnessed` ns passed.

    `off`: ns for which the machine may have been off since then. `boot`, `since_boot`: of the last reading.
    """

    agreed: int
    boot: str
    since_boot: int
    witnessed: int = 0
    off: int = 0
    format: int = 1

    @property
    def is_believed(self) -> bool:
        """Whether the clock agreed at the last reading."""
        return self.witnessed == 0 and self.off == 0

    def ahead(self, wall: int) -> int:
        """How many ns the clock is ahead of the witnessed time; negative if it is behind."""
        return wall - self.agreed - self.witnessed


def read(known: ClockTrust | None, now: Reading, window: int) -> ClockTrust:
    """What is known after another reading. `window`: the recovery window in ns, 0 without one."""
    if known is None:
        return ClockTrust(now.wall, now.boot, now.since_boot)
    is_same = known.boot == now.boot
    passed = now.since_boot - known.since_boot if is_same else now.since_boot
    after = replace(
        known,
        boot=now.boot,
        since_boot=now.since_boot,
        witnessed=known.witnessed + max(passed, 0),
        off=known.off + (0 if is_same else _OFF),
    )
    agrees = -_TOLERANCE <= after.ahead(now.wall) <= _TOLERANCE + after.off
    if agrees or 0 < window <= after.witnessed:
        return ClockTrust(now.wall, now.boot, now.since_boot)
    return after
