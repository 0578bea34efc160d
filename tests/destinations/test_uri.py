"""The text of `backup_dest`: what names a destination, and what is said of what does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from redoubt.destinations.file import FileDestination
from redoubt.destinations.uri import KINDS, MAX_URI_LENGTH, DestinationKind, UriError, open_destination


@pytest.mark.parametrize(
    ("uri", "root"),
    [
        ("file:///backup/a b", "/backup/a b"),
        ("FILE:///backup", "/backup"),
        ("file:///", "/"),
        ("file:///a://b", "/a://b"),
        ("file:///备份", "/备份"),
        ("file:///" + "x" * (MAX_URI_LENGTH - 8), "/" + "x" * (MAX_URI_LENGTH - 8)),
    ],
)
def test_a_file_uri_names_a_directory(uri: str, root: str) -> None:
    """Nothing is touched: it need not be there."""
    destination = open_destination(uri)

    assert isinstance(destination, FileDestination)
    assert Path(root) == destination.root


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("", "write the destination as file:///absolute/path"),
        ("/backup", "write the destination as file:///absolute/path"),
        ("file:/backup", "write the destination as file:///absolute/path"),
        ("gs://bucket/path", "other kinds are not supported"),
        ("file://backup", "three slashes"),
        ("file://", "three slashes"),
        ("file:///backup?host=x", "no parameters"),
        ("file:///back\0up", "zero byte"),
        ("file:///" + "x" * MAX_URI_LENGTH, "at most 2,048 characters"),
    ],
)
def test_other_texts_are_refused_with_the_way_to_write_it(uri: str, text: str) -> None:
    """The message says how it should look."""
    with pytest.raises(UriError, match=text):
        open_destination(uri)


def test_a_kind_that_is_kept_is_opened_once_for_each_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client and connections are shared."""
    monkeypatch.setitem(KINDS, "kept", DestinationKind(lambda place: FileDestination(tmp_path / place), is_kept=True))

    assert open_destination("kept://a") is open_destination("KEPT://a")
    assert open_destination("kept://a") is not open_destination("kept://b")


def test_an_emptied_directory_is_written_into_again_by_the_next_task(tmp_path: Path) -> None:
    """A destination remembers the folders that it made, so a directory is opened anew each time."""
    uri = f"file://{tmp_path}"
    open_destination(uri).put_if_absent("folder/object", b"1")
    shutil.rmtree(tmp_path / "folder")
    open_destination(uri).put_if_absent("folder/object", b"2")

    assert (tmp_path / "folder/object").read_bytes() == b"2"
