"""Directories of applications: what cannot be one, and how they are left."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import mock

import pytest

from redoubt.engines.seekdb import external
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.model.engine_kind import SourceError

HOME = Path("/nowhere/home")


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
    external.leave(engine, force=True)
    external.leave(engine, force=True)

    assert kept
    assert not base.ours.exists()
    assert base.log.exists()
