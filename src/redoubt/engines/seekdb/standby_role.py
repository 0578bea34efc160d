"""The role in which an engine opens its directory: PRIMARY writes log of its own, STANDBY only replays existing log.

The role is a parameter in `store/sstable/meta.db` (SQLite), which an engine reads at its start. Before a change of the
role, Redoubt keeps all parameters in a file, because an engine in the other role may store more of them. While that
file exists, the parameters have to be put back.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import NoneType
from urllib.parse import quote

from redoubt.durable import replace_file, sync
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.proven import installed_version, refuse_unproven

_PATIENCE = 60.0
"""Seconds for all statements on the database."""
_STEPS = 100_000
_MOST_ROWS = 10_000
_LONGEST_VALUE = 64 * 1024
_VALUES = (str, int, float, NoneType)
"""What a column of a parameter may hold; JSON has all of these."""
_PRIMARY = "PRIMARY:INVALID:NORMAL:0"
_STANDBY = "STANDBY:INVALID:NORMAL:0"
_ROLE = "SELECT value FROM __all_sys_parameter WHERE name = 'server_role_info'"


class RoleError(Exception):
    """The engine's role cannot be changed; the text names the role."""


def become_standby(base: BaseDir) -> None:
    """Make the engine only replay at its next start. No engine may be running.

    Raises UnprovenEngineError before any change, RoleError, OSError.
    """
    refuse_unproven(f"changing the role of the engine in {base.path}", installed_version())
    become_primary_again(base)
    with _opened(base) as database:
        roles = database.execute(_ROLE).fetchmany(2)
        if roles != [(_PRIMARY,)]:
            raise RoleError(f"the engine's role in {_path(base)} is {roles} instead of {_PRIMARY}; nothing was changed")
        rows = database.execute(f"SELECT * FROM __all_sys_parameter LIMIT {_MOST_ROWS}").fetchall()
        if len(rows) == _MOST_ROWS or any(not isinstance(each, _VALUES) for row in rows for each in row):
            raise RoleError(f"{_path(base)} is damaged: its parameters are no parameters; nothing was changed")
        base.ours.mkdir(mode=0o700, exist_ok=True)
        replace_file(base.parameters_before, json.dumps(rows).encode())
        database.execute("UPDATE __all_sys_parameter SET value = ? WHERE name = 'server_role_info'", (_STANDBY,))
        database.commit()


def is_standby(base: BaseDir) -> bool:
    """Whether `become_standby` was the last to change the role: no engine has written log of its own since.

    Raises OSError.
    """
    if not base.parameters_before.exists():
        return False
    with _opened(base) as database:
        return bool(database.execute(_ROLE).fetchmany(2) == [(_STANDBY,)])


def become_primary_again(base: BaseDir) -> None:
    """Put back the parameters that `become_standby` has kept, if any. No engine may run. Raises RoleError, OSError."""
    try:
        rows = json.loads(base.parameters_before.read_bytes())
    except FileNotFoundError:
        return
    with _opened(base) as database:
        database.execute("DELETE FROM __all_sys_parameter")
        for row in rows:
            places = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO __all_sys_parameter VALUES ({places})", row)
        database.commit()
        if database.execute(_ROLE).fetchmany(2) != [(_PRIMARY,)]:
            raise RoleError(f"the engine's role in {_path(base)} was not put back to {_PRIMARY}")
    base.parameters_before.unlink()
    sync(base.ours)


@contextmanager
def _opened(base: BaseDir) -> Iterator[sqlite3.Connection]:
    """The engine's database of parameters, with durable writes. Errors of SQLite become OSErrors.

    A data backup may hold any database: a view in the place of the table could compute for ever.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(_path(base))}?mode=rw", uri=True)) as database:
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA trusted_schema = OFF")
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
            deadline = time.monotonic() + _PATIENCE
            database.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
            yield database
    except sqlite3.Error as error:
        raise OSError(f"{_path(base)}: {error}") from error


def _path(base: BaseDir) -> str:
    return str(base.path / "store" / "sstable" / "meta.db")
