"""The log of one engine in a destination, to be read anywhere while more of it is archived.

What is known of a piece comes from a listing of its folder: which log is there is in the names. The destination is
asked again only when somebody wants log that is not known yet, and then at most once in a while. A piece that has a
manifest and a successor is not listed again.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from redoubt.archive.inventory import TenantPath
from redoubt.archive.layout import PieceInfo
from redoubt.archive.listing import HoleError, Listed, segments_in_order
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.model.bases import Base, LogCutter, SetKey
from redoubt.model.log import LogDamagedError, LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun, follow
from redoubt.model.seams import Destination, ObjectMissingError
from redoubt.model.standby import FedLog, NoLogError

_LOOKS = 10
"""The most listings for one read: objects are merged meanwhile."""
_MOST_CHAINS = 4096
_NEWEST = 2**63 - 1


@dataclass(frozen=True)
class _Piece:
    """A piece as listed: its objects in order, the SCN at which they end."""

    key: PieceKey
    store: PieceStore
    info: PieceInfo
    objects: tuple[Listed, ...]
    end_scn: int
    has_manifest: bool

    @property
    def run(self) -> LogRun:
        """The log of the piece, as the rules of recovery see it."""
        info = self.info
        end = self.objects[-1].name.end_lsn
        return LogRun(self.key, info.source, info.start_lsn, end, info.start_scn, self.end_scn)

    def holding(self, lsn: int) -> Listed | None:
        """The object with the log at an LSN."""
        at = bisect_right(self.objects, lsn, key=lambda each: each.name.start_lsn) - 1
        return self.objects[at] if at >= 0 and lsn < self.objects[at].name.end_lsn else None


class ArchivedLog:
    """See `LogFeed`: the log of the engine `source`, else of the one that wrote the newest piece, or the SCN `until`.

    With `until`, the log ends behind the last group whose SCN is at most `until`. `interval` is in seconds.
    """

    def __init__(
        self,
        destination: Destination,
        tenant: TenantPath,
        cutter: LogCutter,
        *,
        source: str | None = None,
        until: int | None = None,
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destination = destination
        self._tenant = tenant
        self._cutter = cutter
        self._source = source
        self._until = until
        self._interval = interval
        self._clock = clock
        self._turn = threading.Lock()
        self._pieces: dict[PieceKey, _Piece] = {}
        self._lost: dict[PieceKey, str] = {}
        """The pieces that cannot be read, and why."""
        self._last: _Piece | None = None
        """The piece that was read last, as long as nothing was listed since."""
        self._looked_at = float("-inf")
        self._cut: LogPosition | None = None
        self._chains: OrderedDict[int, int] = OrderedDict()
        """The checksum of the log at the ends of what was read last."""

    def log_at(self, lsn: int) -> FedLog | None:
        """See `LogFeed`."""
        with self._turn:
            for attempt in range(_LOOKS):
                self._look(lsn, is_wanted=attempt > 0)
                if self._cut is not None and lsn >= self._cut.lsn:
                    return None
                found = self._find(lsn)
                if found is None:
                    return None
                try:
                    return self._read(*found, lsn)
                except ObjectMissingError:  # merged, or deleted
                    self._pieces.pop(found[0].key, None)
            raise ArchiveError(f"{self._tenant}: the log at LSN {lsn} could not be read in {_LOOKS} attempts")

    def end(self, *, is_new: bool = False) -> LogPosition:
        """See `LogFeed`."""
        with self._turn:
            for _ in range(_LOOKS):
                self._look(None, is_wanted=is_new)
                if self._cut is not None:
                    return self._cut
                last = self._newest()
                if self._until is None or last.end_scn <= self._until:
                    return LogPosition(last.run.end_lsn, last.end_scn)
                try:
                    return self._end_within(last, self._until)
                except ObjectMissingError:  # merged, or deleted
                    self._pieces.pop(last.key, None)
                    is_new = True
            raise ArchiveError(f"{self._tenant}: the end of the log could not be read in {_LOOKS} attempts")

    def end_at(self, until: int | None) -> None:
        """Let the log end at another SCN from now on, or nowhere with None."""
        with self._turn:
            self._until, self._cut, self._last = until, None, None

    def start_lsn(self) -> int:
        """The LSN at which the log begins. Raises as `end`."""
        with self._turn:
            self._look(None)
            source = self._newest().info.source
            return min(each.info.start_lsn for each in self._pieces.values() if each.info.source == source)

    def _newest(self) -> _Piece:
        """The last piece of the engine's log. Raises NoLogError."""
        pieces = [self._pieces[key] for key in sorted(self._pieces)]
        if self._source is not None:
            pieces = [each for each in pieces if each.info.source == self._source]
        if self._until is not None:
            until = self._until
            pieces = [each for each in pieces if each.info.start_scn <= until]
            holding = [each for each in pieces if each.end_scn >= until]
            pieces = holding[:1] or pieces
        if not pieces:
            if self._lost:
                raise ArchiveError("; ".join(self._lost.values()))
            when = "" if self._until is None else " from before that moment"
            raise NoLogError(f"tenant {self._tenant} has no log{when}")
        return pieces[-1]

    def _end_within(self, piece: _Piece, until: int) -> LogPosition:
        """The place in a piece behind the last group whose SCN is at most `until`; the piece has later log."""
        at = bisect_right(piece.objects, until, key=lambda each: piece.store.header(each.name).max_scn)
        held = piece.objects[at]
        self._read(piece, held, held.name.start_lsn)
        assert self._cut is not None, "the object has log after `until`"
        return self._cut

    def _find(self, lsn: int) -> tuple[_Piece, Listed] | None:
        """The object with the log at an LSN; None if the log ends there. Raises NoLogError."""
        if self._last is not None and (held := self._last.holding(lsn)) is not None:
            return self._last, held
        newest = self._newest()
        pieces = {key: each for key, each in self._pieces.items() if key <= newest.key}
        way = follow(Base(SetKey(1, 0), newest.info.source, lsn, lsn, 0), [each.run for each in pieces.values()])
        if way is not None:
            piece = pieces[way.stretches[0].run.key]
            if (held := piece.holding(lsn)) is not None:
                self._last = piece
                return piece, held
        if lsn == newest.run.end_lsn:
            return None
        if self._lost:
            raise ArchiveError("; ".join(self._lost.values()))
        raise NoLogError(_why(lsn, [each.run for each in pieces.values() if each.info.source == newest.info.source]))

    def _read(self, piece: _Piece, held: Listed, lsn: int) -> FedLog | None:
        """An object's log, all checked: with the log before it, if that was read. Raises ArchiveError."""
        header, log = piece.store.read(held.name)
        path = piece.store.path.segment(held.name)
        start = LogPosition(header.start_lsn, max(header.min_scn - 1, 0), header.chain_before)
        known = self._chains.get(start.lsn)
        if known is not None and start.chain is not None and known != start.chain:
            raise ArchiveError(f"{path} is damaged: its log does not continue the log that ends at LSN {start.lsn}")
        until = _NEWEST if self._until is None else self._until
        try:
            end = self._cutter.cut(log, start, until)
        except LogDamagedError as error:
            raise ArchiveError(f"{path} is damaged: {error}") from error
        if end.lsn < header.end_lsn:
            self._cut = replace(end, scn=min(end.scn, until))
        elif end.chain is not None:
            self._chains[end.lsn] = end.chain
            while len(self._chains) > _MOST_CHAINS:
                self._chains.popitem(last=False)
        return FedLog(start, end, log[: end.lsn - start.lsn]) if lsn < end.lsn else None

    def _look(self, lsn: int | None, *, is_wanted: bool = False) -> None:
        """List what may have changed, unless the log at `lsn` is known, or the last listing was a moment ago."""
        if lsn is not None and not is_wanted and any(each.holding(lsn) for each in self._pieces.values()):
            return
        now = self._clock()
        if not is_wanted and now < self._looked_at + self._interval:
            return
        keys = self._keys()
        known, self._pieces, self._lost, self._last = self._pieces, {}, {}, None
        for key in keys:
            piece = known.get(key)
            try:
                if piece is None or not piece.has_manifest or key == keys[-1]:
                    piece = self._listed(key, piece)
            except ArchiveError as error:
                self._lost[key] = str(error)
                continue
            if piece is not None:
                self._pieces[key] = piece
        self._looked_at = now

    def _keys(self) -> list[PieceKey]:
        names = self._destination.folders(self._tenant.cluster.clog(self._tenant.tenant_id))
        return sorted(key for name in names if (key := PieceKey.parse(name)) is not None)

    def _listed(self, key: PieceKey, known: _Piece | None) -> _Piece | None:
        """A piece as it is now; None if it has no log."""
        path = self._tenant.cluster.piece(self._tenant.tenant_id, key)
        store = known.store if known else PieceStore(self._destination, path)
        for again in range(2):  # one listing may miss a merged object, but two do not
            entries = list(self._destination.list(path.folder))
            try:
                objects = segments_in_order(entries).objects
                break
            except HoleError as error:
                if again:
                    raise ArchiveError(f"{path.folder}: {error}") from error
        names = {entry.name for entry in entries}
        if path.deletion in names or not objects:
            return None
        has_manifest = path.manifest in names
        if known is not None and known.objects[-1].name == objects[-1].name:
            return replace(known, objects=objects, has_manifest=has_manifest)
        try:
            info = known.info if known else store.record(PieceInfo, path.info)
            return _Piece(key, store, info, objects, store.header(objects[-1].name).max_scn, has_manifest)
        except ObjectMissingError:  # not claimed yet, or merged or deleted meanwhile
            return known


def _why(lsn: int, runs: Sequence[LogRun]) -> str:
    """Why there is no log at an LSN."""
    first, last = min(run.start_lsn for run in runs), max(run.end_lsn for run in runs)
    if lsn < first:
        return f"the archived log begins at LSN {first}, after LSN {lsn}: begin with a newer data backup"
    if lsn > last:
        return f"the archived log ends at LSN {last}, before LSN {lsn}: whoever asks has log of another history"
    after = min((run.start_lsn for run in runs if run.start_lsn > lsn), default=last)
    return f"the log from LSN {lsn} to {after} is missing in the archive: begin with a data backup from after the gap"
