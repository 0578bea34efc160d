"""The first start of an engine in a directory with a base and the log laid over the base.

The engine replays the log, with as much memory as the log needs. The transactions that are open at the end of the log
are rolled back. After much log the engine flushes, so that the next start needs no more memory than usual.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pymysql
from pymysql.connections import Connection

from redoubt.engines.seekdb.account import connect_as
from redoubt.engines.seekdb.closed import without_engine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.orphans import OrphansLeftError, await_own_work, end_orphans
from redoubt.engines.seekdb.proven import UnprovenEngineError
from redoubt.engines.seekdb.replaying import first_sizes, flush_replayed, laid_bytes, sizes_for
from redoubt.engines.seekdb.scratch_seekdb import LOG_AT_LEISURE, ScratchSeekdb
from redoubt.engines.seekdb.standby_role import RoleError, become_primary_again
from redoubt.model.engine_kind import FirstStart
from redoubt.model.keeping import EngineSizes
from redoubt.model.log import LogDamagedError
from redoubt.model.scratch_engine import Login, ScratchError

_STATEMENT_PATIENCE = 60.0


def start_once(base: BaseDir, login: Login, say: Callable[[str], None], *, flush: bool) -> FirstStart:
    """See `RestoredDirectory.first_start`. A standby's engine becomes a primary."""
    if not base.log.is_dir():
        return FirstStart(is_open=False, trouble=f"{base.path} is not a seekdb directory: {base.log} does not exist")
    try:
        if base.parameters_before.exists():
            with without_engine(base):  # redoubt follow --live may run
                become_primary_again(base)
    except (RoleError, OSError) as error:
        return FirstStart(is_open=False, trouble=str(error))
    engine = _Engine(base, sizes_for(laid_bytes(base)), login)
    try:
        started = _started(base, engine, say, flush=flush or first_sizes(base, EngineSizes()) is not None)
    finally:
        engine.stop()
    return replace(started, remark=engine.remark)


def _started(base: BaseDir, engine: _Engine, say: Callable[[str], None], *, flush: bool) -> FirstStart:
    rolled_back, budget = None, engine.sizes.memory_budget
    try:
        say(f"an engine replays up to {laid_bytes(base) >> 20} MiB of log, with memory_budget={budget}")
        rolled_back = len(end_orphans(base, engine))
        if flush:
            say("the engine flushes the replayed data")
            flush_replayed(base, engine.run)
        await_own_work(engine.run)
    except (ScratchError, UnprovenEngineError) as error:
        return FirstStart(is_open=False, trouble=str(error))
    except (LogDamagedError, OrphansLeftError) as error:
        return FirstStart(is_open=True, trouble=str(error))
    except OSError as error:
        or_open = f", or open it first with memory_budget={budget}" if flush else ""
        missed = "did not flush" if rolled_back is not None else "did not roll back open transactions"
        text = (
            f"the engine replayed the log, but {missed}: a login or a statement of {engine.login.user} failed "
            f"({error}); run redoubt replay {base.path} with --user and --password{or_open}"
        )
        return FirstStart(is_open=True, rolled_back=rolled_back, trouble=text)
    return FirstStart(is_open=True, rolled_back=rolled_back)


class _Engine:
    """See `Restartable`."""

    def __init__(self, base: BaseDir, sizes: EngineSizes, login: Login) -> None:
        self.sizes = sizes
        self.login = login
        self.remark = ""
        self._base = base
        self._scratch = ScratchSeekdb(base, sizes)
        self._connection: Connection[Any] | None = None

    def start(self) -> None:
        """See `Restartable`. Raises ScratchError."""
        self._scratch.start()

    def stop(self) -> None:
        """See `Restartable`."""
        if self._connection is not None:
            self._log_at_leisure()
            with suppress(pymysql.err.Error, OSError):  # it may be broken already
                self._connection.close()
            self._connection = None
        self._scratch.end_in_order()

    def _log_at_leisure(self) -> None:
        try:
            self.run(LOG_AT_LEISURE)
        except OSError as error:
            self.remark = (
                f"the engine in {self._base.path} writes its diagnostic log synchronously, which costs some speed; to "
                f"change that, log in there with the ALTER SYSTEM privilege and run {LOG_AT_LEISURE} ({error})"
            )

    def run(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        """See `Restartable`."""
        try:
            if self._connection is None:
                self._connection = connect_as(self._base, self.login.user, self.login.password, _STATEMENT_PATIENCE)
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                return tuple(cursor.fetchall())
        except pymysql.err.Error as error:
            raise OSError(str(error)) from error
