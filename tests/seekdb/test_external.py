"""Directories of applications: what cannot be one, and how they are left."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from redoubt.engines.seekdb import external
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.model.engine_kind import SourceError

HOME = Path("/nowhere/home")
NOBODY = 65534


@pytest.fixture
def base(tmp_path: Path) -> BaseDir:
    """A directory with a block of redo log."""
    base = BaseDir(tmp_path / "app")
    base.log.mkdir(parents=True)
    (base.log / "0").write_bytes(b"log")
    return base


def test_a_directory_is_checked_without_a_trace(base: BaseDir) -> None:
    """What lay in ours already stays."""
    external.check(base, HOME)
    left = base.ours.exists()
    base.ours.mkdir()
    (base.ours / "source_id").touch()
    external.check(base, HOME)

    assert not left
    assert [entry.name for entry in base.ours.iterdir()] == ["source_id"]


def test_log_that_cannot_be_linked_is_told(base: BaseDir) -> None:
    """And nothing is left."""
    with (
        mock.patch.object(os, "link", side_effect=OSError(18, "Invalid cross-device link")),
        pytest.raises(SourceError, match=r"cross-device link; .* on one file system"),
    ):
        external.check(base, HOME)

    assert not base.ours.exists()


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    """Before anything is looked at."""
    with pytest.raises(SourceError, match="longer than 107 bytes"):
        external.check(BaseDir(tmp_path / ("x" * 100)), HOME)


def test_writes_are_not_left_closed_unless_by_force(base: BaseDir) -> None:
    """The application would find its engine read-only, and nothing would say why."""
    engine = SeekdbEngine(base)
    base.ours.mkdir()
    base.read_only_before.write_text("0\n")
    with pytest.raises(ConnectionError, match="start the application, so that Redoubt can reset read_only"):
        external.leave(engine, force=False)
    kept = base.read_only_before.exists()
    left = external.leave(engine, force=True)
    external.leave(engine, force=True)

    assert kept
    assert left.endswith(f"log in to {base.socket} as root and run DROP USER redoubt_service")
    assert not base.ours.exists()
    assert base.log.exists()


def other_owner(base: BaseDir) -> None:
    """The application runs as another user."""
    os.chown(base.path, NOBODY, NOBODY)


def other_owner_of_ours(base: BaseDir) -> None:
    """Somebody else has made the folder in which the service writes."""
    base.ours.mkdir()
    os.chown(base.ours, NOBODY, NOBODY)


def link_in_place_of_ours(base: BaseDir) -> None:
    """The service would write elsewhere."""
    elsewhere = base.path.parent / "elsewhere"
    elsewhere.mkdir()
    base.ours.symlink_to(elsewhere)


def open_to_all(base: BaseDir) -> None:
    """Anybody can put another folder in the place of ours."""
    base.path.chmod(0o777)


def link_in_place_of_the_directory(base: BaseDir) -> None:
    """The directory was moved, and a link was left in its place."""
    moved = base.path.rename(base.path.parent / "moved")
    base.path.symlink_to(moved)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (other_owner, "run the service as the application's user"),
        (other_owner_of_ours, "run the service as the application's user"),
        (link_in_place_of_ours, "must be a directory that belongs to the service's user"),
        (open_to_all, "run chmod o-w"),
        (link_in_place_of_the_directory, "has become a symbolic link"),
    ],
)
def test_a_directory_in_which_others_can_change_names_is_not_used(
    base: BaseDir, change: Callable[[BaseDir], None], complaint: str
) -> None:
    """Neither at CREATE TENANT nor at any later look, nor when the tenant is dropped; nothing is written there."""
    change(base)
    with pytest.raises(SourceError, match=complaint):
        external.check(base, HOME)
    with pytest.raises(PermissionError, match=complaint):
        external.enter(base)
    with pytest.raises(PermissionError, match=complaint):
        external.leave(SeekdbEngine(base), force=False)

    assert not base.ours.exists() or not list(base.ours.iterdir())
