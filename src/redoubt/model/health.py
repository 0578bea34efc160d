"""The health of a tenant's archiving, in one word. Pure.

The gravest condition decides the word. Every change of the word is an event with a time and a cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from redoubt.model.rounds import RoundStatus


class Health(StrEnum):
    """From good to bad."""

    STOPPED = "STOPPED"
    """No round is archiving: none was started, or a statement stopped the last one. The engine can be used."""
    FINE = "FINE"
    """Log is archived as it comes."""
    BEHIND = "BEHIND"
    """Archiving is delayed, or synchronous commits have fallen back."""
    STALE = "STALE"
    """The log grows, and the archive has not followed for longer than the lag target."""
    GATED = "GATED"
    """The write gate is closed."""
    UNAVAILABLE = "UNAVAILABLE"
    """The engine, which the service runs, cannot be used: it does not start, or hangs."""
    BROKEN = "BROKEN"
    """The tenant's part of the round is INTERRUPTED: nothing of it is archived."""


@dataclass(frozen=True)
class Vitals:
    """The input of `judge`. `lag` and `lag_target` in seconds, `backlog` in bytes; an empty cause means none.

    `trouble` is the cause of a delay, `broken_by` of an interruption, `unsynced_by` of a fallback of synchronous
    commits; `unavailable_by` says why the engine cannot be used.
    """

    status: RoundStatus
    backlog: int = 0
    lag: float = 0.0
    lag_target: float = 120.0
    gate_is_closed: bool = False
    trouble: str = ""
    broken_by: str = ""
    unsynced_by: str = ""
    unavailable_by: str = ""


def judge(now: Vitals) -> tuple[Health, str]:
    """The health and its cause (empty for FINE)."""
    if now.status is RoundStatus.INTERRUPTED:
        return Health.BROKEN, now.broken_by or "the round is INTERRUPTED"
    if now.unavailable_by:
        return Health.UNAVAILABLE, now.unavailable_by
    if now.status in {RoundStatus.STOP, RoundStatus.STOPPING}:
        return Health.STOPPED, now.trouble
    cause = now.trouble or "no log reaches the destination, and the cause is unknown"
    if now.gate_is_closed:
        return Health.GATED, f"{now.backlog} bytes of log wait to be archived: {cause}"
    if now.backlog > 0 and now.lag > now.lag_target:
        return Health.STALE, f"no log was archived for {now.lag:.0f} s while the log grew: {cause}"
    if now.trouble or now.unsynced_by:
        return Health.BEHIND, now.unsynced_by or now.trouble
    return Health.FINE, ""


def waiting_since(checkpoint_scn: int, caught_up_at: int, backlog: int) -> int:
    """Since when the oldest unarchived log waits, in ns since the epoch; 0 without a backlog.

    That log was written after `checkpoint_scn`, the end of the archive, and after `caught_up_at`, the last moment
    without a backlog.
    """
    return max(checkpoint_scn, caught_up_at) if backlog > 0 else 0
