"""The role in which an engine opens its directory: PRIMARY writes log of its own, STANDBY only replays what is there.

The role is a parameter in `store/sstable/meta.db` (SQLite), read at the start. All parameters are kept in a file of
ours before it is changed, since an engine in the other role may store more of them; as long as that file is there, they
are to be put back.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import quote

from redoubt.durable import replace_file, sync
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.proven import installed_version, refuse_unproven

_PRIMARY = "PRIMARY:INVALID:NORMAL:0"
_STANDBY = "STANDBY:INVALID:NORMAL:0"
_ROLE = "SELECT value FROM __all_sys_parameter WHERE name = 'server_role_info'"


class RoleError(Exception):
    """The directory's role is not one that we change; the text says what it is."""


def become_standby(base: BaseDir) -> None:
    """Have the engine only replay when it starts. None may be running.

    Raises UnprovenEngineError before anything is done, RoleError, OSError.
    """
    refuse_unproven(f"changing the role of the engine in {base.path}", installed_version())
    become_primary_again(base)
    with _opened(base) as database:
        roles = database.execute(_ROLE).fetchall()
        if roles != [(_PRIMARY,)]:
            raise RoleError(f"{_path(base)} says {roles} of the engine's role, and not {_PRIMARY}: it stays as it is")
        rows = database.execute("SELECT * FROM __all_sys_parameter").fetchall()
        base.ours.mkdir(mode=0o700, exist_ok=True)
        replace_file(base.parameters_before, json.dumps(rows).encode())
        database.execute("UPDATE __all_sys_parameter SET value = ? WHERE name = 'server_role_info'", (_STANDBY,))
        database.commit()


def become_primary_again(base: BaseDir) -> None:
    """Put back what `become_standby` has changed, if it has. No engine may be running. Raises RoleError, OSError."""
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
        if database.execute(_ROLE).fetchall() != [(_PRIMARY,)]:
            raise RoleError(f"{_path(base)} does not say {_PRIMARY} of the engine's role again")
    base.parameters_before.unlink()
    sync(base.ours)


@contextmanager
def _opened(base: BaseDir) -> Iterator[sqlite3.Connection]:
    """The engine's database of parameters, durably written; errors of SQLite are OSErrors."""
    try:
        with closing(sqlite3.connect(f"file:{quote(_path(base))}?mode=rw", uri=True)) as database:
            database.execute("PRAGMA synchronous = FULL")
            yield database
    except sqlite3.Error as error:
        raise OSError(f"{_path(base)}: {error}") from error


def _path(base: BaseDir) -> str:
    return str(base.path / "store" / "sstable" / "meta.db")
