"""A small archive of a real engine's log, with one of everything that a destination may hold."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from redoubt.archive.deletion import Deletion
from redoubt.archive.layout import ClusterInfo, ClusterPath, HoleInfo, Interruption, PieceInfo
from redoubt.archive.part import PartHeader, encode_part
from redoubt.archive.record import Record, dump_record
from redoubt.archive.segment import PieceIdentity, SegmentHeader, SegmentName, encode_segment, suffix_of
from redoubt.archive.set_layout import SetIdentity, SetInfo, set_path
from redoubt.archive.set_manifest import Extent, SetFile, SetManifest, SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import PieceStore
from redoubt.archiver.freezing import Freezer
from redoubt.archiver.merger import merge
from redoubt.archiver.merging import Part
from redoubt.archiver.opening import Tenure
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE
from redoubt.model.bases import SetKey
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.verify.checking import Checker
from redoubt.verify.findings import Report
from redoubt.verify.verified_objects import VerifiedObjects
from redoubt.verify.verifying import Verifier
from tests.archive.fakes import MemoryDestination

CLUSTER = ClusterPath("redoubt", 1)
IDENTITY, SOURCE, TENANT = "f00d", "engine-a", 1001
DATE = 20260921
DELETED, FIRST, SECOND, LIVE = PieceKey(1), PieceKey(2, 1, DATE), PieceKey(2, 2, DATE), PieceKey(3, 3, DATE)
SET = SetKey(1, DATE)
LATE_SET = SetKey(2, DATE)
CAUSE = "the spool is full"
FROZEN_AT = 1_795_389_800_000_000_000
_START = 3 * BLOCK_LOG_SIZE
_HEADER = struct.Struct(">4xi8xQq")


@dataclass(frozen=True)
class Group:
    """A group of the log, with the places before and behind it."""

    data: bytes
    start: LogPosition
    end: LogPosition


def real_groups() -> list[Group]:
    """The small groups of a log that an engine wrote, placed at the beginning of a block."""
    data = (Path(__file__).parents[1] / "seekdb" / "golden.palf").read_bytes()
    groups, at, before = list[Group](), 0, LogPosition(_START)
    while at < len(data):
        size, scn, chain = _HEADER.unpack_from(data, at)
        end = at + 48 + size
        if at:  # the first is large
            groups.append(Group(data[at:end], before, LogPosition(before.lsn + end - at, scn, chain)))
            before = groups[-1].end
        else:
            before = LogPosition(_START, scn, chain)
        at = end
    return groups


class SmallArchive:
    """A deleted round, a round of two frozen pieces that was interrupted, a hole, and a round that goes on.

    With `encrypts`, its log and its sets are encrypted; a master key must be known.
    """

    def __init__(self, *, encrypts: bool = False) -> None:
        self._encrypts = encrypts
        self.destination = MemoryDestination()
        self.groups = real_groups()
        self._record(CLUSTER.info, ClusterInfo(CLUSTER.cluster, CLUSTER.cluster_id, IDENTITY))
        self._deleted()
        self._claim(FIRST, 1, is_start=True)
        self._segment(FIRST, 1, 2, "zstd_1.3.8")
        self._segment(FIRST, 2, 3, "lz4_1.0")
        self._freeze(FIRST)
        self._claim(SECOND, 3)
        self._segment(SECOND, 3, 4, "none")
        broken = self.groups[3].end
        path = CLUSTER.piece(TENANT, SECOND)
        self._record(path.interruption, Interruption(TENANT, 2, SOURCE, broken.lsn, broken.scn, FROZEN_AT, CAUSE))
        self._freeze(SECOND)
        self._claim(LIVE, 5, is_start=True)
        self._segment(LIVE, 5, 6, "zstd_1.3.8")
        self._segment(LIVE, 6, 7, "zstd_1.3.8")
        store = self.store(LIVE)
        parts = [Part(*each) for each in store.segments()]
        merge(store, parts[:1])  # what it holds is still there as well
        end, path = self.groups[4].end, CLUSTER.piece(TENANT, LIVE)
        first = self.groups[5]
        hole = HoleInfo(TENANT, 3, 2, broken.lsn, broken.scn, first.start.lsn, first.end.scn, FROZEN_AT, CAUSE)
        assert end.lsn == hole.end_lsn
        self._record(path.hole, hole)
        self._take_set(SET, 1, 2)
        self._take_set(LATE_SET, 5, 5)

    def store(self, key: PieceKey) -> PieceStore:
        """A piece's store."""
        return PieceStore(self.destination, CLUSTER.piece(TENANT, key))

    def set_store(self, key: SetKey = SET) -> SetStore:
        """A set's store."""
        return SetStore(self.destination, set_path(CLUSTER, TENANT, key))

    def copy(self, objects: dict[str, bytes] | None = None) -> MemoryDestination:
        """A destination with the same objects, or these."""
        return MemoryDestination(dict(self.destination.objects if objects is None else objects))

    def _record(self, name: str, record: Record) -> None:
        self.destination.put_if_absent(name, dump_record(record, indent=2))

    def _claim(self, key: PieceKey, group: int, *, is_start: bool = False) -> None:
        start = self.groups[group].start
        info = PieceInfo(
            IDENTITY,
            TENANT,
            "main",
            SOURCE,
            key.round,
            key.piece,
            start.lsn,
            start.scn,
            None if is_start else start.chain,
        )
        self._record(CLUSTER.piece(TENANT, key).info, info)

    def _segment(self, key: PieceKey, first: int, end: int, codec: str) -> None:
        groups = self.groups[first:end]
        header = SegmentHeader(
            PieceIdentity(CLUSTER.cluster, CLUSTER.cluster_id, 1, TENANT, key.round, key.piece, SOURCE),
            groups[0].start.lsn,
            groups[-1].end.lsn,
            groups[0].end.scn,
            groups[-1].end.scn,
            groups[0].start.chain,
            groups[-1].end.chain or 0,
            codec,
        )
        store = self.store(key)
        data_key = store.keys.for_writing() if self._encrypts else None
        name = SegmentName(header.start_lsn, header.end_lsn, suffix_of(codec, data_key))
        store.put(name, encode_segment(header, b"".join(group.data for group in groups), data_key))

    def _freeze(self, key: PieceKey) -> None:
        store = self.store(key)
        info = store.record(PieceInfo, store.path.info)
        freezer = Freezer(
            store,
            Tenure(store, "a test"),
            (CLUSTER.cluster, CLUSTER.cluster_id),
            lambda: FROZEN_AT,
            {},
            lambda _d, _t: None,
        )
        freezer.freeze(info, store.resume(info).position.lsn)

    def _deleted(self) -> None:
        self._claim(DELETED, 0, is_start=True)
        self._segment(DELETED, 0, 1, "none")
        self._freeze(DELETED)
        store = self.store(DELETED)
        self._record(
            store.path.deletion, Deletion(TENANT, 1, 0, 7, "ALTER SYSTEM DELETE BACKUPROUND 1", "a host", FROZEN_AT)
        )
        self.deleted_names = [str(name) for name, _ in store.segments()]
        for name, _ in store.segments():
            store.remove(name)

    def _take_set(self, key: SetKey, first: int, last: int) -> None:
        """A set with its log from one group to another."""
        store = self.set_store(key)
        began = FROZEN_AT
        of = SetIdentity(IDENTITY, "redoubt", 1, TENANT, "main", SOURCE, key.set_id, DATE)
        store.claim(SetInfo(of, began))
        data_key = store.keys.for_writing() if self._encrypts else None
        contents = [b"a file's beginning, and \0 its end" * 3, b"another file" * 4]
        headers = [PartHeader("redoubt", 1, TENANT, SOURCE, key.set_id, number) for number in (1, 2)]
        parts = [
            store.put_part(header.number, encode_part(header, content, data_key))
            for header, content in zip(headers, contents, strict=True)
        ]
        files = (
            SetFile("etc/seekdb.config.bin", 200, 0o640, (Extent(0, len(contents[0]), 1, 0),)),
            SetFile("store/block_file", 48, 0o640, (Extent(0, 24, 2, 24), Extent(24, 24, 2, 0))),
        )
        summary = SetSummary(
            of,
            "seekdb",
            self.groups[first].start.lsn,
            self.groups[first].start.scn,
            self.groups[last].end.lsn,
            self.groups[last].end.scn,
            began,
            began + 1,
            7,
            2,
            "hot",
            147,
            sum(part.size for part in parts),
            data_key.id if data_key else "",
        )
        store.put_manifest(SetManifest(summary, tuple(parts), files))


def verify(
    destination: MemoryDestination, verified: VerifiedObjects | None = None, jobs: int = 1, wanted: str | None = None
) -> Report:
    """What verifying says."""
    checker = Checker(destination, verified or VerifiedObjects(), jobs)
    try:
        return Verifier(checker, wanted).run()
    finally:
        checker.close()


def flips(objects: dict[str, bytes], step: int = 1) -> Iterator[tuple[str, int, bytes]]:
    """Every object with one bit of one byte turned over, at each byte or each `step`th; which bit goes by the place."""
    for name, data in objects.items():
        for at in range(0, len(data), step):
            yield name, at, flipped(data, at, at % 8)


def flipped(data: bytes, at: int, bit: int) -> bytes:
    """The bytes with one bit turned over."""
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
