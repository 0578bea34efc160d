"""A directory as destination: what its calls do on the disk, in which order, and when the disk fails."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.destinations import file
from redoubt.destinations.file import FileDestination
from redoubt.model.seams import DestinationError, ObjectExistsError, ObjectInfo, ObjectMissingError

from .disk import Disk, PowerLossError

CONTENT = os.urandom(2500)


def failing_with(number: int, *calls: str) -> Callable[[str, int], OSError | None]:
    """Fails the calls that begin with one of these words."""

    def fail(call: str, _number: int) -> OSError | None:
        return OSError(number, os.strerror(number)) if call.startswith(calls) else None

    return fail


def names_under(root: Path) -> list[str]:
    """Every name under a directory, folders included."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_an_object_is_durable_before_it_is_visible_and_its_folder_last(tmp_path: Path) -> None:
    """The file is fsynced before it gets its name, the folder after; every new folder is fsynced into its parent."""
    root = tmp_path / "root"
    root.mkdir()
    disk = Disk()
    with disk.running():
        FileDestination(root).put_if_absent("a/b/object", CONTENT)
    folders = ["mkdir a", "fsync root", "mkdir b", "fsync a"]
    write = ["create .part", "write .part", "write .part", "write .part", "fsync .part"]

    assert [*folders, *write, "link object", "unlink .part", "fsync b"] == disk.calls
    assert (root / "a/b/object").read_bytes() == CONTENT


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    """The second object of a folder makes no folder."""
    destination = FileDestination(tmp_path)
    destination.put_if_absent("a/b/first", b"")
    disk = Disk()
    with disk.running():
        destination.put_if_absent("a/b/second", b"")

    assert disk.calls == ["create .part", "fsync .part", "link second", "unlink .part", "fsync b"]


def test_a_folder_of_an_earlier_process_is_fsynced_again(tmp_path: Path) -> None:
    """It may have died between making the folder and its fsync."""
    (tmp_path / "a").mkdir()
    disk = Disk()
    with disk.running():
        FileDestination(tmp_path).put_if_absent("a/object", b"")

    assert ["mkdir a", f"fsync {tmp_path.name}"] == disk.calls[:2]


def test_who_is_told_that_an_object_exists_may_rely_on_it(tmp_path: Path) -> None:
    """The folder is fsynced before ObjectExistsError: the one who made the object may not have come to it."""
    destination = FileDestination(tmp_path)
    destination.put_if_absent("object", CONTENT)
    disk = Disk()
    with disk.running(), pytest.raises(ObjectExistsError, match="object exists already"):
        destination.put_if_absent("object", b"other")

    assert f"fsync {tmp_path.name}" in disk.calls
    assert destination.get("object") == CONTENT
    assert names_under(tmp_path) == ["object"]


def test_other_users_read_no_archive(tmp_path: Path) -> None:
    """Objects and folders are for the user and the group."""
    FileDestination(tmp_path).put_if_absent("a/object", b"")

    assert (tmp_path / "a").stat().st_mode & 0o007 == 0
    assert (tmp_path / "a/object").stat().st_mode & 0o137 == 0


