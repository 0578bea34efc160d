"""The service's account on its engines: made once, kept, and what is said when it is gone."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pymysql
import pytest

from redoubt.durable import kept_line
from redoubt.engines.seekdb import account
from redoubt.engines.seekdb.account import accepts_empty_root, connect, ensure_account, password_of
from redoubt.engines.seekdb.files import BaseDir
from redoubt.model.keeping import AccountError

from .running import Seekdb


@pytest.fixture
def base(tmp_path: Path) -> BaseDir:
    """A base directory without an engine."""
    base = BaseDir(tmp_path / "base")
    base.ours.mkdir(parents=True)
    return base


def as_root(seekdb: Seekdb, password: str, *statements: str) -> None:
    """Run statements as the engine's own user, whom nobody else may change."""
    connection = pymysql.connect(unix_socket=str(seekdb.base.socket), user="root", password=password)
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def root_with_password(seekdb: Seekdb) -> Iterator[None]:
    """The engine's user gave root a password."""
    as_root(seekdb, "", "ALTER USER root IDENTIFIED BY 'secret'")
    try:
        yield
    finally:
        as_root(seekdb, "secret", "ALTER USER root IDENTIFIED BY ''")


def test_a_password_is_made_up_once(base: BaseDir) -> None:
    """It is long, and for the owner's eyes only; nothing else is left in the folder."""
    password = password_of(base)

    assert password == password_of(base)
    assert len(password) >= 32
    assert base.account.stat().st_mode & 0o777 == 0o600
    assert [base.account] == list(base.ours.iterdir())


def test_every_directory_has_a_password_of_its_own(tmp_path: Path) -> None:
    """One engine's password opens no other."""
    bases = [BaseDir(tmp_path / name) for name in "ab"]
    for base in bases:
        base.ours.mkdir(parents=True)

    assert len({password_of(base) for base in bases}) == 2


@pytest.mark.parametrize("call", ["open", "fsync", "link"])
def test_a_crash_while_a_password_is_written_leaves_none(base: BaseDir, call: str) -> None:
    """An empty file would be taken for an empty password."""
    with mock.patch.object(os, call, side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        password_of(base)

    assert not base.account.exists()
    assert password_of(base)


def test_all_who_make_up_a_line_at_once_get_the_same(tmp_path: Path) -> None:
    """The first one's."""
    callers = 8
    start = threading.Barrier(callers)

    def make(number: int) -> str:
        start.wait()
        return kept_line(tmp_path / "line", lambda: f"line of {number}")

    with ThreadPoolExecutor(callers) as pool:
        lines = set(pool.map(make, range(callers)))

    assert len(lines) == 1
    assert [tmp_path / "line"] == list(tmp_path.iterdir())


def test_the_account_is_there_for_good(seekdb: Seekdb) -> None:
    """Making sure again changes nothing, and it may do everything that root may; times are in UTC."""
    ensure_account(seekdb.base)
    with connect(seekdb.base) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user(), @@session.time_zone, @@autocommit")
        row = cursor.fetchone()
        cursor.execute("SHOW GRANTS")
        grants = " ".join(str(grant) for grant in cursor.fetchall())

    assert row == ("redoubt_service@%", "+00:00", 1)
    assert "ALL PRIVILEGES ON *.*" in grants


def test_a_changed_account_is_mended_while_root_has_no_password(seekdb: Seekdb) -> None:
    """Whether it was dropped, or its password changed."""
    seekdb.run("ALTER USER redoubt_service IDENTIFIED BY 'other'")
    ensure_account(seekdb.base)
    seekdb.run("DROP USER redoubt_service")
    ensure_account(seekdb.base)

    connect(seekdb.base).close()


def test_a_lost_account_is_told_with_the_way_to_mend_it(seekdb: Seekdb) -> None:
    """When root has a password, only the engine's user can: the statements that the error names mend both cases."""
    with root_with_password(seekdb):
        for damage in ("ALTER USER redoubt_service IDENTIFIED BY 'other'", "DROP USER redoubt_service"):
            as_root(seekdb, "secret", damage)
            with pytest.raises(AccountError) as refused:
                ensure_account(seekdb.base)
            advice = str(refused.value).partition("as root and run: ")[2]
            advice = advice.replace(f"<the text in {seekdb.base.account}>", password_of(seekdb.base))
            as_root(seekdb, "secret", *advice.split("; "))
            ensure_account(seekdb.base)


def test_whether_root_has_a_password_is_known(seekdb: Seekdb) -> None:
    """A fresh engine's has none."""
    fresh = accepts_empty_root(seekdb.base)
    with root_with_password(seekdb):
        protected = accepts_empty_root(seekdb.base)

    assert fresh
    assert not protected


def test_an_engine_that_is_down_is_no_verdict(base: BaseDir) -> None:
    """Neither on the account nor on root's password; no socket is left open."""
    for ask in (ensure_account, accepts_empty_root):
        with pytest.raises(ConnectionError, match="no engine answers on"):
            ask(base)
    with pytest.raises(pymysql.err.OperationalError):
        connect(base)


def test_an_engine_that_hangs_up_is_no_verdict(base: BaseDir) -> None:
    """It is going down, or coming up."""
    base.socket.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(base.socket))
        door.listen()

        def hang_up() -> None:
            for _ in range(2):
                door.accept()[0].close()

        answering = threading.Thread(target=hang_up)
        answering.start()
        for ask in (ensure_account, accepts_empty_root):
            with pytest.raises(ConnectionError):
                ask(base)
        answering.join()


DENIED = pymysql.err.OperationalError(1045, "Access denied")
NOT_READY = pymysql.err.InternalError(4012, "not ready")


@pytest.mark.parametrize("answers", [[NOT_READY], [pymysql.err.Error()], [DENIED, NOT_READY]])
def test_an_engine_that_is_not_ready_is_no_verdict(base: BaseDir, answers: list[Exception]) -> None:
    """At the first question or at the second."""
    with mock.patch.object(account, "connect_as", side_effect=answers), pytest.raises(ConnectionError):
        ensure_account(base)


def test_an_engine_that_goes_down_while_the_account_is_made_is_no_verdict(base: BaseDir) -> None:
    """The next try makes it."""
    connection = mock.MagicMock()
    connection.cursor().__enter__().execute.side_effect = pymysql.err.OperationalError(2013, "Lost connection")
    with mock.patch.object(account, "connect_as", side_effect=[DENIED, connection]), pytest.raises(ConnectionError):
        ensure_account(base)
