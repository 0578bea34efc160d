"""A seekdb base directory behind the `Engine` seam."""

from __future__ import annotations

import uuid
from typing import Any

import pymysql

from redoubt.engines.seekdb.account import connect
from redoubt.engines.seekdb.files import BaseDir, block_of, kept_line
from redoubt.engines.seekdb.holding import LogHolder
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE
from redoubt.engines.seekdb.reader import SeekdbLogReader
from redoubt.model.log import LogPosition


class SeekdbEngine:
    """The engine whose files are in `base`; whether its process runs is another's concern."""

    def __init__(self, base: BaseDir) -> None:
        self.base = base
        self._holder = LogHolder(base)

    def source_id(self) -> str:
        """See `Engine`. Made up at the first call for a directory, and kept in it."""
        return kept_line(self.base.source_id, lambda: uuid.uuid4().hex)

    def start_point(self) -> LogPosition:
        """See `Engine`."""
        checkpoint = self._ask("SELECT checkpoint_lsn FROM oceanbase.__all_virtual_ls_info")
        return LogPosition(block_of(checkpoint) * BLOCK_LOG_SIZE)

    def end_of_log(self) -> int:
        """See `Engine`."""
        return self._ask("SELECT END_LSN FROM oceanbase.V$OB_LOG_STAT")

    def reader(self) -> SeekdbLogReader:
        """See `Engine`."""
        return SeekdbLogReader(self.base, self.end_of_log)

    def hold_log(self) -> None:
        """See `Engine`."""
        self._holder.hold()

    def keep_up(self) -> None:
        """Link the blocks that have come since, if log is being held."""
        self._holder.keep_up()

    def release_log(self, lsn: int) -> None:
        """See `Engine`."""
        self._holder.release(lsn)

    def release_all_log(self) -> None:
        """See `Engine`."""
        self._holder.release_all()

    def minor_freeze(self) -> None:
        """See `Engine`."""
        self._run("ALTER SYSTEM MINOR FREEZE")

    def _ask(self, sql: str) -> int:
        rows = self._run(sql)
        if not rows:
            raise ConnectionError(f"the engine in {self.base.path} is not ready yet")
        return int(rows[0][0])

    def _run(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        try:
            with connect(self.base) as connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        except pymysql.err.Error as error:
            raise ConnectionError(f"the engine in {self.base.path} does not answer: {error}") from error
