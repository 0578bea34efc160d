"""Holding log: hard links that keep a redo block's content when the engine unlinks it.

The engine recycles a block by unlinking it and never writes over one in place, so a link costs nothing and keeps
everything. The folder of links is the state: while it exists, log is held, also over restarts.
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
        """Whether log is being held, by this process or an earlier one."""
        return self._base.held.is_dir()

    def start(self) -> int | None:
        """The first held block, None if none is held."""
        return min(block_ids(self._base.held), default=None)

    def hold(self) -> None:
        """Link every block that exists now and was not released; begins holding."""
        with self._lock:
            if not self.is_holding():
                self._floor = 0  # a new round may begin before the point to which the last one had released
                self._base.ours.mkdir(exist_ok=True)  # but no more: an engine's directory that is gone stays gone
                self._base.held.mkdir()
            self._link_new()

    def keep_up(self) -> None:
        """Link the blocks that have come since, if log is being held; cheap when there are none."""
        with self._lock:
            if self.is_holding():
                self._link_new()

    def release(self, lsn: int) -> None:
        """Give up the blocks that end at or below `lsn`."""
        with self._lock:
            self._floor = max(self._floor, block_of(lsn))
            for block in block_ids(self._base.held):
                if block < self._floor:
                    (self._base.held / str(block)).unlink(missing_ok=True)

    def release_all(self) -> None:
        """Give up every block and hold no more."""
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
                with contextlib.suppress(FileNotFoundError):  # recycled in this instant: the reader will name the gap
                    os.link(self._base.log / str(block), self._base.held / str(block))
