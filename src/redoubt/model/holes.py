"""Holes: log of a tenant that is in no round, between one round and the next. Pure.

A hole is opened when a round is INTERRUPTED, because the end of the hole is unknown then, and closed when the next
round has begun. The hole reaches from the end of the archive of the first round to the start of the archive of the
next. If the two archives meet or overlap, no log is missing, and there is no hole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Hole:
    """LSNs in bytes, SCNs and times in ns since the epoch; 0 for what is not known yet.

    `after` is the round that ends at the hole; `opened_at` is when that round was interrupted (0: it was stopped).
    """

    tenant_id: int
    after: int
    start_lsn: int
    start_scn: int
    cause: str
    opened_at: int
    end_lsn: int = 0
    end_scn: int = 0
    closed_at: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the end of the hole is still unknown."""
        return self.closed_at == 0


def closed(
    hole: Hole | None,
    tenant_id: int,
    after: int,
    start: tuple[int, int],
    end: tuple[int, int],
    now: int,
) -> Hole | None:
    """Close an opened hole with both ends (LSN, SCN) as read from the destination; None if no log is missing.

    Without an opened hole, the previous round was stopped normally, and log was written before the next round began.
    """
    if end[0] <= start[0]:
        return None
    hole = hole or Hole(tenant_id, after, *start, cause="archiving was stopped (NOARCHIVELOG)", opened_at=0)
    return replace(hole, start_lsn=start[0], start_scn=start[1], end_lsn=end[0], end_scn=end[1], closed_at=now)
