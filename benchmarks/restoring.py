"""How fast a restore is: laying against `zstd -d` of the same objects, and the time until the engine answers.

`python -m benchmarks restoring`: an engine writes 1 GB of log (REDOUBT_BENCH_MB has another number) after a base was
taken; all of it is archived and merged. Laying makes its files durable, zstd does not, so it is timed with a sync too.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pymysql

from benchmarks.load import make_table, write_for
from redoubt.archive.layout import ClusterPath
from redoubt.archive.set_layout import SetIdentity, SetInfo, set_path
from redoubt.archive.set_store import SetStore
from redoubt.backup.taking import Taking, TakingOptions
from redoubt.cli.demo_cluster import DemoCluster
from redoubt.destinations.file import FileDestination
from redoubt.engines.seekdb.base_source import SeekdbBaseSource
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter, SeekdbLogLayer
from redoubt.engines.seekdb.replaying import sizes_for
from redoubt.model.bases import SetKey
from redoubt.model.log import LogPosition
from redoubt.restore.laying import lay_log
from redoubt.restore.planning import Plan, find_tenant, make_plan
from redoubt.restore.restoring import AT_ONCE

_RUNS = 3
_MEGABYTES = int(os.environ.get("REDOUBT_BENCH_MB", "1000"))
_LOG_END = "SELECT END_LSN FROM oceanbase.V$OB_LOG_STAT"


def measure(folder: Path) -> None:
    """Print laying against zstd, and the time from the command to an answering engine."""
    destination = folder / "destination"
    _archive(destination, _MEGABYTES)
    store = FileDestination(destination)
    plan = make_plan(store, find_tenant(store, "main"), None, SeekdbLogCutter())
    objects = [
        destination / part.store.path.segment(each.name)
        for part in plan.parts
        for each in part.store.listing().objects
        if each.name.start_lsn < part.end_lsn and each.name.end_lsn > part.start_lsn
    ]
    _print_laying(plan, objects, folder)
    _print_restore(destination, folder, plan.log_bytes)


def _archive(destination: Path, megabytes: int) -> None:
    """Have an engine write, and its log archived, with a base before it."""
    destination.mkdir()
    cluster = DemoCluster()
    try:
        cluster.start()
        make_table(cluster)
        with cluster.connect("root@sys") as session, session.cursor() as root, cluster.connect("root@main") as main:
            root.execute(f"ALTER SYSTEM SET backup_dest = 'file://{destination}'")
            root.execute("ALTER SYSTEM SET backup_log_archive_option = 'optional compression= zstd_1.3.8'")
            root.execute("ALTER SYSTEM ARCHIVELOG")
            _wait_for(root, "DOING")
            _take_base(cluster, destination)
            first = _log_end(main)
            while _log_end(main) < first + megabytes * 1_000_000:
                write_for(cluster, 1.0, 4, rows=100)
            root.execute("ALTER SYSTEM NOARCHIVELOG")
            _wait_for(root, "STOP")
        cluster.stop()
    finally:
        cluster.remove()


def _wait_for(root: Any, status: str) -> None:
    while True:
        root.execute("SELECT STATUS FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")
        row = root.fetchone()
        if row is not None and row[0] == status:
            return
        time.sleep(0.1)


def _log_end(main: Any) -> int:
    with main.cursor() as cursor:
        cursor.execute(_LOG_END)
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])


def _take_base(cluster: DemoCluster, destination: Path) -> None:
    source = SeekdbBaseSource(SeekdbEngine(BaseDir(cluster.home.tenant(1001).path)))
    store = SetStore(FileDestination(destination), set_path(ClusterPath("redoubt", 1), 1001, SetKey(1, 20261123)))
    identity = cluster.home.identity()
    info = SetInfo(SetIdentity(identity, "redoubt", 1, 1001, "main", source.source_id(), 1, 20261123), time.time_ns())
    Taking(source, store, info, TakingOptions(), lambda _done, _all: None, time.sleep).run()


def _print_laying(plan: Plan, objects: list[Path], folder: Path) -> None:
    rounds = [(_lay(plan, folder), *_unpack(objects, folder)) for _ in range(_RUNS)]
    ours, theirs, synced = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    size = plan.log_bytes / 1e6
    print(
        f"laying {size:.0f} MB of log in {len(objects)} objects, durably: {size / ours:.0f} MB/s; zstd -d "
        f"{size / theirs:.0f} MB/s, with sync {size / synced:.0f} MB/s; ratio "
        f"{statistics.median(their / our for our, their, _ in rounds):.2f}, with sync "
        f"{statistics.median(sync / our for our, _, sync in rounds):.2f} (median of {_RUNS} rounds)"
    )


def _lay(plan: Plan, folder: Path) -> float:
    """Seconds to lay the plan's log."""
    target = folder / "laid"
    target.mkdir()
    start = plan.parts[0].start_lsn
    began = time.perf_counter()
    layer = SeekdbLogLayer(BaseDir(target), start)
    lay_log(plan, layer, SeekdbLogCutter(), LogPosition(start), lambda _at: None, lambda _size: None, AT_ONCE)
    seconds = time.perf_counter() - began
    shutil.rmtree(target)
    return seconds


def _unpack(objects: list[Path], folder: Path) -> tuple[float, float]:
    """Seconds that zstd takes for the same objects, and with making durable what it wrote."""
    target = folder / "unpacked"
    target.mkdir()
    began = time.perf_counter()
    subprocess.run(["zstd", "-q", "-d", "--output-dir-flat", str(target), *map(str, objects)], check=True)
    seconds = time.perf_counter() - began
    for path in target.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    synced = time.perf_counter() - began
    shutil.rmtree(target)
    return seconds, synced


def _print_restore(destination: Path, folder: Path, size: int) -> None:
    """From the command to the first answer, and what of it is the engine's, which has memory for all of the log."""
    with tempfile.TemporaryDirectory(prefix="restored-", dir=folder) as name:
        target = BaseDir(Path(name) / "r")
        options = ["--tenant", "main", "--latest", "--to", str(target.path), "--no-start"]
        began = time.perf_counter()
        command = [sys.executable, "-m", "redoubt", "restore", f"file://{destination}", *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        laid = time.perf_counter()
        instance = Instance(target, sizes_for(size))
        instance.start()
        try:
            while not _answers(target):
                instance.check_alive()
                time.sleep(0.02)
            answered = time.perf_counter()
        finally:
            instance.stop()
    print(
        f"restoring {size / 1e6:.0f} MB of log: {answered - began:.1f} s from the command to an answering engine; "
        f"{laid - began:.1f} s are the restore, {answered - laid:.1f} s the engine's start and replay"
    )


def _answers(base: BaseDir) -> bool:
    try:
        with pymysql.connect(unix_socket=str(base.socket), user="root", database="test") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT id FROM t ORDER BY id DESC LIMIT 1")
            return cursor.fetchone() is not None
    except pymysql.err.MySQLError:
        return False
