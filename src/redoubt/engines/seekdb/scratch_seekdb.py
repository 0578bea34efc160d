"""A seekdb that Redoubt starts on a restored directory of its own, to inspect the directory.

Nobody else reaches this engine: it listens only on a socket in that directory, and ends when this process ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT, CR

from redoubt.engines.seekdb.account import answers, connect_as
from redoubt.engines.seekdb.catalog_tables import read_catalog
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.engines.seekdb.reader import SeekdbLogReader
from redoubt.model.keeping import EngineSizes, EngineStartError
from redoubt.model.log import LogError, LogPosition
from redoubt.model.scratch_engine import Login, Rows, ScratchError, StatementError, TableName

_POLL = 0.05
_READY_PATIENCE = 3600.0
_LOG_PATIENCE = 30.0
_STATEMENT_PATIENCE = 24 * 3600.0
_NO_CONNECTION = 0
"""PyMySQL's own number, without a text, for a connection that is known to be lost."""
_HUNG_UP = frozenset({CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST})
_END_PATIENCE = 10.0
"""Seconds for an engine to end after it has hung up: it writes its memory to the disk first."""
_SOME_ROWS = 100
_SOME_LOG = 64 * 1024
_LOG_AT_ONCE = "enable_async_syslog=false"
"""Without this, a failing engine may end before its last lines are written: 2 of 10 starts lost the cause."""
LOG_AT_LEISURE = "ALTER SYSTEM SET enable_async_syslog = True"
"""Resets it in a directory that will be used: the engine keeps its parameters, and a synchronous log costs speed."""
_OWN_SCHEMAS = "('oceanbase', 'mysql', 'information_schema')"
_TABLES = f"""SELECT table_schema, table_name FROM information_schema.tables
  WHERE table_type = 'BASE TABLE' AND table_schema NOT IN {_OWN_SCHEMAS} ORDER BY 1, 2"""
_INDEXES = """SELECT DISTINCT index_name FROM information_schema.statistics
  WHERE table_schema = %s AND table_name = %s AND index_type = 'BTREE' ORDER BY index_name"""


class ScratchSeekdb:
    """See `ScratchEngine`. The directory is ours alone; `patience` is the time limit of the start in seconds."""

    def __init__(self, base: BaseDir, sizes: EngineSizes, patience: float = _READY_PATIENCE) -> None:
        self._base = base
        self._sizes = sizes
        self._instance = Instance(base, replace(sizes, others=(*sizes.others, _LOG_AT_ONCE)))
        self._patience = patience
        self._connection: Connection[Any] | None = None

    def start(self) -> None:
        """See `ScratchEngine`. An engine neither accepts nor refuses a login before it has replayed its log."""
        deadline = time.monotonic() + self._patience
        try:
            self._instance.start()
            while not answers(self._base):
                self._instance.check_alive()
                if time.monotonic() > deadline:
                    raise ScratchError(
                        f"the engine in {self._base.path} did not answer within {self._patience:g} s; its "
                        f"memory_budget ({self._sizes.memory_budget}) may be too small for the log"
                    )
                time.sleep(_POLL)
        except EngineStartError as error:
            raise ScratchError(str(error)) from error

    def goes_on_from(self, end: LogPosition) -> bool:
        """See `ScratchEngine`. An engine that has opened its log for writing writes soon."""
        reader = SeekdbLogReader(self._base, self._end_unknown)
        deadline = time.monotonic() + _LOG_PATIENCE
        try:
            while reader.read(end, _SOME_LOG) is None:
                self._instance.check_alive()
                if time.monotonic() > deadline:
                    return False
                time.sleep(_POLL)
        except (EngineStartError, LogError) as error:
            raise ScratchError(str(error)) from error
        finally:
            reader.close()
        return True

    def log_in(self, logins: Iterable[Login]) -> str | None:
        """See `ScratchEngine`."""
        for login in logins:
            with suppress(pymysql.err.OperationalError):
                self._connection = connect_as(
                    self._base, login.user, login.password, _STATEMENT_PATIENCE, CLIENT.MULTI_STATEMENTS
                )
                return login.user
        self._check_alive(0.0)
        return None

    def catalog(self, scn: int | None) -> Iterator[tuple[str, Rows]]:
        """See `ScratchEngine`."""
        return read_catalog(self._rows, scn)

    def tables(self) -> list[TableName]:
        """See `ScratchEngine`."""
        return [TableName(schema, name) for schema, name in self._rows(_TABLES)]

    def read_table(self, table: TableName, *, whole: bool) -> int | None:
        """See `ScratchEngine`."""
        name = f"{_quoted(table.schema)}.{_quoted(table.name)}"
        self._rows(f"SELECT * FROM {name} LIMIT {_SOME_ROWS}")
        count = int(self._rows(f"SELECT /*+ FULL(t) */ COUNT(*) FROM {name} t")[0][0]) if whole else None
        for (index,) in self._rows(_INDEXES, (table.schema, table.name)):
            forced = f"{name} FORCE INDEX ({_quoted(index)})"
            if count is None:
                self._rows(f"SELECT * FROM {forced} LIMIT 1")
                continue
            counted = int(self._rows(f"SELECT COUNT(*) FROM {forced}")[0][0])
            if counted != count:
                raise StatementError(f"the table has {count} rows, but its index {index} has {counted}")
        return count

    def results(self, sql: str) -> Iterator[Rows | None]:
        """See `ScratchEngine`."""
        with self._logged_in.cursor() as cursor:
            try:
                cursor.execute(sql)
                while True:
                    yield None if cursor.description is None else cursor.fetchall()
                    if not cursor.nextset():
                        return
            except pymysql.err.MySQLError as error:
                raise self._refusal(error) from error

    def stop(self) -> None:
        """See `ScratchEngine`. Kills the engine: the directory is thrown away, so no data has to be written."""
        self._hang_up()
        self._instance.kill()

    def end_in_order(self) -> None:
        """Stop the engine in order, because the directory will be used. `stop` does no harm afterwards."""
        self._hang_up()
        self._instance.stop()

    @property
    def _logged_in(self) -> Connection[Any]:
        assert self._connection is not None, "log in first"
        return self._connection

    def _hang_up(self) -> None:
        if self._connection is not None:
            with suppress(pymysql.err.Error, OSError):  # the connection may be broken already
                self._connection.close()
            self._connection = None

    def _end_unknown(self) -> int:
        raise ConnectionError("the end of the log is not known yet")

    def _rows(self, sql: str, values: tuple[str, ...] | None = None) -> Rows:
        with self._logged_in.cursor() as cursor:
            try:
                cursor.execute(sql, values)
                return tuple(cursor.fetchall())
            except pymysql.err.MySQLError as error:
                raise self._refusal(error) from error

    def _refusal(self, error: pymysql.err.MySQLError) -> StatementError:
        """The engine's text and error number. Raises ScratchError if the engine has ended."""
        number, *words = error.args or (_NO_CONNECTION,)
        self._check_alive(_END_PATIENCE if number in _HUNG_UP else 0.0)
        return StatementError(f"{''.join(words) or 'the connection is lost'} (error {number})")

    def _check_alive(self, seconds: float) -> None:
        """Raise ScratchError if the engine has ended, or ends within `seconds`."""
        deadline = time.monotonic() + seconds
        try:
            self._instance.check_alive()
            while time.monotonic() < deadline:
                time.sleep(_POLL)
                self._instance.check_alive()
        except EngineStartError as error:
            raise ScratchError(str(error)) from error


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
