"""Archives one tenant's log into one piece: read, gather, seal, ship. Has no engine, thread or clock of its own.

`step` does the work that needs no waiting; the caller decides how often. A segment is sealed when it is large enough,
when its oldest log is old enough, when a flush needs it, and when the round stops. `end` and `flushed` cover only
durable log.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from redoubt.archive.segment import PieceIdentity, SegmentHeader
from redoubt.archive.store import ArchiveEnd
from redoubt.archiver.shipper import Shipped, Shipper
from redoubt.model.log import LogBatch, LogPosition
from redoubt.model.seams import LogReader


@dataclass(frozen=True)
class SealRule:
    """When a segment is sealed: `size` in bytes of log, `age` in seconds since its first log was read.

    `upkeep_age` in seconds, at least `age`: the age while all of its log is what an idle engine writes by itself.
    """

    size: int = 4 * 1024 * 1024
    age: float = 1.0
    upkeep_age: float = 0.0


class Archiver:
    """One tenant's archiver.

    `codec()` is called at each seal; `clock()` gives monotonic seconds; `when_durable` is called with each durable
    segment. `longest_age()`, in seconds, limits the age in the seal rule.
    """

    def __init__(
        self,
        of: PieceIdentity,
        reader: LogReader,
        shipper: Shipper,
        resumed: ArchiveEnd,
        codec: Callable[[], str],
        seal: SealRule,
        clock: Callable[[], float],
        when_durable: Callable[[Shipped], None] = lambda _: None,
        longest_age: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._of = of
        self._reader = reader
        self._shipper = shipper
        self._codec = codec
        self._seal = seal
        self._clock = clock
        self._when_durable = when_durable
        self._longest_age = longest_age
        self._read_to = resumed.position
        self._gathered: list[LogBatch] = []
        self._gathered_bytes = 0
        self._gathered_since = 0.0
        self._data_since: float | None = None
        self._is_read_out = False
        self._cut_scn: int | None = None
        self._stop_lsn: int | None = None
        self._flush_asked = 0
        self._flush_marks: deque[tuple[int, int]] = deque()
        self.flushed = 0
        """The highest flush number whose log is durable."""
        self.end = resumed
        """The durable end of the piece."""

    def flush(self, number: int) -> None:
        """Make all present log durable as soon as possible; then `flushed` reaches `number`.

        All log that is readable now lies before the point at which a later read returns nothing. Flushes that are
        requested while a segment is being stored share the next segment.
        """
        self._flush_asked = max(self._flush_asked, number)

    def cut_at(self, scn: int) -> None:
        """End the piece at the first batch end whose SCN is not before `scn`: later log belongs to another piece."""
        self._cut_scn = scn

    def stop_at(self, lsn: int | None) -> None:
        """End the piece at the first batch end that is not before `lsn`, even if draining would find more log."""
        self._stop_lsn = lsn

    def step(self, *, draining: bool = False) -> bool:
        """Do the work that needs no waiting; True if there is probably more to do at once.

        With `draining`, reads the log to its present end and no further, because a writer may never pause, and seals
        the gathered log regardless of size and age. Raises LogError or ArchiveError if the round cannot continue, and
        OSError if the log cannot be read at the moment.
        """
        for shipped in self._shipper.collect():
            self._count(shipped)
        more = False
        while self._shipper.has_room() and not self._is_large() and not self._is_read_out:
            if self._is_at_end():
                self._is_read_out = True
                break
            batch = self._reader.read(self._read_to, self._seal.size - self._gathered_bytes)
            if batch is None:
                self._is_read_out = draining
                self._mark_flush()
                break
            self._gather(batch)
            more = True
            if self._is_large():
                self._ship()
        if self._gathered and self._shipper.has_room() and (draining or self._is_due()):
            self._ship()
        return more

    def _is_at_end(self) -> bool:
        """Whether later log belongs to another piece, or was written after the round was stopped."""
        is_cut = self._cut_scn is not None and self._read_to.scn >= self._cut_scn
        return is_cut or (self._stop_lsn is not None and self._read_to.lsn >= self._stop_lsn)

    @property
    def read_to(self) -> int:
        """The LSN up to which the log has been read."""
        return self._read_to.lsn

    def is_drained(self) -> bool:
        """Whether all log is durable up to the end that draining found, or up to the cut."""
        return self._is_read_out and not self._gathered and self._shipper.is_idle()

    def _gather(self, batch: LogBatch) -> None:
        if not self._gathered:
            self._gathered_since, self._data_since = self._clock(), None
        if self._data_since is None and not batch.is_upkeep:
            self._data_since = self._clock()
        self._gathered.append(batch)
        self._gathered_bytes += len(batch.data)
        self._read_to = batch.end

    def _mark_flush(self) -> None:
        """Handle a read to the end of the log: the flushes requested so far need the log up to this end."""
        if self._flush_asked > (self._flush_marks[-1][0] if self._flush_marks else self.flushed):
            self._flush_marks.append((self._flush_asked, self._read_to.lsn))
            self._count_flushes()

    def _count_flushes(self) -> None:
        while self._flush_marks and self._flush_marks[0][1] <= self.end.position.lsn:
            self.flushed = self._flush_marks.popleft()[0]

    def _is_due(self) -> bool:
        """Whether the gathered log must be sealed, even if it is small."""
        return self._is_read_out or self._is_old() or self._is_flush_due()

    def _is_flush_due(self) -> bool:
        """Whether a flush waits for the gathered log. False while a segment is in progress: more log may still join."""
        is_wanted = bool(self._flush_marks) and self._flush_marks[-1][1] > self._gathered[0].start.lsn
        return is_wanted and self._shipper.is_idle()

    def _is_large(self) -> bool:
        return self._gathered_bytes >= self._seal.size

    def _is_old(self) -> bool:
        """Whether the log has waited long enough: not as long if somebody's data may be in it."""
        now, seal, longest = self._clock(), self._seal, self._longest_age()
        if self._data_since is not None and now - self._data_since >= min(seal.age, longest):
            return True
        return now - self._gathered_since >= min(max(seal.age, seal.upkeep_age), longest)

    def _ship(self) -> None:
        first, last = self._gathered[0], self._gathered[-1]
        header = SegmentHeader(
            self._of,
            start_lsn=first.start.lsn,
            end_lsn=last.end.lsn,
            min_scn=first.min_scn,
            max_scn=last.end.scn,
            chain_before=first.start.chain,
            chain_after=_known(last.end),
            codec=self._codec(),
        )
        log = b"".join(batch.data for batch in self._gathered)
        self._gathered.clear()
        self._gathered_bytes = 0
        self._shipper.ship(header, log)

    def _count(self, shipped: Shipped) -> None:
        header = shipped.header
        self.end = replace(
            self.end,
            position=header.end,
            input_bytes=self.end.input_bytes + header.end_lsn - header.start_lsn,
            output_bytes=self.end.output_bytes + shipped.stored_bytes,
            segments=self.end.segments + 1,
        )
        self._count_flushes()
        self._when_durable(shipped)


def _known(position: LogPosition) -> int:
    if position.chain is None:
        raise AssertionError("a batch ends after a group, and every group has the chain")
    return position.chain
