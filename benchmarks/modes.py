"""What the modes cost a commit, and how soon archiving goes on after a kill; on real engines, to a local directory."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from contextlib import suppress
from pathlib import Path

import pymysql

from benchmarks.load import make_table, percentile, write_for
from benchmarks.service import ask, run, wait_for
from redoubt.archive.segment import SegmentName, decode_header
from redoubt.cli.demo_cluster import DemoCluster

_CONNECTIONS = 8
_SECONDS = 6.0
_TURNS = 5
_KILLS = 5
_MODES = {
    "no archiving": "",
    "Optional": "backup_log_archive_option = 'optional', log_archive_sync_commit = False",
    "Mandatory": "backup_log_archive_option = 'mandatory', log_archive_sync_commit = False",
    "Mandatory, synchronous": "backup_log_archive_option = 'mandatory', log_archive_sync_commit = True",
}


def measure() -> None:
    """Print the figures, each with its conditions."""
    cluster = DemoCluster()
    try:
        cluster.start()
        make_table(cluster)
        run(cluster, f"ALTER SYSTEM SET backup_dest = 'file://{cluster.destination}'")
        _commits(cluster)
        _kills(cluster)
        cluster.stop()
    finally:
        cluster.remove()


def _commits(cluster: DemoCluster) -> None:
    """Commit latency and commits a second in each mode, in turn, so that the machine's moods hit all alike."""
    latencies: dict[str, list[float]] = {mode: [] for mode in _MODES}
    rates: dict[str, list[float]] = {mode: [] for mode in _MODES}
    write_for(cluster, 3.0, _CONNECTIONS)
    for _ in range(_TURNS):
        for mode, settings in _MODES.items():
            _enter(cluster, settings)
            spent = write_for(cluster, _SECONDS, _CONNECTIONS, latencies=latencies[mode])
            rates[mode].append(len(spent) / _SECONDS)
            _leave(cluster, settings)
    for mode in _MODES:
        p50, p99 = (percentile(latencies[mode], share) * 1000 for share in (0.5, 0.99))
        rate = statistics.median(rates[mode])
        ratio = statistics.median(a / b for a, b in zip(rates[mode], rates["no archiving"], strict=True))
        print(
            f"commit, {mode}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {rate:.0f} commits/s (ratio {ratio:.2f}); "
            f"{_CONNECTIONS} connections, {_TURNS} times {_SECONDS:.0f} s",
            flush=True,
        )


def _enter(cluster: DemoCluster, settings: str) -> None:
    if settings:
        run(cluster, f"ALTER SYSTEM SET {settings}")
        run(cluster, "ALTER SYSTEM ARCHIVELOG")
        wait_for(cluster, "DOING")
        time.sleep(1.0)  # the backlog of the time without archiving is over


def _leave(cluster: DemoCluster, settings: str) -> None:
    if settings:
        run(cluster, "ALTER SYSTEM NOARCHIVELOG")
        wait_for(cluster, "STOP")


def _kills(cluster: DemoCluster) -> None:
    """From a SIGKILL to the next commit that is durable in the archive, while a client writes."""
    _enter(cluster, _MODES["Optional"])
    stop = threading.Event()
    writer = threading.Thread(target=_write_on, args=(cluster, stop))
    writer.start()
    home = cluster.home.path
    pid_files = {
        "worker": home / "run" / "archive_worker.lock",
        "main engine": home / "tenants" / "1001" / "run" / "seekdb.pid",
    }
    for victim, pid_file in pid_files.items():
        answered, archived = zip(*(_time_kill(cluster, pid_file) for _ in range(_KILLS)), strict=True)
        print(
            f"SIGKILL of the {victim}: a commit is acknowledged again after {_shown(answered)}, "
            f"and archived after {_shown(archived)} ({_KILLS} kills)",
            flush=True,
        )
    stop.set()
    writer.join()


def _write_on(cluster: DemoCluster, stop: threading.Event) -> None:
    """Insert a row every few milliseconds, with a new connection whenever the old one breaks."""
    while not stop.is_set():
        with suppress(pymysql.err.MySQLError), cluster.connect("root@main") as connection:
            while not stop.wait(0.005):
                connection.cursor().execute("INSERT INTO test.t (a) VALUES (1)")
        stop.wait(0.02)


def _time_kill(cluster: DemoCluster, pid_file: Path) -> tuple[float, float]:
    """Seconds until a commit is acknowledged, and until one that came after the kill is seen in the archive."""
    time.sleep(3.0)
    began, moment = time.monotonic(), time.time_ns()
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    while not _commits_once(cluster):
        time.sleep(0.01)
    answered, moment = time.monotonic(), max(moment, time.time_ns())
    while _archived_scn(cluster) < moment:
        time.sleep(0.01)
    return answered - began, time.monotonic() - began


def _commits_once(cluster: DemoCluster) -> bool:
    with suppress(pymysql.err.MySQLError), cluster.connect("root@main") as connection:
        connection.cursor().execute("INSERT INTO test.t (a) VALUES (2)")
        return True
    return False


def _archived_scn(cluster: DemoCluster) -> int:
    """The SCN up to which the newest segment reaches."""
    folder = _folder(cluster)
    names = [name for path in folder.iterdir() if (name := SegmentName.parse(path.name))]
    newest = max(names, key=lambda name: name.end_lsn)
    with suppress(FileNotFoundError):  # merged meanwhile
        return decode_header(newest, (folder / str(newest)).read_bytes()).max_scn
    return 0


def _folder(cluster: DemoCluster) -> Path:
    round_id = ask(cluster, "SELECT LOG_ARCHIVE_ROUND FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")
    return Path(cluster.destination) / "redoubt/1/incarnation_1/1001/clog" / str(round_id)


def _shown(spent: tuple[float, ...]) -> str:
    return f"{statistics.median(spent):.2f} s (most {max(spent):.2f} s)"