@given(crash_at=st.integers(0, 14), kept=st.data())
def test_a_crash_at_any_step_leaves_the_whole_object_or_none(crash_at: int, kept: st.DataObject) -> None:
    """After a loss of power between any two calls, no half object is visible; a put that returned has survived it."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        disk = Disk(lambda _call, number: PowerLossError() if number >= crash_at else None)
        returned = False
        with disk.running():
            try:
                FileDestination(root).put_if_absent("a/b/object", CONTENT)
                returned = True
            except PowerLossError:
                pass
        disk.lose_power(lambda: kept.draw(st.booleans()))
        after = FileDestination(root)
        found = list(after.list("a/b"))

        assert found in ([], [ObjectInfo("a/b/object", len(CONTENT))])
        assert found or not returned
        if found:
            assert after.get("a/b/object") == CONTENT
            with pytest.raises(ObjectExistsError):
                after.put_if_absent("a/b/object", CONTENT)
        else:
            after.put_if_absent("a/b/object", CONTENT)
            assert after.get("a/b/object") == CONTENT


@pytest.mark.parametrize("call", ["mkdir", "create", "write", "fsync .part", "link", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failing_call_is_an_error_that_names_the_object_and_nothing_is_visible(
    tmp_path: Path, call: str, number: int
) -> None:
    """The error names object and cause, what was begun is cleared away, and a second try succeeds."""
    destination = FileDestination(tmp_path)
    disk = Disk(failing_with(number, call))
    with disk.running(), pytest.raises(DestinationError, match=f"a/object: {os.strerror(number)}"):
        destination.put_if_absent("a/object", CONTENT)

    assert list(destination.list("a")) == []
    assert not any(".part-" in name for name in names_under(tmp_path))
    destination.put_if_absent("a/object", CONTENT)
    assert destination.get("a/object") == CONTENT


def test_a_folder_that_cannot_be_fsynced_after_the_link_is_an_error(tmp_path: Path) -> None:
    """The object may be visible, but nobody is told that it is durable; the next try finds it, and fsyncs again."""
    destination = FileDestination(tmp_path)
    destination.put_if_absent("a/first", b"")
    disk = Disk(failing_with(errno.EIO, "fsync a"))
    with disk.running(), pytest.raises(DestinationError, match="Input/output error") as failed:
        destination.put_if_absent("a/object", CONTENT)

    assert not isinstance(failed.value, ObjectExistsError)
    with disk.running(), pytest.raises(DestinationError, match="Input/output error") as failed:
        destination.put_if_absent("a/object", CONTENT)
    assert not isinstance(failed.value, ObjectExistsError)
    with pytest.raises(ObjectExistsError):
        destination.put_if_absent("a/object", CONTENT)


def test_what_was_got_is_durable(tmp_path: Path) -> None:
    """An object whose folder could not be fsynced is seen: whoever gets it may rely on it, or hears of it."""
    destination = FileDestination(tmp_path)
    destination.put_if_absent("a/first", b"")
    disk = Disk(failing_with(errno.EIO, "fsync a"))
    with disk.running():
        for _ in range(2):
            with pytest.raises(DestinationError, match="Input/output error"):
                destination.put_if_absent("a/object", CONTENT)
            with pytest.raises(DestinationError, match="Input/output error"):
                destination.get("a/object")
        disk.failing = lambda _call, _number: None
        assert destination.get("a/object") == CONTENT
        assert disk.calls[-1] == "fsync a"
        calls = len(disk.calls)
        assert destination.get("a/object") == CONTENT
        assert len(disk.calls) == calls
    disk.lose_power(lambda: False)

    assert destination.get("a/object") == CONTENT


def test_what_cannot_be_cleared_away_does_not_show(tmp_path: Path) -> None:
    """A temporary file that cannot be removed is no object and no error."""
    destination = FileDestination(tmp_path)
    with Disk(failing_with(errno.EIO, "unlink")).running():
        destination.put_if_absent("a/object", CONTENT)

    assert len(names_under(tmp_path)) == 3
    assert [ObjectInfo("a/object", len(CONTENT))] == list(destination.list("a"))


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOENT, "check that the backup disk is mounted"),
        (errno.ENOSPC, "free some space there, or choose another destination"),
        (errno.EDQUOT, "raise the quota, or choose another destination"),
        (errno.EROFS, "mount the file system read-write"),
        (errno.EACCES, "give the user that runs redoubt the right to read and write there"),
        (errno.ELOOP, "replace the link by what it points to; links in a destination are not followed"),
        (errno.ESTALE, "the NFS server no longer knows this file; mount the file system again"),
        (errno.EPERM, "look for attributes that forbid changes (lsattr), and mount options"),
    ],
)
def test_an_error_says_what_to_do(tmp_path: Path, number: int, hint: str) -> None:
    """Where the system's word does not say it, the text does."""
    disk = Disk(failing_with(number, "create"))
    with disk.running(), pytest.raises(DestinationError) as failed:
        FileDestination(tmp_path).put_if_absent("object", b"")

    assert f"{tmp_path}/object: {os.strerror(number)} ({hint})" == str(failed.value)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
def test_a_file_system_without_hard_links_renames(tmp_path: Path, number: int) -> None:
    """And overwrites nothing all the same."""
    destination = FileDestination(tmp_path)
    with Disk(failing_with(number, "link")).running():
        destination.put_if_absent("a/object", CONTENT)
        with pytest.raises(ObjectExistsError):
            destination.put_if_absent("a/object", b"other")
        destination.probe()

    assert destination.get("a/object") == CONTENT
    assert names_under(tmp_path) == ["a", "a/object"]


@pytest.mark.parametrize(
    ("call", "number", "ability"),
    [
        ("link", errno.EPERM, "can neither link a file nor rename one without overwriting another"),
        ("fsync a", errno.EINVAL, "cannot make the names of files durable (fsync of a folder: Invalid argument)"),
        ("fsync a", errno.ENOSYS, "cannot make the names of files durable"),
    ],
)
def test_a_file_system_that_cannot_do_what_is_needed_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, ability: str
) -> None:
    """The ability, and what to do."""

    def unable(old: Path, new: Path) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(file, "rename_if_absent", unable)
    with Disk(failing_with(number, call)).running(), pytest.raises(DestinationError) as failed:
        FileDestination(tmp_path).put_if_absent("a/object", CONTENT)

    assert ability in str(failed.value)
    assert "choose another one, such as ext4, XFS or NFS" in str(failed.value)


