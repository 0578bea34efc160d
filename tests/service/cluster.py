"""A real redoubt service for tests: started with the command a user types, on a free port, in a temporary home."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pymysql
from pymysql.connections import Connection

from tests.processes import is_alive
from tests.seekdb.template import copy_of_new, copy_of_new_sys

BLOCK_LOG_SIZE = 64 * 1024 * 1024 - 4096
SEGMENT = re.compile(r"(\d{20})-(\d{20})(?:\.e\d+)?(?:\.merged)?\.(zst|lz4|redo)")
QUICK = "[archive]\nsegment_age = 0.2\n"
"""A configuration with which nobody waits a second for each segment."""
T = TypeVar("T")


def wait_until(what: str, condition: Callable[[], T | None], timeout: float = 120.0) -> T:
    """The first true value of `condition`, asked again and again; fails the test after `timeout` seconds.

    Mostly it asks the service in a new session, which costs as much as what is waited for: the pauses become longer.
    """
    deadline, pause = time.monotonic() + timeout, 0.02
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(pause)
        pause = min(1.2 * pause, 0.15)
    raise AssertionError(f"not within {timeout} s: {what}")


class ServiceUnderTest:
    """A service, its home and a backup destination. Unless its engines are to be new, they are copies of a new one.

    The `configuration` is a file's text; a service with new engines has none, as a user's.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path, configuration: str = QUICK, *, is_new: bool = False) -> None:
        self.home = folder / "home"
        self.backup = folder / "backup"
        self.backup.mkdir(parents=True)
        self._is_new = is_new
        self._configuration = folder / "redoubt.toml"
        if not is_new:
            self._configuration.write_text(configuration)
        self._kept = folder / "kept"
        self._kept.mkdir()
        self._stop_keeping = threading.Event()
        self._keeping: threading.Thread | None = None
        self.process: subprocess.Popen[str] | None = None
        self.port = 0
        self.encrypts = False
        self.limits: tuple[str, ...] = ()
        """Options of `prlimit` for the next start."""
        self.rounds_before = 0
        """How many rounds the service had before the present test."""

    def move_to(self, folder: Path) -> None:
        """Have a new destination in a folder, and keep the engine's log there from now on, if it is to be kept."""
        self.backup, self._kept = folder / "backup", folder / "kept"
        self.backup.mkdir(parents=True)
        self._kept.mkdir()

    def start(self, *options: str) -> None:
        """Start it and wait until it is ready."""
        if not (self._is_new or self.home.exists()):
            self.home.mkdir(mode=0o700)
            copy_of_new_sys(self.home / "sys")
            copy_of_new(self.main_dir)
        if "--config" not in options and not self._is_new:
            options = (*options, "--config", str(self._configuration))
        # A run of tests that is killed leaves no service.
        before = ("prlimit", *self.limits, "setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "redoubt")
        self.process = subprocess.Popen(
            [*before, "start", "--home", str(self.home), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("ready on 127.0.0.1:"), (line, self.process.stderr and self.process.stderr.read())
        self.port = int(line.rpartition(":")[2])

    def mistaken(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Start it with something wrong, and wait until it has ended."""
        command = [sys.executable, "-m", "redoubt", "start", "--home", str(self.home), "--port", "0", *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def stop(self) -> int:
        """SIGTERM, and wait; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.reap()

    def kill(self) -> None:
        """SIGKILL, and wait until the process is reaped."""
        assert self.process is not None
        self.process.kill()
        self.reap()

    def close(self) -> None:
        """End whatever is left."""
        self.stop_keeping_log()
        if self.process is not None and self.process.returncode is None:
            self.stop()
        wait_until("everything has ended", lambda: not any(is_alive(pid) for pid in self.children()))

    def reap(self) -> int:
        """Wait for the process to end; its exit status."""
        assert self.process is not None
        status = self.process.wait(60)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return status

    def connect(self, user: str = "root@sys", password: str = "", **options: Any) -> Connection[Any]:
        """A session through the gateway."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=user,
            password=password,
            autocommit=True,
            ssl_disabled=not self.encrypts,  # PyMySQL would read the system's certificates for each connection
            **options,
        )

    def run(self, sql: str, user: str = "root@sys", password: str = "") -> list[dict[str, Any]]:
        """Run a statement in a session of its own; its rows."""
        with self.connect(user, password) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def error(self, sql: str, user: str = "root@sys", password: str = "") -> tuple[int, str]:
        """Code and text of the error that a statement gives."""
        try:
            self.run(sql, user, password)
        except pymysql.err.MySQLError as error:
            return error.args[0], error.args[1]
        raise AssertionError(f"no error: {sql}")

    def mariadb(self, *statements: str, user: str = "root@sys") -> subprocess.CompletedProcess[str]:
        """Type statements into the mariadb client; it goes on after an error, as at the prompt."""
        return subprocess.run(
            ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{self.port}", f"-u{user}", "--batch", "--force"],
            input=";\n".join(statements) + ";\n",
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
        )

    def status(self) -> str:
        """STATUS of the cluster's round."""
        rows = self.run("SELECT STATUS FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")
        return str(rows[0]["STATUS"])

    def wait_for_status(self, status: str, timeout: float = 60.0) -> None:
        """Wait until the round has a status."""
        wait_until(f"STATUS is {status}", lambda: self.status() == status, timeout)

    def archive(self, option: str | None = None) -> None:
        """Set the destination if need be, begin a round, and wait until it is DOING."""
        if not self.run("SHOW PARAMETERS LIKE 'backup_dest'")[0]["value"]:
            self.run(f"ALTER SYSTEM SET backup_dest = 'file://{self.backup}'")
        if option is not None:
            self.run(f"ALTER SYSTEM SET backup_log_archive_option = '{option}'")
        self.run("ALTER SYSTEM ARCHIVELOG")
        self.write_log()
        self.wait_for_status("DOING")

    def write_log(self) -> None:
        """Have each tenant's engine write some log now: an idle one does so every five seconds only."""
        for row in self.run("SHOW TENANTS"):
            if row["TENANT_NAME"] != "sys" and row["STATUS"] == "NORMAL":
                with contextlib.suppress(pymysql.err.MySQLError):  # root has a password: the engine writes by itself
                    self.run("GRANT ALL ON *.* TO root WITH GRANT OPTION", f"root@{row['TENANT_NAME']}")  # as it has

    def stop_archiving(self) -> None:
        """End the round and wait for STOP."""
        self.run("ALTER SYSTEM NOARCHIVELOG")
        self.wait_for_status("STOP")

    @property
    def main_dir(self) -> Path:
        """The main tenant's engine directory."""
        return self.home / "tenants" / "1001"

    @property
    def engine_log(self) -> Path:
        """The main tenant's redo blocks."""
        return log_of(self.main_dir)

    def worker_pid(self) -> int:
        """The archive worker's process id, 0 while none says so."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.home / "run" / "archive_worker.lock").read_text())
        return 0

    def engine_pid(self, folder: Path) -> int:
        """The process id of the engine in a directory, 0 while there is none."""
        with contextlib.suppress(OSError, ValueError):
            return int((folder / "run" / "seekdb.pid").read_text())
        return 0

    def children(self) -> list[int]:
        """The process ids of the worker and the engines that the home's files name."""
        folders = [self.home / "sys", *(self.home / "tenants").glob("*")]
        pids = [self.worker_pid(), *map(self.engine_pid, folders)]
        return [pid for pid in pids if pid]

    def round_folder(self, round_id: int = 1, tenant_id: int = 1001) -> Path:
        """Where a tenant's round lies in the destination; `round_id` counts from the test's first."""
        number = str(self.round_number(round_id))
        return self.backup / "redoubt" / "1" / "incarnation_1" / str(tenant_id) / "clog" / number

    def round_number(self, round_id: int = 1) -> int:
        """What the service calls the round that the test counts as `round_id`."""
        return self.rounds_before + round_id

    def piece_folders(self, round_id: int = 1, tenant_id: int = 1001) -> list[Path]:
        """The folders of a tenant's round, in the order of its pieces; one for a round without pieces."""
        plain = self.round_folder(round_id, tenant_id)
        pieces = plain.parent.glob(f"{plain.name}_*")
        return [*([plain] if plain.is_dir() else []), *sorted(pieces, key=lambda path: int(path.name.split("_")[1]))]

    def segments(self, round_id: int = 1, tenant_id: int = 1001) -> list[Path]:
        """The segments of a tenant's round, in the order of its log."""
        folders = self.piece_folders(round_id, tenant_id)
        return [path for folder in folders for path in sorted(folder.iterdir()) if SEGMENT.fullmatch(path.name)]

    def keep_engine_log(self) -> None:
        """From now on, link every block of the main tenant, for comparison after the engine recycles it."""
        self._stop_keeping.clear()
        self._keeping = threading.Thread(target=self._keep, daemon=True)
        self._keeping.start()

    def stop_keeping_log(self) -> None:
        """Link nothing any more: a thread that goes on would take part in other tests of this process."""
        self._stop_keeping.set()
        if self._keeping is not None:
            self._keeping.join()
            self._keeping = None

    def _keep(self) -> None:
        while not self._stop_keeping.wait(0.05):
            self._link_blocks()

    def _link_blocks(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            for block in self.engine_log.iterdir():
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    os.link(block, self._kept / block.name)

    def engine_bytes(self, start: int, end: int, blocks: Path | None = None) -> bytes:
        """An engine's own log between two LSNs: from its blocks in a folder, or main's from the kept ones."""
        self._link_blocks()
        blocks = blocks or self._kept
        parts = []
        for block in range(start // BLOCK_LOG_SIZE, (end - 1) // BLOCK_LOG_SIZE + 1):
            first = max(start, block * BLOCK_LOG_SIZE) - block * BLOCK_LOG_SIZE
            last = min(end, (block + 1) * BLOCK_LOG_SIZE) - block * BLOCK_LOG_SIZE
            with (blocks / str(block)).open("rb") as file:
                file.seek(4096 + first)
                parts.append(file.read(last - first))
        return b"".join(parts)


def decoded(segment: Path) -> bytes:
    """A segment's log, got with the command-line tools that everybody has, not with our code."""
    match = SEGMENT.fullmatch(segment.name)
    assert match is not None
    if match[3] == "redo":
        return segment.read_bytes()[: int(match[2]) - int(match[1])]
    tool = {"zst": "zstd", "lz4": "lz4"}[match[3]]
    return subprocess.run([tool, "-dc", str(segment)], capture_output=True, check=True).stdout


def copy_destination(backup: Path, to: Path) -> None:
    """Copy a destination that may be written to: without what is half written, which is gone a moment later."""
    shutil.copytree(backup, to, ignore=shutil.ignore_patterns(".part-*"), dirs_exist_ok=True)


def log_of(directory: Path) -> Path:
    """The redo blocks of the engine in a directory."""
    return directory / "store" / "redo" / "sys" / "log_stream" / "log"


def assert_archive_equals_engine(
    service: ServiceUnderTest, round_id: int = 1, tenant_id: int = 1001, blocks: Path | None = None
) -> tuple[int, int]:
    """Every segment continues the one before, and holds the engine's own bytes; the range of LSNs.

    `blocks` is where the log of another tenant than main is to be found.
    """
    segments = service.segments(round_id, tenant_id)
    assert segments, "nothing was archived"
    first = end = int(segments[0].name[:20])
    for segment in segments:
        match = SEGMENT.fullmatch(segment.name)
        assert match is not None
        start = int(match[1])

        assert end == start, f"{segment.name} does not continue the log at {end}"
        end = int(match[2])
        assert service.engine_bytes(start, end, blocks) == decoded(segment), segment.name
    return first, end


class WriteLoad:
    """Connections that insert rows into main, reconnecting for as long as it takes; counts acknowledged commits."""

    def __init__(self, service: ServiceUnderTest, connections: int = 4, rows_per_insert: int = 10) -> None:
        self._service = service
        self._rows_per_insert = rows_per_insert
        self._stop = threading.Event()
        self.commits = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._write, daemon=True) for _ in range(connections)]

    def pause(self, seconds: float) -> None:
        """Let it write for a while."""
        self._stop.wait(seconds)

    @contextlib.contextmanager
    def running(self) -> Iterator[WriteLoad]:
        """Write while the block runs."""
        create = "CREATE TABLE IF NOT EXISTS test.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, note VARCHAR(200))"
        wait_until("main can be written to", lambda: self._can_run(create))
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(60)

    def _can_run(self, sql: str) -> bool:
        with contextlib.suppress(pymysql.err.MySQLError):  # an engine that has just started may not take it yet
            self._service.run(sql, "root@main")
            return True
        return False

    def _write(self) -> None:
        values = ", ".join(f"({number}, 'this is row number {number}')" for number in range(self._rows_per_insert))
        while not self._stop.is_set():
            with contextlib.suppress(pymysql.err.MySQLError, OSError):  # the engine or the service is being killed
                self._insert(f"INSERT INTO test.t (a, note) VALUES {values}")
            self._stop.wait(0.05)

    def _insert(self, sql: str) -> None:
        with self._service.connect("root@main") as connection, connection.cursor() as cursor:
            while not self._stop.is_set():
                cursor.execute(sql)
                with self._lock:
                    self.commits += 1
