"""The valve: what happens to log that waits to be archived, and to statements that write more log. Pure.

A tenant's **backlog** is the log that its engine has written and that is not durable in the destination yet, in bytes.
A limit bounds the backlog (`log_archive_spool_limit`, or less if the disk has less room). Invariants for all figures:

- A backlog within the limit never releases log and never closes the gate.
- Mandatory: log is never released while the round archives, and the round is never broken. Beyond the limit the gate is
  closed. The gate stays closed until the backlog has fallen below half of the limit, so that the gate does not flap.
- Optional: the gate is never closed, and a closed gate is opened. Beyond the limit the round is broken.
- A round that does not archive (STOP, INTERRUPTED) holds no log; a stopping round keeps the log; neither closes a gate.
- The state of the destination decides nothing: with a slow or a dead destination the backlog just grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from redoubt.model.rounds import RoundStatus

MIN_LIMIT = 64 * 1024 * 1024
"""The least limit in bytes: an engine's log is held and released in blocks of that size."""
DISK_RESERVE = 256 * 1024 * 1024
"""Bytes of the engines' disk that held log must leave free."""


class Act(Enum):
    """An action on a tenant's log and its gate."""

    KEEP_LOG = auto()
    """Hold log that is not archived."""
    RELEASE_LOG = auto()
    """Hold nothing: the round does not archive."""
    BREAK_ROUND = auto()
    """Release log that is not archived; the round becomes INTERRUPTED, and the hole is recorded."""
    CLOSE_GATE = auto()
    """Make writing statements wait. Log is kept."""
    OPEN_GATE = auto()
    """Let waiting statements go on. Log is kept."""


@dataclass(frozen=True)
class Situation:
    """The state of a tenant; `backlog` and `limit` in bytes."""

    status: RoundStatus
    is_mandatory: bool
    backlog: int
    limit: int
    gate_is_closed: bool


def decide(now: Situation) -> Act:
    """The next action. Ask again after the action is done."""
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
    """The effective limit in bytes: the configured limit, or the room on the disk if that is less.

    `free` is the free space of the engines' disk. The result is at least MIN_LIMIT: a smaller limit would gain too
    little.
    """
    return max(MIN_LIMIT, min(limit, backlog + free - DISK_RESERVE))
