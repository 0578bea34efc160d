"""The service's own account on its engines, and connections with it.

Users may change or drop `root`; the service logs in as itself. The password is random, kept in a file that only the
service's user can read, and written there before the account is made, so that a crash in between locks nobody out.
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
"""Errors that the client library raises by itself: no answer came."""


def password_of(base: BaseDir) -> str:
    """The password of the service's account; made up at the first call for a directory."""
    return kept_line(base.account, lambda: secrets.token_urlsafe(24))


def connect(base: BaseDir, *, timeout: float = 10.0) -> Connection[Cursor]:
    """A connection to the engine as the service, autocommit on. Raises pymysql.err.Error or OSError."""
    return connect_as(base, NAME, password_of(base), timeout)


def ensure_account(base: BaseDir) -> None:
    """Have the account on a running engine. OSError while the engine does not answer, AccountError if it refuses.

    A fresh engine has a `root` without a password, which is enough to make the account.
    """
    password = password_of(base)
    try:
        connect_as(base, NAME, password).close()
    except pymysql.err.Error as error:
        if _number(error) != _ACCESS_DENIED:
            raise ConnectionError(str(error)) from error
        _create(base, password)


def accepts_empty_root(base: BaseDir) -> bool:
    """Whether anybody can log in to the engine as root, without a password. OSError while it does not answer."""
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
            f"the service cannot log in to the engine in {base.path}: its account {NAME!r} is gone or was changed, and "
            "root has a password. Log in to that engine's socket as root and run: "
            f"CREATE USER {NAME} IDENTIFIED BY '<the text in {base.account}>'; GRANT ALL ON *.* TO {NAME}"
        ) from error
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE USER IF NOT EXISTS {NAME} IDENTIFIED BY %s", (password,))
            cursor.execute(f"ALTER USER {NAME} IDENTIFIED BY %s", (password,))
            cursor.execute(f"GRANT ALL ON *.* TO {NAME} WITH GRANT OPTION")
    except pymysql.err.Error as error:  # it has just started, or is going down
        raise ConnectionError(str(error)) from error


def _number(error: pymysql.err.Error) -> int:
    """The error's number, 0 if it has none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def connect_as(base: BaseDir, user: str, password: str, timeout: float = 10.0, client_flag: int = 0) -> Connection[Any]:
    """A connection to the engine as one of its users, autocommit on, in UTC. Raises pymysql.err.Error or OSError."""
    connection = pymysql.connect(
        user=user,
        password=password,
        autocommit=True,
        charset="utf8mb4",
        read_timeout=timeout,
        write_timeout=timeout,
        init_command="SET time_zone = '+00:00'",
        client_flag=client_flag,
        ssl_disabled=True,  # PyMySQL would read the system's certificates for each connection: 40 ms of a core
        defer_connect=True,
    )
    dialed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # PyMySQL leaves its own open when nobody answers
    try:
        dialed.settimeout(timeout)
        dialed.connect(str(base.socket))
    except OSError as error:
        dialed.close()
        raise pymysql.err.OperationalError(_NOBODY_ANSWERS, f"nobody answers on {base.socket}: {error}") from error
    connection.connect(dialed)
    return connection
