"""The record of what was verified: which objects were sound when they were last read, and when that was.

It is a file beside the user's other caches, not in the destination: verifying needs no right to write there. Nothing
relies on it but the time that it saves; one that is damaged counts as empty. It also knows what has been in the
destination, so that an object which nothing else names is missed when it goes.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redoubt.archive.record import RecordError, record_of, seal, stored_fields, unseal
from redoubt.archive.segment import SegmentHeader

_FORMAT = 2


@dataclass(frozen=True)
class VerifiedObject:
    """An object that was sound when it was read at `at` (ns since the epoch): size in bytes, SHA-256.

    `header` is a segment's; `content` the bytes of content of a part.
    """

    size: int
    sha256: str
    at: int
    header: SegmentHeader | None = None
    content: int = 0


class VerifiedObjects:
    """The record, by the objects' names. `path` is where it is kept, None for nowhere. Any thread may use it.

    `read_since` (ns since the epoch): what was last read before that is read again.
    """

    def __init__(
        self, path: Path | None = None, read_since: int = 0, known: dict[str, VerifiedObject] | None = None
    ) -> None:
        self._path = path
        self._read_since = read_since
        self._lock = threading.Lock()
        self._known = dict(known) if known is not None else _load(path)
        self._before: dict[str, dict[str, VerifiedObject]] = {}
        for name, each in self._known.items():
            folder, _, base = name.rpartition("/")
            self._before.setdefault(folder, {})[base] = each
        self._gone: set[str] = set()

    @classmethod
    def of(cls, other: VerifiedObjects) -> VerifiedObjects:
        """A record that begins with what another one has."""
        return cls(known=other._known)

    def known(self, name: str, size: int) -> VerifiedObject | None:
        """What is on record of an object of that size, None if it is to be read."""
        found = self._known.get(name)
        return found if found and found.size == size and found.at >= self._read_since else None

    def last_seen(self, folder: str) -> dict[str, VerifiedObject]:
        """What was in a folder when it was last verified, by the names in it."""
        with self._lock:
            return {
                name: each for name, each in self._before.get(folder, {}).items() if f"{folder}/{name}" in self._known
            }

    def put(self, name: str, verified: VerifiedObject) -> None:
        """An object has been read, and is sound."""
        with self._lock:
            self._known[name] = verified
            self._gone.discard(name)

    def forget(self, name: str) -> None:
        """An object is not there any more, and need not be, or is not sound."""
        with self._lock:
            self._known.pop(name, None)
            self._gone.add(name)

    def save(self) -> None:
        """Keep the record, with what others have added to it meanwhile. Raises OSError."""
        if self._path is None:
            return
        with self._lock:
            merged = {name: each for name, each in _load(self._path).items() if name not in self._gone}
            for name, each in self._known.items():
                if name not in merged or merged[name].at <= each.at:
                    merged[name] = each
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        temporary.write_bytes(_dump(merged))
        temporary.rename(self._path)


def _dump(known: dict[str, VerifiedObject]) -> bytes:
    objects = {name: _stored(each) for name, each in known.items()}
    return seal(json.dumps({"format": _FORMAT, "objects": objects}, separators=(",", ":")).encode())


def _stored(each: VerifiedObject) -> dict[str, Any]:
    values = vars(each) | {"header": each.header and stored_fields(each.header)}
    return {key: value for key, value in values.items() if value}


def _load(path: Path | None) -> dict[str, VerifiedObject]:
    try:
        objects: Any = unseal(path.read_bytes())["objects"] if path else {}
        return {name: _verified(values) for name, values in objects.items()}
    except (OSError, RecordError, KeyError, TypeError, AttributeError):
        return {}


def _verified(values: dict[str, Any]) -> VerifiedObject:
    header = values.get("header")
    return VerifiedObject(
        size=values.get("size", 0),
        sha256=values["sha256"],
        at=values["at"],
        header=None if header is None else record_of(SegmentHeader, header),
        content=values.get("content", 0),
    )
