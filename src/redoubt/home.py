"""The home directory: everything that a service keeps, and the lock that makes it the only one there."""

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
from dataclasses import asdict, dataclass
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
    """What a running service says of itself in `run/service.json`."""

    pid: int
    host: str
    port: int


@dataclass(frozen=True)
class Home:
    """A home directory's parts."""

    path: Path

    @property
    def sys(self) -> OwnFiles:
        """The sys tenant's engine."""
        return OwnFiles(self.path / "sys")

    def tenant(self, tenant_id: int) -> OwnFiles:
        """A user tenant's engine."""
        return OwnFiles(self.path / "tenants" / str(tenant_id))

    def tenant_ids(self) -> list[int]:
        """The ids of the user tenants that have a directory here, in order; what was left of dropped ones goes."""
        folder = self.path / "tenants"
        for leftover in folder.glob(f"*{_DROPPED}"):
            shutil.rmtree(leftover, ignore_errors=True)  # it is tried again at the next start
        return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal())

    def remove_tenant(self, tenant_id: int) -> None:
        """Remove a tenant's directory, all of it or as good as that; blocks. Its engine has ended. Raises OSError."""
        self.remove_restoring(tenant_id)
        _remove(self.tenant(tenant_id).path)

    def restoring(self, tenant_id: int) -> OwnFiles:
        """Where a tenant is restored: not in its own directory, where an engine would be started as it is."""
        return OwnFiles(self.path / "tenants" / f"{tenant_id}{_RESTORING}")

    def remove_restoring(self, tenant_id: int) -> None:
        """Remove what has been restored of a tenant; blocks. Raises OSError."""
        _remove(self.restoring(tenant_id).path)

    def is_restored(self, tenant_id: int) -> bool:
        """Whether all of a tenant has been restored; blocks."""
        beside = self.restoring(tenant_id)
        is_complete = beside.restored_from.exists() and not beside.restoring.exists()
        return is_complete or self.tenant(tenant_id).path.exists()

    def move_in(self, tenant_id: int, source: str) -> None:
        """Make what was restored the tenant's directory, with the password that `source` had; blocks. Raises OSError.

        Done again, it does nothing.
        """
        beside, path = self.restoring(tenant_id), self.tenant(tenant_id).path
        if path.exists():
            return
        if (password := self.account_of(source)) is not None:
            kept_line(beside.account, lambda: password)
        beside.path.rename(path)
        sync(path.parent)

    def keep_account(self, source: str, password: str) -> None:
        """Keep the password of the service's account on an engine: its bases need it after it is gone. Raises OSError.

        It is for the owner's eyes only.
        """
        self._accounts.mkdir(mode=0o700, exist_ok=True)
        kept_line(self._accounts / source, lambda: password)

    def account_of(self, source: str) -> str | None:
        """The password of the service's account on an engine, None if it is not known here."""
        if not _SOURCE.fullmatch(source):
            return None  # it comes from a destination, and is no file's name
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

    def prepare(self) -> None:
        """Make the directory and its parts. Raises HomeError."""
        try:
            for folder in (self.path, self.path / "run", self.path / "log", self.path / "tenants", self.path / "sys"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise HomeError(f"cannot use {self.path} as home: {error.strerror}; choose another with --home") from error

    def lock(self) -> int:
        """Be the only service here: the descriptor that holds the lock. Raises HomeError if there is another."""
        try:
            descriptor = os.open(self.path / "run" / "service.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HomeError(f"cannot write in {self.path}: {error.strerror}; is it another user's?") from error
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
        """Be the only archive worker here: the descriptor that holds the lock. Waits for one that is ending.

        Not for one that was killed and that the system holds in a call to a medium which gives no answer: that one does
        nothing any more but end, and what it has under way in the destination is locked there.
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
        """The cluster's identity, made up at the first call."""
        path = self.path / "identity"
        if not path.exists():
            replace_file(path, f"{uuid.uuid4().hex}\n".encode())
        return path.read_text().strip()

    def announce(self, running: Running) -> None:
        """Say where the service listens."""
        path = self._announcement
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(running)) + "\n")
        temporary.rename(path)

    def withdraw(self) -> None:
        """The service does not listen any more."""
        self._announcement.unlink(missing_ok=True)

    def running(self) -> Running | None:
        """Where the service that uses this home listens, None if there is none that says so."""
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
    """Whether the process of that number has been killed, and only a call that does not return keeps it."""
    try:
        lines = Path(f"/proc/{int(pid)}/status").read_text().splitlines()
    except (OSError, ValueError):
        return False
    pending = [int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd:", "ShdPnd:"))]
    return any(mask & _SIGKILL_BIT for mask in pending)
