"""A directory without a running engine as the source of a base: no file changes, so no pause is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redoubt.engines.seekdb.base_source import block_start, files_of
from redoubt.engines.seekdb.files import BaseDir, block_of
from redoubt.model.bases import BaseFile
from redoubt.model.log import LogPosition


@dataclass(frozen=True)
class _NoPause:
    seconds: float = 0.0

    def check(self) -> None:
        """See `Pause`."""


class StillSource:
    """See `BaseSource`. The caller knows the log's source, and up to which position the files hold that log."""

    settling = 0.0
    """The engine that wrote the files has ended."""

    def __init__(self, base: BaseDir, source: str, version: str, checkpoint_lsn: int, end: LogPosition) -> None:
        self._base = base
        self._source = source
        self._version = version
        self._checkpoint_lsn = checkpoint_lsn
        self._end = end

    def source_id(self) -> str:
        """See `BaseSource`."""
        return self._source

    def version(self) -> str:
        """See `BaseSource`."""
        return self._version

    def checkpoint(self) -> LogPosition:
        """See `BaseSource`."""
        return block_start(self._base, block_of(self._checkpoint_lsn))

    def end_of_log(self) -> LogPosition:
        """See `BaseSource`."""
        return self._end

    def files(self) -> list[BaseFile]:
        """See `BaseSource`."""
        return files_of(self._base)

    def files_in(self, clone: Path) -> list[BaseFile]:
        """See `BaseSource`."""
        return files_of(BaseDir(clone))

    def open(self, file: BaseFile) -> int:
        """See `BaseSource`."""
        return os.open(self._base.path / file.path, os.O_RDONLY)

    @contextmanager
    def pause(self, limit: float) -> Iterator[_NoPause]:  # noqa: ARG002 - the seam's
        """See `BaseSource`."""
        yield _NoPause()

    @contextmanager
    def clone(self) -> Iterator[Path | None]:
        """See `BaseSource`."""
        yield None
