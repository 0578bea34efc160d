"""The service's own account on its engines, and connections with it.

Users may change or drop `root`, so the service logs in with its own account. The password is random, and is kept in a
file that only the service's user can read. The file is written before the account is created, so that a crash in
between does not lock the service out.
"""

from __future__ import annotations

import secrets
import socket
from typing import TYPE_CHECKING, Any

import pymysql

from redoubt.durable import kept_line
from redoubt.engines.seekdb.files import BaseDir
from redoubt.model.keeping import AccountError

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

NAME = "redoubt_service"
_ACCESS_DENIED = 1045
_NOBODY_ANSWERS = 2003
_FIRST_CLIENT_ERROR, _LAST_CLIENT_ERROR = 2000, 2999
"""The client library's own errors: the engine did not answer."""


def password_of(base: BaseDir) -> str:
    """The password of the service's account; generated at the first call for a directory."""
    return kept_line(base.account, lambda: secrets.token_urlsafe(24))


def connect(base: BaseDir, *, timeout: float = 10.0) -> Connection[Cursor]:
    """A connection to the engine as the service, autocommit on. Raises pymysql.err.Error or OSError."""
    return connect_as(base, NAME, password_of(base), timeout)


def ensure_account(base: BaseDir) -> None:
    """Make sure that the account exists on a running engine.

    A new engine has a `root` without a password, with which the account is created. Raises OSError while the engine
    does not answer, AccountError if the engine refuses the login.
    """
    password = password_of(base)
    try:
        connect_as(base, NAME, password).close()
    except pymysql.err.Error as error:
        if _number(error) != _ACCESS_DENIED:
            raise ConnectionError(str(error)) from error
        _create(base, password)


def accepts_empty_root(base: BaseDir) -> bool:
    """Whether root can log in to the engine without a password. Raises OSError while the engine does not answer."""
    try:
        connect_as(base, "root", "").close()
    except pymysql.err.OperationalError as error:
        if _FIRST_CLIENT_ERROR <= _number(error) <= _LAST_CLIENT_ERROR:
            raise ConnectionError(str(error)) from error
        return False
    return True


def _create(base: BaseDir, password: str) -> None:
    try:
        connection = connect_as(base, "root", "")
    except pymysql.err.Error as error:
        if _number(error) != _ACCESS_DENIED:
            raise ConnectionError(str(error)) from error
        raise AccountError(
            f"the service cannot log in to the engine in {base.path}: its account {NAME!r} was dropped or changed, and "
            f"root has a password. Log in to {base.socket} as root and run: CREATE USER IF NOT EXISTS {NAME}; "
            f"ALTER USER {NAME} IDENTIFIED BY '<the text in {base.account}>'; "
            f"GRANT ALL ON *.* TO {NAME} WITH GRANT OPTION"
        ) from error
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE USER IF NOT EXISTS {NAME} IDENTIFIED BY %s", (password,))
            cursor.execute(f"ALTER USER {NAME} IDENTIFIED BY %s", (password,))
            cursor.execute(f"GRANT ALL ON *.* TO {NAME} WITH GRANT OPTION")
    except pymysql.err.Error as error:  # the engine has just started, or is shutting down
        raise ConnectionError(str(error)) from error


def _number(error: pymysql.err.Error) -> int:
    """The number of an error, 0 without a number."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def connect_as(base: BaseDir, user: str, password: str, timeout: float = 10.0, client_flag: int = 0) -> Connection[Any]:
    """A connection to the engine as the given user, autocommit on, in UTC. Raises pymysql.err.Error or OSError."""
    connection = pymysql.connect(
        user=user,
        password=password.encode(),  # as UTF-8: of a text, PyMySQL would make latin-1
        autocommit=True,
        charset="utf8mb4",
        read_timeout=timeout,
        write_timeout=timeout,
        init_command="SET time_zone = '+00:00'",
        client_flag=client_flag,
        ssl_disabled=True,  # PyMySQL would read the system's certificates for each connection: 40 ms of a core
        defer_connect=True,
    )
    dialed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # PyMySQL leaves its own open if no engine answers
    try:
        dialed.settimeout(timeout)
        dialed.connect(str(base.socket))
    except OSError as error:
        dialed.close()
        raise pymysql.err.OperationalError(_NOBODY_ANSWERS, f"no engine answers on {base.socket}: {error}") from error
    connection.connect(dialed)
    return connection


def answers(base: BaseDir) -> bool:
    """Whether the engine accepts or refuses logins: before it has opened its files, it does neither."""
    try:
        connect_as(base, "root", "").close()
    except (OSError, pymysql.err.Error) as error:
        return error.args[:1] == (_ACCESS_DENIED,)
    return True
