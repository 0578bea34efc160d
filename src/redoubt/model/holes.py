"""Holes: log of a tenant that is in no round, between one round and the next. Pure.

A hole is opened when a round is INTERRUPTED, for nobody knows then how far it will go, and closed when the next round
has begun. It begins where the archive of the one round really ends and ends where the next one's begins. If those
meet or overlap nothing is missing, and there is no hole.
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
        """Whether log goes missing still."""
        return self.closed_at == 0


def closed(
    hole: Hole | None,
    tenant_id: int,
    after: int,
    start: tuple[int, int],
    end: tuple[int, int],
    now: int,
) -> Hole | None:
    """What an opened hole is, now that both its ends (LSN, SCN) are known from the destination; None: no hole.

    Without an opened one, the round before was stopped in order, and log was written until the next one began.
    """
    if end[0] <= start[0]:
        return None
    hole = hole or Hole(tenant_id, after, *start, cause="archiving was stopped (NOARCHIVELOG)", opened_at=0)
    return replace(hole, start_lsn=start[0], start_scn=start[1], end_lsn=end[0], end_scn=end[1], closed_at=now)
