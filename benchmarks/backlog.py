"""Archive throughput of a backlog, plain and encrypted, beside the command-line compressors on the same blocks."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.load import make_table, write_for
from redoubt.archive.master_keys import MASTER_KEY
from redoubt.cli.demo_cluster import DemoCluster
from redoubt.control.rounds.worker_process import MEMORY_LIMITS
from redoubt.engines.seekdb.files import BaseDir, block_ids
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE
from redoubt.messages.archiving import ArchivePiece, Configure, PieceBroken, PieceProgress, from_line, to_line

_BLOCKS = 9  # 604 MB of log
_RUNS = 5
_SEGMENT = 4 * 1024 * 1024
_TOOLS = {"lz4_1.0": ["lz4", "-q", "-1", "-c"], "zstd_1.3.8": ["zstd", "-q", "-1", "-c"]}


def make_backlog(folder: Path, rows: int, blocks: int) -> BaseDir:
    """A directory with whole redo blocks of a real engine, filled by inserts of `rows` rows each."""
    base = BaseDir(folder / f"backlog-{rows}")
    base.held.mkdir(parents=True)
    cluster = DemoCluster()
    try:
        cluster.start()
        make_table(cluster)
        main = BaseDir(cluster.home.tenant(1001).path)
        while max(block_ids(main.log)) < blocks:
            write_for(cluster, 1.0, 4, rows=rows)
        kept = cluster.kept_log
        for block in range(blocks):
            shutil.copy(kept / str(block), base.held / str(block))
        cluster.stop()
    finally:
        cluster.remove()
    return base


def measure(folder: Path) -> None:
    """Print a line for each kind of log and each codec: ours, the tool's, and the ratios run by run."""
    for rows, blocks, what in ((100, _BLOCKS, "100-row inserts"), (1, 2, "single-row commits")):
        base = make_backlog(folder, rows, blocks)
        size = blocks * BLOCK_LOG_SIZE
        for codec, tool in _TOOLS.items():
            runs = [
                (
                    _archive(base, folder, Configure(codec), size),
                    _archive(base, folder, Configure(codec, encrypts=True), size),
                    _compress(base, folder, tool),
                )
                for _ in range(_RUNS)
            ]
            ours, encrypted, theirs = (statistics.median(seconds) for seconds in zip(*runs, strict=True))
            ratio = statistics.median(their / our for our, _, their in runs)
            cost = statistics.median(our / encrypted for our, encrypted, _ in runs)
            print(
                f"backlog of {size / 1e6:.0f} MB, {what}, {codec}: redoubt {size / ours / 1e6:.0f} MB/s, "
                f"{' '.join(tool[:3:2])} {size / theirs / 1e6:.0f} MB/s, ratio {ratio:.2f} "
                f"(median of {_RUNS} runs), encrypted {size / encrypted / 1e6:.0f} MB/s, {cost:.2f} of plain, "
                f"worker's peak memory {_peak(base):.0f} MB"
            )


def _archive(base: BaseDir, folder: Path, configure: Configure, size: int) -> float:
    """Seconds from the command to the worker's word that it is durable.

    Up to the last whole segment, and in proportion for the rest: that waits for its age, as the log's live end does.
    """
    home, destination = folder / "home", folder / "destination"
    for fresh in (home / "run", home / "log", destination):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
    worker = subprocess.Popen(
        [sys.executable, "-m", "redoubt.worker", str(home), str(_SEGMENT), "1.0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | MEMORY_LIMITS | {MASTER_KEY: "command:openssl rand -hex 32"},
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    lock = home / "run" / "archive_worker.lock"
    while not lock.exists() or not lock.read_text():
        time.sleep(0.01)
    task = ArchivePiece(1001, "main", str(base.path), "s", f"file://{destination}", "b", 1, "i", 1, 0, 1, 0)
    began = time.perf_counter()
    worker.stdin.write(to_line(configure) + to_line(task))
    worker.stdin.flush()
    reached = 0
    for line in worker.stdout:
        event = from_line(line)
        assert not isinstance(event, PieceBroken), event
        reached = event.lsn if isinstance(event, PieceProgress) else reached
        if reached > size - _SEGMENT:
            break
    seconds = (time.perf_counter() - began) * size / reached
    (base.path / "peak").write_text(_status(worker.pid, "VmHWM"))
    worker.stdin.close()
    worker.wait()
    worker.stdout.close()
    return seconds


def _compress(base: BaseDir, folder: Path, tool: list[str]) -> float:
    """Seconds that the tool takes for the same blocks, one after the other; it does not fsync."""
    output = folder / "compressed"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    began = time.perf_counter()
    for block in block_ids(base.held):
        with (output / str(block)).open("wb") as file:
            subprocess.run([*tool, str(base.held / str(block))], stdout=file, check=True)
    seconds = time.perf_counter() - began
    os.sync()  # what it left to be written is not the next run's burden
    return seconds


def _status(pid: int, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(field + ":"))


def _peak(base: BaseDir) -> float:
    return int((base.path / "peak").read_text()) / 1024
