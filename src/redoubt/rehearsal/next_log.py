"""Finds the log after a standby's log: none yet, more log, or none that will ever fit. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from redoubt.model.bases import Base, SetKey
from redoubt.model.recovery import LogRun, Stretch, follow


class LogEndsError(Exception):
    """No log will ever continue a standby's log; the text says why."""


def stretches_after(lsn: int, source: str, runs: Sequence[LogRun]) -> tuple[Stretch, ...]:
    """The log of an engine from an LSN on, without a gap; empty if no more log is archived yet. Raises LogEndsError."""
    way = follow(Base(SetKey(1, 0), source, lsn, lsn, 0), runs)
    stretches = () if way is None else way.stretches
    if not stretches and (why := _why_it_ends(lsn, source, runs)):
        raise LogEndsError(why)
    return stretches


def _why_it_ends(lsn: int, source: str, runs: Sequence[LogRun]) -> str:
    """Why the log ends for good: log behind a gap, or of another engine. Empty if the log may continue."""
    mine = [run for run in runs if run.source == source]
    later = min((run for run in mine if run.start_lsn > lsn), key=lambda run: run.start_lsn, default=None)
    if later is not None:
        last = next((run for run in mine if run.end_lsn == lsn), None)
        cause = f" ({last.cause})" if last is not None and last.cause else ""
        gap = f"the log from LSN {lsn} to {later.start_lsn} is missing{cause}"
        return f"{gap}: round {later.key.round} begins after the gap"
    newest = max((run.key.round for run in mine), default=0)
    other = next((run for run in runs if run.source != source and run.key.round > newest), None)
    return "" if other is None else f"round {other.key.round} holds the log of another engine"
