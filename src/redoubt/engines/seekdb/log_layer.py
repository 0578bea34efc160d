"""Lays log into a seekdb directory, block by block, so that the engine replays the log at its start; and cuts log.

A block's header has the SCN after which the block's log begins. If the base has the block, its header stays. Otherwise
the header is made as the engine makes it: the SCN of the last group before the block, plus one (measured in every block
except the very first; an engine opens blocks with either).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from mmap import ACCESS_READ, mmap
from operator import attrgetter
from threading import Lock

from redoubt.durable import sync
from redoubt.engines.seekdb.files import BaseDir, block_ids, block_of
from redoubt.engines.seekdb.palf import (
    BLOCK_LOG_SIZE,
    BLOCK_SIZE,
    INFO_SIZE,
    BadLogError,
    block_info,
    groups_in,
    parse_block_info,
    verify_groups,
)
from redoubt.engines.seekdb.tx_log import Matter, matter_of
from redoubt.model.bases import OpenTail
from redoubt.model.log import LogDamagedError, LogPosition

_FILE_MODE = 0o640


class SeekdbLogLayer:
    """See `LogLayer`. The laid log will begin at `start_lsn`: older blocks are removed."""

    def __init__(self, base: BaseDir, start_lsn: int) -> None:
        self._base = base
        self._unsynced = set[int]()
        self._lock = Lock()
        base.log.mkdir(parents=True, exist_ok=True)
        for block in block_ids(base.log):
            if block < block_of(start_lsn):
                (base.log / str(block)).unlink()

    def lay(self, lsn: int, log: Iterator[bytes], scn_before: int) -> None:
        """See `LogLayer`."""
        for block, pieces in groupby(_pieces(lsn, log), key=attrgetter("block")):
            with self._opened(block) as descriptor:
                os.ftruncate(descriptor, BLOCK_SIZE)
                places = [piece.write(descriptor) for piece in pieces]
                start, end = places[0][0], places[-1][1]
                try:
                    with _mapped(descriptor, start, end) as written:
                        _give_info(descriptor, block, scn_before, written)
                        if end == BLOCK_LOG_SIZE:
                            scn_before = last_scn(written)
                except BadLogError as error:
                    raise LogDamagedError(f"the log in block {block} is damaged: {error}") from error
            with self._lock:
                self._unsynced.add(block)

    def sync(self) -> None:
        """See `LogLayer`."""
        with self._lock:
            blocks, self._unsynced = self._unsynced, set()
        for block in sorted(blocks):
            sync(self._base.log / str(block))
        sync(self._base.log)

    def finish(self, end: LogPosition) -> None:
        """See `LogLayer`."""
        for block in block_ids(self._base.log):
            if block * BLOCK_LOG_SIZE >= end.lsn:
                (self._base.log / str(block)).unlink()
                continue
            with self._opened(block) as descriptor:
                if block == block_of(end.lsn):  # truncating and growing the file fills the rest with zeros
                    os.ftruncate(descriptor, INFO_SIZE + end.lsn - block * BLOCK_LOG_SIZE)
                os.ftruncate(descriptor, BLOCK_SIZE)
                os.fsync(descriptor)
        sync(self._base.log)

    @contextmanager
    def _opened(self, block: int) -> Iterator[int]:
        descriptor = os.open(self._base.log / str(block), os.O_RDWR | os.O_CREAT, _FILE_MODE)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class _Piece:
    """Log within one block; `offset` counts from the start of the block's log."""

    block: int
    offset: int
    log: memoryview

    def write(self, descriptor: int) -> tuple[int, int]:
        """Write the log to the block's file; returns the offsets of its start and its end."""
        left, at = self.log, INFO_SIZE + self.offset
        while left:
            written = os.pwrite(descriptor, left, at)
            left, at = left[written:], at + written
        return self.offset, at - INFO_SIZE


def _pieces(lsn: int, log: Iterator[bytes]) -> Iterator[_Piece]:
    """The log, cut at the ends of blocks."""
    for part in log:
        left = memoryview(part)
        while left:
            block = block_of(lsn)
            offset = lsn - block * BLOCK_LOG_SIZE
            piece = _Piece(block, offset, left[: BLOCK_LOG_SIZE - offset])
            yield piece
            left, lsn = left[len(piece.log) :], lsn + len(piece.log)


@contextmanager
def _mapped(descriptor: int, offset: int, end: int) -> Iterator[memoryview]:
    """The log in a block's file between two offsets, read-only."""
    with (
        mmap(descriptor, BLOCK_SIZE, access=ACCESS_READ) as file,
        memoryview(file) as view,
        view[INFO_SIZE + offset : INFO_SIZE + end] as log,
    ):
        yield log


def _give_info(descriptor: int, block: int, scn_before: int, log: memoryview) -> None:
    """Write the header of a block's file if the header is blank; `log` is the first log in the block."""
    if parse_block_info(os.pread(descriptor, INFO_SIZE, 0)) is None:
        first = next(groups_in(log), None)
        if first is None:
            raise BadLogError("the first group has no whole header")
        os.pwrite(descriptor, block_info(block, scn_before + 1 if scn_before else first[2]), 0)


class SeekdbLogCutter:
    """See `LogCutter`."""

    def cut(self, log: bytes, start: LogPosition, scn: int) -> LogPosition:
        """See `LogCutter`."""
        size = _size_until(log, scn)
        found = verify_groups(log[:size], start.chain, start.scn)
        if found.size != size:
            raise LogDamagedError(
                f"the log at LSN {start.lsn + found.size} is damaged: {found.why or found.tail.value}"
            )
        return LogPosition(start.lsn + size, found.max_scn, found.chain) if size else start

    def open_tail(self, log: bytes, low: int) -> OpenTail:
        """See `LogCutter`."""
        view, first = memoryview(log), None
        for at, size, scn in reversed(list(groups_in(log))):
            if at < low:
                break
            matter = matter_of(view[at : at + size])
            if matter is Matter.OTHER:
                return OpenTail(first, is_all=False)
            first = scn if matter is Matter.REDO else first
        return OpenTail(first, is_all=True)


def last_scn(log: bytes | memoryview) -> int:
    """The SCN of the last group in `log`, which consists of whole groups; 0 without a group. Raises BadLogError."""
    last = 0
    for _, _, scn in groups_in(log):
        last = scn
    return last


def _size_until(log: bytes, scn: int) -> int:
    """The size in bytes of the groups at the start of `log` whose SCN is at most `scn`; all of it if one is damaged."""
    end = 0
    try:
        for at, size, group_scn in groups_in(log):
            if group_scn > scn:
                break
            end = at + size
    except BadLogError:  # the verification of the whole log says more
        end = len(log)
    return min(end, len(log))
