"""A bank: transfers between accounts that keep the sum, each with an entry in a ledger, and what was acknowledged."""

from __future__ import annotations

import contextlib
import random
import re
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pymysql

from tests.service.cluster import SEGMENT, ServiceUnderTest

ACCOUNTS = 20
BALANCE = 1000
ENTRY = re.compile(rb"entry-[0-9a-f]{32}")
"""A ledger's entry, as it stands in the log."""


class BankLoad:
    """Connections that transfer money in explicit transactions, reconnecting for as long as it takes."""

    def __init__(self, service: ServiceUnderTest, connections: int = 4, user: str = "root@main") -> None:
        self._service = service
        self._user = user
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._transfer, args=(n,), daemon=True) for n in range(connections)]
        self.acknowledged: list[str] = []
        """The ledger's entries whose COMMIT was answered with OK, in order."""
        self.times: dict[str, tuple[int, int]] = {}
        """Of each acknowledged entry, in ns since the epoch: when its COMMIT was sent, and when it was answered.

        The first is by the engine's clock, which a thread keeps: on a busy machine that is some 50 ms behind ours.
        """
        self.errors: list[pymysql.err.MySQLError] = []
        self.latencies: list[float] = []
        """Seconds from COMMIT to its OK."""

    @contextlib.contextmanager
    def running(self) -> Iterator[BankLoad]:
        """Transfer while the block runs."""
        self.open_accounts()
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(90)

    def open_accounts(self) -> None:
        """Make the tables and the accounts, unless they are there."""
        self._service.run("CREATE TABLE IF NOT EXISTS test.account (id INT PRIMARY KEY, balance BIGINT)", "root@main")
        self._service.run("CREATE TABLE IF NOT EXISTS test.ledger (entry VARCHAR(64) PRIMARY KEY)", "root@main")
        values = ", ".join(f"({number}, {BALANCE})" for number in range(ACCOUNTS))
        self._service.run(f"INSERT IGNORE INTO test.account VALUES {values}", "root@main")

    def _transfer(self, seed: int) -> None:
        dice = random.Random(seed)
        while not self._stop.is_set():
            try:
                with self._service.connect(self._user) as connection, connection.cursor() as cursor:
                    while not self._stop.is_set():
                        self._transfer_once(cursor, dice)
            except pymysql.err.MySQLError as error:  # something was killed, or a commit was not acknowledged
                self.errors.append(error)
            except OSError:
                self._stop.wait(0.02)
            self._stop.wait(0.02)

    def _transfer_once(self, cursor: pymysql.cursors.Cursor, dice: random.Random) -> None:
        source, target = sorted(dice.sample(range(ACCOUNTS), 2))  # in order, so that no two wait for each other
        entry, amount = f"entry-{uuid.uuid4().hex}", dice.randint(-50, 50)
        cursor.execute("BEGIN")
        cursor.execute("UPDATE test.account SET balance = balance - %s WHERE id = %s", (amount, source))
        cursor.execute("UPDATE test.account SET balance = balance + %s WHERE id = %s", (amount, target))
        cursor.execute("INSERT INTO test.ledger VALUES (%s)", (entry,))
        cursor.execute("SELECT time_to_usec(now(6))")
        row = cursor.fetchone()
        assert row is not None
        began, sent = time.perf_counter(), int(row[0]) * 1000
        cursor.execute("COMMIT")
        answered = time.time_ns()
        with self._lock:
            self.times[entry] = sent, answered
            self.latencies.append(time.perf_counter() - began)
            self.acknowledged.append(entry)


def archived_log(folder: Path) -> bytes:
    """All log of a round's folder, got with the command-line tools; each segment must continue the one before.

    Looked at again when segments were merged meanwhile.
    """
    while True:
        try:
            return _archived_log(folder)
        except FileNotFoundError:
            continue


def _archived_log(folder: Path) -> bytes:
    matches = [match for path in folder.iterdir() if (match := SEGMENT.fullmatch(path.name))]
    matches.sort(key=lambda match: (int(match[1]), -int(match[2])))
    log, stored, end = b"", {"zst": b"", "lz4": b""}, int(matches[0][1])
    for match in matches:
        if int(match[2]) <= end:
            continue  # covered by a merged one
        if int(match[1]) != end:
            raise FileNotFoundError(match[0])
        end = int(match[2])
        stored[match[3]] += (folder / match[0]).read_bytes()
    for suffix, tool in (("zst", "zstd"), ("lz4", "lz4")):
        if stored[suffix]:
            command = [tool, "-dc", "-"]
            log += subprocess.run(command, input=stored[suffix], capture_output=True, check=True).stdout
    return log
