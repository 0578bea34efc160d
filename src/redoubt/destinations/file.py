"""A directory as backup destination: a local disk or a mounted network file system (`file:///…`).

An object is written to a temporary name in its folder, fsynced, hard-linked to its own name (which fails if the name
exists: put-if-absent), and the folder is fsynced. Without hard links, it is renamed so that nothing is overwritten. A
process creates each folder once, when it first writes into the folder: when a mount vanishes, the write fails instead
of landing on the disk below the mount point.

Whoever can write into the directory may put anything there. Only regular files are objects, and only directories are
folders. Links below the root are not followed: they could lead to other people's files. Opening never waits, as it
would for a named pipe without a writer.

All I/O goes through the module's `os`, so that the simulator can replace `os` with an operating system of its own.
"""
# ruff: noqa: PTH102, PTH108, PTH116 - pathlib would bypass the simulator

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from os import statvfs
from pathlib import Path

from redoubt.destinations.file_lock import LOCK_PREFIX, FileLock, check_regular
from redoubt.destinations.renaming import rename_if_absent
from redoubt.model.seams import DestinationError, Lock, ObjectExistsError, ObjectInfo, ObjectMissingError

_TEMPORARY = ".part-"
_HIDDEN = (_TEMPORARY, LOCK_PREFIX)
_MOST_ENTRIES = 1_000_000
"""The most names in a folder: a listing is kept in memory."""
_READ_AT_ONCE = 64 * 1024 * 1024
_UNABLE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_WITHOUT_LINKS = _UNABLE | {errno.EPERM, errno.EMLINK}
"""What `link` says where a file system has no hard links."""
_FOLDER_MODE = 0o750
_OBJECT_MODE = 0o640


