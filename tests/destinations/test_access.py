"""The keys of object stores: kept for their owner only, and shown by nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from redoubt.destinations.access import (
    ACCESS_FILE,
    ACCESS_ID,
    ACCESS_KEY,
    Access,
    AccessError,
    AccessFile,
    present_access,
)

URI, OTHER = "s3://bucket/a?host=x.y", "s3://bucket/b?host=x.y"


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (ACCESS_FILE, ACCESS_ID, ACCESS_KEY):
        monkeypatch.delenv(name, raising=False)


def test_keys_are_kept_by_destination(tmp_path: Path) -> None:
    """New ones replace former ones; the file is its owner's."""
    file = AccessFile(tmp_path / "access.json")
    assert file.of(URI) is None
    file.remember(URI, Access("id", "former"))
    file.remember(OTHER, Access("other", "key"))
    file.remember(URI, Access("id", "key"))

    assert (file.of(URI), file.of(OTHER)) == (Access("id", "key"), Access("other", "key"))
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_keys_are_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, the environment, and then wherever the provider's tools look."""
    assert present_access(URI) is None
    monkeypatch.setenv(ACCESS_ID, "id of all")
    assert present_access(URI) is None
    monkeypatch.setenv(ACCESS_KEY, "key of all")
    assert present_access(URI) == Access("id of all", "key of all")
    monkeypatch.setenv(ACCESS_FILE, str(tmp_path / "access.json"))
    AccessFile(tmp_path / "access.json").remember(URI, Access("id", "key"))

    assert present_access(URI) == Access("id", "key")
    assert present_access(OTHER) == Access("id of all", "key of all")


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"a": 1}', b'{"a": {"access_id": "x"}}'])
def test_a_damaged_file_is_told_of(tmp_path: Path, content: bytes) -> None:
    """It is not taken for one without keys, nor written over."""
    file = AccessFile(tmp_path / "access.json")
    file.path.write_bytes(content)
    with pytest.raises(AccessError, match="is damaged: remove it, and set the destinations with their keys again"):
        file.of(URI)
    with pytest.raises(AccessError):
        file.remember(URI, Access("id", "key"))

    assert file.path.read_bytes() == content


def test_a_file_that_cannot_be_used_is_told_of(tmp_path: Path) -> None:
    """By its path and the cause."""
    (tmp_path / "access.json").mkdir()
    with pytest.raises(AccessError, match=r"cannot read the keys in .*access.json: Is a directory"):
        AccessFile(tmp_path / "access.json").of(URI)
    with pytest.raises(AccessError, match=r"cannot keep the keys in .*none/access.json: No such file"):
        AccessFile(tmp_path / "none" / "access.json").remember(URI, Access("id", "key"))


def test_nothing_shows_a_key() -> None:
    """Neither for people nor for programmers."""
    access = Access("an-id", "a-key")

    assert not any(secret in f"{access} {access!r}" for secret in ("an-id", "a-key"))
    assert os.environ.get(ACCESS_KEY) is None
