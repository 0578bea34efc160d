"""A copy of a seekdb directory's log: hard links to the blocks, which remain when the engine recycles the blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from redoubt.engines.seekdb.files import BaseDir, block_ids, block_of
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE, INFO_SIZE


class SeekdbLogCopy:
    """See `LogCopy`."""

    def __init__(self, base: BaseDir, folder: Path) -> None:
        self._base = base
        self._folder = folder

    def keep_up(self) -> None:
        """See `LogCopy`."""
        for block in block_ids(self._base.log):
            with suppress(FileExistsError, FileNotFoundError):
                os.link(self._base.log / str(block), self._folder / str(block))

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """See `LogCopy`. Each part is the log of one block."""
        for block in range(block_of(start), block_of(end - 1) + 1):
            first, last = max(start, block * BLOCK_LOG_SIZE), min(end, (block + 1) * BLOCK_LOG_SIZE)
            with (self._folder / str(block)).open("rb") as file:
                file.seek(INFO_SIZE + first - block * BLOCK_LOG_SIZE)
                yield file.read(last - first)
