"""`redoubt demo`: OceanBase's page "Initiate log backup", statement by statement, on a real cluster under load.

The demo also takes a data backup under load, drops a table, and restores the moment before the drop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pymysql
from pymysql.connections import Connection
from rich.console import Console

from redoubt.cli.demo_cluster import DemoCluster, DemoFailedError, WriteLoad
from redoubt.cli.printing import complain, console, print_rows

_LOAD_SECONDS = 8.0
_CONNECTIONS = 4
_DEADLINE = 30.0
_BACK_UP_AFTER = 0.25
"""The share of the load's time after which the data backup starts."""
_TOO_NEW = 10.5
"""Seconds: OceanBase refuses to restore a moment of the last ten."""
_ORDERS = (
    "SELECT COUNT(*), SUM(amount), MAX(id), BIT_XOR(CRC32(CONCAT_WS('|', id, customer, amount, note))) FROM orders"
)
_NOW_BEHIND = (
    "SELECT TIMESTAMPDIFF(MICROSECOND, MAX_NEXT_TIME, NOW(6)) / 1e6 FROM CDB_OB_BACKUP_ARCHIVELOG"
    " WHERE TENANT_ID = 1 AND MAX_NEXT_TIME <> ''"
)


@dataclass
class Summary:
    """What the demo measured: sizes in bytes, lags in seconds."""

    rows: int
    lags: list[float]
    orders: tuple[Any, ...] = (0,)
    """The result of `_ORDERS` before the mistake; the row count comes first."""
    log_bytes: int = 0
    archived_bytes: int = 0
    segments: int = 0
    pause_ms: float = 0.0
    restore_seconds: float = 0.0


def play(uri: str | None = None) -> int:
    """Run the demo; the exit status is 0 only if every step succeeded.

    `uri`: the destination. The default is a temporary directory.
    """
    out, cluster, began = console(), DemoCluster(uri), time.monotonic()
    try:
        out.print("Starting a cluster with the tenants sys and main, each a real OceanBase kernel …")
        cluster.start()
        out.print(f"ready on 127.0.0.1:{cluster.port} after {time.monotonic() - began:.1f} s\n")
        with cluster.connect("root@sys") as session:
            summary = _Story(out, cluster, session).tell()
        cluster.stop()
    except (DemoFailedError, pymysql.err.MySQLError) as error:
        complain(error if isinstance(error, DemoFailedError) else str(error.args[-1]))
        return 1
    finally:
        cluster.remove()
    _print_summary(out, summary, time.monotonic() - began)
    return 0


