"""A running cluster: lag behind commits, commits a second with and without archiving, and what it costs idle."""

from __future__ import annotations

import os
import statistics
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.load import make_table, percentile, write_for
from redoubt.archive.segment import SegmentName, decode_header
from redoubt.cli.demo_cluster import DemoCluster

_LAG_SECONDS = 30.0
_PACE = 1000.0
_COMMIT_SECONDS = 8.0
_COMMIT_PAIRS = 5
_CONNECTIONS = 8
_SETTLE_SECONDS = 60.0
_IDLE_SECONDS = 30.0


def measure() -> None:
    """Print the figures, each with its conditions."""
    cluster = DemoCluster()
    try:
        cluster.start()
        make_table(cluster)
        run(cluster, f"ALTER SYSTEM SET backup_dest = 'file://{cluster.destination}'")
        _commits(cluster)
        run(cluster, "ALTER SYSTEM ARCHIVELOG")
        wait_for(cluster, "DOING")
        _lag(cluster)
        _idle(cluster)
        cluster.stop()
    finally:
        cluster.remove()


def _commits(cluster: DemoCluster) -> None:
    """Commits a second with archiving off and on, in turn."""
    pairs: list[tuple[float, float]] = []
    write_for(cluster, 3.0, _CONNECTIONS)
    for _ in range(_COMMIT_PAIRS):
        off = len(write_for(cluster, _COMMIT_SECONDS, _CONNECTIONS)) / _COMMIT_SECONDS
        run(cluster, "ALTER SYSTEM ARCHIVELOG")
        wait_for(cluster, "DOING")
        on = len(write_for(cluster, _COMMIT_SECONDS, _CONNECTIONS)) / _COMMIT_SECONDS
        run(cluster, "ALTER SYSTEM NOARCHIVELOG")
        wait_for(cluster, "STOP")
        pairs.append((off, on))
    off, on = (statistics.median(values) for values in zip(*pairs, strict=True))
    ratio = statistics.median(on / off for off, on in pairs)
    print(
        f"commits/s, {_CONNECTIONS} connections, single-row inserts through the gateway: {off:.0f} without archiving, "
        f"{on:.0f} with (lz4_1.0, Optional); ratio {ratio:.2f} "
        f"(median of {_COMMIT_PAIRS} pairs of {_COMMIT_SECONDS:.0f} s)"
    )


def _lag(cluster: DemoCluster) -> None:
    """From a commit's acknowledgement to the moment when its log is seen, durable, in the destination."""
    seen: list[tuple[int, int]] = []
    stop = threading.Event()
    round_id = ask(cluster, "SELECT LOG_ARCHIVE_ROUND FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")
    folder = cluster.destination / "redoubt/1/incarnation_1/1001/clog" / str(round_id)

    def watch() -> None:
        known = {path.name for path in folder.iterdir()}
        while not stop.is_set():
            for fresh in sorted({path.name for path in folder.iterdir()} - known):
                name = SegmentName.parse(fresh)
                if name is not None:
                    seen.append((time.time_ns(), decode_header(name, (folder / fresh).read_bytes()).max_scn))
                known.add(fresh)
            stop.wait(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    commits = write_for(cluster, _LAG_SECONDS, 4, pace=_PACE)
    time.sleep(8)  # an idle engine writes every five seconds, which carries the last commits past their SCN
    stop.set()
    watcher.join()
    lags = [lag for commit in commits if (lag := _durable_after(commit, seen)) is not None]
    print(
        f"commit to durable at {len(commits) / _LAG_SECONDS:.0f} commits/s, default settings: p50 "
        f"{percentile(lags, 0.5):.2f} s, p99 {percentile(lags, 0.99):.2f} s, most {max(lags):.2f} s "
        f"({len(lags)} commits)"
    )


def _durable_after(commit: int, seen: list[tuple[int, int]]) -> float | None:
    """Seconds until a segment was seen whose log reaches past the acknowledgement, which is later than the commit."""
    return next(((moment - commit) / 1e9 for moment, scn in seen if scn >= commit), None)


def _idle(cluster: DemoCluster) -> None:
    """CPU and memory of service and worker, a minute after the last write, with a round DOING."""
    time.sleep(_SETTLE_SECONDS)
    home = cluster.home.path
    running = cluster.home.running()
    assert running is not None
    pids = {"service": running.pid, "worker": int((home / "run" / "archive_worker.lock").read_text())}
    before = {name: _cpu_seconds(pid) for name, pid in pids.items()}
    time.sleep(_IDLE_SECONDS)
    for name, pid in pids.items():
        share = (_cpu_seconds(pid) - before[name]) / _IDLE_SECONDS
        memory, peak = (_memory(pid, field) for field in ("VmRSS", "VmHWM"))
        print(f"idle {name}: {share * 100:.1f} % of a core, {memory:.0f} MB now, {peak:.0f} MB at most so far")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def run(cluster: DemoCluster, sql: str) -> None:
    """Run a statement as root@sys."""
    with cluster.connect("root@sys") as connection, connection.cursor() as cursor:
        cursor.execute(sql)


def ask(cluster: DemoCluster, sql: str) -> Any:
    """The first value that a query gives."""
    with cluster.connect("root@sys") as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
        return row[0] if row else None


def wait_for(cluster: DemoCluster, status: str) -> None:
    """Wait for a STATUS of the round."""
    while ask(cluster, "SELECT STATUS FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1") != status:
        time.sleep(0.1)
