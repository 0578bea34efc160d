"""Defects to be planted in the product: the simulator must find each of them, or it is not worth having."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from redoubt.archive.layout import RoundInfo
from redoubt.archive.listing import Listing
from redoubt.archive.segment import SegmentHeader
from redoubt.archive.store import ArchiveEnd, PieceStore
from redoubt.archiver import freezing, merger
from redoubt.archiver.archiver import Archiver
from redoubt.archiver.merger import Merged
from redoubt.archiver.merging import Part
from redoubt.archiver.opening import Tenure
from redoubt.archiver.shipper import Shipped, Shipper
from redoubt.archiver.watched import Watched
from redoubt.destinations import file
from redoubt.destinations.file import FileDestination
from redoubt.model.seams import ObjectExistsError


@dataclass(frozen=True)
class Defect:
    """What is wrong, and what is put in which place to make it so."""

    text: str
    patches: tuple[tuple[Any, str, Any], ...] = ()

    @contextmanager
    def planted(self) -> Iterator[None]:
        """While this runs, the product has the defect."""
        with ExitStack() as stack:
            for target, name, double in self.patches:
                stack.enter_context(mock.patch.object(target, name, double))
            yield


def _nothing(*_arguments: object) -> None:
    """Not done at all."""


def _written(path: Path, data: bytes, *, whole: bool, synced: bool) -> None:
    system: Any = vars(file)["os"]
    descriptor = system.open(path, system.O_WRONLY | system.O_CREAT | system.O_EXCL, 0o640)
    try:
        view = memoryview(data)
        while view:
            taken = system.write(descriptor, view)
            view = view[taken if whole else len(view) :]
        if synced:
            system.fsync(descriptor)
    finally:
        system.close(descriptor)


def _written_without_fsync(path: Path, data: bytes) -> None:
    _written(path, data, whole=True, synced=False)


def _written_at_one_go(path: Path, data: bytes) -> None:
    _written(path, data, whole=False, synced=True)


def _put_in_place(self: FileDestination, name: str, data: bytes) -> None:
    path = self.root / name
    with file._named(path):
        self._make_folder(path.parent)
        try:
            _written(path, data, whole=True, synced=True)
        except FileExistsError:
            raise ObjectExistsError(str(path)) from None
        file._fsync_folder(path.parent)


def _got_without_sync(self: FileDestination, name: str, offset: int = 0, length: int | None = None) -> bytes:
    path = self.root / name
    with file._named(path):
        return file._read(path, offset, length)


def _listed_without_sync(self: FileDestination, prefix: str) -> Iterator[Any]:
    with mock.patch.object(file, "_fsync_folder", _nothing):
        return _LIST(self, prefix)


_LIST = FileDestination.list


def _step_and_claim(self: Archiver, *, draining: bool = False) -> bool:
    more = _STEP(self, draining=draining)
    self.end = replace(self.end, position=self._read_to)
    return more


_STEP = Archiver.step


def _ship_in_any_order(self: Shipper, header: SegmentHeader, log: bytes) -> None:
    _SHIP(self, header, log)
    waiting: Any = self._storer
    if len(waiting.waiting) > 1:
        waiting.waiting.append(waiting.waiting.popleft())


_SHIP = Shipper.ship


def _put_also_after_a_failure(self: Shipper, header: SegmentHeader, encoded: Callable[[], Any]) -> Shipped:
    self._failed = False
    return _PUT(self, header, encoded)


_PUT = Shipper._put


def _resume_anywhere(self: PieceStore, info: RoundInfo, listing: Listing | None = None) -> ArchiveEnd:
    end = _RESUME(self, info, listing)
    return replace(end, position=replace(end.position, chain=None))


_RESUME = PieceStore.resume


def _merge_and_remove_first(store: PieceStore, parts: Sequence[Part]) -> Merged:
    kept = {part.name: store.get(part.name) for part in parts}
    merger.remove(store, parts)
    remembering = copy(store)
    remembering.__dict__["get"] = lambda name: kept[name] if name in kept else store.get(name)
    return _MERGE(remembering, parts)


_MERGE = merger.merge


DEFECTS: dict[str, Defect] = {
    "none": Defect("the product as it is"),
    "no folder fsync": Defect("a folder is never fsynced", ((file, "_fsync_folder", _nothing),)),
    "no file fsync": Defect("a file is never fsynced", ((file, "_write_durably", _written_without_fsync),)),
    "short write": Defect("what write() did not take is forgotten", ((file, "_write_durably", _written_at_one_go),)),
    "name before content": Defect(
        "an object is seen while it is written", ((FileDestination, "put_if_absent", _put_in_place),)
    ),
    "seen is durable": Defect("an object is got that is not durable", ((FileDestination, "get", _got_without_sync),)),
    "listed is durable": Defect(
        "objects are listed that are not durable", ((FileDestination, "list", _listed_without_sync),)
    ),
    "progress when read": Defect("log is reported that is not durable", ((Archiver, "step", _step_and_claim),)),
    "out of order": Defect("segments are stored in another order", ((Shipper, "ship", _ship_in_any_order),)),
    "on after a failure": Defect(
        "a segment is stored though the one before was not",
        ((Shipper, "_put", _put_also_after_a_failure), (Watched, "close", _nothing)),
    ),
    "chain not resumed": Defect("after a restart any log is taken", ((PieceStore, "resume", _resume_anywhere),)),
    "parts removed first": Defect(
        "what is merged is removed before",
        ((merger, "merge", _merge_and_remove_first), (freezing, "merge", _merge_and_remove_first)),
    ),
    "no writer's lock": Defect("two jobs write one round", ((Tenure, "take", _nothing),)),
}
"""By name."""
