"""How long a flush takes: from the command to `Flushed`, with a real directory and a log in memory.

`python -m benchmarks.flush [FOLDER] [FLUSHES]`. One commit after another, which is the worst case: no flush shares a
segment with another. The figure includes two fsyncs, whose own cost on the same folder is printed beside it. From 60
seconds on (some 80,000 flushes) segments are merged beside it.
"""

from __future__ import annotations

import os
import queue
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import google_crc32c

from redoubt.archiver.archival import JobResources
from redoubt.archiver.archiver import SealRule
from redoubt.archiver.piece_job import PieceJob
from redoubt.destinations.file import FileDestination
from redoubt.messages.archiving import ArchivePiece, Flush, Flushed, from_line, to_line
from redoubt.model.log import LogBatch, LogPosition

_GROUP = 600  # bytes of log that a small transaction writes


class GrowingLog:
    """A log in memory that one thread appends to and another reads."""

    def __init__(self) -> None:
        self._groups: dict[int, LogBatch] = {}
        self._end = LogPosition(0, 0, 0)

    def append(self, data: bytes) -> None:
        """The engine writes a group."""
        start = self._end
        chain = int(google_crc32c.extend(start.chain or 0, data))
        self._end = LogPosition(start.lsn + len(data), time.time_ns(), chain)
        self._groups[start.lsn] = LogBatch(data, start, self._end, self._end.scn)

    def read(self, position: LogPosition, _limit: int) -> LogBatch | None:
        """See `LogReader`; one group at a time."""
        return self._groups.pop(position.lsn, None)

    def close(self) -> None:
        """See `LogReader`."""


class Loop:
    """The worker's loop around one job, with the lines that pass between it and the service."""

    def __init__(self, log: GrowingLog, folder: Path) -> None:
        self._wake = threading.Event()
        self._commands: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[float] = queue.SimpleQueue()
        resources = JobResources(
            encoders=ThreadPoolExecutor(2),
            storer=ThreadPoolExecutor(1),
            merger=ThreadPoolExecutor(1),
            now=time.time_ns,
            holder="benchmark",
            clock=time.monotonic,
            notify=self._wake.set,
            codec=lambda: "lz4_1.0",
            seal=SealRule(),
        )
        task = ArchivePiece(1001, "main", "", "bench", str(folder), "bench", 1, "f00d", 1, 0, 0, 0)
        self._job = PieceJob(task, log, FileDestination(folder), resources)

    def flush(self, number: int) -> float:
        """Ask, and wait for the answer: the seconds that it took."""
        before = time.perf_counter()
        self._commands.put(to_line(Flush(1001, 1, number)))
        self._wake.set()
        return self.answers.get() - before

    def run(self) -> None:
        """As `Worker.run` does."""
        while True:
            while not self._commands.empty():
                command = from_line(self._commands.get())
                assert isinstance(command, Flush)
                self._job.flush(command.number)
            more, events = self._job.step()
            for event in events:
                to_line(event)
                if isinstance(event, Flushed):
                    self.answers.put(time.perf_counter())
            if not more:
                self._wake.wait(0.1)
                self._wake.clear()


def two_fsyncs(folder: Path) -> float:
    """The seconds that writing, linking and fsyncing a small file takes by itself."""
    before = time.perf_counter()
    temporary, name = folder / "probe.part", folder / f"probe-{before}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, bytes(_GROUP))
    os.fsync(descriptor)
    os.close(descriptor)
    os.link(temporary, name)
    temporary.unlink()
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - before


def main() -> None:
    """Measure and print."""
    parent = sys.argv[1] if len(sys.argv) > 1 else None
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder, log = Path(name), GrowingLog()
        alone = [two_fsyncs(folder) for _ in range(count // 4)]
        loop = Loop(log, folder)
        threading.Thread(target=loop.run, daemon=True).start()
        took = []
        for number in range(1, count + 1):
            log.append(os.urandom(_GROUP // 2) + bytes(_GROUP // 2))
            took.append(loop.flush(number))
        _print("fsyncs alone", alone)
        _print("flush", took)
        print(f"{len(list(folder.rglob('*.merged.*')))} merged, {len(list(folder.rglob('*.lz4')))} in all")
        os._exit(0)


def _print(what: str, seconds: list[float]) -> None:
    cuts = statistics.quantiles(seconds, n=100)
    middle, high, most = cuts[49] * 1e3, cuts[98] * 1e3, max(seconds) * 1e3
    print(f"{what}: p50 {middle:.2f} ms, p99 {high:.2f} ms, max {most:.1f} ms, n {len(seconds)}")


if __name__ == "__main__":
    main()
