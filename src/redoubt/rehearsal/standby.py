"""A standby: a restored directory that receives the newest archived log. To take over, open the directory.

The file `redoubt/following` in the directory records the end of the laid log, and never claims more than was laid. A
kill leaves a log that ends early or within a group, as after a crash of the engine; an engine opens such a log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from redoubt.archive.inventory import PieceHeld, TenantPath, pieces_of
from redoubt.archive.layout import ClusterPath
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
from redoubt.restore.restoring import Origin, Restoration, Restored, RestoreError, unfinished

_STATE = "redoubt/following"
_RESTORED = "redoubt/restored_from"


@dataclass(frozen=True)
class Following:
    """The source of a standby's log, and the end of the laid log."""

    of: Origin
    laid: LogPosition
    format: int = INFO_FORMAT


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
            scn = None if begun is None else begun.end.scn
            plan = make_plan(self._destination, self._tenant, scn, self._cutter, is_settled=False)
            restoration = Restoration(plan, self._directory, self._layer, self._cutter, self._progress)
            restored = restoration.run()
            state = Following(restored.of, restored.end)
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
            stretches = stretches_after(state.laid.lsn, state.of.source, runs)
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
        there = track.end.lsn - state.laid.lsn
        laid = 0

        def told(size: int) -> None:
            nonlocal laid
            laid += size
            self._progress(laid, there)

        lay_log(track, self._layer(0), self._cutter, state.laid, lambda at: self._keep(replace(state, laid=at)), told)
        state = replace(state, laid=track.end)
        self._keep(state)
        return state

    def _known(self) -> Following | None:
        """The recorded state; None if the directory is empty or holds an unfinished restore."""
        try:
            state = _read(self._directory / _STATE, Following)
            if state is None and (restored := _read(self._directory / _RESTORED, Restored)) is not None:
                state = Following(restored.of, restored.end)
        except (RecordError, OSError) as error:
            raise RestoreError(f"cannot follow into {self._directory} ({error}); name an empty directory") from error
        if state is None:
            return None
        of, ours = state.of, self._tenant
        if (ClusterPath(of.cluster, of.cluster_id), of.tenant_id) != (ours.cluster, ours.tenant_id):
            raise RestoreError(
                f"{self._directory} holds tenant {of.tenant} (id {of.tenant_id}) of "
                f"{of.cluster}#{of.cluster_id}; name another directory"
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
        if each.run is not None and each.run.source == state.of.source and each.run.end_lsn <= state.laid.lsn
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


def _read(path: Path, kind: type[_Kept]) -> _Kept | None:
    try:
        return load_record(kind, path.read_bytes())
    except FileNotFoundError:
        return None
