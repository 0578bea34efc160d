"""A real engine whose log is archived by hand, piece by piece, with bases taken while it runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from redoubt.archive.codec import codec_named
from redoubt.archive.inventory import TenantPath
from redoubt.archive.layout import ClusterPath, PieceInfo
from redoubt.archive.segment import PieceIdentity, SegmentHeader, SegmentName, encode_segment
from redoubt.archive.set_layout import SetIdentity, SetInfo, set_path
from redoubt.archive.set_manifest import SetManifest
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import PieceStore
from redoubt.archiver.freezing import Freezer
from redoubt.archiver.opening import Tenure
from redoubt.backup.taking import Taking, TakingOptions
from redoubt.destinations.file import FileDestination
from redoubt.engines.seekdb.base_source import SeekdbBaseSource
from redoubt.engines.seekdb.palf import GROUP_HEADER_SIZE
from redoubt.model.bases import SetKey
from redoubt.model.log import LogBatch, LogPosition
from redoubt.model.pieces import PieceKey
from tests.seekdb.running import Seekdb

CLUSTER = ClusterPath("redoubt", 1)
TENANT = TenantPath(CLUSTER, 1001, "main")
_DATE = 20261123
_SEGMENT = 4 * 1024 * 1024


@dataclass
class ArchivedEngine:
    """An engine, and a destination with its log and its bases."""

    seekdb: Seekdb
    root: Path
    at: LogPosition = field(init=False)
    groups: list[LogPosition] = field(default_factory=list)
    """Where each archived group ends."""
    acknowledged: list[tuple[int, int]] = field(default_factory=list)
    """For each row two LSNs: its log lies behind the first, and when it was acknowledged, before the second.

    Not times: the engine's clock may be behind that of a busy machine.
    """

    def __post_init__(self) -> None:
        self.destination = FileDestination(self.root)
        self.source = self.seekdb.engine.source_id()
        self.at = self.seekdb.engine.start_point()

    @property
    def uri(self) -> str:
        """The destination, as a user names it."""
        return f"file://{self.root}"

    def write_rows(self, number: int, size: int) -> None:
        """Rows, each committed; where in the log."""
        for _ in range(number):
            start = self.seekdb.engine.end_of_log()
            self.seekdb.write_rows(1, size)
            self.acknowledged.append((start, self.seekdb.engine.end_of_commits()))

    def begin_piece(self, key: PieceKey) -> PieceStore:
        """A piece that begins where the archive ends."""
        self.store = PieceStore(self.destination, CLUSTER.piece(TENANT.tenant_id, key))
        self.info = PieceInfo(
            identity="f00d",
            tenant_id=TENANT.tenant_id,
            tenant=TENANT.name,
            source=self.source,
            round=key.round,
            piece=key.piece,
            start_lsn=self.at.lsn,
            start_scn=self.at.scn or time.time_ns(),
            start_chain=self.at.chain,
        )
        self.store.claim(self.info)
        return self.store

    def archive(self) -> None:
        """Archive all that the engine has written, in segments."""
        end, reader = self.seekdb.engine.end_of_log(), self.seekdb.engine.reader()
        try:
            while self.at.lsn < end and (batch := reader.read(self.at, _SEGMENT)) is not None:
                self._store(batch)
        finally:
            reader.close()

    def freeze(self) -> None:
        """The piece is complete."""
        tenure, end_lsn = Tenure(self.store, "a test"), self.store.resume(self.info).position.lsn
        freezer = Freezer(self.store, tenure, ("redoubt", 1), time.time_ns, {}, lambda _done, _all: None)
        freezer.freeze(self.info, end_lsn)

    def take_base(self, set_id: int) -> SetManifest:
        """A base, taken now; archive afterwards."""
        key = SetKey(set_id, _DATE)
        store = SetStore(self.destination, set_path(CLUSTER, TENANT.tenant_id, key))
        info = SetInfo(SetIdentity("f00d", "redoubt", 1, 1001, "main", self.source, set_id, _DATE), time.time_ns())
        source = SeekdbBaseSource(self.seekdb.engine)
        return Taking(source, store, info, TakingOptions(), lambda _done, _all: None, time.sleep).run()

    def _store(self, batch: LogBatch) -> None:
        header = SegmentHeader(
            PieceIdentity("redoubt", 1, 1, 1001, self.info.round, self.info.piece, self.source),
            start_lsn=batch.start.lsn,
            end_lsn=batch.end.lsn,
            min_scn=batch.min_scn,
            max_scn=batch.end.scn,
            chain_before=self.at.chain,
            chain_after=batch.end.chain or 0,
            codec="zstd_1.3.8",
        )
        name = SegmentName(batch.start.lsn, batch.end.lsn, codec_named(header.codec).suffix)
        self.store.put(name, encode_segment(header, batch.data))
        self.groups += groups_in(batch)
        self.at = batch.end


def groups_in(batch: LogBatch) -> list[LogPosition]:
    """Where each group ends."""
    found, at = list[LogPosition](), 0
    while at < len(batch.data):
        head = batch.data[at : at + GROUP_HEADER_SIZE]
        at += GROUP_HEADER_SIZE + int.from_bytes(head[4:8], "big")
        chain = int.from_bytes(head[24:32], "big", signed=True)
        found.append(LogPosition(batch.start.lsn + at, int.from_bytes(head[16:24], "big"), chain))
    return found


_OPENING = """
import json, sys, pylibseekdb
directory, *statements = sys.argv[1:]
instance = pylibseekdb.open(directory)
connection = pylibseekdb.connect("test")
cursor, answers = connection.cursor(), []
for statement in statements:
    cursor.execute(statement)
    answers.append([list(map(str, row)) for row in cursor.fetchall() or []])
connection.commit()
print(json.dumps(answers))
"""


def opened(directory: Path, *statements: str) -> Any:
    """What statements answer in a directory that an application opens; what it has said when it has ended."""
    command = [sys.executable, "-c", _OPENING, str(directory), *statements]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, cwd=directory.parent)
    except subprocess.TimeoutExpired:
        said = (directory / "log" / "seekdb.log").read_bytes()[-20_000:].decode(errors="replace")
        pytest.fail(f"the engine did not open, or answer, within 200 s; it said last:\n{said}")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def restore(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`redoubt restore`, as it is typed."""
    command = [sys.executable, "-m", "redoubt", "restore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
