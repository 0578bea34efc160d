"""Makes a running standby a primary in place: ends what is open in its log, and lets it write.

Transactions that are open at the end of the log would stay open for ever, with their locks. So their abort records are
the last log that the standby is given, as its source would have written them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection

from redoubt.engines.seekdb.account import connect_as
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.orphans import end_of_log, has_room, next_numbers, orphans
from redoubt.engines.seekdb.proven import installed_version
from redoubt.engines.seekdb.undo_log import Orphan, abort_groups
from redoubt.model.log import LogDamagedError, LogPosition
from redoubt.model.scratch_engine import Login
from redoubt.model.standby import FedLog, TakeOverError

_PATIENCE = 120.0
"""Seconds for the engine to replay what it has received, or to take its new role."""
_POLL = 0.02
_REPLAY = "SELECT unsubmitted_lsn, pending_cnt FROM oceanbase.__all_virtual_replay_stat"
_ROLE = "SELECT ROLE FROM oceanbase.__all_virtual_server_stat"


class TakingOver:
    """The steps on one engine, as the first of `logins` that it accepts. Methods block and raise TakeOverError."""

    def __init__(self, base: BaseDir, logins: Sequence[Login]) -> None:
        self._base = base
        self._connection = _connected(base, logins)

    def aborts(self, end_lsn: int) -> FedLog | None:
        """The abort records of what is open at the end of the log, which the engine has received up to `end_lsn`."""
        self._wait("replay its log", lambda: self._has_replayed(end_lsn))
        try:
            end = end_of_log(self._base)
        except LogDamagedError as error:
            raise TakeOverError(str(error)) from error
        if end is None or end.at.lsn != end_lsn:
            found = "nowhere" if end is None else f"at LSN {end.at.lsn}"
            raise TakeOverError(f"the log in {self._base.path} ends {found} instead of at LSN {end_lsn}: try again")
        open_ones = orphans(self._run, end.at.scn)
        if not open_ones:
            return None
        numbers = next_numbers(self._base, open_ones)
        groups = abort_groups({each: numbers[each.tx_id] for each in open_ones}, end, installed_version())
        if not has_room(end_lsn, len(groups)):
            raise TakeOverError(
                f"the last block of the log in {self._base.path} has no room for abort records: try again "
                "when more log has come, or when redoubt follow has ended"
            )
        return FedLog(end.at, LogPosition(end_lsn + len(groups), end.at.scn + len(open_ones)), groups)

    def become_primary(self, end: LogPosition) -> None:
        """Let the engine write, once it has replayed its log up to `end` and nothing is open."""
        self._wait("replay the abort records", lambda: self._has_replayed(end.lsn) and not self._open(end))
        self._run("ALTER SYSTEM ACTIVATE STANDBY")
        self._wait("become a primary", lambda: self._run(_ROLE) == (("PRIMARY",),))
        self._run("ALTER SYSTEM SET log_restore_source = ''")
        self._base.parameters_before.unlink(missing_ok=True)  # and it is not settled: this engine will be killed

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _has_replayed(self, lsn: int) -> bool:
        return self._run(_REPLAY) == ((lsn, 0),)

    def _open(self, end: LogPosition) -> list[Orphan]:
        return orphans(self._run, end.scn)

    def _wait(self, what: str, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not is_done():
            if time.monotonic() > deadline:
                raise TakeOverError(f"the engine in {self._base.path} did not {what} within {_PATIENCE:g} s")
            time.sleep(_POLL)

    def _run(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                return tuple(tuple(row) for row in cursor.fetchall())
        except (pymysql.err.Error, OSError) as error:
            raise TakeOverError(f"the engine in {self._base.path} refused {sql}: {error}") from error


def _connected(base: BaseDir, logins: Sequence[Login]) -> Connection[Any]:
    """A connection as the first of the accounts that the engine accepts. Raises TakeOverError."""
    refused = ""
    for login in logins:
        try:
            return connect_as(base, login.user, login.password, _PATIENCE)
        except (pymysql.err.Error, OSError) as error:
            refused = str(error)
    raise TakeOverError(
        f"cannot log in to the engine in {base.path} ({refused}); give --user and REDOUBT_PASSWORD of an account with "
        "the ALTER SYSTEM privilege"
    )
