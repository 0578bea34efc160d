"""Whether the clock may be believed for what cannot be undone, such as deleting old backups. Pure.

A clock that jumps ahead makes every backup look old. So the clock must agree with the time that the service has
witnessed: with the machine's time since its boot, which nobody sets. Time before the first reading of a boot was not
witnessed: so much is believed as the machine has been up, and a day for which it may have been off. If the clock
disagrees, ages are not believed until the clock agrees again, or until so much time was witnessed that every older
backup is outside of the recovery window in any case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SECOND = 10**9
_TOLERANCE = 3600 * SECOND
"""A clock may be set by this much: a leap, a time server after a long boot."""
_OFF = 86_400 * SECOND
_SETTLED = 6 * 3600 * SECOND
"""After so much time since the boot, the clock is no longer set by the time for which the machine was off."""


@dataclass(frozen=True)
class Reading:
    """`wall`: the clock, in ns since the epoch. `since_boot`: ns since the boot `boot`, sleep included."""

    wall: int
    boot: str
    since_boot: int


@dataclass(frozen=True)
class ClockTrust:
    """What is known: the clock said `agreed` when it was believed last; since then `witnessed` ns passed.

    `off`: ns that may have passed unwitnessed since then. `boot`, `since_boot`: of the last reading. `doubted` is 1 if
    the clock disagreed at that reading.
    """

    agreed: int
    boot: str
    since_boot: int
    witnessed: int = 0
    off: int = 0
    doubted: int = 0
    format: int = 1

    @property
    def is_believed(self) -> bool:
        """Whether the clock agreed at the last reading."""
        return not self.doubted

    def ahead(self, wall: int) -> int:
        """How many ns the clock is ahead of the witnessed time; negative if it is behind."""
        return wall - self.agreed - self.witnessed


NOTHING_KNOWN = ClockTrust(agreed=0, boot="", since_boot=0, doubted=1)
"""What is known if the record cannot be read: the clock is doubted until a window was witnessed."""


def read(known: ClockTrust | None, now: Reading, window: int) -> ClockTrust:
    """What is known after another reading. `window`: the recovery window in ns, 0 without one."""
    if known is None:
        return ClockTrust(now.wall, now.boot, now.since_boot)
    is_same = known.boot == now.boot
    passed = max(now.since_boot - known.since_boot, 0) if is_same else 0
    unseen = 0 if is_same else now.since_boot + (0 if known.doubted else _OFF)
    after = replace(
        known,
        boot=now.boot,
        since_boot=now.since_boot,
        witnessed=known.witnessed + passed,
        off=known.off + unseen,
    )
    ahead = after.ahead(now.wall)
    if -_TOLERANCE <= ahead <= _TOLERANCE + after.off:
        # After a boot, a time server may still have to set the clock by as much as the machine was off.
        off = 0 if now.since_boot > _SETTLED else max(after.off - max(ahead, 0), 0)
        return ClockTrust(now.wall, now.boot, now.since_boot, off=off)
    if 0 < window <= after.witnessed:
        return ClockTrust(now.wall, now.boot, now.since_boot)
    return replace(after, doubted=1)
