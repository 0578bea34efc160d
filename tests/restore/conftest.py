"""One real engine for all of these tests: two pieces of log, of more than a block, and a base early in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from redoubt.archive.set_manifest import SetManifest
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey
from tests.seekdb.running import running_seekdb, short_directory

from .archived import ArchivedEngine


@dataclass(frozen=True)
class Archive:
    """What was archived. Only to be read."""

    uri: str
    root: Path
    engine: ArchivedEngine
    base: SetManifest
    piece_end: LogPosition

    def rows_at(self, lsn: int) -> tuple[int, int]:
        """How many rows there are at a place in the log, at least and at most."""
        rows = self.engine.acknowledged
        return sum(end <= lsn for _, end in rows), sum(start < lsn for start, _ in rows)

    def block_end(self) -> LogPosition:
        """The place at which the first block of the log is full."""
        return next(group for group in self.engine.groups if group.lsn == BLOCK_LOG_SIZE)


@pytest.fixture(scope="package")
def archive() -> Iterator[Archive]:
    """The archive, when the engine has ended.

    Own engine: for all tests of the folder.
    """
    with short_directory() as root:
        with running_seekdb() as seekdb:
            engine = ArchivedEngine(seekdb, root)
            engine.begin_piece(PieceKey(1, 1, 20261123))
            engine.write_rows(20, 100)
            base = engine.take_base(1)
            engine.archive()
            engine.write_rows(20, 100)
            while engine.seekdb.engine.end_of_log() < BLOCK_LOG_SIZE:
                engine.write_rows(5, 1_000_000)
            engine.write_rows(10, 100)
            engine.archive()
            engine.freeze()
            piece_end = engine.at
            engine.begin_piece(PieceKey(1, 2, 20261123))
            engine.write_rows(20, 1000)
            engine.archive()
        yield Archive(f"file://{root}", root, engine, base, piece_end)


@pytest.fixture
def target() -> Iterator[Path]:
    """A directory to restore into, which is not there yet."""
    with short_directory() as folder:
        yield folder / "restored"
