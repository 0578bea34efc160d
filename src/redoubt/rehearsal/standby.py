"""A standby: a restored directory that receives the newest archived log. To take over, open the directory.

The file `redoubt/following` in the directory records the end of the laid log, and never claims more than was laid. A
kill leaves a log that ends early or within a group, as after a crash of the engine; an engine opens such a log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from redoubt.archive.inventory import PieceHeld, TenantPath, pieces_of
from redoubt.archive.record import INFO_FORMAT, RecordError, dump_record, load_record
from redoubt.archive.store import ArchiveError
from redoubt.durable import replace_file
from redoubt.model.bases import LogCutter, LogLayer, Progress
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import Stretch
from redoubt.model.seams import Destination
from redoubt.rehearsal.next_log import LogEndsError, stretches_after
from redoubt.restore.laying import lay_log
from redoubt.restore.planning import LogPart, make_plan
from redoubt.restore.restoring import Restoration, Restored, RestoreError, unfinished

_STATE = "redoubt/following"
_RESTORED = "redoubt/restored_from"


@dataclass(frozen=True)
class Following:
    """The source of a standby's log, and the end of the laid log. LSNs in bytes, SCNs in ns since the epoch."""

    cluster: str
    cluster_id: int
    tenant_id: int
    tenant: str
    source: str
    set_id: int
    laid_lsn: int
    laid_scn: int
    laid_chain: int | None
    format: int = INFO_FORMAT

    @property
    def position(self) -> LogPosition:
        """The end of the laid log."""
        return LogPosition(self.laid_lsn, self.laid_scn, self.laid_chain)


_Kept = TypeVar("_Kept", Following, Restored)


@dataclass(frozen=True)
class _Track:
    """New log to lay."""

    parts: tuple[LogPart, ...]
    end: LogPosition


class Standby:
    """One tenant's log, laid into one directory. `layer(start_lsn)` lays log into it."""

    def __init__(
        self,
        destination: Destination,
        tenant: TenantPath,
        directory: Path,
        layer: Callable[[int], LogLayer],
        cutter: LogCutter,
        progress: Progress,
    ) -> None:
        self._destination = destination
        self._tenant = tenant
        self._directory = directory
        self._layer = layer
        self._cutter = cutter
        self._progress = progress
        self._doubt = ""

    def begin(self) -> Following:
        """The state of the directory; restores a base and its log first if the directory is new.

        Raises RestoreError if the directory is not a standby of the tenant, NotRecoverableError, ArchiveError,
        DestinationError, OSError.
        """
        state = self._known()
        if state is None:
            begun = unfinished(self._directory)
            scn = None if begun is None else begun.end_scn
            plan = make_plan(self._destination, self._tenant, scn, self._cutter, is_settled=False)
            restoration = Restoration(plan, self._directory, self._layer, self._cutter, self._progress)
            state = _after_restore(restoration.run())
            self._keep(state)
        return state

    def catch_up(self, state: Following) -> Following:
        """Lay log that was archived since; returns the new state.

        Raises LogEndsError if no log will ever continue the laid log, ArchiveError, DestinationError, OSError.
        """
        lost: dict[PieceKey, str] = {}
        held = list(pieces_of(self._destination, self._tenant, lost))
        pieces = [each for each in held if each.run is not None]
        try:
            runs = [each.run for each in held if each.run is not None]
            stretches = stretches_after(state.laid_lsn, state.source, runs)
        except LogEndsError as error:
            # A piece may have been listed before its last log came, and the next piece after that: look twice.
            why = "; ".join([str(error), *lost.values()])
            if why == self._doubt:
                raise LogEndsError(why) from error
            self._doubt = why
            return self.catch_up(state)
        self._doubt = ""
        if not stretches:
            _refuse_lost_ahead(state, held, lost)
            return state
        track = _track(stretches, pieces)
        there = track.end.lsn - state.laid_lsn
        laid = 0

        def told(size: int) -> None:
            nonlocal laid
            laid += size
            self._progress(laid, there)

        lay_log(track, self._layer(0), self._cutter, state.position, lambda at: self._keep(_laid(state, at)), told)
        state = _laid(state, track.end)
        self._keep(state)
        return state

    def _known(self) -> Following | None:
        """The recorded state; None if the directory is empty or holds an unfinished restore."""
        try:
            state = _read(self._directory / _STATE, Following)
            if state is None and (restored := _read(self._directory / _RESTORED, Restored)) is not None:
                state = _after_restore(restored)
        except (RecordError, OSError) as error:
            raise RestoreError(f"cannot follow into {self._directory} ({error}); name an empty directory") from error
        path = self._tenant.cluster
        if state is not None and (state.cluster, state.cluster_id, state.tenant_id) != (
            *(path.cluster, path.cluster_id),
            self._tenant.tenant_id,
        ):
            raise RestoreError(
                f"{self._directory} holds tenant {state.tenant} (id {state.tenant_id}) of "
                f"{state.cluster}#{state.cluster_id}; name another directory"
            )
        return state

    def _keep(self, state: Following) -> None:
        """Write the state to its file, durably and atomically."""
        replace_file(self._directory / _STATE, dump_record(state, indent=2))


def _refuse_lost_ahead(state: Following, held: list[PieceHeld], lost: dict[PieceKey, str]) -> None:
    """Raise ArchiveError if an unreadable piece may hold the next log; earlier pieces do not matter."""
    laid = [
        each.key
        for each in held
        if each.run is not None and each.run.source == state.source and each.run.end_lsn <= state.laid_lsn
    ]
    if ahead := [why for key, why in lost.items() if not laid or key > max(laid)]:
        raise ArchiveError("; ".join(ahead))


def _track(stretches: tuple[Stretch, ...], pieces: list[PieceHeld]) -> _Track:
    """The parts of the stretches' log, and its current end."""
    held = {each.key: each for each in pieces}
    last = held[stretches[-1].run.key]
    end = last.store.resume(last.info).position
    parts = [LogPart(each.run.key, held[each.run.key].store, each.start_lsn, each.end_lsn, 0, 0) for each in stretches]
    return _Track((*parts[:-1], replace(parts[-1], end_lsn=end.lsn)), end)


def _after_restore(restored: Restored) -> Following:
    names = {field.name for field in fields(Following)} - {"laid_lsn", "laid_scn", "laid_chain", "format"}
    whose = {name: getattr(restored, name) for name in names}
    return Following(**whose, laid_lsn=restored.end_lsn, laid_scn=restored.end_scn, laid_chain=restored.end_chain)


def _laid(state: Following, at: LogPosition) -> Following:
    return replace(state, laid_lsn=at.lsn, laid_scn=at.scn, laid_chain=at.chain)


def _read(path: Path, kind: type[_Kept]) -> _Kept | None:
    try:
        return load_record(kind, path.read_bytes())
    except FileNotFoundError:
        return None
