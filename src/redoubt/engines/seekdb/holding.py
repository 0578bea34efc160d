"""Holding log: hard links that keep a redo block's content when the engine unlinks it.

The engine recycles a block by unlinking it and never overwrites a block in place, so a link costs nothing and keeps
everything. The folder of links is the state: while it exists, log is held, also across restarts.
"""

from __future__ import annotations

import contextlib
import os
import threading

from redoubt.engines.seekdb.files import BaseDir, block_ids, block_of


class LogHolder:
    """The held blocks of one base directory. Safe to use from several threads."""

    def __init__(self, base: BaseDir) -> None:
        self._base = base
        self._lock = threading.Lock()
        self._floor = 0

    def is_holding(self) -> bool:
        """Whether log is held, by this process or by an earlier process."""
        return self._base.held.is_dir()

    def start(self) -> int | None:
        """The number of the first held block, None without held blocks."""
        return min(block_ids(self._base.held), default=None)

    def hold(self) -> None:
        """Begin to hold log: link every block that exists now and was not released."""
        with self._lock:
            if not self.is_holding():
                self._floor = 0  # a new round may begin before the point up to which the last round released log
                self._base.ours.mkdir(exist_ok=True)  # without parents: a removed engine directory stays removed
                self._base.held.mkdir()
            self._link_new()

    def keep_up(self) -> None:
        """Link the new blocks, if log is held; cheap without new blocks."""
        with self._lock:
            if self.is_holding():
                self._link_new()

    def release(self, lsn: int) -> None:
        """Release the blocks that end at or below `lsn`."""
        with self._lock:
            self._floor = max(self._floor, block_of(lsn))
            for block in block_ids(self._base.held):
                if block < self._floor:
                    (self._base.held / str(block)).unlink(missing_ok=True)

    def release_all(self) -> None:
        """Release every block and stop holding log."""
        with self._lock:
            self._floor = 0
            for block in block_ids(self._base.held):
                (self._base.held / str(block)).unlink(missing_ok=True)
            if self._base.held.is_dir():
                self._base.held.rmdir()

    def _link_new(self) -> None:
        held = set(block_ids(self._base.held))
        for block in block_ids(self._base.log):
            if block >= self._floor and block not in held:
                with contextlib.suppress(FileNotFoundError):  # just recycled: the reader will report the gap
                    os.link(self._base.log / str(block), self._base.held / str(block))
