"""The valve: what happens to log that waits to be archived, and to those who write more of it. Pure.

A tenant's **backlog** is the log that its engine has written and that is not durable in the destination, in bytes. It
is bounded by a limit (`log_archive_spool_limit`, or less where the disk has no room for it). Invariants, whatever the
figures are:

- Nothing is let go of, and no gate is closed, by a backlog that is within the limit.
- Mandatory: log is never let go of while the round archives, and the round is never broken. Beyond the limit the gate
  is closed; it stays so until the backlog has fallen below half of the limit, so that it does not flap.
- Optional: the gate is never closed, and a closed one is opened. Beyond the limit the round is broken.
- A round that does not archive (STOP, INTERRUPTED) holds no log; a stopping one keeps it; neither closes a gate.
- How the destination is doing decides nothing: a slow one and a dead one differ only in how fast the backlog grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from redoubt.model.rounds import RoundStatus

MIN_LIMIT = 64 * 1024 * 1024
"""The least limit in bytes: an engine's log is held and let go of in blocks of that size."""
DISK_RESERVE = 256 * 1024 * 1024
"""Bytes of the engines' disk that held log must leave free."""


class Act(Enum):
    """What is to be done about a tenant's log and its gate."""

    KEEP_LOG = auto()
    """Hold what is not archived."""
    RELEASE_LOG = auto()
    """Hold nothing: the round does not archive."""
    BREAK_ROUND = auto()
    """Let go of what is not archived; the round becomes INTERRUPTED and the hole goes on record."""
    CLOSE_GATE = auto()
    """Have writing statements wait. Log is kept."""
    OPEN_GATE = auto()
    """Let those that wait go on. Log is kept."""


@dataclass(frozen=True)
class Situation:
    """What is known of a tenant: `backlog` and `limit` in bytes."""

    status: RoundStatus
    is_mandatory: bool
    backlog: int
    limit: int
    gate_is_closed: bool


def decide(now: Situation) -> Act:
    """The one thing to do now; to be asked again after it is done."""
    is_archiving = now.status in {RoundStatus.BEGINNING, RoundStatus.DOING}
    if now.gate_is_closed and not (is_archiving and now.is_mandatory):
        return Act.OPEN_GATE
    if now.status in {RoundStatus.STOP, RoundStatus.INTERRUPTED}:
        return Act.RELEASE_LOG
    if not is_archiving:
        return Act.KEEP_LOG
    is_beyond = now.backlog > now.limit
    if not now.is_mandatory:
        return Act.BREAK_ROUND if is_beyond else Act.KEEP_LOG
    if now.gate_is_closed:
        return Act.OPEN_GATE if now.backlog < lower_mark(now.limit) else Act.KEEP_LOG
    return Act.CLOSE_GATE if is_beyond else Act.KEEP_LOG


def lower_mark(limit: int) -> int:
    """The backlog in bytes below which a closed gate is opened again."""
    return limit // 2


def effective_limit(limit: int, backlog: int, free: int) -> int:
    """The limit that holds now, in bytes: the set one, or what the disk has room for if that is less.

    `free` is what the engines' disk has left. The least limit always holds: what would be won by less is too little.
    """
    return max(MIN_LIMIT, min(limit, backlog + free - DISK_RESERVE))
