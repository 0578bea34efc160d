"""The home directory: the files of a service, and the lock that keeps other services out."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from redoubt.durable import kept_line, replace_file, sync
from redoubt.errors import RedoubtError
from redoubt.model.own_files import OwnFiles

_DROPPED = ".dropped"
_RESTORING = ".restoring"
_SOURCE = re.compile(r"[0-9a-f]{32}")

_POLL = 0.05
_SIGKILL_BIT = 1 << (signal.SIGKILL - 1)


class HomeError(RedoubtError):
    """The home directory cannot be used; the text says why and what to do."""


@dataclass(frozen=True)
class Running:
    """A running service, as in `run/service.json`.

    Its process id, its address, what confines its engines, and the causes why parts of it fail, by the part's name.
    """

    pid: int
    host: str
    port: int
    confinement: str = ""
    troubles: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Home:
    """The files and folders of a home directory."""

    path: Path

    @property
    def sys(self) -> OwnFiles:
        """The sys tenant's engine."""
        return OwnFiles(self.path / "sys")

    def tenant(self, tenant_id: int) -> OwnFiles:
        """A user tenant's engine."""
        return OwnFiles(self.path / "tenants" / str(tenant_id))

    def tenant_ids(self) -> list[int]:
        """The ids of the user tenants that have a directory here, in order. Removes leftovers of dropped tenants."""
        folder = self.path / "tenants"
        for leftover in folder.glob(f"*{_DROPPED}"):
            shutil.rmtree(leftover, ignore_errors=True)  # the next start tries again
        return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal())

    def remove_tenant(self, tenant_id: int) -> None:
        """Remove the directory of a tenant whose engine has ended; blocks. Raises OSError.

        The directory is renamed first, so that no engine starts there again, even if some files cannot be removed.
        """
        self.remove_restoring(tenant_id)
        _remove(self.tenant(tenant_id).path)

    def restoring(self, tenant_id: int) -> OwnFiles:
        """The directory into which a tenant is restored.

        It is not the tenant's own directory: the service would start an engine there before the restore is complete.
        """
        return OwnFiles(self.path / "tenants" / f"{tenant_id}{_RESTORING}")

    def remove_restoring(self, tenant_id: int) -> None:
        """Remove the directory into which a tenant is restored; blocks. Raises OSError."""
        _remove(self.restoring(tenant_id).path)

    def is_restored(self, tenant_id: int) -> bool:
        """Whether the restore of a tenant is complete; blocks."""
        beside = self.restoring(tenant_id)
        is_complete = beside.restored_from.exists() and not beside.restoring.exists()
        return is_complete or self.tenant(tenant_id).path.exists()

    def move_in(self, tenant_id: int, source: str, *, is_standby: bool = False) -> None:
        """Make the restored directory the tenant's own, with the account's password of `source`; blocks.

        A second call has no effect. Raises OSError.
        """
        beside, path = self.restoring(tenant_id), self.tenant(tenant_id).path
        if path.exists():
            return
        if is_standby:
            kept_line(beside.standby, lambda: source)
        if (password := self.account_of(source)) is not None:
            kept_line(beside.account, lambda: password)
        beside.path.rename(path)
        sync(path.parent)

    def is_standby(self, tenant_id: int) -> bool:
        """Whether a tenant's engine only follows log, as its directory says; blocks."""
        return self.tenant(tenant_id).standby.exists()

    def end_standby(self, tenant_id: int) -> None:
        """Let the service start a writing engine in a tenant's directory; blocks. Raises OSError."""
        self.tenant(tenant_id).standby.unlink(missing_ok=True)

    def keep_account(self, source: str, password: str) -> None:
        """Keep the password of the service's account on an engine, in a file that only its owner can read.

        A restore from the engine's bases needs this password, also after the engine is gone. Raises OSError.
        """
        self._accounts.mkdir(mode=0o700, exist_ok=True)
        kept_line(self._accounts / source, lambda: password)

    def account_of(self, source: str) -> str | None:
        """The password of the service's account on an engine, None if it is not known here."""
        if not _SOURCE.fullmatch(source):
            return None  # `source` comes from a destination: any other text must not become a file name
        try:
            return (self._accounts / source).read_text().strip()
        except FileNotFoundError:
            return None

    @property
    def _accounts(self) -> Path:
        return self.path / "accounts"

    @property
    def log(self) -> Path:
        """The service's log."""
        return self.path / "log" / "redoubt.log"

    @property
    def access(self) -> Path:
        """The keys of object stores."""
        return self.path / "access.json"

    @property
    def clock(self) -> Path:
        """What the service knows of the machine's clock."""
        return self.path / "clock"

    def prepare(self) -> None:
        """Create the directory and its folders. Raises HomeError."""
        try:
            for folder in (self.path, self.path / "run", self.path / "log", self.path / "tenants", self.path / "sys"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HomeError(f"cannot use {self.path} as home: {error.strerror}; choose another with --home") from error

    def lock(self) -> int:
        """Take the service's lock and return its descriptor. Raises HomeError if another service holds the lock."""
        try:
            descriptor = os.open(self.path / "run" / "service.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HomeError(
                f"cannot write in {self.path}: {error.strerror}; start redoubt as the owner of that directory, or "
                "choose another home with --home"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            running = self.running()
            who = f" (process {running.pid}, on {running.host}:{running.port})" if running else ""
            raise HomeError(
                f"another redoubt service{who} uses {self.path}; stop it first, or choose another home with --home"
            ) from None
        return descriptor

    def worker_lock(self) -> int:
        """Take the archive worker's lock and return its descriptor. Waits for a worker that is ending.

        Does not wait for a worker that was killed and is stuck in uninterruptible I/O. Such a worker only ends, and its
        locks in the destination protect its unfinished writes.
        """
        path = self.path / "run" / "archive_worker.lock"
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_same(descriptor, path):
                    os.truncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                    return descriptor
            if _is_doomed(os.pread(descriptor, 20, 0)):
                path.unlink(missing_ok=True)
            os.close(descriptor)
            time.sleep(_POLL)

    def identity(self) -> str:
        """The cluster's identity, generated at the first call."""
        path = self.path / "identity"
        if not path.exists():
            replace_file(path, f"{uuid.uuid4().hex}\n".encode())
        return path.read_text().strip()

    def announce(self, running: Running) -> None:
        """Write the address on which the service listens to `run/service.json`."""
        path = self._announcement
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(running)) + "\n")
        temporary.rename(path)

    def withdraw(self) -> None:
        """Remove `run/service.json`: the service no longer listens."""
        self._announcement.unlink(missing_ok=True)

    def running(self) -> Running | None:
        """The address of the service that uses this home, None if no service has announced its address."""
        try:
            return Running(**json.loads(self._announcement.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    @property
    def _announcement(self) -> Path:
        return self.path / "run" / "service.json"


def _remove(path: Path) -> None:
    leftover = path.with_name(path.name + _DROPPED)
    if leftover.exists():
        shutil.rmtree(leftover)
    if path.exists():
        path.rename(leftover)
        shutil.rmtree(leftover, ignore_errors=True)


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether a path still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_doomed(pid: bytes) -> bool:
    """Whether the process with this id was killed but is stuck in uninterruptible I/O (SIGKILL is pending)."""
    try:
        lines = Path(f"/proc/{int(pid)}/status").read_text().splitlines()
    except (OSError, ValueError):
        return False
    pending = [int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(mask & _SIGKILL_BIT for mask in pending)
