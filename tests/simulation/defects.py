"""Defects to be planted in the product: the simulator must find each of them, or it is not worth having."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from redoubt import worker
from redoubt.archive import listing
from redoubt.archive.layout import PieceInfo, Takeover
from redoubt.archive.listing import Listing
from redoubt.archive.manifest import Manifest
from redoubt.archive.segment import SegmentHeader, SegmentName
from redoubt.archive.store import ArchiveEnd, PieceStore
from redoubt.archiver import freezing, merger, opening
from redoubt.archiver import piece_job as job
from redoubt.archiver.archiver import Archiver
from redoubt.archiver.asking import WatchedDestination
from redoubt.archiver.freezing import Freezer
from redoubt.archiver.merger import Merged
from redoubt.archiver.merging import Part
from redoubt.archiver.opening import Opened, Tenure
from redoubt.archiver.piece_job import PieceJob
from redoubt.archiver.shipper import Shipped, Shipper
from redoubt.control.modes.tenant_archive import TenantArchive
from redoubt.control.rounds import worker_events
from redoubt.destinations import file, lease, object_store
from redoubt.destinations.file import FileDestination
from redoubt.destinations.lease import Lease
from redoubt.messages.archiving import ArchivePiece, Flush
from redoubt.model import pieces
from redoubt.model.log import LogPosition
from redoubt.model.pieces import Piece, TenantPiece
from redoubt.model.rounds import Round
from redoubt.model.seams import ObjectExistsError

from .engine import GROUP_SCN
from .service import TENANT, Service


@dataclass(frozen=True)
class Defect:
    """What is wrong, and what is put in which place to make it so; `in_bucket`: on which medium that shows."""

    text: str
    patches: tuple[tuple[Any, str, Any], ...] = ()
    in_bucket: bool = False

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


def _resume_anywhere(self: PieceStore, info: PieceInfo, listing: Listing | None = None) -> ArchiveEnd:
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


def _drained_when_read(self: Archiver) -> bool:
    if self._is_read_out and self._cut_scn is not None and self._read_to.scn >= self._cut_scn:
        self.end = replace(self.end, position=self._read_to)
        return not self._gathered
    return _IS_DRAINED(self)


_IS_DRAINED = Archiver.is_drained


def _cut_a_group_early(self: Archiver, scn: int) -> None:
    _CUT_AT(self, scn - GROUP_SCN)


def _cut_a_group_late(self: Archiver, scn: int) -> None:
    _CUT_AT(self, scn + GROUP_SCN)


_CUT_AT = Archiver.cut_at


def _is_cut_early(self: PieceJob) -> bool:
    return self._end is not None and 0 < self._switch_scn <= self._end.position.scn + GROUP_SCN


def _step_and_answer(self: Archiver, *, draining: bool = False) -> bool:
    more = _STEP(self, draining=draining)
    if self._cut_scn is not None and self._read_to.scn >= self._cut_scn:
        self._mark_flush()
    return more


def _open_and_record(store: PieceStore, task: ArchivePiece, tenure: Tenure) -> Opened:
    return _OPEN(store, replace(task, switch_scn=0) if task.broken_by else task, tenure)


_OPEN = opening.open_piece


def _info_without_chain(task: ArchivePiece, start: LogPosition) -> PieceInfo:
    return _INFO(task, replace(start, chain=None))


_INFO = opening._piece_info


def _followed_at_once(now: Piece, create_date: int, tenants: list[int]) -> Piece:
    parts = {tenant_id: TenantPiece(tenant_id, now.switch_scn) for tenant_id in tenants}
    return Piece(now.piece_id + 1, create_date, now.switch_scn, tenants=parts)


def _tell_all(self: Service) -> None:
    self.wants_launch = True


def _piece_without_start(self: Freezer, info: PieceInfo, listing: Listing) -> Any:
    return _PIECE(self, replace(info, start_chain=None), listing)


_PIECE = Freezer._piece


def _freeze_in_mind(self: Freezer, info: PieceInfo) -> Manifest:
    return Manifest(self._piece(info, self._store.listing()), ())


def _start_too_early(store: PieceStore, task: ArchivePiece) -> LogPosition:
    if task.previous is not None:
        previous = opening._previous_store(store, task)
        if previous.manifest() is None:
            info, listing = previous.claimed(task.identity, task.source), previous.listing()
            return previous.resume(info, Listing(listing.objects[:-1] or listing.objects, ())).position
    return _START(store, task)


_START = opening._start


def _stopped_without_complaint(now: Round, archive: TenantArchive, piece_id: int, text: str) -> Round:
    return _STOPPED(now, archive, piece_id, text if len(now.open_pieces(TENANT)) == 1 else "")


_STOPPED = worker_events._stopped


def _archive_one_piece(self: worker.Worker, command: ArchivePiece) -> None:
    for key in [key for key in self._jobs if key[0] == command.tenant_id and key[1] < command.piece]:
        self._jobs.pop(key).abandon()
    _ARCHIVE(self, command)


_ARCHIVE = worker.Worker._archive


def _flush_the_oldest(self: worker.Worker, command: Flush) -> None:
    for job_of_piece in self._of(command.tenant_id, command.round)[:1]:
        job_of_piece.flush(command.number)


def _no_names(*_arguments: object) -> set[SegmentName]:
    return set()


def _always(*_arguments: object) -> bool:
    return True


def _put_over(client: Any, name: str, data: bytes) -> None:
    client.write(name, data)


def _begin_last(self: Tenure, store: PieceStore, listing: Listing, lsn: int) -> None:
    if self._lock is None or not self._lock.epoch:
        return
    self.epoch = max(self._lock.epoch, listing.epoch + 1)
    self._first_epoch = self._first_epoch or self.epoch
    store.put_record(Takeover(self.epoch, lsn, ""), store.path.takeover(self.epoch, lsn))


def _begin_unseen(self: Tenure, _store: PieceStore, _listing: Listing, _lsn: int) -> None:
    self.epoch = self._lock.epoch if self._lock is not None else 0
    self._first_epoch = self._first_epoch or self.epoch


def _manifest_of_anybody(store: PieceStore, _tenure: Tenure, _listing: Listing, _end_lsn: int) -> Manifest | None:
    return store.manifest()


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
        ((Shipper, "_put", _put_also_after_a_failure), (WatchedDestination, "close", _nothing)),
    ),
    "chain not resumed": Defect("after a restart any log is taken", ((PieceStore, "resume", _resume_anywhere),)),
    "parts removed first": Defect(
        "what is merged is removed before",
        ((merger, "merge", _merge_and_remove_first), (freezing, "merge", _merge_and_remove_first)),
    ),
    "cut when read": Defect(
        "a piece is said to be cut whose end is not durable", ((Archiver, "is_drained", _drained_when_read),)
    ),
    "cut early": Defect(
        "a piece is cut a group before the switch",
        ((Archiver, "cut_at", _cut_a_group_early), (PieceJob, "_is_cut", _is_cut_early)),
    ),
    "cut late": Defect("a piece is cut a group after the switch", ((Archiver, "cut_at", _cut_a_group_late),)),
    "flushed when cut": Defect(
        "a flush is answered by the piece that was cut", ((Archiver, "step", _step_and_answer),)
    ),
    "flush in the old piece": Defect(
        "a flush is told to the oldest piece", ((worker.Worker, "_flush", _flush_the_oldest),)
    ),
    "broken before the cut": Defect(
        "an interruption is recorded in a piece that another one follows", ((job, "open_piece", _open_and_record),)
    ),
    "chain not carried over": Defect(
        "a piece does not know the chain that it continues", ((opening, "_piece_info", _info_without_chain),)
    ),
    "end of nothing": Defect(
        "a piece without log forgets where it begins", ((Freezer, "_piece", _piece_without_start),)
    ),
    "followed at once": Defect(
        "a piece is begun though the one before is not cut",
        ((pieces, "following", _followed_at_once), (Service, "tell_switch", _tell_all)),
    ),
    "begun too early": Defect(
        "a piece is begun before the last segment of the one before it", ((opening, "_start", _start_too_early),)
    ),
    "on after an interruption": Defect(
        "a round goes on behind the place where it was interrupted", ((opening, "_refuse_interrupted", _nothing),)
    ),
    "complaint forgotten": Defect(
        "what kept one piece from being archived is forgotten when the other one stops",
        ((worker_events, "_stopped", _stopped_without_complaint),),
    ),
    "frozen in mind": Defect("a manifest is made and not stored", ((Freezer, "freeze", _freeze_in_mind),)),
    "one piece at a time": Defect(
        "the job for a piece ends when the next one begins", ((worker.Worker, "_archive", _archive_one_piece),)
    ),
    "put replaces": Defect(
        "a store replaces an object", ((object_store, "_put_if_absent", _put_over),), in_bucket=True
    ),
    "lease for ever": Defect("a writer trusts its lease for ever", ((Lease, "is_in_place", _always),), in_bucket=True),
    "lease of anybody": Defect(
        "a lease is taken that another one holds", ((lease, "_check_free", _nothing),), in_bucket=True
    ),
    "no epochs": Defect(
        "a writer's objects do not show whose they are", ((Tenure, "begin", _nothing),), in_bucket=True
    ),
    "no takeover": Defect(
        "a writer does not record where it begins", ((Tenure, "begin", _begin_unseen),), in_bucket=True
    ),
    "epoch after all": Defect(
        "a writer whose lease has run out counts as the last one", ((Tenure, "begin", _begin_last),), in_bucket=True
    ),
    "void counts": Defect("a former writer's log counts", ((listing, "void_names", _no_names),), in_bucket=True),
    "no writer's lock": Defect("two jobs write one round", ((Tenure, "take", _nothing),)),
}
"""By name."""
