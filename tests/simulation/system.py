"""The simulated operating system: stands where a module has its `os` and `fcntl`, asks before and after each call."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol

from .disk import Disk, File, Folder, failure


class Fate(Protocol):
    """What decides how a call goes. Both may raise OSError, or the end of the process."""

    def before(self, call: str, name: str) -> None:
        """Nothing has happened yet."""

    def after(self, call: str, name: str) -> None:
        """It has happened; what is raised hides that from the caller."""

    def take(self, call: str, size: int) -> int:
        """How many of `size` bytes (at least one) a write or a read moves at once."""


class Calm:
    """The fate of a process to which nothing happens: one that reads what is there."""

    def before(self, call: str, name: str) -> None:
        """See `Fate`."""

    def after(self, call: str, name: str) -> None:
        """See `Fate`."""

    def take(self, call: str, size: int) -> int:
        """See `Fate`."""
        return size


@dataclass
class _Open:
    node: File | Folder
    name: str
    at: int = 0


@dataclass(frozen=True)
class Entry:
    """What `scandir` gives."""

    name: str
    node: File | Folder
    system: System
    path: str

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """See `os.DirEntry`: known from the listing, without a call."""
        return isinstance(self.node, File)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """See `os.DirEntry`: known from the listing, without a call."""
        return isinstance(self.node, Folder)

    def stat(self, *, follow_symlinks: bool = True) -> SimpleNamespace:
        """See `os.DirEntry`. The disk has no links."""
        return self.system.stat(self.path)


class Scanned(list[Entry]):
    """A listing, as `scandir` gives it."""

    def __enter__(self) -> Iterator[Entry]:
        return iter(self)

    def __exit__(self, *_error: object) -> None:
        pass


class System:
    """`os` and `fcntl` of one process at a time: `fate` is that of the process which is running."""

    O_RDONLY, O_WRONLY, O_RDWR = os.O_RDONLY, os.O_WRONLY, os.O_RDWR
    O_CREAT, O_EXCL, O_DIRECTORY = os.O_CREAT, os.O_EXCL, os.O_DIRECTORY
    O_NOFOLLOW, O_NONBLOCK = os.O_NOFOLLOW, os.O_NONBLOCK
    LOCK_EX, LOCK_SH, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_NB
    strerror = staticmethod(os.strerror)
    DirEntry = Entry

    def __init__(self, disk: Disk, rng: random.Random, fate: Fate) -> None:
        self.disk = disk
        self.fate = fate
        self._rng = rng
        self._open: dict[int, _Open] = {}
        self._next = 3

    def end_processes(self) -> None:
        """All processes are gone: their descriptors are closed and their locks let go."""
        for descriptor in list(self._open):
            self._close(descriptor)

    def urandom(self, size: int) -> bytes:
        """See `os`."""
        return self._rng.randbytes(size)

    def open(self, path: object, flags: int, mode: int = 0o777) -> int:
        """See `os`."""
        text = str(path)
        folder, name = self.disk.parent(text)
        call = "open folder" if flags & os.O_DIRECTORY else f"create {_kind(name)}" if flags & os.O_CREAT else "open"
        self.fate.before(call, name)
        folder, name = self.disk.parent(text)
        node = folder.entries.get(name) if name else folder
        if node is None:
            if not flags & os.O_CREAT:
                raise failure(errno.ENOENT)
            node = File()
            folder.set(name, node)
        elif flags & os.O_EXCL:
            raise failure(errno.EEXIST)
        elif flags & os.O_DIRECTORY and not isinstance(node, Folder):
            raise failure(errno.ENOTDIR)
        elif isinstance(node, Folder) and flags & (os.O_WRONLY | os.O_RDWR):
            raise failure(errno.EISDIR)
        self.fate.after(call, name)
        self._next += 1
        self._open[self._next] = _Open(node, name)
        return self._next

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """See `os`."""
        opened, file = self._file(descriptor)
        call = f"write {_kind(opened.name)}"
        self.fate.before(call, opened.name)
        taken = self.fate.take(call, len(data)) if data else 0
        file.data[opened.at : opened.at + taken] = data[:taken]
        file.is_dirty = True
        opened.at += taken
        self.fate.after(call, opened.name)
        return taken

    def ftruncate(self, descriptor: int, size: int) -> None:
        """See `os`."""
        opened, file = self._file(descriptor)
        self.fate.before("ftruncate", opened.name)
        del file.data[size:]
        file.is_dirty = True
        self.fate.after("ftruncate", opened.name)

    def fsync(self, descriptor: int) -> None:
        """See `os`. A file whose fsync failed is not made durable by a later one, as on Linux."""
        opened = self._open[descriptor]
        node = opened.node
        if isinstance(node, Folder):
            self.fate.before("fsync folder", opened.name)
            node.sync()
            self.fate.after("fsync folder", opened.name)
            return
        try:
            self.fate.before("fsync file", opened.name)
        except OSError:
            node.is_lost = True
            raise
        if not node.is_lost:
            node.synced, node.is_dirty = bytes(node.data), False
        self.fate.after("fsync file", opened.name)

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        """See `os`."""
        opened, file = self._file(descriptor)
        self.fate.before("pread", opened.name)
        size = min(size, max(0, len(file.data) - offset))
        size = self.fate.take("pread", size) if size else 0
        found = bytes(file.data[offset : offset + size])
        self.fate.after("pread", opened.name)
        return found

    def fstat(self, descriptor: int) -> SimpleNamespace:
        """See `os`."""
        opened = self._open[descriptor]
        self.fate.before("stat", opened.name)
        return _status(opened.node)

    def stat(self, path: object) -> SimpleNamespace:
        """See `os`."""
        self.fate.before("stat", str(path).rpartition("/")[2])
        return _status(self.disk.node(str(path)))

    def lstat(self, path: object) -> SimpleNamespace:
        """See `os`. Nothing happens to a look at a folder: the call that follows has the folder's fate."""
        return _status(self.disk.node(str(path)))

    def close(self, descriptor: int) -> None:
        """See `os`. An error is told after it has happened, as on Linux."""
        name = self._open[descriptor].name
        try:
            self.fate.before("close", name)
        except OSError:
            self._close(descriptor)
            raise
        self._close(descriptor)
        self.fate.after("close", name)

    def link(self, source: object, path: object) -> None:
        """See `os`."""
        name = str(path).rpartition("/")[2]
        self.fate.before("link", name)
        node = self.disk.node(str(source))
        folder, name = self.disk.parent(str(path))
        if name in folder.entries:
            raise failure(errno.EEXIST)
        folder.set(name, node)
        self.fate.after("link", name)

    def unlink(self, path: object) -> None:
        """See `os`."""
        name = str(path).rpartition("/")[2]
        call = f"unlink {_kind(name)}"
        self.fate.before(call, name)
        folder, name = self.disk.parent(str(path))
        if name not in folder.entries:
            raise failure(errno.ENOENT)
        if isinstance(folder.entries[name], Folder):
            raise failure(errno.EISDIR)
        folder.set(name, None)
        self.fate.after(call, name)

    def mkdir(self, path: object, mode: int = 0o777) -> None:
        """See `os`."""
        name = str(path).rpartition("/")[2]
        self.fate.before("mkdir", name)
        folder, name = self.disk.parent(str(path))
        if name in folder.entries:
            raise failure(errno.EEXIST)
        folder.set(name, Folder())
        self.fate.after("mkdir", name)

    def scandir(self, path: object) -> Scanned:
        """See `os`."""
        text = str(path)
        self.fate.before("scandir", text.rpartition("/")[2])
        entries = list(self.disk.folder(text).entries.items())
        self._rng.shuffle(entries)  # no file system promises an order
        return Scanned(Entry(name, node, self, f"{text}/{name}") for name, node in entries)

    def flock(self, descriptor: int, _operation: int) -> None:
        """See `fcntl`; exclusive and without waiting."""
        opened, file = self._file(descriptor)
        self.fate.before("flock", opened.name)
        if file.locked_by not in {None, descriptor}:
            raise failure(errno.EWOULDBLOCK)
        file.locked_by = descriptor
        self.fate.after("flock", opened.name)

    def _file(self, descriptor: int) -> tuple[_Open, File]:
        opened = self._open[descriptor]
        if isinstance(opened.node, Folder):
            raise failure(errno.EISDIR)
        return opened, opened.node

    def _close(self, descriptor: int) -> None:
        node = self._open.pop(descriptor).node
        if isinstance(node, File) and node.locked_by == descriptor:
            node.locked_by = None


def _status(node: File | Folder) -> SimpleNamespace:
    if isinstance(node, Folder):
        return SimpleNamespace(st_mode=stat.S_IFDIR | 0o755, st_size=4096, st_dev=1, st_ino=id(node))
    return SimpleNamespace(st_mode=stat.S_IFREG | 0o644, st_size=len(node.data), st_dev=1, st_ino=id(node))


def _kind(name: str) -> str:
    """What sort of file a name is, for the count of crash points."""
    if name.startswith("."):
        return name.partition("-")[0].lstrip(".")
    return "segment" if name[:1].isdigit() else "record"
