"""Engines' directories that are made once and copied for each test: a new one costs 8 s of a processor.

In its first seconds an engine makes its system tables and packages. The copies have that behind them, in their files:
they start with 1 s of a processor, and do nothing of their own while a test looks. A test that is about an engine's
first seconds takes a new directory.

The templates are kept from run to run, in a folder whose name changes with all that they are made of.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql

from redoubt.catalog import schema
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.session import CatalogError, CatalogSession
from redoubt.engines.seekdb.account import connect, connect_as, ensure_account
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.engines.seekdb.replaying import flush_replayed
from redoubt.model.keeping import EngineSizes

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

FOLDER = "REDOUBT_TEST_TEMPLATES"
"""The variable that names the folder in which they lie, for all processes that share the tests."""
_ALL = Path(__file__).parents[2] / ".engine-templates"
_PARTS = ("etc", "store")
_PATIENCE = 120.0
_PACKAGES_PAUSE = 1.0


def folder_of_templates() -> Path:
    """Where the templates of this version of the engine, of the catalog and of this module lie; others are removed."""
    parts = version("pylibseekdb"), schema.version(), Path(__file__).read_text()
    folder = _ALL / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for other in _ALL.iterdir():
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)  # another run may be removing it as well
    return folder


def copy_of_new(path: Path) -> None:
    """Make `path` an engine's directory in which nobody has done anything yet."""
    _copy(_template("engine", _make), path)


def copy_of_new_sys(path: Path) -> None:
    """The same with the catalog's tables in it, which take 3 s to make."""
    _copy(_template("sys", _make_sys), path)


def await_packages(cursor: Cursor) -> None:
    """Wait until a new engine has its system packages: it makes them one after another, in some 200 groups of log."""
    deadline, seen, since = time.monotonic() + _PATIENCE, 0, time.monotonic()
    while not seen or time.monotonic() - since < _PACKAGES_PAUSE:
        assert time.monotonic() < deadline, "the engine has not made its packages"
        ((number,),) = _rows(cursor, "SELECT COUNT(*) FROM oceanbase.__all_package")
        if number != seen:
            seen, since = number, time.monotonic()
        time.sleep(0.05)


def _copy(template: Path, path: Path) -> None:
    """Copy what is the engine's, without its own log."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in _PARTS:
        subprocess.run(["cp", "-a", "--sparse=always", template / part, path], check=True)


def _template(name: str, make: Callable[[BaseDir], None]) -> Path:
    """A template; made by the process that needs it first."""
    folder = Path(os.environ[FOLDER])
    made, making = folder / name, folder / f"{name}.part"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(making, ignore_errors=True)  # of a process that was killed
            making.mkdir()
            make(BaseDir(making))
            making.rename(made)
    return made


def _make(base: BaseDir) -> None:
    """Have a new engine make all that it makes by itself."""
    with _running(base) as cursor:
        await_packages(cursor)
        flush_replayed(base, partial(_rows, cursor))


def _make_sys(base: BaseDir) -> None:
    """Have the service's account and its tables as well; each copy's service gives the account a new password."""
    copy_of_new(base.path)
    with _running(base) as cursor:
        _persist(lambda: ensure_account(base))
        session = CatalogSession(lambda: connect(base))
        _persist(Catalog(session).prepare)
        session.close()
        flush_replayed(base, partial(_rows, cursor))


@contextmanager
def _running(base: BaseDir) -> Iterator[Cursor]:
    """A session of root's on an engine that runs meanwhile."""
    instance = Instance(base, EngineSizes())
    instance.start()
    try:
        connection = _connected(base, instance)
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        instance.stop()


def _persist(action: Callable[[], None]) -> None:
    """Do what an engine that has just started may refuse at first."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return action()
        except (OSError, CatalogError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _connected(base: BaseDir, instance: Instance) -> Connection[Cursor]:
    while True:
        with suppress(pymysql.err.Error):
            return connect_as(base, "root", "")
        instance.check_alive()
        time.sleep(0.05)


def _rows(cursor: Cursor, sql: str) -> tuple[tuple[Any, ...], ...]:
    cursor.execute(sql)
    return tuple(cursor.fetchall())


if __name__ == "__main__":
    os.environ.setdefault(FOLDER, str(folder_of_templates()))
    _template("sys", _make_sys)
