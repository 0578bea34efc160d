"""A directory in which somebody has put other things than objects: nothing waits, nothing outside is touched."""

from __future__ import annotations

import os
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from redoubt.destinations import file as file_module
from redoubt.destinations.file import FileDestination
from redoubt.model.seams import DestinationError

OBJECT = "cluster/1/object"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of somebody else, with a file."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "object").write_bytes(b"secret")
    (folder / ".part-old").write_bytes(b"not ours")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The destination's directory."""
    root = tmp_path / "backup"
    (root / "cluster/1").mkdir(parents=True)
    return root


def as_link(path: Path, victim: Path) -> None:
    """A link to the file of somebody else."""
    path.symlink_to(victim / "object")


def as_pipe(path: Path, _victim: Path) -> None:
    """A pipe that nobody writes."""
    os.mkfifo(path)


def as_socket(path: Path, _victim: Path) -> None:
    """A socket; its path has to be short."""
    with socket.socket(socket.AF_UNIX) as listener:
        before = Path.cwd()
        os.chdir(path.parent)
        try:
            listener.bind(path.name)
        finally:
            os.chdir(before)


THINGS = [as_link, as_pipe, as_socket]


@pytest.mark.parametrize("make", THINGS)
def test_what_is_no_regular_file_is_no_object(root: Path, victim: Path, make: Callable[[Path, Path], None]) -> None:
    """It is not listed; who reads it is told its path at once."""
    make(root / OBJECT, victim)
    destination = FileDestination(root)

    assert list(destination.list("cluster/1")) == []
    with pytest.raises(DestinationError, match=OBJECT):
        destination.get(OBJECT, 0, 10)
    with pytest.raises(DestinationError, match=OBJECT):
        destination.put_if_absent(OBJECT, b"data")


@pytest.mark.parametrize("make", THINGS)
def test_what_is_no_regular_file_is_no_lock(root: Path, victim: Path, make: Callable[[Path, Path], None]) -> None:
    """The name of the lock's holder is written into no other file."""
    make(root / "cluster/1/.lock-writer", victim)
    with pytest.raises(DestinationError, match=r"\.lock-writer"):
        FileDestination(root).lock("cluster/1/writer", "a test")

    assert (victim / "object").read_bytes() == b"secret"


@pytest.mark.parametrize("link", ["cluster", "cluster/1"])
def test_no_folder_is_a_link(root: Path, victim: Path, link: str) -> None:
    """Nothing below it is read, listed, written, removed, or swept as a leftover."""
    (root / "cluster/1").rmdir()
    if link == "cluster":
        (root / "cluster").rmdir()
        (victim / "1").mkdir()
        (victim / "object").rename(victim / "1/object")
        (victim / ".part-old").rename(victim / "1/.part-old")
    (root / link).symlink_to(victim)
    before = sorted(victim.rglob("*"))
    destination = FileDestination(root)
    for attempt in (
        lambda: destination.get(OBJECT, 0, 10),
        lambda: destination.list("cluster/1"),
        lambda: destination.folders("cluster/1"),
        lambda: destination.put_if_absent("cluster/1/new", b""),
        lambda: destination.delete(OBJECT),
        lambda: destination.lock("cluster/1/writer", "a test"),
    ):
        with pytest.raises(DestinationError, match="links in a destination are not followed"):
            attempt()

    assert sorted(victim.rglob("*")) == before
    assert link.rpartition("/")[2] not in destination.folders(link.rpartition("/")[0])


def test_the_directory_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    """The user has named it."""
    (tmp_path / "link").symlink_to(root)
    destination = FileDestination(tmp_path / "link")
    destination.put_if_absent(OBJECT, b"data")

    assert destination.get(OBJECT, 0, 10) == b"data"


def test_a_folder_of_too_many_files_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing is kept in memory."""
    monkeypatch.setattr(file_module, "_MOST_ENTRIES", 3)
    destination = FileDestination(root)
    for number in range(4):
        (root / f"cluster/1/{number}").touch()
        if number < 3:
            assert len(list(destination.list("cluster/1"))) == number + 1
    for look in (destination.list, destination.folders):
        with pytest.raises(DestinationError, match="cluster/1 holds more than 3 files"):
            look("cluster/1")


def test_no_more_is_read_than_was_asked_for(root: Path) -> None:
    """Of a file of a terabyte, which takes no room on the disk."""
    with (root / OBJECT).open("wb") as file:
        file.truncate(1 << 40)
    tracemalloc.start()
    try:
        assert FileDestination(root).get(OBJECT, 1 << 39, 1 << 20) == bytes(1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
