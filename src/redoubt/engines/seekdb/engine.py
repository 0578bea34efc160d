"""A seekdb base directory behind the `Engine` seam."""

from __future__ import annotations

import shutil
import uuid
from contextlib import suppress
from typing import Any

from redoubt.durable import kept_line
from redoubt.engines.seekdb.account import NAME
from redoubt.engines.seekdb.files import BaseDir, block_of
from redoubt.engines.seekdb.holding import LogHolder
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE
from redoubt.engines.seekdb.question import Question
from redoubt.engines.seekdb.reader import SeekdbLogReader
from redoubt.engines.seekdb.session import Session
from redoubt.model.log import LogPosition

_PATIENCE = 1.0
"""Seconds that a reader waits for the engine, about log that is not sound: all tenants wait meanwhile."""


class SeekdbEngine:
    """The engine whose files are in `base`. The engine's process need not run."""

    def __init__(self, base: BaseDir) -> None:
        self.base = base
        self._holder = LogHolder(base)
        self._session = Session(base)

    def source_id(self) -> str:
        """See `Engine`. Generated at the first call for a directory, and kept in a file there."""
        return kept_line(self.base.source_id, lambda: uuid.uuid4().hex)

    def start_point(self) -> LogPosition:
        """See `Engine`."""
        (checkpoint,) = self.ask("SELECT checkpoint_lsn FROM oceanbase.__all_virtual_ls_info")
        return LogPosition(block_of(int(checkpoint)) * BLOCK_LOG_SIZE)

    def end_of_log(self) -> int:
        """See `Engine`."""
        return int(self.ask("SELECT END_LSN FROM oceanbase.V$OB_LOG_STAT")[0])

    def end_of_commits(self) -> int:
        """See `Engine`. END_LSN was behind an acknowledged commit 18 of 400 times, by 1 KB at most; MAX_LSN never."""
        return int(self.ask("SELECT MAX_LSN FROM oceanbase.V$OB_LOG_STAT")[0])

    def reader(self) -> SeekdbLogReader:
        """See `Engine`."""
        ends = Question(self._ends_of_log)
        return SeekdbLogReader(self.base, Question(self.end_of_log), ends_now=lambda: ends.now(_PATIENCE))

    def _ends_of_log(self) -> tuple[int, int]:
        """See `end_of_log` and `end_of_commits`; both are of one moment."""
        row = self.ask("SELECT END_LSN, MAX_LSN FROM oceanbase.V$OB_LOG_STAT")
        return int(row[0]), int(row[1])

    def hold_log(self) -> None:
        """See `Engine`."""
        self._holder.hold()

    def release_log(self, lsn: int) -> None:
        """See `Engine`."""
        self._holder.release(lsn)

    def release_all_log(self) -> None:
        """See `Engine`."""
        self._holder.release_all()

    def held_from(self) -> int | None:
        """See `Engine`."""
        block = self._holder.start()
        return None if block is None else block * BLOCK_LOG_SIZE

    def disk_free(self) -> int:
        """See `Engine`."""
        return shutil.disk_usage(self.base.path).free

    def minor_freeze(self) -> None:
        """See `Engine`."""
        self._session.run("ALTER SYSTEM MINOR FREEZE")

    def close_writes(self) -> None:
        """See `Engine`. A file keeps the old value of `read_only` first, so that it can be restored after a crash."""
        kept_line(self.base.read_only_before, lambda: str(self.ask("SELECT @@global.read_only")[0]))
        self._session.run("SET GLOBAL read_only = 1")

    def open_writes(self) -> None:
        """See `Engine`."""
        if self.has_closed_writes():
            before = int(self.base.read_only_before.read_text())
            self._session.run(f"SET GLOBAL read_only = {before}")
            self.base.read_only_before.unlink()

    def has_closed_writes(self) -> bool:
        """See `Engine`."""
        return self.base.read_only_before.exists()

    def run(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        """The rows of a statement, run as the service. Raises ConnectionError if the engine is silent or refuses."""
        return self._session.run(sql)

    def end_sessions(self, only: set[int] | None = None) -> None:
        """See `KeptEngine`."""
        for number, user, *_ in self._session.run("SHOW PROCESSLIST"):
            if user != NAME and (only is None or number in only):
                with suppress(ConnectionError):  # the session has just ended by itself
                    self._session.run(f"KILL {int(number)}")

    def close(self) -> None:
        """Close the connection to the engine."""
        self._session.close()

    def ask(self, sql: str) -> tuple[Any, ...]:
        """The first row of a query. Raises ConnectionError while the engine does not answer, or has no row yet."""
        rows = self._session.run(sql)
        if not rows:
            raise ConnectionError(f"the engine in {self.base.path} is not ready yet")
        return rows[0]
