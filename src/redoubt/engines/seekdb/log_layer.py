"""Lays log into a seekdb directory, block by block, so that the engine replays it when it starts; and cuts log.

A block's info says which SCN its log begins after. Where the base has the block, its info stays; where it has not, it
is made as the engine makes it: the SCN of the last group before the block, plus one (measured: so in every block but
the first of all, and an engine opens blocks with either).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from redoubt.engines.seekdb.files import BaseDir, block_ids, block_of
from redoubt.engines.seekdb.palf import (
    BLOCK_LOG_SIZE,
    BLOCK_SIZE,
    GROUP_HEADER_SIZE,
    INFO_SIZE,
    block_info,
    parse_block_info,
    verify_groups,
)
from redoubt.engines.seekdb.tx_log import Matter, matter_of
from redoubt.model.bases import OpenTail
from redoubt.model.log import LogDamagedError, LogPosition

_SIZE_AND_SCN = struct.Struct(">4xi8xQ")
_FILE_MODE = 0o640
_UNSYNCED = 2
"""Blocks that are being made durable while others are written, at most."""


class SeekdbLogLayer:
    """See `LogLayer`. `start_lsn` is where the log begins that will be laid: blocks before it go."""

    def __init__(self, base: BaseDir, start_lsn: int) -> None:
        self._base = base
        base.log.mkdir(parents=True, exist_ok=True)
        for block in block_ids(base.log):
            if block < block_of(start_lsn):
                (base.log / str(block)).unlink()
        self._block = -1
        self._descriptor = -1
        self._pool = _new_pool()
        self._syncing: list[Future[None]] = []

    def lay(self, lsn: int, log: bytes, scn_before: int) -> None:
        """See `LogLayer`."""
        view, at = memoryview(log), 0
        while at < len(view):
            block = block_of(lsn + at)
            offset = lsn + at - block * BLOCK_LOG_SIZE
            piece = view[at : at + BLOCK_LOG_SIZE - offset]
            self._open(block, scn_before, piece)
            _write(self._descriptor, piece, INFO_SIZE + offset)
            at += len(piece)
            if at < len(view):
                scn_before = last_scn(piece)

    def sync(self) -> None:
        """See `LogLayer`."""
        self._await(0)
        if self._descriptor >= 0:
            os.fsync(self._descriptor)
        _sync_folder(self._base)

    def finish(self, end: LogPosition) -> None:
        """See `LogLayer`."""
        self._close()
        self._await(0)
        self._pool.shutdown()
        self._pool = _new_pool()  # has no thread until log is laid again
        for block in block_ids(self._base.log):
            path = self._base.log / str(block)
            if block * BLOCK_LOG_SIZE >= end.lsn:
                path.unlink()
                continue
            descriptor = os.open(path, os.O_RDWR)
            try:
                if block == block_of(end.lsn):  # what is cut off and grown again is zero
                    os.ftruncate(descriptor, INFO_SIZE + end.lsn - block * BLOCK_LOG_SIZE)
                os.ftruncate(descriptor, BLOCK_SIZE)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _sync_folder(self._base)

    def _open(self, block: int, scn_before: int, log: memoryview) -> None:
        """Have the block's file open, with an info in it."""
        if block == self._block:
            return
        self._close()
        self._descriptor = os.open(self._base.log / str(block), os.O_RDWR | os.O_CREAT, _FILE_MODE)
        self._block = block
        os.ftruncate(self._descriptor, BLOCK_SIZE)
        if parse_block_info(os.pread(self._descriptor, INFO_SIZE, 0)) is None:
            first = _SIZE_AND_SCN.unpack_from(log)[1]
            os.pwrite(self._descriptor, block_info(block, scn_before + 1 if scn_before else first), 0)

    def _close(self) -> None:
        """Let go of the block: it is made durable while the next one is written."""
        if self._descriptor >= 0:
            self._syncing.append(self._pool.submit(_sync_and_close, self._descriptor))
            self._await(_UNSYNCED)
        self._block = self._descriptor = -1

    def _await(self, left: int) -> None:
        """Wait until no more than so many blocks are left to be made durable. Raises what went wrong."""
        while len(self._syncing) > left:
            self._syncing.pop(0).result()


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
        for at, size, scn in reversed(list(_groups(log))):
            if at < low:
                break
            matter = matter_of(view[at : at + size])
            if matter is Matter.OTHER:
                return OpenTail(first, is_all=False)
            first = scn if matter is Matter.REDO else first
        return OpenTail(first, is_all=True)


def last_scn(log: bytes | memoryview) -> int:
    """The SCN of the last of the whole groups that `log` consists of."""
    at = scn = 0
    while at + GROUP_HEADER_SIZE <= len(log):
        size, scn = _SIZE_AND_SCN.unpack_from(log, at)
        at += GROUP_HEADER_SIZE + size
    return int(scn)


def _groups(log: bytes) -> Iterator[tuple[int, int, int]]:
    """Where each of the whole groups in `log` begins, its size with its header, and its SCN."""
    at = 0
    while at < len(log):
        size, scn = _SIZE_AND_SCN.unpack_from(log, at)
        yield at, GROUP_HEADER_SIZE + size, scn
        at += GROUP_HEADER_SIZE + size


def _size_until(log: bytes, scn: int) -> int:
    """The bytes of the groups at the start of `log` whose SCN is at most `scn`."""
    at = 0
    while at + GROUP_HEADER_SIZE <= len(log):
        size, group_scn = _SIZE_AND_SCN.unpack_from(log, at)
        if group_scn > scn or size <= 0:
            break
        at += GROUP_HEADER_SIZE + size
    return min(at, len(log))


def _new_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "sync-block")


def _sync_and_close(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def _sync_folder(base: BaseDir) -> None:
    folder = os.open(base.log, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
