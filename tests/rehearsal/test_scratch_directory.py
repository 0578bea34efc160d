"""Scratch directories: whose they are, and when they go."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from unittest import mock

import pytest

from redoubt.rehearsal import scratch_directory as scratch
from redoubt.rehearsal.scratch_directory import NoScratchError, check_room, keep_directory, scratch_directory, sweep


def test_a_directory_is_gone_when_it_is_left(tmp_path: Path) -> None:
    """Also when it is left by an error; the folder is made if need be."""
    with pytest.raises(ZeroDivisionError), scratch_directory(tmp_path / "new", keep=False) as path:  # noqa: PT012
        (path / "file").touch()
        raise ZeroDivisionError

    assert list((tmp_path / "new").iterdir()) == []


def test_without_a_folder_it_is_where_temporary_files_are(tmp_path: Path) -> None:
    """The system's folder."""
    with mock.patch("tempfile.gettempdir", return_value=str(tmp_path)), scratch_directory(None, keep=False) as path:
        assert path.parent.parent == tmp_path


def test_one_that_is_kept_stays_and_is_no_leftover(tmp_path: Path) -> None:
    """It has another name from then on."""
    with scratch_directory(tmp_path, keep=True) as path:
        kept = keep_directory(path)
    sweep(tmp_path)

    assert kept.is_dir()
    assert [each.name for each in kept.parent.iterdir()] == ["d"]


def test_leftovers_go_and_what_is_in_use_stays(tmp_path: Path) -> None:
    """A dead drill's goes, with a lock and before it had one; a live one's, another user's and a link stay."""
    (tmp_path / "redoubt-drill-empty").mkdir()
    (tmp_path / "redoubt-drill-dead" / "d").mkdir(parents=True)
    (tmp_path / "redoubt-drill-link").symlink_to(tmp_path)
    other = tmp_path / "redoubt-drill-other"
    other.mkdir()
    os.chown(other, 65534, 65534)
    with scratch_directory(tmp_path, keep=False) as path:
        names = {each.name for each in tmp_path.iterdir()}
        sweep(tmp_path)

        assert names == {"redoubt-drill-link", "redoubt-drill-other", path.parent.name}
        assert path.is_dir()


def test_one_that_was_swept_before_it_was_locked_is_made_again(tmp_path: Path) -> None:
    """Another drill may hold it for a leftover in the instant between."""
    real, taken = fcntl.flock, list[int]()

    def flock(descriptor: int, operation: int) -> None:
        if not taken:
            taken.append(descriptor)
            raise BlockingIOError
        real(descriptor, operation)

    with mock.patch.object(fcntl, "flock", flock), scratch_directory(tmp_path, keep=False) as path:
        assert path.is_dir()
    sweep(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_one_that_was_removed_after_it_was_locked_is_made_again(tmp_path: Path) -> None:
    """The lock is then that of a file that is not there any more."""
    real, removed = scratch._locked, list[Path]()

    def locked(path: Path) -> int:
        descriptor = real(path)
        if not removed:
            removed.append(path)
            path.unlink()
            path.parent.rmdir()
        return descriptor

    with mock.patch.object(scratch, "_locked", locked), scratch_directory(tmp_path, keep=False) as path:
        assert path.is_dir()


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A file where the folder should be; a disk that is too small."""
    (tmp_path / "file").touch()

    with (
        pytest.raises(NoScratchError, match=r"cannot use .*; name another folder with --scratch"),
        scratch_directory(tmp_path / "file" / "x", keep=False),
    ):
        pass
    with pytest.raises(NoScratchError, match=f"must have {2**62} bytes free"):
        check_room(tmp_path / "d", 2**62)
    check_room(tmp_path / "d", 1)