class _Story:
    """The steps of OceanBase's page, in a session of root@sys."""

    def __init__(self, out: Console, cluster: DemoCluster, session: Connection[Any]) -> None:
        self._out = out
        self._cluster = cluster
        self._session = session

    def tell(self) -> Summary:
        say = partial(self._out.print, markup=True)
        say("[bold]1. Set the backup destination and the compression.[/bold]")
        self._run(f"ALTER SYSTEM SET backup_dest='{self._cluster.uri}'")
        self._run("ALTER SYSTEM SET backup_log_archive_option = 'optional compression= enable'")
        self._run("ALTER SYSTEM SET backup_log_archive_option='optional compression= zstd_1.3.8'")
        self._run("SHOW PARAMETERS LIKE 'backup%'", only=("name", "value"))
        say("[bold]2. Freeze, so that less old log is archived; then start archiving.[/bold]")
        self._run("ALTER SYSTEM MINOR FREEZE")
        self._run("ALTER SYSTEM ARCHIVELOG")
        self._wait_for("DOING")
        self._run("SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG")
        self._run("SELECT * FROM CDB_OB_BACKUP_PIECE_FILES")
        say(f"[bold]3. Write on {_CONNECTIONS} connections for {_LOAD_SECONDS:.0f} s, and take a data backup.[/bold]")
        summary = self._load()
        self._run("SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG")
        self._finish_backup(summary)
        say("[bold]4. Drop a table by mistake.[/bold]")
        moment = self._drop_orders(summary)
        say("[bold]5. Stop archiving, and compare the archive with the engine's own log, byte for byte.[/bold]")
        self._run("ALTER SYSTEM NOARCHIVELOG")
        self._wait_for("STOP")
        self._run("SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG_SUMMARY")
        self._run("SELECT * FROM CDB_OB_BACKUP_PIECE_FILES")
        self._compare(summary)
        say("[bold]6. Restore the moment before the mistake, as a new tenant.[/bold]")
        self._restore(summary, moment)
        return summary

    def _run(self, statement: str, only: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        """Run a statement as typed and print its result; `only` limits the columns."""
        self._out.print(f"obclient> {statement};", markup=False, style="cyan")
        with self._session.cursor() as cursor:
            cursor.execute(statement)
            rows = list(cursor.fetchall())
            names = [column[0] for column in cursor.description or ()]
        kept = [index for index, name in enumerate(names) if not only or name in only]
        if names:
            shown = [tuple(row[index] for index in kept) for row in rows]
            print_rows(self._out, [names[index] for index in kept], shown)
        else:
            self._out.print("Query OK\n", style="dim")
        return rows

    def _ask(self, query: str) -> Any:
        with self._session.cursor() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
            return row[0] if row else None

    def _wait_for(self, status: str) -> None:
        began = time.monotonic()
        while self._ask("SELECT STATUS FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1") != status:
            if time.monotonic() - began > _DEADLINE:
                raise DemoFailedError(f"STATUS is not {status} after {_DEADLINE:.0f} s")
            time.sleep(0.1)
        self._out.print(f"STATUS is {status} after {time.monotonic() - began:.1f} s\n", style="green")

    def _wait_until(self, what: str, is_so: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not is_so():
            if time.monotonic() - began > _DEADLINE:
                raise DemoFailedError(f"{what}: still waiting after {_DEADLINE:.0f} s")
            time.sleep(0.1)

    def _load(self) -> Summary:
        with self._cluster.connect("root@main") as main, main.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE test.orders"
                " (id BIGINT AUTO_INCREMENT PRIMARY KEY, customer INT, amount INT, note VARCHAR(80))"
            )
        load, lags, is_backed_up = WriteLoad(self._cluster, _CONNECTIONS), list[float](), False
        with self._out.status("") as line:
            for gone in load.run_for(_LOAD_SECONDS):
                if gone > _LOAD_SECONDS * _BACK_UP_AFTER and not is_backed_up:
                    self._run("ALTER SYSTEM BACKUP DATABASE")
                    is_backed_up = True
                lags.append(float(self._ask(_NOW_BEHIND)))
                line.update(f"{gone:4.1f} s  {load.rows:>9,} rows committed, archive {lags[-1]:.1f} s behind")
        if not load.rows:  # pragma: no cover - only a broken gateway gets here
            raise DemoFailedError("the load wrote nothing")
        return Summary(load.rows, lags)

    def _finish_backup(self, summary: Summary) -> None:
        """Wait for the data backup, and record the pause of the engine."""
        status = "SELECT STATUS FROM CDB_OB_BACKUP_SET_FILES WHERE TENANT_ID = 1"
        self._wait_until("success of the data backup", lambda: self._ask(status) == "SUCCESS")
        self._run("SELECT * FROM CDB_OB_BACKUP_SET_FILES")
        summary.pause_ms = float(self._ask("SELECT PAUSE_MS FROM CDB_REDOUBT_BACKUP_SETS WHERE TENANT_ID = 1001"))

    def _drop_orders(self, summary: Summary) -> str:
        """Drop the table; returns the moment before the drop, in the session's time zone."""
        with self._cluster.connect("root@main") as main, main.cursor() as cursor:
            cursor.execute("USE test")
            cursor.execute(_ORDERS)
            summary.orders = tuple(cursor.fetchone() or summary.orders)
            moment = str(self._ask("SELECT NOW(6)"))
            self._out.print("obclient> DROP TABLE orders;   -- as root@main", style="cyan")
            cursor.execute("DROP TABLE orders")
        self._out.print(f"gone at {moment}, with {summary.orders[0]:,} rows\n", style="red")
        passed = f"SELECT MAX_NEXT_TIME > '{moment}' FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1"
        self._wait_until("archived log of the mistake", lambda: bool(self._ask(passed)))
        return moment

    def _restore(self, summary: Summary, moment: str) -> None:
        """Restore as tenant `saved`, and compare its rows with the rows before the mistake."""
        old_enough = f"SELECT TIMESTAMPDIFF(MICROSECOND, '{moment}', NOW(6)) / 1e6 > {_TOO_NEW}"
        with self._out.status("waiting: OceanBase refuses to restore a moment of the last ten seconds"):
            self._wait_until("age of the moment", lambda: bool(self._ask(old_enough)))
        began = time.monotonic()
        self._run(f"ALTER SYSTEM RESTORE saved FROM main UNTIL '{moment}' WITH 'pool_list=pool'")
        ended = "SELECT STATUS FROM CDB_OB_RESTORE_HISTORY WHERE TENANT_NAME = 'saved'"
        self._wait_until("end of the restore", lambda: self._ask(ended) is not None)
        summary.restore_seconds = time.monotonic() - began
        self._run("SELECT * FROM CDB_OB_RESTORE_HISTORY")
        with self._cluster.connect("root@saved") as saved, saved.cursor() as cursor:
            cursor.execute("USE test")
            cursor.execute(_ORDERS)
            found = cursor.fetchone()
            cursor.execute("INSERT INTO orders (customer, amount, note) VALUES (1, 1, 'life goes on')")
        if found != summary.orders:
            raise DemoFailedError(f"the restored orders are {found}; before the mistake they were {summary.orders}")
        self._out.print(f"root@saved has all {found[0]:,} rows as they were, none lost\n", style="green")

    def _compare(self, summary: Summary) -> None:
        """Decode every segment and compare it with the engine's block files."""
        store = self._cluster.archived(round_id=1)
        expected = self._cluster.round_start(round_id=1)
        for name, size in store.segments():
            if name.start_lsn != expected:
                raise DemoFailedError(f"segment {name} does not begin at LSN {expected}")
            _, log = store.read(name)
            if log != b"".join(self._cluster.engine_log(name.start_lsn, name.end_lsn)):
                raise DemoFailedError(f"segment {name} differs from the engine's log")
            expected = name.end_lsn
            summary.log_bytes += len(log)
            summary.archived_bytes += size
            summary.segments += 1
        shown = self._ask("SELECT INPUT_BYTES FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")
        if shown != summary.log_bytes or not summary.log_bytes:  # pragma: no cover - only a broken catalog gets here
            raise DemoFailedError(f"the view shows {shown} bytes of log, but the archive holds {summary.log_bytes}")
        self._out.print("every archived byte equals the engine's own log\n", style="green")


def _print_summary(out: Console, summary: Summary, seconds: float) -> None:
    lags = sorted(summary.lags)
    rows = [
        ("rows committed", f"{summary.rows:,}"),
        ("log", f"{summary.log_bytes / 1e6:,.1f} MB, every checksum verified"),
        ("archived", f"{summary.archived_bytes / 1e6:,.1f} MB; objects after merging: {summary.segments}"),
        ("ratio", f"{summary.archived_bytes / summary.log_bytes:.2f}"),
        ("archive behind the writers", f"median {lags[len(lags) // 2]:.1f} s, most {lags[-1]:.1f} s"),
        ("data backup", f"the engine stood still for {summary.pause_ms:.0f} ms"),
        ("restored", f"{summary.orders[0]:,} rows, zero lost, in {summary.restore_seconds:.1f} s"),
        ("the whole demo", f"{seconds:.1f} s"),
    ]
    print_rows(out, ["what", "how much"], rows)
