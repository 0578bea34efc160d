"""Carries out a plan in a directory, and resumes an interrupted restore.

The file `redoubt/restoring` in the directory records the progress, and never claims more than is durable. When the
restore is complete, the file becomes `redoubt/restored_from`: it names the source of the directory, and the engine may
open the directory.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from redoubt.archive.record import FORMAT, RecordError, dump_record, load_record
from redoubt.durable import NEW, make_folder, replace_file, sync
from redoubt.errors import RedoubtError
from redoubt.model.bases import LogCutter, LogLayer, Progress
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.log import LogPosition
from redoubt.restore.base_files import write_files
from redoubt.restore.in_use import in_use
from redoubt.restore.laying import lay_log
from redoubt.restore.planning import Plan

_FOLDER = "redoubt"
_STATE = f"{_FOLDER}/restoring"
_RESULT = f"{_FOLDER}/restored_from"
_NOTHING = LogPosition(0)
AT_ONCE = 2
"""Runs of log laid at once. The directory is opened only when complete, so holes do no harm meanwhile."""


class RestoreError(RedoubtError):
    """A restore into the directory is not possible; the text says why and what to do."""


@dataclass(frozen=True)
class Origin:
    """The source of a restored directory: tenant, engine, kind of engine, and data backup."""

    cluster: str
    cluster_id: int
    tenant_id: int
    tenant: str
    source: str
    set_id: int
    engine_kind: str = SEEKDB


@dataclass(frozen=True)
class Restored:
    """What a directory was, or is being, made of: the log up to `end`.

    The files are there if `has_files`, otherwise as far as they are in the parts before `next_part`; the log is laid up
    to `laid` (LSN 0: none yet).
    """

    of: Origin
    end: LogPosition
    has_files: int = 0
    next_part: int = 1
    laid: LogPosition = _NOTHING
    format: int = FORMAT


def unfinished(directory: Path) -> Restored | None:
    """The unfinished restore in a directory, None without one. Raises RestoreError."""
    try:
        return load_record(Restored, (directory / _STATE).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (RecordError, OSError) as error:
        raise RestoreError(
            f"cannot read {directory / _STATE} ({error}); empty {directory} and restore again"
        ) from error


def kind_restored_in(directory: Path) -> str:
    """The name of the kind of engine that a restored directory is for, seekdb if it is none. Raises RestoreError."""
    restored = restored_in(directory)
    return SEEKDB if restored is None else restored.of.engine_kind


def restored_in(directory: Path) -> Restored | None:
    """What a directory was made of, None if it was not restored. Raises RestoreError."""
    try:
        return load_record(Restored, (directory / _RESULT).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (RecordError, OSError) as error:
        raise RestoreError(f"{directory / _RESULT} cannot be read ({error}); restore into another directory") from error


def check_directory(directory: Path) -> None:
    """Check that a restore may begin, or resume, in a directory. Raises RestoreError."""
    try:
        if not directory.exists() or unfinished(directory) is not None:
            return
        names = {entry.name for entry in directory.iterdir()}
        if (directory / _RESULT).exists():
            raise RestoreError(f"{directory} already holds a complete restore; name another directory")
        if names == {_FOLDER} and all(_is_ours(entry) for entry in (directory / _FOLDER).iterdir()):
            return  # killed before the first state was written
    except OSError as error:
        raise RestoreError(f"cannot use {directory}: {error.strerror}") from error
    if names:
        raise RestoreError(f"{directory} is not empty; name an empty or a new directory")


def check_room(plan: Plan, directory: Path) -> None:
    """Check that the disk of a directory has room for the rest of the restore. Raises RestoreError."""
    there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    state = unfinished(directory)
    done = 0
    if state is not None:
        done += plan.base_bytes if state.has_files else 0
        done += max(state.laid.lsn - plan.parts[0].start_lsn, 0)
    needed, free = plan.base_bytes + plan.log_bytes - done, shutil.disk_usage(there).free
    if free < needed:
        raise RestoreError(
            f"the restore needs {needed} bytes in {directory}, but its disk has only {free} bytes free: "
            "free some space, or name a directory on another disk"
        )


def _is_ours(path: Path) -> bool:
    return path.name == Path(_STATE).with_suffix(NEW).name


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
        """Restore, or resume. Raises RestoreError, BeingDeletedError, ArchiveError, DestinationError, OSError."""
        check_directory(self._directory)
        check_room(self._plan, self._directory)
        make_folder(self._directory.absolute())
        with _alone(self._directory), in_use(self._plan):
            state = self._lay(self._write_files(self._begin()))
            self._keep(state)
            (self._directory / _STATE).rename(self._directory / _RESULT)
            sync(self._directory / _FOLDER)
        return state

    def _write_files(self, state: Restored) -> Restored:
        if state.has_files:
            self._tell(self._plan.base_bytes)
            return state
        write_files(
            self._plan.base_store,
            self._plan.base,
            self._directory,
            self._tell,
            lambda part: self._keep(replace(state, next_part=part)),
            state.next_part,
        )
        state = replace(state, has_files=1)
        self._keep(state)
        return state

    def _lay(self, state: Restored) -> Restored:
        first = self._plan.parts[0].start_lsn
        start = LogPosition(first)
        if state.laid.lsn:
            start = state.laid
            self._tell(start.lsn - first)
        layer = self._layer(first)
        lay_log(
            self._plan, layer, self._cutter, start, lambda at: self._keep(replace(state, laid=at)), self._tell, AT_ONCE
        )
        return replace(state, laid=self._plan.end)

    def _begin(self) -> Restored:
        plan, summary = self._plan, self._plan.base.summary.of
        cluster = plan.tenant.cluster
        whose = cluster.cluster, cluster.cluster_id, plan.tenant.tenant_id, summary.tenant
        of = Origin(*whose, summary.source, summary.set_id, summary.engine_kind)
        fresh = Restored(of, plan.end)
        known = unfinished(self._directory)
        if known is None:
            check_directory(self._directory)  # alone now
            make_folder((self._directory / _FOLDER).absolute())
            self._keep(fresh)
            return fresh
        begun = replace(known, has_files=0, next_part=1, laid=_NOTHING)
        if begun != fresh:
            raise RestoreError(
                f"{self._directory} holds an unfinished restore of tenant {known.of.tenant} from set {known.of.set_id} "
                f"to SCN {known.end.scn}; continue that restore (--scn {known.end.scn}), or empty the directory"
            )
        ours = {_FOLDER, *(file.path.partition("/")[0] for file in plan.base.files)}
        if foreign := sorted({entry.name for entry in self._directory.iterdir()} - ours):
            raise RestoreError(
                f"{self._directory} was used before its restore finished (found {', '.join(foreign)}); "
                "empty the directory and restore again"
            )
        return known

    def _tell(self, size: int) -> None:
        self._done += size
        self._progress(self._done, self._plan.base_bytes + self._plan.log_bytes)

    def _keep(self, state: Restored) -> None:
        replace_file(self._directory / _STATE, dump_record(state, indent=2))


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Lock a directory against other restores. Raises RestoreError while another restore runs."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RestoreError(
                f"another process is restoring into {directory}; wait until that process ends"
            ) from error
        yield
    finally:
        os.close(descriptor)
