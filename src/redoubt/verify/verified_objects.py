"""The record of verified objects: which objects were sound when last read, and when they were read.

The record is a file beside the user's other caches, not in the destination: verifying needs no right to write there.
The record only saves time; a damaged record counts as empty. It also lists objects that were in the destination, so
that the loss of an object is noticed even if no other object names it.
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
    """The record, by the objects' names. `path` is its file, None for no file. Any thread may use the record.

    Objects last read before `read_since` (ns since the epoch) are read again.
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
        """A copy of another record, in memory only."""
        return cls(known=other._known)

    def known(self, name: str, size: int) -> VerifiedObject | None:
        """The record of an object of that size, None if the object must be read."""
        found = self._known.get(name)
        return found if found and found.size == size and found.at >= self._read_since else None

    def last_seen(self, folder: str) -> dict[str, VerifiedObject]:
        """The objects in a folder at the last verification, by their names in the folder."""
        with self._lock:
            return {
                name: each for name, each in self._before.get(folder, {}).items() if f"{folder}/{name}" in self._known
            }

    def put(self, name: str, verified: VerifiedObject) -> None:
        """Record an object as sound."""
        with self._lock:
            self._known[name] = verified
            self._gone.discard(name)

    def forget(self, name: str) -> None:
        """Forget an object that is gone for good or not sound."""
        with self._lock:
            self._known.pop(name, None)
            self._gone.add(name)

    def save(self) -> None:
        """Write the record, merged with changes that others wrote meanwhile. Raises OSError."""
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
