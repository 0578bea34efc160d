"""Carries a plan out, in a directory; goes on where it was when it was cut off.

What has been done is kept in `redoubt/restoring` in the directory, and only ever says less than was done. When all is
done, `redoubt/restored_from` says what the directory was made of, and the engine may open it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from redoubt.archive.record import FORMAT, RecordError, dump_record, load_record
from redoubt.model.bases import LogCutter, LogLayer, Progress
from redoubt.model.log import LogPosition
from redoubt.restore.base_files import write_files
from redoubt.restore.laying import lay_log
from redoubt.restore.planning import Plan

_FOLDER = "redoubt"
_STATE = f"{_FOLDER}/restoring"
_RESULT = f"{_FOLDER}/restored_from"


class RestoreError(Exception):
    """The directory cannot be restored into; the text says why and what to do."""


@dataclass(frozen=True)
class Restored:
    """What a directory was, or is being, made of. LSNs in bytes, SCNs in ns since the epoch.

    The files are there if `has_files`; the log is laid up to `laid_lsn`.
    """

    cluster: str
    cluster_id: int
    tenant_id: int
    tenant: str
    source: str
    set_id: int
    end_lsn: int
    end_scn: int
    end_chain: int | None
    has_files: int = 0
    laid_lsn: int = 0
    laid_scn: int = 0
    laid_chain: int | None = None
    format: int = FORMAT


def unfinished(directory: Path) -> Restored | None:
    """The restore that was begun in a directory and did not end, None if there is none. Raises RestoreError."""
    try:
        return load_record(Restored, (directory / _STATE).read_bytes())
    except FileNotFoundError:
        return None
    except (RecordError, OSError) as error:
        raise RestoreError(
            f"{directory / _STATE} cannot be read ({error}); empty {directory} and restore again"
        ) from error


def check_directory(directory: Path) -> None:
    """Whether a restore may begin, or go on, in a directory. Raises RestoreError."""
    try:
        if directory.exists() and any(directory.iterdir()) and unfinished(directory) is None:
            raise RestoreError(f"{directory} is not empty; name a directory that is, or is not there")
    except OSError as error:
        raise RestoreError(f"{directory} cannot be used: {error.strerror}") from error


class Restoration:
    """One restore into a directory. `layer(start_lsn)` lays log into it."""

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        layer: Callable[[int], LogLayer],
        cutter: LogCutter,
        progress: Progress,
    ) -> None:
        self._plan = plan
        self._directory = directory
        self._layer = layer
        self._cutter = cutter
        self._progress = progress
        self._done = 0

    def run(self) -> Restored:
        """Do it, or go on with it. Raises RestoreError, ArchiveError, DestinationError, OSError."""
        state = self._begin()
        if not state.has_files:
            write_files(self._plan.base_store, self._plan.base, self._directory, self._tell)
            state = replace(state, has_files=1)
            self._keep(state)
        else:
            self._tell(self._plan.base_bytes)
        start = LogPosition(self._plan.parts[0].start_lsn)
        if state.laid_lsn:
            start = LogPosition(state.laid_lsn, state.laid_scn, state.laid_chain)
            self._tell(start.lsn - self._plan.parts[0].start_lsn)
        layer = self._layer(self._plan.parts[0].start_lsn)
        lay_log(self._plan, layer, self._cutter, start, lambda at: self._keep(_laid(state, at)), self._tell)
        done = _laid(state, self._plan.end)
        _write(self._directory / _RESULT, dump_record(done, indent=2))
        (self._directory / _STATE).unlink()
        return done

    def _begin(self) -> Restored:
        check_directory(self._directory)
        plan, summary = self._plan, self._plan.base.summary
        fresh = Restored(
            plan.tenant.cluster.cluster,
            plan.tenant.cluster.cluster_id,
            plan.tenant.tenant_id,
            summary.tenant,
            summary.source,
            summary.set_id,
            plan.end.lsn,
            plan.end.scn,
            plan.end.chain,
        )
        known = unfinished(self._directory)
        if known is None:
            (self._directory / _FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._keep(fresh)
            return fresh
        begun = replace(known, has_files=0, laid_lsn=0, laid_scn=0, laid_chain=None)
        if begun != fresh:
            raise RestoreError(
                f"{self._directory} holds an unfinished restore of tenant {known.tenant} to SCN {known.end_scn}; "
                f"go on with it (--scn {known.end_scn}), or empty the directory"
            )
        return known

    def _tell(self, size: int) -> None:
        self._done += size
        self._progress(self._done, self._plan.base_bytes + self._plan.log_bytes)

    def _keep(self, state: Restored) -> None:
        _write(self._directory / _STATE, dump_record(state, indent=2))


def _laid(state: Restored, at: LogPosition) -> Restored:
    return replace(state, laid_lsn=at.lsn, laid_scn=at.scn, laid_chain=at.chain)


def _write(path: Path, data: bytes) -> None:
    """Replace a file, durably: the old content or the new one, never half."""
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
