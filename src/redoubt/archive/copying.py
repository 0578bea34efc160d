"""Copies the folder of a complete piece or data backup from one destination to another, or mends it from there.

The bytes are copied as they are stored, so no key is needed, and a copy of a copy is the same. The manifest says which
objects hold the data, and what their checksums are; other data in the folder is not copied. The claim is stored first
and the manifest last, so whoever reads a half copy sees a piece or a backup that is not complete yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from redoubt.archive.bounded import read_text
from redoubt.archive.folder_keys import wrapped_key_in
from redoubt.archive.layout import PiecePath, takeover_in
from redoubt.archive.record import RecordError, unseal
from redoubt.archive.set_layout import SetPath
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError, PieceStore, exists
from redoubt.errors import RedoubtError
from redoubt.model.bases import Progress, SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import Destination, ObjectExistsError, ObjectMissingError


class CopyError(RedoubtError):
    """A folder cannot be copied, however often one tries; the text names the object, and says what to do."""


@dataclass(frozen=True)
class Copied:
    """A folder's copy: the number of its objects and bytes, and how many of the objects had to be stored."""

    objects: int = 0
    size: int = 0
    stored: int = 0


@dataclass(frozen=True)
class _Data:
    """An object of a manifest: its full name, its size in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


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

        Raises CopyError, LockedError while somebody writes, deletes or reads there, and DestinationError.
        """
        shared = self._source.share(self._folder.lock)
        try:
            lock = self._target.lock(self._folder.lock, holder)
            try:
                return self._copy(progress)
            finally:
                lock.release()
        finally:
            if shared is not None:
                shared.release()

    def _copy(self, progress: Progress) -> Copied:
        self._check_not_deleted()
        data = self._data()
        self._check_is_copy()
        total, done, stored, count = sum(each.size for each in data), 0, 0, 0
        there = {each.name for each in self._target.list(self._folder.folder)}
        for name, content in self._objects(data):
            stored += self._store(name, content, is_there=name in there)
            count += 1
            done += len(content)
            progress(min(done, total), total)
        return Copied(count, done, stored)

    def _check_not_deleted(self) -> None:
        if exists(self._source, self._folder.deletion):
            raise CopyError(f"{self._folder.folder} was deleted: there is nothing to copy")
        if exists(self._target, self._folder.deletion):
            raise CopyError(f"the copy of {self._folder.folder} was deleted: copy to another destination")

    def _check_is_copy(self) -> None:
        """Check that claim and manifest are this folder's, and that those of the target, if intact, are the same."""
        for name in (self._folder.info, self._folder.manifest):
            ours, theirs = _intact(self._source, self._folder, name), _intact(self._target, self._folder, name)
            if ours is None:
                raise CopyError(f"{name} is missing or damaged, or belongs to another folder")
            if theirs not in {None, ours}:
                raise CopyError(f"{name} is intact in both destinations, but not the same: one is no copy of the other")

    def _data(self) -> list[_Data]:
        """The objects that hold the data, in order. Raises CopyError if the folder is not complete."""
        folder, found = self._folder, None
        try:
            if isinstance(folder, PiecePath):
                if piece := PieceStore(self._source, folder).manifest():
                    found = [_Data(folder.segment(each.name), each.size, each.sha256) for each in piece.segments]
            elif backup := SetStore(self._source, folder).manifest():
                found = [_Data(folder.part(each.number), each.size, each.sha256) for each in backup.parts]
        except ArchiveError as error:
            raise CopyError(str(error)) from error
        if found is None:
            raise CopyError(f"{folder.folder} is not complete: it has no {folder.manifest.rpartition('/')[2]}")
        return found

    def _objects(self, data: list[_Data]) -> Iterator[tuple[str, bytes]]:
        """The objects to store, with their content, in the order in which they are stored."""
        folder = self._folder
        names = [each.name for each in self._source.list(folder.folder)]
        infos = [name for name in names if self._is_info(name) and name != folder.info]
        yield folder.info, self._info(folder.info)
        for name in infos:
            try:
                content = self._info(name)
            except CopyError:
                if name == self._fingerprint:
                    continue  # no restore needs it, and redoubt verify names it
                raise
            yield name, content
        for each in data:
            yield each.name, self._checked(each)
        yield folder.manifest, self._info(folder.manifest)

    def _is_info(self, name: str) -> bool:
        """Whether an object is an info object that belongs to a complete folder, other than its manifest."""
        folder, base = self._folder, name.rpartition("/")[2]
        if wrapped_key_in(name):
            return True
        if isinstance(folder, PiecePath):
            return name in {folder.interruption, folder.hole} or takeover_in(base) is not None
        return name == self._fingerprint  # the records of drills are each destination's own

    @property
    def _fingerprint(self) -> str:
        return self._folder.fingerprint if isinstance(self._folder, SetPath) else ""

    def _info(self, name: str) -> bytes:
        try:
            text = read_text(self._source, name)
            unseal(text)
        except ObjectMissingError as error:
            raise CopyError(f"{name} is missing") from error
        except RecordError as error:
            raise CopyError(f"{name} is damaged ({error})") from error
        return text

    def _checked(self, each: _Data) -> bytes:
        """An object's content. Raises CopyError unless it is what the manifest says."""
        try:
            content = self._source.get(each.name, 0, each.size + 1)
        except ObjectMissingError as error:
            raise CopyError(f"{each.name} is missing") from error
        if len(content) != each.size or hashlib.sha256(content).hexdigest() != each.sha256:
            raise CopyError(f"{each.name} is damaged: its size or SHA-256 differs from the manifest")
        return content

    def _store(self, name: str, content: bytes, *, is_there: bool) -> bool:
        """Store an object durably unless it is there; returns whether it had to be stored. Raises CopyError."""
        if is_there:
            if self._target.get(name, 0, len(content) + 1) == content:
                return False
            if not self._mends:
                raise CopyError(f"{name} is in the copy already, with other content: run redoubt verify on the copy")
            self._target.delete(name)
        self._pace(len(content))
        try:
            self._target.put_if_absent(name, content)
        except ObjectExistsError as error:
            raise CopyError(f"{name} was stored by somebody else meanwhile") from error
        return True


def _intact(destination: Destination, folder: PiecePath | SetPath, name: str) -> bytes | None:
    """The bytes of a folder's claim or manifest; None if the object is missing, damaged, or another folder's."""
    try:
        text = read_text(destination, name)
        values = unseal(text)
    except (ObjectMissingError, RecordError):
        return None
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
