"""Data backups of an engine that serves: for how long it stands still, against the size of its data and the writes.

`python -m benchmarks.bases [FOLDER] [MB,MB,…] [COMMITS/S,…]`: in `FOLDER` (engine and destination), by default 10, 300
and 1000 MB, and 0, 1000 and 3500 commits a second. Each is taken five times. The writers are processes of their own.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

from redoubt.archive.layout import ClusterPath
from redoubt.archive.set_layout import SetIdentity, SetInfo, set_path
from redoubt.archive.set_manifest import SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.backup.taking import Taking, TakingOptions
from redoubt.destinations.file import FileDestination
from redoubt.engines.seekdb.account import connect, ensure_account
from redoubt.engines.seekdb.base_source import SeekdbBaseSource
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.model.bases import SetKey
from redoubt.model.keeping import EngineSizes

_TIMES = 5
_WRITERS = 4
_MB = 10**6
_ROW = 100_000
_FREEZE_EVERY = 100 * _MB


def take(engine: SeekdbEngine, destination: Path, number: int) -> tuple[SetSummary, float]:
    """One data backup: its summary, and the seconds that it took."""
    source, key = SeekdbBaseSource(engine), SetKey(number, 20260101)
    store = SetStore(FileDestination(destination), set_path(ClusterPath("bench", 1), 1001, key))
    info = SetInfo(
        SetIdentity("bench", "bench", 1, 1001, "main", source.source_id(), number, key.create_date), time.time_ns()
    )
    began = time.monotonic()
    manifest = Taking(source, store, info, TakingOptions(), lambda _done, _all: None, time.sleep).run()
    return manifest.summary, time.monotonic() - began


def fill(engine: SeekdbEngine, size: int) -> None:
    """Rows of so many bytes in all, flushed to the engine's files from time to time and in the end."""
    with connect(engine.base, timeout=600) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE test.filled (id INT PRIMARY KEY AUTO_INCREMENT, content LONGTEXT)")
        for done in range(0, size, _ROW):
            cursor.execute("INSERT INTO test.filled (content) VALUES (%s)", (os.urandom(_ROW // 2).hex(),))
            if done % _FREEZE_EVERY == 0:
                cursor.execute("ALTER SYSTEM MINOR FREEZE")
        cursor.execute("ALTER SYSTEM MINOR FREEZE")
        cursor.execute("CREATE TABLE test.written (id BIGINT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(200))")


def write(base: Path, pace: float, is_over: Event) -> None:
    """Single-row commits at that pace, or as fast as they go, until it is over."""
    with connect(BaseDir(base)) as connection, connection.cursor() as cursor:
        due = time.monotonic()
        while not is_over.is_set():
            cursor.execute("INSERT INTO test.written (note) VALUES ('customer status open')")
            due += 1 / pace
            time.sleep(max(0.0, due - time.monotonic()))


@contextmanager
def written_to(base: BaseDir, pace: int) -> Iterator[None]:
    """So many commits a second meanwhile, as far as the machine can."""
    spawn = multiprocessing.get_context("spawn")
    is_over = spawn.Event()
    writers = [spawn.Process(target=write, args=(base.path, pace / _WRITERS, is_over)) for _ in range(_WRITERS)]
    for writer in writers if pace else ():
        writer.start()
    try:
        yield
    finally:
        is_over.set()
        for writer in writers if pace else ():
            writer.join()


def measure(folder: Path, sizes: list[int], paces: list[int]) -> None:
    """Print a line for each size and pace."""
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="bases-", dir=folder) as name:
            base = BaseDir(Path(name) / "engine")
            base.path.mkdir()
            instance, engine = Instance(base, EngineSizes("2G", "8G")), SeekdbEngine(base)
            instance.start()
            try:
                _wait_for(engine)
                fill(engine, size * _MB)
                for number, pace in enumerate(paces):
                    _measure_one(engine, Path(name) / f"destination-{number}", size, pace)
            finally:
                engine.close()
                instance.stop()


def _measure_one(engine: SeekdbEngine, destination: Path, size: int, pace: int) -> None:
    destination.mkdir()
    with written_to(engine.base, pace):
        time.sleep(5)  # the pace is reached, and what filling left has been written
        first, began = _count(engine), time.monotonic()
        taken = [take(engine, destination, number) for number in range(1, _TIMES + 1)]
        reached = (_count(engine) - first) / (time.monotonic() - began)
    pauses = [summary.pause_us / 1000 for summary, _ in taken]
    seconds = [took for _, took in taken]
    summary = taken[-1][0]
    print(
        f"{size} MB, {reached:.0f} of {pace} commits/s: {summary.method}, paused {statistics.median(pauses):.0f} ms "
        f"(most {max(pauses):.0f}), {max(summary.passes for summary, _ in taken)} passes, "
        f"{statistics.median(seconds):.1f} s, {summary.input_bytes / _MB / statistics.median(seconds):.0f} MB/s, "
        f"{summary.input_bytes / _MB:.0f} MB read, {summary.output_bytes / _MB:.0f} MB stored",
        flush=True,
    )


def _count(engine: SeekdbEngine) -> int:
    return int(engine.ask("SELECT COUNT(*) FROM test.written")[0])


def _wait_for(engine: SeekdbEngine) -> None:
    while True:
        try:
            ensure_account(engine.base)
            engine.start_point()
        except OSError:
            time.sleep(0.1)
        else:
            return


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


if __name__ == "__main__":
    measure(
        Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.gettempdir()),
        _numbers(sys.argv[2] if len(sys.argv) > 2 else "10,300,1000"),
        _numbers(sys.argv[3] if len(sys.argv) > 3 else "0,1000,3500"),
    )
