"""Reads single objects and makes every check that needs no other object; several objects at a time."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from redoubt.archive.bounded import read_text
from redoubt.archive.encryption import Key, KeyLostError, KeyMissingError, Keys
from redoubt.archive.folder_keys import FolderKeys
from redoubt.archive.listing import Listed
from redoubt.archive.part import PartError, PartHeader, check_part, decode_part
from redoubt.archive.segment import (
    SegmentError,
    SegmentHeader,
    SegmentName,
    check_stored,
    decode_log,
    decode_stored,
    most_stored,
)
from redoubt.archive.set_manifest import SetPart
from redoubt.model.bases import Progress
from redoubt.model.seams import Destination, ObjectMissingError
from redoubt.verify.findings import Tally
from redoubt.verify.verified_objects import VerifiedObject, VerifiedObjects

T = TypeVar("T")


@dataclass(frozen=True)
class Checked:
    """An object that exists; it is sound if `problem` is empty. The other fields are as in `VerifiedObject`.

    `is_opaque`: the object is encrypted with a key that is not at hand, so only what is stored was checked.
    """

    size: int
    sha256: str = ""
    header: SegmentHeader | None = None
    content: int = 0
    problem: str = ""
    is_opaque: bool = False


class Checker:
    """Reads a destination's objects; skips objects that are recorded as sound. Raises DestinationError."""

    def __init__(
        self, destination: Destination, verified: VerifiedObjects, jobs: int, progress: Progress = lambda _d, _t: None
    ) -> None:
        self.destination = destination
        self.verified = verified
        self.tally = Tally()
        self._progress = progress
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="verify") if jobs > 1 else None
        self._lock = threading.Lock()
        self._done = self._total = 0
        self._began = time.time_ns()

    def close(self) -> None:
        """End the threads, and cancel reads that have not begun."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def segments(self, folder: str, listed: Iterable[Listed]) -> dict[SegmentName, Checked]:
        """Check the listed segments of a piece; those that are missing by now are left out."""
        wanted = list(listed)
        self._expect(sum(each.size for each in wanted))
        keys = self.keys(folder)
        found = self._each(lambda each: self._segment(f"{folder}/{each.name}", each, keys), wanted)
        there = {each.name: checked for each, checked in zip(wanted, found, strict=True) if checked is not None}
        return {name: _with_key(checked, keys) for name, checked in there.items()}

    def parts(
        self, folder: str, wanted: Iterable[tuple[str, SetPart]], is_ours: Callable[[PartHeader], bool]
    ) -> dict[int, Checked]:
        """Check the parts of a set, by their numbers; missing parts are left out."""
        parts = list(wanted)
        self._expect(sum(part.size for _, part in parts))
        keys = self.keys(folder)
        found = self._each(lambda each: self._part(each[0], each[1], is_ours, keys), parts)
        return {part.number: checked for (_, part), checked in zip(parts, found, strict=True) if checked is not None}

    def info(self, name: str, load: Callable[[bytes], T]) -> T | None:
        """An info object, decoded with `load` and recorded as sound; None if it is missing. Raises RecordError.

        Info objects are small and are read each time.
        """
        try:
            data = read_text(self.destination, name)
        except ObjectMissingError:
            return None
        with self._lock:
            self.tally.objects_read += 1
            self.tally.stored_bytes += len(data)
        found = load(data)
        self.verified.put(name, VerifiedObject(len(data), hashlib.sha256(data).hexdigest(), time.time_ns()))
        return found

    def keys(self, folder: str) -> Keys:
        """The data keys of a folder, which is listed once; one that cannot be had is looked for only once."""
        listed = cache(lambda: tuple(each.name for each in self.destination.list(folder)))
        keys, missing = FolderKeys(self.destination, folder, listed=listed), dict[str, KeyMissingError]()

        def key(data_key: str) -> Key:
            if data_key not in missing:
                try:
                    return keys(data_key)
                except KeyMissingError as error:
                    missing[data_key] = error
            raise missing[data_key]

        return key

    def _each(self, work: Callable[[T], Checked | None], items: list[T]) -> Iterable[Checked | None]:
        return map(work, items) if self._pool is None else self._pool.map(work, items)

    def _segment(self, name: str, each: Listed, keys: Keys) -> Checked | None:
        known = self.verified.known(name, each.size)
        if known is not None and known.header is not None:
            self._skip(known)
            return Checked(known.size, known.sha256, known.header)
        return self._read(name, each.size, most_stored(each.name), lambda data: _check_segment(each.name, data, keys))

    def _part(self, name: str, part: SetPart, is_ours: Callable[[PartHeader], bool], keys: Keys) -> Checked | None:
        known = self.verified.known(name, part.size)
        if known is not None and known.sha256 == part.sha256:
            self._skip(known)
            return Checked(known.size, known.sha256, content=known.content)
        return self._read(name, part.size, part.size, lambda data: _check_part(part, data, is_ours, keys))

    def _read(self, name: str, expected: int, limit: int, check: Callable[[bytes], Checked]) -> Checked | None:
        """Read and check an object; None if the object is missing. Reads one byte more than `limit` at most."""
        try:
            data = self.destination.get(name, 0, limit + 1)
        except ObjectMissingError:
            self._tell(expected)
            return None
        checked = check(data)
        if checked.problem:
            self.verified.forget(name)
        elif not checked.is_opaque:
            kept = VerifiedObject(checked.size, checked.sha256, time.time_ns(), checked.header, checked.content)
            self.verified.put(name, kept)
        with self._lock:
            self.tally.objects_read += 1
            self.tally.objects_opaque += checked.is_opaque
            self.tally.stored_bytes += len(data)
            self.tally.log_bytes += checked.header.end_lsn - checked.header.start_lsn if checked.header else 0
        self._tell(expected)
        return checked

    def _skip(self, known: VerifiedObject) -> None:
        if known.at < self._began:  # read by an earlier run, not a second look of this run
            with self._lock:
                self.tally.objects_skipped += 1
                self.tally.oldest = min(self.tally.oldest or known.at, known.at)
        self._tell(known.size)

    def _expect(self, size: int) -> None:
        with self._lock:
            self._total += size

    def _tell(self, size: int) -> None:
        with self._lock:
            self._done += size
            self._progress(self._done, self._total)


def _check_segment(name: SegmentName, data: bytes, keys: Keys) -> Checked:
    def whole() -> SegmentHeader:
        header, stored = decode_stored(name, data, keys)
        deque(decode_log(header, stored), maxlen=0)
        return header

    try:
        header, is_opaque = _header(whole, lambda: check_stored(name, data))
    except (SegmentError, KeyLostError) as error:
        return Checked(len(data), problem=str(error))
    return Checked(len(data), hashlib.sha256(data).hexdigest(), header, is_opaque=is_opaque)


def _check_part(part: SetPart, data: bytes, is_ours: Callable[[PartHeader], bool], keys: Keys) -> Checked:
    digest = hashlib.sha256(data).hexdigest()
    try:
        header, is_opaque = _header(lambda: decode_part(data, keys)[0], lambda: check_part(data))
    except (PartError, KeyLostError) as error:
        return Checked(len(data), digest, problem=str(error))
    if header.number != part.number or not is_ours(header):
        problem = (
            f"its header names part {header.number} of set {header.set_id} of tenant {header.tenant_id} "
            f"of {header.cluster}#{header.cluster_id}"
        )
        return Checked(len(data), digest, problem=problem)
    if (len(data), digest) != (part.size, part.sha256):
        return Checked(len(data), digest, problem="its size or SHA-256 differs from the manifest")
    return Checked(len(data), digest, content=header.length, is_opaque=is_opaque)


def _with_key(checked: Checked, keys: Keys) -> Checked:
    """A segment, with the loss of its data key as its problem: it may have been sound when it was read, earlier."""
    if checked.header is None or not checked.header.data_key:
        return checked
    return replace(checked, problem=checked.problem or lost_key(keys, checked.header.data_key))


def lost_key(keys: Keys, data_key: str) -> str:
    """Why a data key is lost, empty if it is not; one that somebody must give is not lost. Raises DestinationError."""
    try:
        keys(data_key)
    except KeyLostError as error:
        return str(error)
    except KeyMissingError:
        return ""
    return ""


def _header(whole: Callable[[], T], stored: Callable[[], T]) -> tuple[T, bool]:
    """An object's header after the check of the `whole`, or of what is `stored` if its key is not at hand; and which.

    Raises KeyLostError, and what the checks raise.
    """
    try:
        return whole(), False
    except KeyLostError:
        raise
    except KeyMissingError:
        return stored(), True
