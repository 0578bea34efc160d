"""The demo's cluster in a temporary home, its write load, and a copy of the engine's own log."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from redoubt.archive.layout import ClusterPath, PieceInfo
from redoubt.archive.store import PieceStore
from redoubt.destinations.uri import open_destination
from redoubt.engines.registry import engine_kind
from redoubt.home import Home
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.pieces import PieceKey

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 60.0
_ROWS_PER_INSERT = 20


class DemoFailedError(Exception):
    """A step failed; the text says which."""


class DemoCluster:
    """A redoubt service in a temporary folder; `remove` removes both.

    `uri` is the destination, without one a directory in the folder; what is stored in another one stays.
    """

    def __init__(self, uri: str | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="redoubt-demo-"))
        self.home = Home(self._folder / "home")
        self.destination = self._folder / "backup"
        self.destination.mkdir()
        self.uri = uri or f"file://{self.destination}"
        self.kept_log = self._folder / "engine-log"
        self.kept_log.mkdir()
        self._log_copy = engine_kind(SEEKDB).log_copy(self.home.tenant(1001).path, self.kept_log)
        self._stop = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        """Start the service with the command that a user types, on a free port."""
        command = [sys.executable, "-m", "redoubt", "start", "--home", str(self.home.path), "--port", "0"]
        complaints = self._folder / "stderr"
        with complaints.open("w") as stderr:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("ready on "):
            raise DemoFailedError(f"the service did not start: {complaints.read_text().strip()}")
        self.port = int(line.rpartition(":")[2])
        threading.Thread(target=self._keep_engine_log, daemon=True).start()

    def connect(self, user: str) -> Connection[Any]:
        """A session through the gateway, as any MySQL client opens one."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=user, password="", autocommit=True, ssl_disabled=True
        )

    def stop(self) -> None:
        """Stop the service and wait until it is gone. Raises DemoFailedError if it does not end cleanly."""
        self._stop.set()
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            if self._process.wait(_STOP_TIMEOUT) != 0:  # pragma: no cover - only a broken service gets here
                raise DemoFailedError(f"the service ended with status {self._process.returncode}")

    def remove(self) -> None:
        """Kill the service if it still runs, and remove the folder."""
        self._stop.set()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process is not None and self._process.stdout is not None:
            self._process.stdout.close()
        subprocess.run(["rm", "-rf", str(self._folder)], check=False)  # noqa: S607 - an engine may still be removing files

    def archived(self, round_id: int) -> PieceStore:
        """The main tenant's round in the destination."""
        return PieceStore(open_destination(self.uri), self._round_path(round_id))

    def round_start(self, round_id: int) -> int:
        """LSN at which the round begins, read from the destination."""
        store = self.archived(round_id)
        return store.record(PieceInfo, store.path.info).start_lsn

    def engine_log(self, start: int, end: int) -> Iterator[bytes]:
        """The engine's own log from LSN `start` to LSN `end`, read from its block files block by block."""
        return self._log_copy.read(start, end)

    @staticmethod
    def _round_path(round_id: int) -> Any:
        return ClusterPath("redoubt", 1).piece(1001, PieceKey(round_id))

    def _keep_engine_log(self) -> None:
        """Link every block file of the engine, because the engine recycles blocks before they are compared."""
        while not self._stop.wait(0.1):
            self._log_copy.keep_up()


class WriteLoad:
    """Connections that insert orders into the tenant main for some seconds."""

    def __init__(self, cluster: DemoCluster, connections: int) -> None:
        self._cluster = cluster
        self._stop = threading.Event()
        self._rows = [0] * connections
        self._errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(connections)]

    @property
    def rows(self) -> int:
        """The number of rows whose commit was acknowledged."""
        return sum(self._rows)

    def run_for(self, seconds: float) -> Iterator[float]:
        """Write for some seconds; yields the elapsed seconds about five times a second."""
        began = time.monotonic()
        for thread in self._threads:
            thread.start()
        while (gone := time.monotonic() - began) < seconds:
            yield gone
            self._stop.wait(0.2)
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._errors:  # pragma: no cover - only a broken service gets here
            raise DemoFailedError(f"a writer failed: {self._errors[0]}")

    def _write(self, number: int) -> None:
        dice = random.Random(number)  # noqa: S311 - data for a demo
        try:
            with self._cluster.connect("root@main") as connection, connection.cursor() as cursor:
                while not self._stop.is_set():
                    values = ", ".join(
                        f"({dice.randrange(10_000)}, {dice.randrange(1, 500)}, 'order no. {dice.random():.12f}')"
                        for _ in range(_ROWS_PER_INSERT)
                    )
                    cursor.execute(f"INSERT INTO test.orders (customer, amount, note) VALUES {values}")
                    self._rows[number] += _ROWS_PER_INSERT
        except pymysql.err.MySQLError as error:  # pragma: no cover - only a broken service gets here
            self._errors.append(error)
