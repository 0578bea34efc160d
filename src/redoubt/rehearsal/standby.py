"""A standby: a restored directory that is kept laid up to the newest archived log. To take over is to open it.

`redoubt/following` in the directory says up to where log is laid, and only ever says less than was laid. What a kill in
the midst leaves is a log that ends early, or in half a group, as a crash of the engine would; it opens as it is.
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
    """Whose log is laid in a directory, and up to where. LSNs in bytes, SCNs in ns since the epoch."""

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
        """The place up to which log is laid."""
        return LogPosition(self.laid_lsn, self.laid_scn, self.laid_chain)


_Kept = TypeVar("_Kept", Following, Restored)


@dataclass(frozen=True)
class _Track:
    """Log that is new."""

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
        """The state of the directory, in which a base and its log are laid first if they are not there.

        Raises RestoreError for a directory of another kind, NotRecoverableError, ArchiveError, DestinationError,
        OSError.
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
        """Lay what has been archived since; the new state.

        Raises LogEndsError if no log will ever continue what is there, ArchiveError, DestinationError, OSError.
        """
        lost: dict[PieceKey, str] = {}
        held = list(pieces_of(self._destination, self._tenant, lost))
        pieces = [each for each in held if each.run is not None]
        try:
            runs = [each.run for each in held if each.run is not None]
            stretches = stretches_after(state.laid_lsn, state.source, runs)
        except LogEndsError as error:
            # A piece may have been looked at before its last log came, and the next one after: only twice is certain.
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
        """The state that the directory has; None if there is nothing in it yet, or an unfinished restore."""
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
        """Have the state in its file, durably: the old one or the new one, never half."""
        replace_file(self._directory / _STATE, dump_record(state, indent=2))


def _refuse_lost_ahead(state: Following, held: list[PieceHeld], lost: dict[PieceKey, str]) -> None:
    """Raise ArchiveError if a piece that cannot be read may hold what comes next; those before do not matter."""
    laid = [
        each.key
        for each in held
        if each.run is not None and each.run.source == state.source and each.run.end_lsn <= state.laid_lsn
    ]
    if ahead := [why for key, why in lost.items() if not laid or key > max(laid)]:
        raise ArchiveError("; ".join(ahead))


def _track(stretches: tuple[Stretch, ...], pieces: list[PieceHeld]) -> _Track:
    """Where the stretches' log is, and the place where it ends by now."""
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
