"""Locks in a directory: between processes, with processes that are killed, and on file systems that have none."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from redoubt.destinations.file import FileDestination
from redoubt.model.seams import DestinationError, LockedError, ObjectInfo

_HOLDER = """
import pathlib, sys
from redoubt.destinations.file import FileDestination
lock = FileDestination(pathlib.Path(sys.argv[1])).lock("a/writer", "the child")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def child_with_lock(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lock `a/writer` and never lets it go."""
    arguments = [sys.executable, "-c", _HOLDER, str(root)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"locked\n"
        try:
            yield child
        finally:
            child.kill()


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_another_process_has_it_until_it_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves no lock behind, only a line that is not taken for a holder."""
    destination = FileDestination(tmp_path)
    with child_with_lock(tmp_path) as child:
        with pytest.raises(LockedError, match="a is being written by the child"):
            destination.lock("a/writer", "the parent")
        child.kill()
        child.wait()
        lock = destination.lock("a/writer", "the parent")
    with pytest.raises(LockedError, match="by the parent"):
        FileDestination(tmp_path).lock("a/writer", "another")

    lock.release()


def test_a_lock_that_was_released_lets_go_of_nobody_elses(tmp_path: Path) -> None:
    """Releasing twice is allowed; the second time somebody else may have it."""
    destination = FileDestination(tmp_path)
    first = destination.lock("writer", "the first")
    first.release()
    second = destination.lock("writer", "the second")
    first.release()
    with pytest.raises(LockedError, match="by the second"):
        destination.lock("writer", "the third")

    second.release()


def test_a_holder_that_has_not_said_who_it_is(tmp_path: Path) -> None:
    """It may be between taking the lock and writing its line, or have no room to write it."""
    destination = FileDestination(tmp_path)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch.object(os, "write", side_effect=full):
        lock = destination.lock("writer", "the holder")
    with pytest.raises(LockedError, match="is being written by another process"):
        destination.lock("writer", "the second")

    lock.release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_refused_with_what_to_do(tmp_path: Path, number: int) -> None:
    """Two writers could not be kept apart there."""
    error = OSError(number, os.strerror(number))
    before = len(names(Path("/proc/self/fd")))
    with (
        mock.patch.object(fcntl, "flock", side_effect=error),
        pytest.raises(
            DestinationError, match=f"writer: {os.strerror(number)} .*on NFS, mount it without nolock"
        ) as failed,
    ):
        FileDestination(tmp_path).lock("a/writer", "the holder")

    assert not isinstance(failed.value, LockedError)
    assert before == len(names(Path("/proc/self/fd")))


def test_a_lock_that_fails_is_an_error(tmp_path: Path) -> None:
    """Any other trouble names the path and is no LockedError."""
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    with (
        mock.patch.object(fcntl, "flock", side_effect=error),
        pytest.raises(DestinationError, match=r"a/\.lock-writer: Input/output error") as failed,
    ):
        FileDestination(tmp_path).lock("a/writer", "the holder")

    assert not isinstance(failed.value, LockedError)


@pytest.mark.parametrize("call", ["ftruncate", "close"])
def test_letting_go_of_a_lock_never_fails(tmp_path: Path, call: str) -> None:
    """The disk may be in trouble: the lock is gone all the same."""
    destination = FileDestination(tmp_path)
    lock = destination.lock("writer", "the first")
    real = getattr(os, call)

    def fail(descriptor: int, *rest: int) -> None:
        real(descriptor, *rest)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with mock.patch.object(os, call, fail):
        lock.release()
    destination.lock("writer", "the second").release()


def test_what_dead_writers_left_is_removed_in_the_locked_folder_alone(tmp_path: Path) -> None:
    """Only there is it certain that nobody is writing it; objects stay."""
    destination = FileDestination(tmp_path)
    destination.put_if_absent("a/object", b"whole")
    (tmp_path / "a/b").mkdir()
    for folder in ("", "a", "a/b"):
        (tmp_path / folder / ".part-0123").write_bytes(b"half")
    destination.lock("a/writer", "the holder").release()

    assert names(tmp_path / "a") == [".lock-writer", "b", "object"]
    assert names(tmp_path) == [".part-0123", "a"]
    assert names(tmp_path / "a/b") == [".part-0123"]


def test_without_the_lock_nothing_is_removed(tmp_path: Path) -> None:
    """What lies there may be the holder's, being written."""
    with child_with_lock(tmp_path):
        (tmp_path / "a/.part-0123").write_bytes(b"half")
        with pytest.raises(LockedError):
            FileDestination(tmp_path).lock("a/writer", "the parent")

    assert names(tmp_path / "a") == [".lock-writer", ".part-0123"]


def test_what_cannot_be_removed_keeps_nobody_from_the_lock(tmp_path: Path) -> None:
    """It does not show."""
    destination = FileDestination(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.part-0123").write_bytes(b"half")
    error = OSError(errno.EIO, os.strerror(errno.EIO))
    with mock.patch.object(os, "unlink", side_effect=error):
        destination.lock("a/writer", "the holder").release()
    destination.put_if_absent("a/object", b"")

    assert [ObjectInfo("a/object", 0)] == list(destination.list("a"))
