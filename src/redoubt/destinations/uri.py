"""From the text of `backup_dest` to a destination: the kinds that there are, by the scheme of their URI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from redoubt.destinations.file import FileDestination
from redoubt.errors import RedoubtError
from redoubt.model.seams import Destination

MAX_URI_LENGTH = 2048
_MOST_KEPT = 16


class UriError(RedoubtError):
    """The text names no destination; the message says how it should look."""


@dataclass(frozen=True)
class DestinationKind:
    """A kind of destination. `open` is given what follows `://`, touches nothing, and raises UriError.

    With `is_kept`, all tasks and threads of the process share the destination of a URI, and with it its client.
    """

    open: Callable[[str], Destination]
    is_kept: bool


def open_destination(uri: str) -> Destination:
    """The destination that `uri` names; nothing is touched yet. Raises UriError."""
    if len(uri) > MAX_URI_LENGTH:
        raise UriError(f"a destination has at most {MAX_URI_LENGTH} characters")
    scheme, separator, place = uri.partition("://")
    kind = KINDS.get(scheme.lower()) if separator else None
    if kind is None:
        raise UriError("write it as file:///absolute/path; other kinds of destination are not supported")
    return _kept(kind, place) if kind.is_kept else kind.open(place)


@lru_cache(_MOST_KEPT)
def _kept(kind: DestinationKind, place: str) -> Destination:
    return kind.open(place)


def _open_directory(path: str) -> FileDestination:
    if not path.startswith("/"):
        raise UriError("the path must be absolute: file:///absolute/path, with three slashes")
    if "?" in path:
        raise UriError("a directory takes no parameters after '?'")
    if "\0" in path:
        raise UriError("the path has a zero byte in it")
    return FileDestination(Path(path))


KINDS = {
    # not kept: one makes each folder once; where a person has emptied the directory, the next task makes them anew
    "file": DestinationKind(_open_directory, is_kept=False),
}
"""By scheme, in lower case."""
