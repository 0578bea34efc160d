"""Holding log: hard links that keep a redo block's content when the engine unlinks it.

The engine recycles a block by unlinking it and never overwrites a block in place, so a link costs nothing and keeps
everything. The folder of links is the state: while it exists, log is held, also across restarts.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from redoubt.engines.seekdb.files import BaseDir, block_ids, block_of
from redoubt.engines.seekdb.palf import INFO_SIZE


class LogHolder:
    """The held blocks of one base directory. Safe to use from several threads and processes."""

    def __init__(self, base: BaseDir) -> None:
        self._base = base
        self._compared: tuple[int, int] | None = None
        """The inodes of a held block and of the engine's block of that number, which hold different log."""

    def is_holding(self) -> bool:
        """Whether log is held, by any process."""
        return self._base.held.is_dir()

    def start(self) -> int | None:
        """The number of the first held block, None without held blocks."""
        return min(block_ids(self._base.held), default=None)

    def hold(self) -> None:
        """Begin to hold log: link every block that exists now, or, if log is held already, every new block."""
        is_done = False
        while not is_done:
            self._base.ours.mkdir(exist_ok=True)  # without parents: a removed engine directory stays removed
            self._base.held.mkdir(exist_ok=True)
            is_done = self.keep_up()

    def keep_up(self) -> bool:
        """Link the new blocks, if log is held, and return whether log is held; cheap without new blocks."""
        with self._locked() as is_held:
            if is_held:
                self._link_new()
        return is_held

    def release(self, lsn: int) -> None:
        """Release the blocks that end at or below `lsn`."""
        with self._locked() as is_held:
            for block in block_ids(self._base.held) if is_held else ():
                if block < block_of(lsn):
                    (self._base.held / str(block)).unlink(missing_ok=True)

    def release_all(self) -> None:
        """Release every block and stop holding log."""
        with self._locked() as is_held:
            if is_held:
                for block in block_ids(self._base.held):
                    (self._base.held / str(block)).unlink(missing_ok=True)
                self._base.held.rmdir()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Keep other threads and processes out while the context is open; its value is whether log is held."""
        try:
            folder = os.open(self._base.held, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            yield False
            return
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield os.fstat(folder).st_nlink > 0  # otherwise somebody stopped holding meanwhile
        finally:
            os.close(folder)

    def _link_new(self) -> None:
        """Link the blocks after the last held one: earlier ones were released, or recycled before they were held."""
        last = max(block_ids(self._base.held), default=-1)
        if last >= 0:
            self._link_again(last)
        for block in block_ids(self._base.log):
            if block > last:
                with contextlib.suppress(FileNotFoundError):  # just recycled: the reader will report the gap
                    os.link(self._base.log / str(block), self._base.held / str(block))

    def _link_again(self, block: int) -> None:
        """Link the last held block again if it is a copy of the engine's block, which then grows without it.

        A copied directory has copies in the place of links. A held block with other log than the engine's stays: the
        engine was set back, and the held log may not be archived yet.
        """
        held, there = self._base.held / str(block), self._base.log / str(block)
        try:
            inodes = held.stat().st_ino, there.stat().st_ino
            if inodes[0] == inodes[1] or inodes == self._compared:
                return
            if not _begins_with(there, held):
                self._compared = inodes
                return
            new = self._base.ours / "held.new"
            new.unlink(missing_ok=True)
            os.link(there, new)
            new.rename(held)
        except FileNotFoundError:  # just recycled
            return


def _begins_with(path: Path, start: Path) -> bool:
    """Whether a block has the log that another one has, and maybe more."""
    log, first = path.read_bytes()[INFO_SIZE:], start.read_bytes()[INFO_SIZE:].rstrip(b"\0")
    return log.startswith(first)
