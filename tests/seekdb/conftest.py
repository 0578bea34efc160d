"""One real engine for all of these tests, with more than a block of log, and copies of its blocks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from redoubt.engines.seekdb.files import BaseDir

from .running import Seekdb, running_seekdb, short_directory
from .written import INFO, LOG, WrittenLog


@dataclass(frozen=True)
class CopiedLog:
    """The blocks of an engine as they were when its log ended at `end`."""

    base: BaseDir
    end: int

    def data(self, block: int) -> bytes:
        """The log in a block, up to the end."""
        data = (self.base.log / str(block)).read_bytes()[INFO:]
        return data[: max(self.end - block * LOG, 0)]


@pytest.fixture(scope="package")
def seekdb() -> Iterator[Seekdb]:
    """A running engine that has filled its first block with small and with large rows.

    Own engine: for all tests of the folder.
    """
    with running_seekdb() as seekdb:
        seekdb.write_rows(200, 100)
        seekdb.write_rows(68, 1_000_000)
        seekdb.write_rows(100, 1000)
        yield seekdb


@pytest.fixture(scope="package")
def copied(seekdb: Seekdb) -> Iterator[CopiedLog]:
    """The log of that engine, out of its reach. Only to be read."""
    with short_directory() as path:
        base = BaseDir(path)
        end = seekdb.engine.end_of_log()
        shutil.copytree(seekdb.base.log, base.log)
        yield CopiedLog(base, end)


@pytest.fixture
def log(tmp_path: Path) -> WrittenLog:
    """An empty log folder."""
    return WrittenLog(tmp_path / "base")
