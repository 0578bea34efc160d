"""Copies the folder of a complete piece or data backup from one destination to another, or mends it from there.

The bytes are copied as they are stored, so no key is needed, and a copy of a copy is the same. The manifest says which
objects hold the data, and what their checksums are; other data in the folder is not copied. The claim is stored first
and the manifest last, so a reader takes half a copy for a piece or a backup that is not complete yet.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from redoubt.archive.bounded import read_text
from redoubt.archive.folder_keys import wrapped_key_in, wrapped_keys
from redoubt.archive.layout import PiecePath, takeover_in
from redoubt.archive.listing import HoleError, segments_in_order
from redoubt.archive.manifest import Manifest
from redoubt.archive.record import RecordError, unseal
from redoubt.archive.segment import SegmentError, SegmentName, check_stored, most_stored
from redoubt.archive.set_layout import SetPath
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError, PieceStore, exists
from redoubt.errors import RedoubtError
from redoubt.model.bases import Progress, SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import Destination, DestinationError, Lock, ObjectExistsError, ObjectMissingError


class CopyError(RedoubtError):
    """A folder cannot be copied, however often one tries; the text names the object, and says what to do."""


@dataclass(frozen=True)
class Copied:
    """A folder's copy: the number of its objects and bytes, and how many of the objects had to be stored.

    `problems` say what could not be mended.
    """

    objects: int = 0
    size: int = 0
    stored: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Object:
    """An object to copy: its name, how its content is read and checked, its size if known.

    `is_good(content)` tells whether the target's content needs no comparison with the source's.
    """

    name: str
    read: Callable[[], bytes]
    size: int = 0
    is_good: Callable[[bytes], bool] = lambda _content: False


def check_apart(source: Destination, target: Destination) -> None:
    """Check that two destinations are two places, whatever their names. Raises CopyError, DestinationError."""
    name = f"redoubt-probe-{os.urandom(16).hex()}"
    target.put_if_absent(name, b"written to tell two destinations apart")
    try:
        if exists(source, name):
            raise CopyError("source and target are the same place under two names: choose another place for copies")
    finally:
        with suppress(DestinationError):  # a leftover is not read
            target.delete(name)


class FolderCopy:
    """Copies one folder from `source` to `target`. With `mends`, objects of the target that differ are replaced.

    `pace(size)` waits until that many bytes may be sent.
    """

    def __init__(
        self,
        source: Destination,
        target: Destination,
        folder: PiecePath | SetPath,
        *,
        mends: bool = False,
        pace: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self._source = source
        self._target = target
        self._folder = folder
        self._mends = mends
        self._pace = pace

    def run(self, holder: str, progress: Progress = lambda _done, _total: None) -> Copied:
        """Copy what is missing; `holder` names this process to those who find the folder locked.

        What cannot be mended holds up nothing else. Raises CopyError, LockedError while somebody writes, deletes or
        reads there, and DestinationError.
        """
        shared = self._source.share(self._folder.lock)
        try:
            if exists(self._source, self._folder.deletion):
                raise CopyError(f"{self._folder.folder} was deleted: there is nothing to copy")
            data = list(self._data())
            lock = self._target.lock(self._folder.lock, holder)
            try:
                return self._copy(data, lock, progress)
            finally:
                lock.release()
        finally:
            if shared is not None:
                shared.release()

    def _copy(self, data: list[_Object], lock: Lock, progress: Progress) -> Copied:
        if exists(self._target, self._folder.deletion):
            raise CopyError(f"{self._folder.folder} was deleted in the target: choose another one")
        self._check_is_copy()
        there = {each.name for each in self._target.list(self._folder.folder)}
        total, done, stored, count, problems = sum(each.size for each in data), 0, 0, 0, list[str]()
        for each in (*self._infos(there), *data, self._info_object(self._folder.manifest)):
            try:
                size, is_new = self._transfer(each, lock, is_there=each.name in there)
            except CopyError as error:
                if not self._mends:
                    raise
                problems.append(str(error))
                continue
            count, done, stored = count + 1, done + size, stored + is_new
            progress(min(done, total), total)
        return Copied(count, done, stored, tuple(problems))

    def _check_is_copy(self) -> None:
        """Check that claim and manifest are this folder's, and that those of the target, if intact, are the same."""
        for name in (self._folder.info, self._folder.manifest):
            ours, theirs = _intact(self._source, self._folder, name), _intact(self._target, self._folder, name)
            if ours is None:
                raise CopyError(f"{name} is missing or damaged, or belongs to another folder")
            if theirs not in {None, ours}:
                raise CopyError(f"{name} is intact in both destinations, but not the same: one is no copy of the other")

    def _data(self) -> Iterator[_Object]:
        """The objects that hold the data, in order. Raises CopyError if the folder is not complete."""
        folder = self._folder
        try:
            if isinstance(folder, PiecePath):
                if piece := PieceStore(self._source, folder).manifest():
                    yield from self._segments(folder, piece)
                    return
            elif backup := SetStore(self._source, folder).manifest():
                for part in backup.parts:
                    yield self._listed(folder.part(part.number), part.size, part.sha256)
                return
        except ArchiveError as error:
            raise CopyError(str(error)) from error
        raise CopyError(f"{folder.folder} is not complete: it has no {folder.manifest.rpartition('/')[2]}")

    def _segments(self, folder: PiecePath, piece: Manifest) -> Iterator[_Object]:
        """The segments that the manifest lists; in place of those that were merged after it, the merged ones."""
        entries = [*self._source.list(folder.folder)]
        there = {each.name for each in entries}
        try:
            merged = [each for each in segments_in_order(entries).objects if each.name.is_merged]
        except HoleError:
            merged = []
        told = set[SegmentName]()
        for each in piece.segments:
            name = SegmentName.parse(each.name)
            if name is None or each.size > most_stored(name):
                raise CopyError(f"{folder.manifest} lists {each.name!r} with {each.size} bytes: that is no segment")
            covers = (
                one for one in merged if one.name.start_lsn <= name.start_lsn and name.end_lsn <= one.name.end_lsn
            )
            cover = None if folder.segment(name) in there else next(covers, None)
            if cover is None:
                yield self._listed(folder.segment(name), each.size, each.sha256)
            elif cover.name not in told:
                told.add(cover.name)
                yield self._merged(folder, cover.name)

    def _listed(self, name: str, size: int, sha256: str) -> _Object:
        """An object that the manifest lists."""

        def is_good(content: bytes) -> bool:
            return len(content) == size and hashlib.sha256(content).hexdigest() == sha256

        def read() -> bytes:
            content = self._got(name, size + 1)
            if not is_good(content):
                raise CopyError(f"{name} is damaged: its size or SHA-256 differs from the manifest")
            return content

        return _Object(name, read, size, is_good)

    def _merged(self, folder: PiecePath, name: SegmentName) -> _Object:
        """A merged object that the manifest does not list: its own checksums are checked."""

        def read() -> bytes:
            content = self._got(folder.segment(name), most_stored(name) + 1)
            try:
                check_stored(name, content)
            except SegmentError as error:
                raise CopyError(f"{folder.segment(name)} is damaged: {error}") from error
            return content

        return _Object(folder.segment(name), read)

    def _got(self, name: str, limit: int) -> bytes:
        try:
            return self._source.get(name, 0, limit)
        except ObjectMissingError as error:
            raise CopyError(f"{name} is missing") from error

    def _infos(self, there: set[str]) -> Iterator[_Object]:
        """The claim, then the other info objects that belong to a complete folder, without the manifest."""
        folder = self._folder
        yield self._info_object(folder.info)
        for name in [each.name for each in self._source.list(folder.folder)]:
            if (key := wrapped_key_in(name)) is not None:
                if not (self._mends and self._has_key(there, key[0])):
                    yield self._info_object(name)
            elif isinstance(folder, PiecePath):
                if name in {folder.interruption, folder.hole} or takeover_in(name.rpartition("/")[2]):
                    yield self._info_object(name)
            elif name == folder.fingerprint and _unsealed(self._source, name) is not None:
                yield self._info_object(name)  # no restore needs it; the records of drills are each destination's own

    def _has_key(self, there: set[str], data_key: str) -> bool:
        """Whether the target has an intact wrapped key: one that was wrapped again since the copy is not undone."""
        names = wrapped_keys(there).get(data_key, {}).values()
        return any(_unsealed(self._target, name) is not None for name in names)

    def _info_object(self, name: str) -> _Object:
        def read() -> bytes:
            try:
                text = read_text(self._source, name)
                unseal(text)
            except ObjectMissingError as error:
                if wrapped_key_in(name):  # just wrapped again: the next attempt finds the new one
                    raise
                raise CopyError(f"{name} is missing") from error
            except RecordError as error:
                raise CopyError(f"{name} is damaged ({error})") from error
            return text

        return _Object(name, read)

    def _transfer(self, each: _Object, lock: Lock, *, is_there: bool) -> tuple[int, bool]:
        """Store an object durably unless it is there; its size, and whether it had to be stored. Raises CopyError."""
        if is_there and self._mends and each.size and each.is_good(self._target.get(each.name, 0, each.size + 1)):
            return each.size, False
        content = each.read()
        if is_there:
            if self._is_stored(each.name, content):
                return len(content), False
            if not self._mends:
                raise CopyError(f"{each.name} is in the copy, with other content: run redoubt verify on the copy")
        self._pace(len(content))
        if not lock.is_in_place():
            raise DestinationError(f"{self._folder.lock} in the target was lost: another process may have taken it")
        if is_there:
            self._target.delete(each.name)
        try:
            self._target.put_if_absent(each.name, content)
        except ObjectExistsError as error:
            if not self._is_stored(each.name, content):  # else it is ours: the answer to an earlier try was lost
                raise CopyError(f"{each.name} was stored by somebody else meanwhile") from error
        return len(content), True

    def _is_stored(self, name: str, content: bytes) -> bool:
        return self._target.get(name, 0, len(content) + 1) == content


def _unsealed(destination: Destination, name: str) -> tuple[bytes, dict[str, object]] | None:
    """The bytes and the fields of an info object; None if it is missing or damaged."""
    try:
        text = read_text(destination, name)
        return text, unseal(text)
    except (ObjectMissingError, RecordError):
        return None


def _intact(destination: Destination, folder: PiecePath | SetPath, name: str) -> bytes | None:
    """The bytes of a folder's claim or manifest; None if the object is missing, damaged, or another folder's."""
    found = _unsealed(destination, name)
    if found is None:
        return None
    text, values = found
    return text if all(values.get(field) == value for field, value in _owner(folder).items()) else None


def _owner(folder: PiecePath | SetPath) -> dict[str, int]:
    """The fields with which claim and manifest name their folder."""
    tenant_id, _, base = folder.folder.rsplit("/", 2)
    fields = {"tenant_id": int(tenant_id.rpartition("/")[2])}
    if isinstance(folder, PiecePath):
        piece = PieceKey.parse(base)
        return fields | ({"round": piece.round, "piece": piece.piece} if piece else {})
    backup = SetKey.parse(base)
    return fields | ({"set_id": backup.set_id, "create_date": backup.create_date} if backup else {})
