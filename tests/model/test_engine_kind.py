"""What `SOURCE` of a tenant says: a kind of engine, and a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from redoubt.model.engine_kind import SourceError, parse_source, real_directory


def test_a_source_is_a_kind_and_a_directory() -> None:
    """The kind in any case."""
    assert parse_source("SEEKDB:///srv/data") == ("seekdb", Path("/srv/data"))
    assert parse_source("double:///srv/ ä") == ("double", Path("/srv/ ä"))


def test_a_directory_is_one_without_links(tmp_path: Path) -> None:
    """So that nobody registers one twice; a link that leads in a circle leads nowhere."""
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "circle").symlink_to(tmp_path / "circle")

    assert real_directory(tmp_path / "link" / ".") == tmp_path
    with pytest.raises(SourceError, match="cannot use the directory"):
        real_directory(tmp_path / "circle")


@pytest.mark.parametrize("text", ["", "/srv/data", "seekdb:/srv/data", "://srv", "9db:///srv"])
def test_what_names_no_kind_is_refused(text: str) -> None:
    """With the right spelling."""
    with pytest.raises(SourceError, match="is not valid; write SOURCE='seekdb:///absolute/path'"):
        parse_source(text)


@pytest.mark.parametrize("text", ["seekdb://", "seekdb://srv/data", "seekdb:///srv\0/data"])
def test_what_names_no_absolute_path_is_refused(text: str) -> None:
    """A relative path would be another directory to the service than to the application."""
    with pytest.raises(SourceError, match="needs an absolute path"):
        parse_source(text)
