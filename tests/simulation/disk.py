"""A file system that forgets: what was not fsynced is lost, torn or kept by a power cut, each thing by itself."""

from __future__ import annotations

import errno
import os
import random
from dataclasses import dataclass, field


@dataclass(eq=False)
class File:
    """A file: what a reader sees, and what the medium has for certain."""

    data: bytearray = field(default_factory=bytearray)
    synced: bytes = b""
    is_dirty: bool = False
    is_lost: bool = False
    """Whether an fsync failed, and what was written will never be durable."""
    locked_by: int | None = None
    """The open file description that holds the `flock`."""

    def after_power_loss(self, rng: random.Random) -> File:
        """What is found when the power is back: anything between what was synced and what was written."""
        if not self.is_dirty:
            return File(bytearray(self.synced), self.synced)
        new, kept = bytes(self.data), rng.randint(0, len(self.data))
        found = rng.choice((self.synced, new, new[:kept], new[:kept] + bytes(len(new) - kept), bytes(len(new))))
        return File(bytearray(found), found)


@dataclass(eq=False)
class Folder:
    """A folder: its entries as seen, and for each name changed since the last fsync all that it was, oldest first."""

    entries: dict[str, File | Folder] = field(default_factory=dict)
    changed: dict[str, list[File | Folder | None]] = field(default_factory=dict)

    def set(self, name: str, node: File | Folder | None) -> None:
        """Enter or remove a name; not durable before `sync`."""
        self.changed.setdefault(name, [self.entries.get(name)]).append(node)
        if node is None:
            del self.entries[name]
        else:
            self.entries[name] = node

    def sync(self) -> None:
        """What is entered is durable from now on."""
        self.changed.clear()

    def after_power_loss(self, rng: random.Random, seen: dict[int, File]) -> Folder:
        """Each unsynced name is what it was at some moment, independently of all others: any reordering of writes."""
        found = Folder()
        names = self.entries | dict.fromkeys(self.changed)
        for name in names:
            node = rng.choice(self.changed[name]) if name in self.changed else self.entries[name]
            if isinstance(node, Folder):
                found.entries[name] = node.after_power_loss(rng, seen)
            elif node is not None:  # two names of one file find the same content
                found.entries[name] = seen.setdefault(id(node), node.after_power_loss(rng))
        return found


class Disk:
    """A tree of folders below `/`, found by absolute paths."""

    def __init__(self, root: Folder | None = None) -> None:
        self.root = root or Folder()

    def after_power_loss(self, rng: random.Random) -> Disk:
        """The disk as it may be found after a power cut now; this one stays as it is."""
        return Disk(self.root.after_power_loss(rng, {}))

    def node(self, path: str) -> File | Folder:
        """What a path names. Raises FileNotFoundError and NotADirectoryError."""
        node: File | Folder = self.root
        for part in path.split("/"):
            if not part:
                continue
            if not isinstance(node, Folder):
                raise failure(errno.ENOTDIR)
            found = node.entries.get(part)
            if found is None:
                raise failure(errno.ENOENT)
            node = found
        return node

    def folder(self, path: str) -> Folder:
        """The folder that a path names."""
        node = self.node(path)
        if not isinstance(node, Folder):
            raise failure(errno.ENOTDIR)
        return node

    def parent(self, path: str) -> tuple[Folder, str]:
        """The folder that a path's last name is in, and that name."""
        head, _, name = path.rpartition("/")
        return self.folder(head), name

    def files(self, path: str) -> dict[str, bytes]:
        """The files directly in a folder by name, with their bytes; none if there is no such folder."""
        try:
            entries = self.folder(path).entries
        except FileNotFoundError:
            return {}
        return {name: bytes(node.data) for name, node in entries.items() if isinstance(node, File)}

    def folders(self, path: str) -> list[str]:
        """The names of the folders directly in a folder; none if there is no such folder."""
        try:
            entries = self.folder(path).entries
        except FileNotFoundError:
            return []
        return sorted(name for name, node in entries.items() if isinstance(node, Folder))


def failure(number: int) -> OSError:
    """The error of the operating system with this number."""
    return OSError(number, os.strerror(number))
