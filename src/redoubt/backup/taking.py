"""Takes a data backup: hot passes over the engine's files, then one in which the engine stands still.

A hot pass may read a file while it is being written. So what may have changed since is read again, and the last time
while the engine's process stands still: what is put together then is what a loss of power would have left at that
instant. How long the engine may stand still is a limit that holds: where it would not suffice, more hot passes come
first; where it did not, what was read in it counts for nothing, and it is tried again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from redoubt.archive.set_layout import SetInfo
from redoubt.archive.set_manifest import SetManifest, SetPart, SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.backup.mirror import Change, Copy, Mirror
from redoubt.backup.parts import PartWriter
from redoubt.model.bases import BaseFile, BaseSource, PauseOverError, Progress
from redoubt.model.log import LogPosition

PAUSE_LIMIT = 1.0
_PATIENCE = 600.0
_LOOK_PAUSE = 1.0
_MOST_CHANGED = 256 * 1024 * 1024
"""Bytes of changed chunks that are kept in memory during the pause."""
_SAFE_SHARE = 0.5
"""The share of the limit that the last pass may be estimated to take."""


class BackupFailedError(Exception):
    """No data backup could be taken; the text says why and what to do."""


@dataclass(frozen=True)
class Terms:
    """How a data backup is taken: `pause_limit`, and `patience` with an engine that writes on and on, in seconds."""

    pause_limit: float = PAUSE_LIMIT
    patience: float = _PATIENCE
    may_clone: bool = True


@dataclass(frozen=True)
class _Instant:
    """What one instant left: the files, where the log is needed from, how and in what pause they were had."""

    mirror: Mirror
    files: list[BaseFile]
    start: LogPosition
    method: str
    pause_seconds: float


class Taking:
    """One data backup. `wait(seconds)` is a pause between two looks, which raises if the backup is cancelled."""

    def __init__(
        self,
        source: BaseSource,
        store: SetStore,
        info: SetInfo,
        terms: Terms,
        progress: Progress,
        wait: Callable[[float], None],
    ) -> None:
        self._source = source
        self._store = store
        self._info = info
        self._terms = terms
        self._progress = progress
        self._wait = wait
        self._passes = 0
        self._done = 0

    def run(self) -> SetManifest:
        """Take it. Raises BackupFailedError, DestinationError, ArchiveError, OSError, and what `wait` raises."""
        self._store.claim(self._info)
        with ExitStack() as ends:
            parts = ends.enter_context(PartWriter(self._store, self._info))
            instant = self._clone(ends, parts) or self._copy(parts)
            end = self._source.end_of_log()
            stored = parts.finish()
        manifest = self._manifest(instant, end, stored)
        self._store.put_manifest(manifest)
        return manifest

    def _clone(self, ends: ExitStack, parts: PartWriter) -> _Instant | None:
        """Have instant copies made, and read those; None where the disk has none to give."""
        if not self._terms.may_clone:
            return None
        start = self._source.checkpoint()
        try:
            with self._source.pause(self._terms.pause_limit) as pause:
                folder = ends.enter_context(self._source.clone())
                pause.check()
        except PauseOverError as error:
            raise BackupFailedError(f"{error}; allow a longer pause") from error
        if folder is None:
            return None
        files = self._source.files_in(folder)
        mirror = Mirror(lambda path: os.open(folder / path, os.O_RDONLY), 0)
        self._read_hot(mirror, files, parts)
        return _Instant(mirror, files, start, "reflink", pause.seconds)

    def _copy(self, parts: PartWriter) -> _Instant:
        """Copy the files while they are written, and what changed meanwhile in a pause."""
        mirror = Mirror(self._source.open, self._source.settling)
        deadline = time.monotonic() + self._terms.patience
        cause = ""
        while True:
            self._read_hot(mirror, mirror.stale(self._source.files()), parts)
            estimate = mirror.seconds_for(mirror.stale(self._source.files()))
            if estimate <= self._terms.pause_limit * _SAFE_SHARE:
                try:
                    return self._last_pass(mirror, parts)
                except PauseOverError as error:
                    cause = str(error)
            else:
                cause = f"a last pass would take about {estimate:.1f} s"
            if time.monotonic() > deadline:
                raise BackupFailedError(
                    f"{cause}, and the engine may stand still for {self._terms.pause_limit:g} s at most: "
                    "allow a longer pause, or back up while less is written"
                )
            self._wait(_LOOK_PAUSE)

    def _read_hot(self, mirror: Mirror, files: list[BaseFile], parts: PartWriter) -> None:
        """Read files while the engine goes on."""
        self._passes += 1
        there = self._done + sum(file.content for file in files)
        for file in files:
            copy = mirror.begin(file)
            try:
                for change in mirror.changes(copy, lambda: self._wait(0)):
                    mirror.store(change, parts.add)
            except FileNotFoundError:  # the next listing does not have it
                continue
            mirror.commit(copy)
            self._done += file.content
            self._progress(self._done, there)

    def _last_pass(self, mirror: Mirror, parts: PartWriter) -> _Instant:
        """Read once more what may have changed, while the engine stands still. Raises PauseOverError."""
        start = self._source.checkpoint()
        read: list[tuple[Copy, list[Change]]] = []
        with self._source.pause(self._terms.pause_limit) as pause:
            files = self._source.files()
            room = _MOST_CHANGED
            for file in mirror.stale(files):
                copy = mirror.begin(file)
                changes = list[Change]()
                for change in mirror.changes(copy, pause.check):
                    changes.append(change)
                    room -= len(change.data or b"")
                    if room < 0:
                        raise PauseOverError("more has changed since the last pass than is kept in memory")
                read.append((copy, changes))
            pause.check()
        self._passes += 1
        for copy, changes in read:
            for change in changes:
                mirror.store(change, parts.add)
            mirror.commit(copy)
        return _Instant(mirror, files, start, "hot", pause.seconds)

    def _manifest(self, instant: _Instant, end: LogPosition, parts: tuple[SetPart, ...]) -> SetManifest:
        info, files = self._info, instant.mirror.put_together(instant.files)
        summary = SetSummary(
            identity=info.identity,
            cluster=info.cluster,
            cluster_id=info.cluster_id,
            tenant_id=info.tenant_id,
            tenant=info.tenant,
            source=info.source,
            set_id=info.set_id,
            create_date=info.create_date,
            engine=self._source.version(),
            start_lsn=instant.start.lsn,
            start_scn=instant.start.scn,
            snapshot_lsn=end.lsn,
            snapshot_scn=end.scn,
            began_at=info.began_at,
            completed_at=time.time_ns(),
            pause_us=round(instant.pause_seconds * 1e6),
            passes=self._passes,
            method=instant.method,
            rolled_from=info.rolled_from,
            input_bytes=sum(extent.length for file in files for extent in file.extents),
            output_bytes=sum(part.size for part in parts),
        )
        return SetManifest(summary, parts, files)