class FileDestination:
    """Objects as files under `root`, the mount point or directory that the user named; `root` must exist."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: set[Path] = set()
        self._unsynced: set[Path] = set()
        """Objects that may be visible but not durable yet, also because the folder's fsync failed."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        """See `Destination`."""
        path = self.root / name
        temporary = path.parent / f"{_TEMPORARY}{os.urandom(16).hex()}"
        with _named(path):
            self._make_folder(path.parent)
            self._refuse_links(path.parent)
            try:
                _write_durably(temporary, data)
                self._unsynced.add(path)
                _name(temporary, path)
            except FileExistsError:
                self._sync(path)  # the caller may rely on the existing object, also after a power cut
                raise ObjectExistsError(f"{path} exists already") from None
            except OSError as error:
                if error.errno == errno.ENOSPC and _has_no_inodes(path.parent):  # before the temporary file is removed
                    raise DestinationError(
                        f"{path}: the file system has room, but no inodes are left for files (df -i): remove files "
                        "there, or choose another destination"
                    ) from error
                raise
            finally:
                with contextlib.suppress(OSError):  # a leftover temporary file is invisible
                    os.unlink(temporary)
            self._sync(path)

    def get(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """See `Destination`.

        The returned object is durable, even if this process stored it and the last step of that failed.
        """
        path = self.root / name
        with _named(path):
            self._refuse_links(path.parent)
            data = _read(path, offset, length)
            if path in self._unsynced:
                self._sync(path)
        return data

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Destination`.

        The listed objects are durable. A process that was killed before the folder's fsync may have left an object that
        is visible but not durable yet, and callers report the objects of a listing as archived.
        """
        folder = self.root / prefix
        with _named(folder):
            try:
                entries = self._entries(folder)
            except FileNotFoundError:
                self._check_root()
                return iter(())
            found = [info for entry in entries if (info := _object(prefix, entry))]
            _fsync_folder(folder)
        return iter(sorted(found, key=lambda info: info.name))

    def folders(self, prefix: str) -> Iterator[str]:
        """See `Destination`. The listed folders are durable."""
        folder = self.root / prefix
        with _named(folder):
            try:
                entries = self._entries(folder)
            except FileNotFoundError:
                self._check_root()
                return iter(())
            folders = (entry for entry in entries if entry.is_dir(follow_symlinks=False))
            names = [entry.name for entry in folders if not entry.name.startswith(_HIDDEN)]
            _fsync_folder(folder)
        return iter(sorted(names))

    def delete(self, name: str) -> None:
        """See `Destination`."""
        path = self.root / name
        with _named(path), contextlib.suppress(FileNotFoundError):
            self._refuse_links(path.parent)
            os.unlink(path)

    def lock(self, name: str, holder: str, after: int = 0) -> Lock:  # noqa: ARG002 - for leases
        """See `Destination`.

        A writer holds the lock of the folder in which it stores objects. So a temporary file in that folder is the
        leftover of a dead writer, and is removed here.
        """
        path = self._lock_file(name)
        with _named(path):
            self._make_folder(path.parent)
            self._refuse_links(path.parent)
            lock = FileLock.take(path, holder)
        with contextlib.suppress(OSError):  # leftovers are invisible, and the next holder tries again
            _sweep(path.parent)
        return lock

    def share(self, name: str) -> Lock | None:
        """See `Destination`."""
        path = self._lock_file(name)
        with _named(path):
            self._refuse_links(path.parent)
            return FileLock.share(path)

    def probe(self) -> None:
        """See `Destination`."""
        with _named(self.root):
            self._check_root()
        name, content = f"redoubt-probe-{os.urandom(16).hex()}", os.urandom(4096)
        try:
            self.put_if_absent(name, content)
            returned = self.get(name, 0, len(content) + 1)
            listed = any(info.name == name for info in self.list(""))
            self.delete(name)
        except DestinationError:
            with contextlib.suppress(DestinationError):  # the first failure says more
                self.delete(name)
            raise
        if returned != content:
            raise DestinationError(
                f"{self.root} returned other bytes than were written: check the disk, or choose another destination"
            )
        if not listed:
            raise DestinationError(
                f"{self.root} does not list a file that was written: check the disk, or choose another destination"
            )

    def _lock_file(self, name: str) -> Path:
        return (self.root / name).with_name(f"{LOCK_PREFIX}{Path(name).name}")

    def _check_root(self) -> None:
        """Check that the destination's directory is there, so that a mistyped path does not look empty."""
        if not _is_folder(self.root):
            raise DestinationError(
                f"{self.root} is not a directory: correct the path, create it, or mount the backup disk there"
            )

    def _sync(self, path: Path) -> None:
        _fsync_folder(path.parent)
        self._unsynced.discard(path)

    def _refuse_links(self, folder: Path) -> None:
        """Raise OSError if a folder below the root is a link, or is below a link. A missing folder is no link."""
        if folder == self.root:
            return
        self._refuse_links(folder.parent)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISLNK(os.lstat(folder).st_mode):
                raise OSError(errno.ELOOP, f"{folder.name} is a link")

    def _entries(self, folder: Path) -> tuple[os.DirEntry[str], ...]:
        """What a folder holds. Raises OSError, DestinationError."""
        self._refuse_links(folder)
        with os.scandir(folder) as scanned:
            entries = tuple(islice(scanned, _MOST_ENTRIES + 1))
        if len(entries) > _MOST_ENTRIES:
            raise DestinationError(f"{folder} holds more than {_MOST_ENTRIES:,} files; remove those that are no backup")
        return entries

    def _make_folder(self, folder: Path) -> None:
        if folder in self._folders or folder == self.root:
            return
        self._make_folder(folder.parent)
        with contextlib.suppress(FileExistsError):  # an earlier process created it, and may have died before the fsync
            os.mkdir(folder, _FOLDER_MODE)
        _fsync_folder(folder.parent)
        self._folders.add(folder)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into an error that names the path and the cause."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissingError(f"{path}: {_cause(error)}") from error
    except OSError as error:
        raise DestinationError(f"{path}: {_cause(error)}") from error


def _name(temporary: Path, path: Path) -> None:
    """Give a file its name, unless the name exists. Raises FileExistsError, DestinationError, OSError."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        try:
            rename_if_absent(temporary, path)
        except OSError as failed:
            if failed.errno not in _UNABLE:
                raise
            raise DestinationError(
                f"{path}: the file system can neither link a file nor rename one without overwriting another "
                f"({error.strerror}, {failed.strerror}), and so cannot keep two writers apart: choose another one, "
                "such as ext4, XFS or NFS"
            ) from error


def _cause(error: OSError) -> str:
    """The operating system's text, and a hint what to do about the error."""
    text = error.strerror or str(error)
    hints = {
        errno.ENOENT: "check that the backup disk is mounted",
        errno.ENOSPC: "free some space there, or choose another destination",
        errno.EDQUOT: "raise the quota, or choose another destination",
        errno.EROFS: "mount the file system read-write",
        errno.EACCES: "give the user that runs redoubt the right to read and write there",
        errno.ELOOP: "replace the link by what it points to; links in a destination are not followed",
        errno.EPERM: "look for attributes that forbid changes (lsattr), and mount options",
        errno.ESTALE: "the NFS server no longer knows this file; mount the file system again",
    }
    hint = hints.get(error.errno or 0)
    return f"{text} ({hint})" if hint else text


def _object(prefix: str, entry: os.DirEntry[str]) -> ObjectInfo | None:
    """The object of a folder's entry, None if the entry is not an object or has just been deleted."""
    if entry.name.startswith(_HIDDEN):
        return None
    name = f"{prefix}/{entry.name}" if prefix else entry.name
    try:
        is_object = entry.is_file(follow_symlinks=False)
        return ObjectInfo(name, entry.stat(follow_symlinks=False).st_size) if is_object else None
    except FileNotFoundError:
        return None


def _has_no_inodes(folder: Path) -> bool:
    try:
        found = statvfs(folder)
    except OSError:
        return False
    return found.f_files > 0 and found.f_favail == 0


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except FileNotFoundError:
        return False


def _sweep(folder: Path) -> None:
    """Remove the temporary files of writers that did not finish."""
    with os.scandir(folder) as scanned:
        left = [entry.name for entry in scanned if entry.name.startswith(_TEMPORARY)]
    for name in left:
        os.unlink(folder / name)


def _read(path: Path, offset: int, length: int | None) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        size = check_regular(os.fstat(descriptor))
        end = max(offset, size if length is None else min(offset + length, size))
        parts: list[bytes] = []
        while part := os.pread(descriptor, min(end - offset, _READ_AT_ONCE), offset):
            parts.append(part)
            offset += len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _write_durably(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OBJECT_MODE)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
        raise DestinationError(
            f"{folder}: the file system cannot make the names of files durable (fsync of a folder: {error.strerror}): "
            "choose another one, such as ext4, XFS or NFS"
        ) from error
    finally:
        os.close(descriptor)
