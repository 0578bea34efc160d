"""Takes a data backup: hot passes over the engine's files, then a last pass while the engine is paused.

A hot pass may read a file while the file is written. So files that may have changed are read again, the last time while
the engine's process is paused: the copy is then what a loss of power would have left at that instant. The pause never
exceeds its limit: if the last pass would take too long, more hot passes come first; if the last pass did take too long,
its data is discarded, and the pass is repeated.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from redoubt.archive.encryption import Key
from redoubt.archive.set_layout import SetInfo
from redoubt.archive.set_manifest import SetFile, SetManifest, SetPart, SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.backup.mirror import Change, Copy, Mirror, TornFileError
from redoubt.backup.pace import Pace
from redoubt.backup.parts import PartWriter
from redoubt.errors import RedoubtError
from redoubt.model.bases import BaseFile, BaseSource, PauseOverError, Progress
from redoubt.model.log import LogPosition

PAUSE_LIMIT = 1.0
_PATIENCE = 600.0
_LOOK_PAUSE = 1.0
_CLONE_TRIES = 3
_MOST_CHANGED = 256 * 1024 * 1024
"""The most bytes of changed chunks kept in memory during the pause."""
_SAFE_SHARE = 0.5
"""The largest share of the limit that the estimate of the last pass may take."""
_log = structlog.get_logger("redoubt.backup")

Fingerprint = Callable[[int], bytes | None]
"""Takes a fingerprint of the engine's content at an SCN, for drills to compare; None for no fingerprint."""


class BackupFailedError(RedoubtError):
    """The data backup failed; the text says why and what to do."""


@dataclass(frozen=True)
class TakingOptions:
    """The options of a data backup: `pause_limit`, and `patience` with an engine that keeps writing, in seconds.

    Patience begins after the first pass. `method`, if given, is recorded as the backup's method. `encrypts`: whether to
    encrypt the backup; with a `password`, only that opens it. `net_limit`: the most bytes to store a second, 0 for no
    limit.
    """

    pause_limit: float = PAUSE_LIMIT
    patience: float = _PATIENCE
    may_clone: bool = True
    method: str | None = None
    encrypts: bool = False
    password: str = field(default="", repr=False)
    net_limit: int = 0


@dataclass(frozen=True)
class _Instant:
    """A copy of one instant: the files, the start and end of the log that they need, and the method."""

    mirror: Mirror
    files: list[BaseFile]
    start: LogPosition
    end: LogPosition
    method: str
    pause_seconds: float


