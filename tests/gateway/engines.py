"""Real engines for the gateway's tests: each in a directory of its own, on a unix socket."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import IO, Any

import pymysql

_START_SECONDS = 60
_SPEC = importlib.util.find_spec("pylibseekdb")
assert _SPEC
assert _SPEC.origin
PACKAGE = Path(_SPEC.origin).parent


class Engine:
    """An embedded engine that lives until `stop`, or until this process ends."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "run" / "sql.sock"
        self.socket.parent.mkdir(parents=True)
        # The engine ends by itself when nobody holds this lock any more, so it is taken before the start.
        self._lock: IO[bytes] = (self.socket.parent / "seekdb.clients").open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_SH)
        self._output = (directory / "output").open("wb")
        options = ["--embedded", "--nodaemon", "--parameter", "memory_budget=1G", "--parameter", "log_disk_size=2G"]
        self.process = subprocess.Popen(
            [PACKAGE / "seekdb", "--base-dir", directory, *options],
            cwd=directory,
            env={**os.environ, "LD_LIBRARY_PATH": str(PACKAGE)},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def wait(self) -> Engine:
        """Wait until it answers."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, (self.directory / "output").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)  # between two attempts, not for something to have happened
        return self

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
                return bool(probe.recv(4096))
            except OSError:
                return False

    def connect(self, **options: Any) -> Any:
        """Connect directly, past the gateway."""
        return pymysql.connect(
            **{"unix_socket": str(self.socket), "user": "root", "autocommit": True, "ssl_disabled": True, **options}
        )

    def execute(self, *statements: str) -> None:
        """Run statements as root."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def kill(self) -> None:
        """Kill it as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Let it go and wait until it has ended."""
        self._lock.close()
        self.process.wait(timeout=30)
        self._output.close()
