"""The engine of the double: a directory with log in it, and a file that says where the log ends while it is written."""

from __future__ import annotations

import json
import shutil
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from redoubt.durable import kept_line, replace_file
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.holding import LogHolder
from redoubt.engines.seekdb.reader import SeekdbLogReader
from redoubt.model.log import LogPosition
from tests.seekdb.written import WrittenLog, chain_after, group

_END = "end"


def end_of(directory: Path) -> LogPosition:
    """Where the log ends. Raises ConnectionError while nobody writes it."""
    try:
        return LogPosition(*json.loads((directory / _END).read_bytes()))
    except FileNotFoundError as error:
        raise ConnectionError(f"nobody writes the log in {directory}") from error


class DoubleWriter(WrittenLog):
    """The application: writes a group ten times a second, and others when it is told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.ends = [LogPosition(0, time.time_ns(), 0)]
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self.append(b"the first")
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def append(self, *contents: bytes) -> bytes:
        """Write a group of the present moment."""
        with self._turn:
            scn = max(time.time_ns(), self.end.scn + 1)
            data = group(list(contents), scn, self.end.chain or 0, log_id=len(self.ends))
            self.put(self.end.lsn, data)
            self.ends.append(LogPosition(self.end.lsn + len(data), scn, chain_after(data)))
            replace_file(self.base.path / _END, json.dumps([self.end.lsn, self.end.scn, self.end.chain]).encode())
        return data

    def close(self) -> None:
        """Write no more, and be gone."""
        self._stop.set()
        self._thread.join()
        (self.base.path / _END).unlink(missing_ok=True)

    def _live(self) -> None:
        while not self._stop.wait(0.1):
            self.append(b"a sign of life")


class DoubleEngine:
    """See `KeptEngine`."""

    def __init__(self, directory: Path) -> None:
        self._base = BaseDir(directory)
        self._holder = LogHolder(self._base)
        self._closed = self._base.ours / "closed"

    def source_id(self) -> str:
        """See `Engine`."""
        return kept_line(self._base.source_id, lambda: uuid.uuid4().hex)

    def start_point(self) -> LogPosition:
        """See `Engine`. All log that ever was is in one block."""
        self.end_of_log()
        return LogPosition(0)

    def end_of_log(self) -> int:
        """See `Engine`."""
        return end_of(self._base.path).lsn

    def end_of_commits(self) -> int:
        """See `Engine`."""
        return self.end_of_log()

    def reader(self) -> SeekdbLogReader:
        """See `Engine`."""
        return SeekdbLogReader(self._base, self.end_of_log)

    def hold_log(self) -> None:
        """See `Engine`."""
        self._holder.hold()

    def release_log(self, lsn: int) -> None:
        """See `Engine`."""
        self._holder.release(lsn)

    def release_all_log(self) -> None:
        """See `Engine`."""
        self._holder.release_all()

    def held_from(self) -> int | None:
        """See `Engine`."""
        return self._holder.start()

    def disk_free(self) -> int:
        """See `Engine`."""
        return shutil.disk_usage(self._base.path).free

    def close_writes(self) -> None:
        """See `Engine`."""
        self._closed.touch()

    def open_writes(self) -> None:
        """See `Engine`."""
        with suppress(FileNotFoundError):
            self._closed.unlink()

    def has_closed_writes(self) -> bool:
        """See `Engine`."""
        return self._closed.exists()

    def minor_freeze(self) -> None:
        """See `Engine`. There is no memory to flush."""

    def end_sessions(self, only: set[int] | None = None) -> None:
        """See `KeptEngine`. Nobody logs in."""