class Taking:
    """One data backup. `wait(seconds)` waits between two looks, and raises if the backup is cancelled."""

    def __init__(
        self,
        source: BaseSource,
        store: SetStore,
        info: SetInfo,
        terms: TakingOptions,
        progress: Progress,
        wait: Callable[[float], None],
        fingerprint: Fingerprint = lambda _scn: None,
    ) -> None:
        self._source = source
        self._store = store
        self._info = info
        self._terms = terms
        self._progress = progress
        self._wait = wait
        self._fingerprint = fingerprint
        self._was_told = False
        self._passes = 0
        self._done = 0
        self._key: Key | None = None

    def run(self) -> SetManifest:
        """Take the backup. Raises BackupFailedError, DestinationError, ArchiveError, OSError, and what `wait` raises.

        After an exception the set has no manifest, and objects in its folder do not count.
        """
        self._store.claim(self._info)
        self._key = self._new_key()
        with ExitStack() as ends:
            parts = ends.enter_context(PartWriter(self._store, self._info, self._key, Pace(self._terms.net_limit)))
            instant = self._clone(ends, parts) or self._copy(parts)
            files = instant.mirror.put_together(instant.files)
            stored = parts.finish({extent.part for file in files for extent in file.extents})
        manifest = SetManifest(self._summary(instant, files, stored), stored, files)
        if self._store.keys.mine is not None:
            self._store.keys.put(self._store.keys.mine)  # somebody may have removed it
        self._store.put_manifest(manifest)
        return manifest

    def _new_key(self) -> Key | None:
        """The key to encrypt the backup with, None without. Raises DestinationError."""
        if self._terms.password:
            return self._store.keys.for_password(self._terms.password)
        return self._store.keys.for_writing() if self._terms.encrypts else None

    def _clone(self, ends: ExitStack, parts: PartWriter) -> _Instant | None:
        """Make instant copies and read them; None if the disk cannot make copies, or not within the limit."""
        if not self._terms.may_clone or not self._can_clone():
            return None
        for _ in range(_CLONE_TRIES):
            start = self._source.checkpoint()
            with ExitStack() as attempt:
                try:
                    with self._source.pause(self._terms.pause_limit) as pause:
                        folder = attempt.enter_context(self._source.clone())
                        pause.check()
                except PauseOverError as error:
                    _log.warning("instant copy took too long", cause=str(error))
                    continue
                if folder is None:
                    return None
                ends.enter_context(attempt.pop_all())
            return self._read_clone(folder, start, pause.seconds, parts)
        return None

    def _can_clone(self) -> bool:
        """Try instant copies while the engine runs. The try also makes the system write dirty pages."""
        with self._source.clone() as folder:
            return folder is not None

    def _read_clone(self, folder: Path, start: LogPosition, seconds: float, parts: PartWriter) -> _Instant:
        end = self._end()
        files = self._source.files_in(folder)
        mirror = Mirror(lambda file: os.open(folder / file.path, os.O_RDONLY), 0)
        self._read_hot(mirror, files, parts)
        return _Instant(mirror, files, start, end, "reflink", seconds)

    def _copy(self, parts: PartWriter) -> _Instant:
        """Copy the files while the engine runs, then copy changed files in a pause."""
        mirror = Mirror(self._source.open, self._source.settling)
        self._read_hot(mirror, mirror.due(self._source.files()), parts)
        deadline = time.monotonic() + self._terms.patience
        while True:
            cause = self._reason_to_wait(mirror)
            if not cause:
                try:
                    return self._last_pass(mirror, parts)
                except PauseOverError as error:
                    cause = str(error)
            if not self._was_told:
                _log.info("reading the engine's files again before the pause", cause=cause)
                self._was_told = True
            if time.monotonic() > deadline:
                raise BackupFailedError(
                    f"{cause}, but the engine may be paused for at most {self._terms.pause_limit:g} s: "
                    "allow a longer pause (backup_pause_limit), or back up while less is written"
                )
            self._wait(_LOOK_PAUSE)
            self._read_hot(mirror, mirror.due(self._source.files()), parts)

    def _reason_to_wait(self, mirror: Mirror) -> str:
        """Why the last pass would not fit into the limit; empty if it would fit."""
        seconds = mirror.seconds_for(mirror.last(self._source.files()))
        is_soon = seconds <= self._terms.pause_limit * _SAFE_SHARE
        return "" if is_soon else f"the last pass would take about {seconds:.1f} s"

    def _read_hot(self, mirror: Mirror, files: list[BaseFile], parts: PartWriter) -> None:
        """Read files while the engine runs."""
        self._passes += bool(files)
        there = self._done + sum(file.content for file in files)
        for file in files:
            copy = mirror.begin(file)
            try:
                for change in mirror.changes(copy, lambda: self._wait(0)):
                    mirror.store(change, parts.add)
            except (FileNotFoundError, TornFileError):  # the next listing omits the file, or shows its new state
                continue
            mirror.commit(copy)
            self._done += file.content
            self._progress(self._done, there)

    def _last_pass(self, mirror: Mirror, parts: PartWriter) -> _Instant:
        """Read files that may have changed, while the engine is paused. Raises PauseOverError."""
        start = self._source.checkpoint()
        read: list[tuple[Copy, list[Change]]] = []
        room = _MOST_CHANGED
        with self._source.pause(self._terms.pause_limit) as pause:
            files = self._source.files()
            for file in mirror.last(files):
                copy = mirror.begin(file)
                changes = _changes(mirror, copy, pause.check, room)
                room -= sum(len(change.data or b"") for change in changes)
                read.append((copy, changes))
            pause.check()
        self._passes += 1
        end = self._end()
        for copy, changes in read:
            for change in changes:
                mirror.store(change, parts.add)
            mirror.commit(copy)
        return _Instant(mirror, files, start, end, "hot", pause.seconds)

    def _end(self) -> LogPosition:
        """The end of the log after the pause, which a restore needs at least. Stores the fingerprint of that place."""
        end = self._source.end_of_log()
        try:
            fingerprint = self._fingerprint(end.scn)
        except Exception as error:  # noqa: BLE001 - the backup is good without a fingerprint
            _log.warning("data backup stored without a fingerprint", cause=repr(error))
            return end
        if fingerprint is not None:
            self._store.put_remark(self._store.path.fingerprint, fingerprint, self._key)
        return end

    def _summary(self, instant: _Instant, files: tuple[SetFile, ...], parts: tuple[SetPart, ...]) -> SetSummary:
        info = self._info
        return SetSummary(
            info.of,
            engine=self._source.version(),
            start_lsn=instant.start.lsn,
            start_scn=instant.start.scn,
            snapshot_lsn=instant.end.lsn,
            snapshot_scn=instant.end.scn,
            began_at=info.began_at,
            completed_at=time.time_ns(),
            pause_us=round(instant.pause_seconds * 1e6),
            passes=self._passes,
            method=self._terms.method or instant.method,
            input_bytes=sum(extent.length for file in files for extent in file.extents),
            output_bytes=sum(part.size for part in parts),
            data_key=self._key.id if self._key else "",
        )


def _changes(mirror: Mirror, copy: Copy, check: Callable[[], None], room: int) -> list[Change]:
    """The changed chunks of a file, in memory. Raises PauseOverError if they take more than `room` bytes."""
    changes = []
    try:
        for change in mirror.changes(copy, check):
            changes.append(change)
            room -= len(change.data or b"")
            if room < 0:
                raise PauseOverError(f"more than {_MOST_CHANGED >> 20} MiB changed since the last pass")
    except (FileNotFoundError, TornFileError) as error:
        raise PauseOverError(f"{copy.file.path} changed while the engine was paused") from error
    return changes
