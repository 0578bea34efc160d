"""What every destination does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redoubt.destinations.file import FileDestination
from redoubt.destinations.uri import open_destination
from redoubt.model.seams import Destination, LockedError, ObjectExistsError, ObjectInfo, ObjectMissingError
from tests.archive.fakes import MemoryDestination

KINDS: dict[str, Callable[[Path], Destination]] = {
    "file": FileDestination,
    "uri": lambda path: open_destination(f"file://{path}"),
    "memory": lambda _path: MemoryDestination(),
}
STORES = {"s3": "bucket_uri", "azblob": "container_uri"}
"""Object stores by the fixture with the URI of an empty folder."""


@pytest.fixture(params=[*KINDS, "s3", pytest.param("azblob", marks=pytest.mark.soak)])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    """An empty destination of each kind; `s3` is a folder of a real S3 server, `azblob` of Microsoft's own stand-in."""
    if request.param in STORES:
        return open_destination(request.getfixturevalue(STORES[request.param]))
    return KINDS[request.param](tmp_path)


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 4096])
def test_what_is_put_is_got(destination: Destination, content: bytes) -> None:
    """Byte for byte, also nothing and a mebibyte."""
    destination.put_if_absent("a/b/c/object", content)

    assert content == destination.get("a/b/c/object", 0, len(content) + 1)


def test_an_object_is_never_replaced(destination: Destination) -> None:
    """The second put of a name raises ObjectExistsError, also with the same bytes, and changes nothing."""
    destination.put_if_absent("a/object", b"first")
    for content in (b"second", b"first", b""):
        with pytest.raises(ObjectExistsError):
            destination.put_if_absent("a/object", content)

    assert destination.get("a/object", 0, 99) == b"first"


@given(offset=st.integers(0, 12), length=st.integers(0, 12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_part_of_an_object(destination: Destination, offset: int, length: int) -> None:
    """As many bytes from an offset as there are."""
    destination.delete("object")
    destination.put_if_absent("object", b"0123456789")

    assert b"0123456789"[offset : offset + length] == destination.get("object", offset, length)


def test_a_missing_object(destination: Destination) -> None:
    """ObjectMissingError, in a folder and without one."""
    destination.put_if_absent("a/object", b"")
    for name in ("a/other", "b/object", "a/b/c"):
        with pytest.raises(ObjectMissingError):
            destination.get(name, 0, 1)


def test_objects_are_listed_by_name(destination: Destination) -> None:
    """Only those directly in the folder, in the order of their names, with their sizes."""
    for name in ("a/10", "a/9", "a/B", "a/a", "a/b/inner", "ab/other", "a/.hidden", "top"):
        destination.put_if_absent(name, name.encode())
    expected = [ObjectInfo(name, len(name)) for name in ("a/.hidden", "a/10", "a/9", "a/B", "a/a")]

    assert expected == list(destination.list("a"))


def test_objects_without_folder_are_listed(destination: Destination) -> None:
    """The empty prefix is the destination itself, and names stay relative to it."""
    destination.put_if_absent("top", b"123")
    destination.put_if_absent("a/inner", b"")

    assert [ObjectInfo("top", 3)] == list(destination.list(""))


def test_a_folder_that_is_not_there_is_empty(destination: Destination) -> None:
    """Nothing has been stored there yet."""
    assert list(destination.list("a/b")) == []


def test_folders_are_listed_by_name(destination: Destination) -> None:
    """Those directly in a folder, whatever is in them; objects and hidden things are none."""
    for name in ("a/10/x", "a/9/y/z", "a/object", "a/b/.hidden", "ab/c/other", "top"):
        destination.put_if_absent(name, b"")
    destination.lock("a/9/y/lock", "a test").release()

    assert list(destination.folders("a")) == ["10", "9", "b"]
    assert list(destination.folders("")) == ["a", "ab"]
    assert list(destination.folders("a/9/nothing")) == []


def test_a_deleted_object_is_gone_and_its_name_free(destination: Destination) -> None:
    """Deleting it again is no error, nor is deleting what never was."""
    destination.put_if_absent("a/object", b"first")
    destination.delete("a/object")
    destination.delete("a/object")
    destination.delete("b/never")
    with pytest.raises(ObjectMissingError):
        destination.get("a/object", 0, 1)
    destination.put_if_absent("a/object", b"second")

    assert destination.get("a/object", 0, 99) == b"second"


def test_a_probe_changes_nothing(destination: Destination) -> None:
    """Nothing that it wrote is left."""
    destination.put_if_absent("object", b"")
    destination.probe()

    assert [ObjectInfo("object", 0)] == list(destination.list(""))


def test_a_lock_is_held_by_one(destination: Destination) -> None:
    """Whoever comes second is told who has it, also in the same process, until it is released; names are apart."""
    lock = destination.lock("a/writer", "worker 1 on host-a")
    with pytest.raises(LockedError, match="worker 1 on host-a"):
        destination.lock("a/writer", "worker 2 on host-b")
    destination.lock("a/other", "worker 2").release()
    destination.lock("b/writer", "worker 2").release()
    with pytest.raises(LockedError, match="worker 1 on host-a"):
        destination.lock("a/writer", "worker 2 on host-b")
    lock.release()
    lock.release()
    again = destination.lock("a/writer", "worker 2 on host-b")
    with pytest.raises(LockedError, match="worker 2 on host-b"):
        destination.lock("a/writer", "worker 3")

    again.release()


def test_a_lock_is_shared_by_readers(destination: Destination) -> None:
    """While any of them reads, nobody writes, and nobody begins to read while somebody writes."""
    destination.lock("a/writer", "worker 1").release()
    first, second = destination.share("a/writer"), destination.share("a/writer")
    assert first is not None
    assert second is not None
    first.release()
    first.release()
    with pytest.raises(LockedError, match="is being read"):
        destination.lock("a/writer", "worker 2")
    second.release()
    lock = destination.lock("a/writer", "worker 2")
    with pytest.raises(LockedError, match="worker 2"):
        destination.share("a/writer")
    lock.release()


def test_a_lock_is_no_object(destination: Destination) -> None:
    """It is not listed, while it is held and after, and takes no object's name."""
    lock = destination.lock("a/writer", "worker 1")
    during = list(destination.list("a"))
    destination.put_if_absent("a/writer", b"1")
    lock.release()

    assert during == []
    assert [ObjectInfo("a/writer", 1)] == list(destination.list("a"))
