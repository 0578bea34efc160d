"""The service's own account on its engines, and connections with it.

Users may change or drop `root`; the service logs in as itself. The password is random, kept in a file that only the
service's user can read, and written there before the account is made, so that a crash in between locks nobody out.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

import pymysql

from redoubt.engines.seekdb.files import BaseDir

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

NAME = "redoubt_service"
_ACCESS_DENIED = 1045


class AccountError(Exception):
    """The service cannot log in to its engine."""


def password_of(base: BaseDir) -> str:
    """The password of the service's account; made up at the first call for a directory."""
    try:
        return base.account.read_text().strip()
    except FileNotFoundError:
        password = secrets.token_urlsafe(24)
        descriptor = os.open(base.account, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(password + "\n")
            file.flush()
            os.fsync(descriptor)
        return password


def connect(base: BaseDir, *, timeout: float = 10.0) -> Connection[Cursor]:
    """A connection to the engine as the service, autocommit on. Raises pymysql.err.Error or OSError."""
    return _connect(base, NAME, password_of(base), timeout)


def ensure_account(base: BaseDir) -> None:
    """Have the account on a running engine. OSError while the engine does not answer, AccountError if it refuses.

    A fresh engine has a `root` without a password, which is enough to make the account.
    """
    password = password_of(base)
    try:
        _connect(base, NAME, password).close()
    except pymysql.err.OperationalError as error:
        if error.args[0] != _ACCESS_DENIED:
            raise ConnectionError(str(error)) from error
        _create(base, password)


def accepts_empty_root(base: BaseDir) -> bool:
    """Whether anybody can log in to the engine as root, without a password."""
    try:
        _connect(base, "root", "").close()
    except pymysql.err.OperationalError:
        return False
    return True


def _create(base: BaseDir, password: str) -> None:
    try:
        connection = _connect(base, "root", "")
    except pymysql.err.OperationalError as error:
        raise AccountError(
            f"the service cannot log in to the engine in {base.path}: its account {NAME!r} is gone or was changed, and "
            "root has a password. Log in to that engine's socket as root and run: "
            f"CREATE USER {NAME} IDENTIFIED BY '<the text in {base.account}>'; GRANT ALL ON *.* TO {NAME}"
        ) from error
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE USER IF NOT EXISTS {NAME} IDENTIFIED BY %s", (password,))
        cursor.execute(f"ALTER USER {NAME} IDENTIFIED BY %s", (password,))
        cursor.execute(f"GRANT ALL ON *.* TO {NAME} WITH GRANT OPTION")


def _connect(base: BaseDir, user: str, password: str, timeout: float = 10.0) -> Connection[Any]:
    return pymysql.connect(
        unix_socket=str(base.socket),
        user=user,
        password=password,
        autocommit=True,
        charset="utf8mb4",
        connect_timeout=timeout,
        read_timeout=timeout,
        write_timeout=timeout,
        init_command="SET time_zone = '+00:00'",
    )
