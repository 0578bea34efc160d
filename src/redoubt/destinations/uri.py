"""From the text of `backup_dest` to a destination: the kinds of destination, by the scheme of the URI."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from redoubt.destinations.file import FileDestination
from redoubt.destinations.object_store import ObjectStoreDestination
from redoubt.destinations.store_uri import Scheme, UriError, parse_place, without_keys
from redoubt.model.seams import Destination

__all__ = [
    "KINDS",
    "MAX_URI_LENGTH",
    "DestinationKind",
    "UriError",
    "destination_of",
    "inside",
    "is_same_place",
    "local_directory",
    "open_destination",
]

MAX_URI_LENGTH = 2048
_MOST_KEPT = 16
_INSIDE = re.compile(r"(?P<destination>[^/]*://.*?)/[^/]+/[0-9]+/incarnation_1(/.*)?", re.DOTALL)
"""A path below a destination, as SHOW RESTORE PREVIEW shows it."""


@dataclass(frozen=True)
class DestinationKind:
    """A kind of destination. `open` takes the text after `://`, does no I/O, and raises UriError.

    With `is_kept`, all tasks and threads of the process share one destination per URI, and thus its client.
    """

    open: Callable[[str], Destination]
    is_kept: bool


def open_destination(uri: str) -> Destination:
    """The destination that `uri` names; does no I/O. Raises UriError."""
    if len(uri) > MAX_URI_LENGTH:
        raise UriError(f"the destination is too long: write at most {MAX_URI_LENGTH:,} characters")
    scheme, separator, place = uri.partition("://")
    kind = KINDS.get(scheme.lower()) if separator else None
    if kind is None:
        raise UriError(
            "write the destination as file:///absolute/path or s3://bucket/path?host=… (also oss, cos, azblob); "
            "other kinds are not supported"
        )
    return _kept(kind, place) if kind.is_kept else kind.open(place)


def local_directory(uri: str) -> Path | None:
    """The directory of a `file://` destination, None for other kinds. Raises UriError."""
    destination = open_destination(uri)
    return destination.root if isinstance(destination, FileDestination) else None


def destination_of(uri: str) -> str:
    """The destination of a path in one, as `inside` names it, or of a destination itself."""
    place, mark, options = uri.partition("?")
    match = _INSIDE.fullmatch(place)
    return f"{match['destination'] if match else place.rstrip('/')}{mark}{options}"


def is_same_place(one: str, other: str) -> bool:
    """Whether two texts name the same destination, through links too; False if one names none. Reads directories."""
    try:
        found, wanted = open_destination(one), open_destination(other)
    except UriError:
        return False
    if isinstance(found, FileDestination) and isinstance(wanted, FileDestination):
        return found.root.resolve() == wanted.root.resolve()
    if isinstance(found, ObjectStoreDestination) and isinstance(wanted, ObjectStoreDestination):
        return found.place == wanted.place
    return False


def inside(uri: str, path: str) -> str:
    """The URI of an object or folder in the destination `uri`, for people: parameters stay at the end."""
    place, mark, options = uri.partition("?")
    return f"{place.rstrip('/')}/{path}{mark}{options}"


@lru_cache(_MOST_KEPT)
def _kept(kind: DestinationKind, place: str) -> Destination:
    return kind.open(place)


def _open_directory(path: str) -> FileDestination:
    if not path.startswith("/"):
        raise UriError("the path must be absolute: write file:///absolute/path, with three slashes")
    if "?" in path:
        raise UriError("a file:// destination has no parameters: remove '?' and the text after it")
    if "\0" in path:
        raise UriError("the path contains a zero byte: remove it")
    return FileDestination(Path(path))


def _open_store(scheme: Scheme, place: str) -> ObjectStoreDestination:
    return ObjectStoreDestination(f"{scheme}://{without_keys(place)[0]}", parse_place(scheme, place))


KINDS = {
    # not kept: a destination creates each folder once; an emptied directory needs a new destination
    "file": DestinationKind(_open_directory, is_kept=False),
    **{str(scheme): DestinationKind(partial(_open_store, scheme), is_kept=True) for scheme in Scheme},
}
"""By scheme, in lower case."""
