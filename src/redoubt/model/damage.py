"""The cost of damage: moments that would be restorable without the damage, but are not. Pure.

Every segment of a piece's log is a link here, a `LogRun`. Damaged and missing segments are links too, as far as their
ends are known. Moments are SCNs, in ns since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from redoubt.model.bases import Base, SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun, Window, windows


@dataclass(frozen=True)
class Loss:
    """The loss from one damaged object: a data backup, or log of a piece from one LSN to another (bytes)."""

    of_set: SetKey | None = None
    of_piece: PieceKey | None = None
    start_lsn: int = 0
    end_lsn: int = 0


@dataclass(frozen=True)
class Span:
    """Moments from `start_scn` to `end_scn`, both included."""

    start_scn: int
    end_scn: int


@dataclass(frozen=True)
class Holding:
    """A tenant's data backups and log as they would be without damage."""

    bases: tuple[Base, ...]
    links: tuple[LogRun, ...]

    def windows(self, losses: Sequence[Loss] = ()) -> list[Window]:
        """The moments that are restorable in spite of losses."""
        gone = {loss.of_set for loss in losses}
        bases = [base for base in self.bases if base.key not in gone]
        return windows(bases, joined(_left(self.links, losses)))

    def cost(self, losses: Sequence[Loss]) -> list[Span]:
        """The moments that are not restorable because of `losses` alone."""
        return difference(spans(self.windows()), spans(self.windows(losses))) if losses else []


def joined(links: Iterable[LogRun]) -> list[LogRun]:
    """Join links that continue each other within their piece into runs."""
    runs: list[LogRun] = []
    for link in sorted(links, key=lambda link: (link.key, link.source, link.start_lsn)):
        last = runs[-1] if runs else None
        if last and (last.key, last.source, last.end_lsn) == (link.key, link.source, link.start_lsn):
            runs[-1] = replace(last, end_lsn=link.end_lsn, end_scn=link.end_scn, cause=link.cause)
        else:
            runs.append(link)
    return runs


def spans(found: Iterable[Window]) -> list[Span]:
    """The windows' moments."""
    return [Span(window.start_scn, window.end_scn) for window in found]


def difference(before: Sequence[Span], after: Sequence[Span]) -> list[Span]:
    """The moments in `before` that are not in `after`; each in order, and without overlaps."""
    lost = []
    for span in before:
        at = span.start_scn
        for kept in after:
            if kept.end_scn < at or kept.start_scn > span.end_scn:
                continue
            if kept.start_scn > at:
                lost.append(Span(at, kept.start_scn - 1))
            at = kept.end_scn + 1
        if at <= span.end_scn:
            lost.append(Span(at, span.end_scn))
    return lost


def _left(links: Iterable[LogRun], losses: Sequence[Loss]) -> list[LogRun]:
    """The links that no loss touches."""
    of_log = [loss for loss in losses if loss.of_piece is not None]
    return [link for link in links if not any(_touches(loss, link) for loss in of_log)]


def _touches(loss: Loss, link: LogRun) -> bool:
    return loss.of_piece == link.key and loss.start_lsn < link.end_lsn and loss.end_lsn > link.start_lsn
