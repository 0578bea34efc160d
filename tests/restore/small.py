"""A small archive made without an engine: real groups, in pieces and segments of any shape, and a base."""

from __future__ import annotations

from pathlib import Path

from redoubt.archive.inventory import TenantPath
from redoubt.archive.layout import ClusterPath, PieceInfo
from redoubt.archive.part import PartHeader, encode_part
from redoubt.archive.segment import PieceIdentity, SegmentHeader, SegmentName, encode_segment, suffix_of
from redoubt.archive.set_layout import SetIdentity, SetInfo, set_path
from redoubt.archive.set_manifest import Extent, SetFile, SetManifest, SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import PieceStore
from redoubt.archiver.freezing import Freezer
from redoubt.archiver.opening import Tenure
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter, SeekdbLogLayer
from redoubt.model.bases import SetKey
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.restore.planning import Plan, make_plan
from redoubt.restore.restoring import Restoration, Restored
from tests.archive.fakes import MemoryDestination
from tests.seekdb.written import block_info, chain_after, group

CLUSTER = ClusterPath("redoubt", 1)
SOURCE = "engine-a"
DATE = 20261123
CONF = b"memory_budget = 1G"
DATA = bytes(range(256)) * 3


class SmallArchive:
    """A destination in memory. Group n (from 1) has the SCN 100 * n; about 150 bytes each."""

    def __init__(self, tenant_id: int = 1001, name: str = "main", destination: MemoryDestination | None = None) -> None:
        self.destination = destination or MemoryDestination()
        self.tenant = TenantPath(CLUSTER, tenant_id, name)
        self.ends = [LogPosition(0, 0, 0)]
        self.log = b""
        self.source = SOURCE
        self.is_encrypted = False

    @property
    def end(self) -> LogPosition:
        """Where the log ends."""
        return self.ends[-1]

    def set_back(self, groups: int) -> None:
        """The engine goes on from after so many groups, with another log."""
        self.ends = self.ends[: groups + 1]
        self.log = self.log[: self.end.lsn]

    def begin(self, round_id: int = 1, piece: int = 0, start: LogPosition | None = None) -> PieceStore:
        """A piece, of which nothing is archived yet."""
        self.key = PieceKey(round_id, piece, DATE if piece else 0)
        self.store = PieceStore(self.destination, CLUSTER.piece(self.tenant.tenant_id, self.key))
        self.at = start or LogPosition(self.end.lsn, self.end.scn, None)
        self.info = PieceInfo(
            identity="f00d",
            tenant_id=self.tenant.tenant_id,
            tenant=self.tenant.name,
            source=self.source,
            round=round_id,
            piece=piece,
            start_lsn=self.at.lsn,
            start_scn=self.at.scn,
            start_chain=self.at.chain,
        )
        self.store.claim(self.info)
        return self.store

    def write(self, *groups: int, salt: bytes = b"", content: bytes | None = None) -> None:
        """The engine writes: for each number a run of so many groups, archived as a segment."""
        for number in groups:
            self.write_unarchived(number, salt, content)
            self.archive()

    def write_unarchived(self, number: int, salt: bytes = b"", content: bytes | None = None) -> None:
        """The engine writes so many groups."""
        for _ in range(number):
            scn = self.end.scn + 100
            held = salt + bytes([scn // 100 % 256]) * 70 if content is None else content
            data = group([held], scn, self.end.chain or 0, log_id=len(self.ends))
            self.log += data
            self.ends.append(LogPosition(self.end.lsn + len(data), scn, chain_after(data)))

    def archive(self, codec: str = "zstd_1.3.8") -> None:
        """Archive what the piece does not have, as one segment."""
        log = self.log[self.at.lsn : self.end.lsn]
        first = next(end for end in self.ends if end.lsn > self.at.lsn)
        header = SegmentHeader(
            PieceIdentity("redoubt", 1, 1, self.tenant.tenant_id, self.key.round, self.key.piece, self.source),
            start_lsn=self.at.lsn,
            end_lsn=self.end.lsn,
            min_scn=first.scn,
            max_scn=self.end.scn,
            chain_before=self.at.chain,
            chain_after=self.end.chain or 0,
            codec=codec,
        )
        key = self.store.keys.for_writing() if self.is_encrypted else None
        name = SegmentName(self.at.lsn, self.end.lsn, suffix_of(codec, key))
        self.store.put(name, encode_segment(header, log, key))
        self.at = self.end

    def freeze(self) -> None:
        """The piece is complete."""
        tenure, end_lsn = Tenure(self.store, "a test"), self.store.resume(self.info).position.lsn
        Freezer(self.store, tenure, ("redoubt", 1), lambda: 1, {}, lambda _done, _all: None).freeze(self.info, end_lsn)

    def take_base(self, set_id: int = 1, start_lsn: int = 0, parts: int = 1) -> SetManifest:
        """A base at the log's end."""
        key = SetKey(set_id, DATE)
        store = SetStore(self.destination, set_path(CLUSTER, self.tenant.tenant_id, key))
        of = SetIdentity(
            "f00d", "redoubt", 1, self.tenant.tenant_id, self.tenant.name, self.source, set_id, create_date=DATE
        )
        store.claim(SetInfo(of, began_at=1))
        contents = [CONF + block_info(0).ljust(4096, b"\0"), *[DATA] * parts]
        stored = []
        for number, content in enumerate(contents, 1):
            head = PartHeader("redoubt", 1, self.tenant.tenant_id, self.source, set_id, number)
            stored.append(store.put_part(number, encode_part(head, content)))
        log = str(BaseDir(Path()).log / "0")
        extents = tuple(Extent(5000 * number, len(DATA), number + 2, 0) for number in range(parts))
        files = (
            SetFile("etc/seekdb.conf", len(CONF), 0o600, (Extent(0, len(CONF), 1, 0),)),
            SetFile("store/sstable/block_file", 5000 * parts, 0o640, extents),
            SetFile(log, 64 * 1024 * 1024, 0o640, (Extent(0, 4096, 1, len(CONF)),)),
        )
        summary = SetSummary(
            of,
            engine="5.7.25-OceanBase seekdb",
            start_lsn=start_lsn,
            start_scn=0,
            snapshot_lsn=self.end.lsn,
            snapshot_scn=self.end.scn,
            began_at=1,
            completed_at=2,
            pause_us=3,
            passes=2,
            method="hot",
            input_bytes=sum(extent.length for file in files for extent in file.extents),
            output_bytes=sum(part.size for part in stored),
        )
        manifest = SetManifest(summary, tuple(stored), files)
        store.put_manifest(manifest)
        return manifest

    def plan(self, scn: int | None, set_id: int | None = None) -> Plan:
        """The plan for a moment."""
        return make_plan(self.destination, self.tenant, scn, SeekdbLogCutter(), set_id)

    def to_files(self, root: Path) -> str:
        """The same as a directory; how a user names it."""
        for name, data in self.destination.objects.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return f"file://{root}"


def ordinary() -> SmallArchive:
    """Twelve groups in two pieces, and a base after the third: moments from 300 to 1200."""
    archive = SmallArchive()
    archive.begin(1, 1, archive.end)
    archive.write(2, 1)
    archive.take_base(parts=3)
    archive.write(2, 1)
    archive.freeze()
    archive.begin(1, 2, archive.end)
    archive.write(1, 2, 3)
    return archive


def restoration(plan: Plan, directory: Path) -> Restoration:
    """What carries a plan out."""
    return Restoration(
        plan,
        directory,
        lambda lsn: SeekdbLogLayer(BaseDir(directory), lsn),
        SeekdbLogCutter(),
        lambda _done, _all: None,
    )


def assert_restored(archive: SmallArchive, directory: Path, done: Restored) -> None:
    """The directory has the base's files, the log up to the end, and nothing else."""
    block = (BaseDir(directory).log / "0").read_bytes()
    log = archive.log[: done.end.lsn]
    file = (directory / "store" / "sstable" / "block_file").read_bytes()

    assert (directory / "etc" / "seekdb.conf").read_bytes() == CONF
    assert [file[at : at + 5000] for at in range(0, len(file), 5000)] == [DATA.ljust(5000, b"\0")] * (len(file) // 5000)
    assert len(block) == 64 * 1024 * 1024
    assert block[:48] == block_info(0)
    assert block[4096 : 4096 + len(log)] == log
    assert not any(block[4096 + len(log) : 4096 + len(log) + 4096])
    assert sorted(path.name for path in (directory / "redoubt").iterdir()) == ["restored_from"]
