"""The process of an embedded seekdb: a child on a unix socket only, which runs as long as we hold its lock.

The engine runs while any process holds a shared lock on `run/seekdb.clients`. We take the lock before we start the
engine, and release the lock to stop the engine. If we are killed, the kernel releases the lock, and the engine ends.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from redoubt.engines.seekdb.complaints import complaint, size_of
from redoubt.engines.seekdb.confinement import confined_command, environment
from redoubt.engines.seekdb.files import MAX_SOCKET_PATH, BaseDir
from redoubt.engines.seekdb.pausing import pid_of, resume_stopped
from redoubt.model.keeping import EngineSizes, EngineStartError

_POLL = 0.05
_OUTPUT_SHOWN = 2000


def engine_package() -> Path:
    """The folder of the installed `pylibseekdb`: the engine's binary and its libraries. Raises EngineStartError."""
    spec = importlib.util.find_spec("pylibseekdb")
    if spec is None or spec.origin is None:
        raise EngineStartError("the package pylibseekdb is not installed; run: pip install pylibseekdb")
    return Path(spec.origin).parent


class Instance:
    """One embedded engine process. Any thread may start and stop the process: the threads wait for each other.

    `sizes` take effect at the next start.
    """

    def __init__(self, base: BaseDir, sizes: EngineSizes) -> None:
        self._base = base
        self.sizes = sizes
        self._turn = threading.RLock()
        self._lock = -1
        self._logged = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None if the process does not run."""
        return self._process.pid if self.is_running() and self._process else None

    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 30.0) -> None:
        """Start the process, once an engine of an earlier service has ended. Raises EngineStartError."""
        with self._turn:
            self._start(timeout)

    def check_alive(self) -> None:
        """Raise EngineStartError if the process has ended."""
        if self._process is None or self._process.poll() is None:
            return
        raise EngineStartError(
            f"the engine in {self._base.path} ended with status {self._process.returncode}: "
            f"{complaint(self._base.own_log, self._logged) or self._printed() or 'no cause given'} "
            f"(its log is in {self._base.own_log.parent})"
        )

    def stop(self, timeout: float = 30.0) -> None:
        """Let the engine end; after `timeout` seconds kill the engine, which is safe thanks to its redo log."""
        with self._turn:
            self._drop_lock()
            resume_stopped(self._base)
            if self._process is not None:
                try:
                    self._process.wait(timeout)
                except subprocess.TimeoutExpired:
                    self.kill()

    def kill(self) -> None:
        """End the process at once."""
        with self._turn:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            self._drop_lock()

    def _start(self, timeout: float) -> None:
        if len(os.fsencode(self._base.socket)) > MAX_SOCKET_PATH:
            raise EngineStartError(
                f"the path of the unix socket {self._base.socket} is longer than {MAX_SOCKET_PATH} bytes; choose a "
                "shorter home directory"
            )
        package = engine_package()
        self._base.clients.parent.mkdir(parents=True, exist_ok=True)
        self._base.ours.mkdir(mode=0o700, exist_ok=True)
        self._take_lock(time.monotonic() + timeout)
        self._logged = size_of(self._base.own_log)
        try:
            with self._base.output.open("wb") as output:
                self._process = self._launched(package, output)
        except OSError as error:
            self._drop_lock()
            raise EngineStartError(f"cannot run the engine's program: {error}; reinstall pylibseekdb") from error

    def _launched(self, package: Path, output: BinaryIO) -> subprocess.Popen[bytes]:
        """The engine's process, embedded and confined."""
        command = self._command(package, ("--embedded",), self.sizes.others)
        return self._opened(confined_command(self._base, package, command), package, output)

    def _command(self, package: Path, mode: Sequence[str], parameters: Sequence[str]) -> list[str]:
        return [
            str(package / "seekdb"),
            *("--base-dir", str(self._base.path), *mode, "--nodaemon"),
            *("--parameter", f"memory_budget={self.sizes.memory_budget}"),
            *("--parameter", f"log_disk_size={self.sizes.log_disk_size}"),
            *(word for each in parameters for word in ("--parameter", each)),
        ]

    def _opened(
        self, command: list[str], package: Path, output: BinaryIO, inherited: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self._base.path,
            env=environment(package),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=inherited,
            start_new_session=True,  # Ctrl-C is for the service, which then stops its engines in order
        )

    def _printed(self) -> str:
        """The end of the process's output: a healthy engine prints only that it starts."""
        return self._base.output.read_bytes()[-_OUTPUT_SHOWN:].decode(errors="replace").strip()

    def _take_lock(self, deadline: float) -> None:
        """Take the lock once no engine runs: an engine that is ending serves no clients and blocks a new engine."""
        resume_stopped(self._base)
        while True:
            self._lock = os.open(self._base.clients, os.O_RDWR | os.O_CREAT, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                if pid_of(self._base) is None:
                    return
            self._drop_lock()
            if time.monotonic() > deadline:
                raise EngineStartError(
                    f"another process keeps the engine in {self._base.path} running; end that process first"
                )
            time.sleep(_POLL)

    def _drop_lock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
