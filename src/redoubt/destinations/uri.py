"""From the text of `backup_dest` to a destination."""

from __future__ import annotations

from pathlib import Path

from redoubt.destinations.file import FileDestination
from redoubt.errors import RedoubtError
from redoubt.model.seams import Destination

MAX_URI_LENGTH = 2048


class UriError(RedoubtError):
    """The text names no destination; the message says how it should look."""


def open_destination(uri: str) -> Destination:
    """The destination that `uri` names; nothing is touched yet. Raises UriError."""
    if len(uri) > MAX_URI_LENGTH:
        raise UriError(f"a destination has at most {MAX_URI_LENGTH} characters")
    scheme, separator, path = uri.partition("://")
    if not separator or scheme.lower() != "file":
        raise UriError("write it as file:///absolute/path; other kinds of destination are not supported")
    if not path.startswith("/"):
        raise UriError("the path must be absolute: file:///absolute/path, with three slashes")
    if "?" in path:
        raise UriError("a directory takes no parameters after '?'")
    if "\0" in path:
        raise UriError("the path has a zero byte in it")
    return FileDestination(Path(path))