def test_a_disk_without_inodes_is_not_full(tmp_path: Path) -> None:
    """Its room is no help to anybody."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=4", "tmpfs", str(disk)], check=True)
    try:
        for number in range(2):
            FileDestination(disk).put_if_absent(f"object-{number}", b"1")
        with pytest.raises(DestinationError, match=r"no inodes are left for files \(df -i\)"):
            FileDestination(disk).put_if_absent("object", b"1")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_an_error_without_a_text_of_the_system_shows_its_own(tmp_path: Path) -> None:
    """Not every OSError comes from the system."""
    disk = Disk(lambda _call, _number: OSError("the medium is gone"))
    with disk.running(), pytest.raises(DestinationError, match="object: the medium is gone"):
        FileDestination(tmp_path).put_if_absent("object", b"")


@pytest.mark.parametrize("gone", ["root", "root/a", "root/a/b"])
def test_a_vanished_folder_is_an_error_and_is_not_made_again(tmp_path: Path, gone: str) -> None:
    """A mount that vanished must not be replaced by folders on the disk below it."""
    (tmp_path / "root").mkdir()
    destination = FileDestination(tmp_path / "root")
    destination.put_if_absent("a/b/first", b"")
    shutil.rmtree(tmp_path / gone)
    before = names_under(tmp_path)

    for name in ("a/b/second", "a/c/third"):
        if gone == "root/a/b" and name == "a/c/third":
            continue  # the folder of this one is still there
        with pytest.raises(DestinationError, match="check that the backup disk is mounted"):
            destination.put_if_absent(name, b"")
    assert before == names_under(tmp_path)


def test_a_root_that_was_never_there_is_not_made(tmp_path: Path) -> None:
    """The root is the user's to make, or a mount point."""
    destination = FileDestination(tmp_path / "root")
    with pytest.raises(DestinationError, match="check that the backup disk is mounted"):
        destination.put_if_absent("a/object", b"")

    assert names_under(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    """It is neither replaced nor taken for a folder."""
    (tmp_path / "a").write_bytes(b"in the way")
    destination = FileDestination(tmp_path)
    with pytest.raises(DestinationError, match="Not a directory"):
        destination.put_if_absent("a/object", b"")
    with pytest.raises(DestinationError, match="Not a directory"):
        destination.list("a")

    assert (tmp_path / "a").read_bytes() == b"in the way"


def test_of_many_that_store_the_same_name_exactly_one_wins(tmp_path: Path) -> None:
    """The others are told so, and the winner's bytes are there, whole."""
    writers = 4
    start = threading.Barrier(writers)

    def put(content: bytes) -> bytes | None:
        start.wait()
        try:
            FileDestination(tmp_path).put_if_absent("a/object", content)
        except ObjectExistsError:
            return None
        return content

    for _ in range(20):
        with ThreadPoolExecutor(writers) as pool:
            winners = [content for content in pool.map(put, [os.urandom(5000) for _ in range(writers)]) if content]
        found = FileDestination(tmp_path).get("a/object")
        FileDestination(tmp_path).delete("a/object")

        assert [found] == winners
    assert names_under(tmp_path) == ["a"]


def test_only_whole_objects_are_listed(tmp_path: Path) -> None:
    """What a crash left over and folders are no objects."""
    (tmp_path / "a/folder").mkdir(parents=True)
    (tmp_path / "a/.part-0123").write_bytes(b"half")
    (tmp_path / "a/object").write_bytes(b"whole")

    assert [ObjectInfo("a/object", 5)] == list(FileDestination(tmp_path).list("a"))


def test_an_object_deleted_while_a_folder_is_listed_takes_no_other_with_it(tmp_path: Path) -> None:
    """The listing lacks that object alone; a listing that came out empty would begin a round anew."""
    destination = FileDestination(tmp_path)
    for name in ("first", "second", "third"):
        destination.put_if_absent(f"a/{name}", b"log")
    scandir = os.scandir

    class Scanned(list["os.DirEntry[str]"]):
        def __enter__(self) -> Self:
            destination.delete("a/second")
            return self

        def __exit__(self, *_error: object) -> None:
            pass

    with mock.patch.object(os, "scandir", lambda path: Scanned(scandir(path))):
        found = list(destination.list("a"))

    assert [ObjectInfo("a/first", 3), ObjectInfo("a/third", 3)] == found


def test_what_is_listed_is_durable(tmp_path: Path) -> None:
    """A writer that was killed between link and fsync leaves an object that a power cut would take away again."""
    destination = FileDestination(tmp_path)
    destination.put_if_absent("a/first", b"")
    disk = Disk(lambda call, _number: PowerLossError() if call.startswith("unlink") else None)
    with disk.running():
        with pytest.raises(PowerLossError):
            destination.put_if_absent("a/object", CONTENT)
        disk.failing = lambda _call, _number: None
        found = [info.name for info in FileDestination(tmp_path).list("a")]
    disk.lose_power(lambda: False)

    assert found == ["a/first", "a/object"]
    assert found == [info.name for info in FileDestination(tmp_path).list("a")]


def test_a_listing_that_cannot_be_made_durable_is_an_error(tmp_path: Path) -> None:
    """Nobody goes on from what may be gone tomorrow."""
    destination = FileDestination(tmp_path)
    destination.put_if_absent("a/object", b"")
    disk = Disk(failing_with(errno.EIO, "fsync a"))
    with disk.running(), pytest.raises(DestinationError, match="a: Input/output error"):
        destination.list("a")


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """It is not an empty one."""
    error = PermissionError(errno.EACCES, "Permission denied")
    with (
        mock.patch.object(os, "scandir", side_effect=error),
        pytest.raises(DestinationError, match="Permission denied"),
    ):
        FileDestination(tmp_path).list("a")


def test_a_missing_object_is_named(tmp_path: Path) -> None:
    """With the path that was looked for."""
    with pytest.raises(ObjectMissingError, match=str(tmp_path / "a/object")):
        FileDestination(tmp_path).get("a/object")


def test_a_folder_is_no_object(tmp_path: Path) -> None:
    """It can neither be got nor deleted."""
    (tmp_path / "a").mkdir()
    destination = FileDestination(tmp_path)
    with pytest.raises(DestinationError, match="Is a directory"):
        destination.get("a")
    with pytest.raises(DestinationError, match="Is a directory"):
        destination.delete("a")

    assert names_under(tmp_path) == ["a"]


def test_deleting_what_is_gone_is_no_error(tmp_path: Path) -> None:
    """Nothing is fsynced: a merge deletes thousands of objects, and what comes back is passed over."""
    destination = FileDestination(tmp_path)
    destination.put_if_absent("a/object", b"")
    disk = Disk()
    with disk.running():
        destination.delete("a/object")
        destination.delete("a/object")
        destination.delete("b/object")

    assert disk.calls == ["unlink object", "unlink object", "unlink object"]


def test_probing_leaves_nothing_behind(tmp_path: Path) -> None:
    """A probe that succeeded, and one that failed."""
    destination = FileDestination(tmp_path)
    destination.probe()
    with mock.patch.object(FileDestination, "get", return_value=b"other"), pytest.raises(DestinationError):
        destination.probe()

    assert names_under(tmp_path) == []


def test_probing_a_path_without_directory_says_what_to_do(tmp_path: Path) -> None:
    """A missing one, and a file in its place."""
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(DestinationError, match=f"{name} is not a directory: correct the path, create"):
            FileDestination(tmp_path / name).probe()


def test_a_path_without_directory_is_not_an_empty_destination(tmp_path: Path) -> None:
    """A mistyped path: nobody has archived there, but something else is the matter."""
    destination = FileDestination(tmp_path / "missing")
    for listing in (destination.list, destination.folders):
        with pytest.raises(DestinationError, match="missing is not a directory: correct the path"):
            listing("folder")
    assert list(FileDestination(tmp_path).list("folder")) == []


def test_probing_an_impossible_path_is_an_error(tmp_path: Path) -> None:
    """A name that no file system takes."""
    with pytest.raises(DestinationError, match="File name too long"):
        FileDestination(tmp_path / ("x" * 300)).probe()


@pytest.mark.parametrize("call", ["create", "write", "fsync", "link"])
def test_probing_finds_what_cannot_be_written(tmp_path: Path, call: str) -> None:
    """A full or read-only disk is found before a round begins."""
    disk = Disk(failing_with(errno.EROFS, call))
    with disk.running(), pytest.raises(DestinationError, match="Read-only file system"):
        FileDestination(tmp_path).probe()


@pytest.mark.parametrize(
    ("method", "result", "text"),
    [("get", b"other", "returned other bytes"), ("list", iter(()), "does not list a file that was written")],
)
def test_probing_finds_what_does_not_read_back(tmp_path: Path, method: str, result: object, text: str) -> None:
    """Bytes that differ, and an object that is not listed."""
    with mock.patch.object(FileDestination, method, return_value=result), pytest.raises(DestinationError, match=text):
        FileDestination(tmp_path).probe()


def test_probing_finds_what_cannot_be_deleted(tmp_path: Path) -> None:
    """An archive in which nothing can be merged or expired is no good one."""
    disk = Disk(failing_with(errno.EACCES, "unlink redoubt-probe-"))
    with disk.running(), pytest.raises(DestinationError, match="Permission denied"):
        FileDestination(tmp_path).probe()
