"""The service's standing connection to an engine: opened when needed, and again after a restart of the engine."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pymysql

from redoubt.engines.seekdb.account import connect
from redoubt.engines.seekdb.files import BaseDir

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor


class Session:
    """Runs one statement at a time; safe to use from several threads."""

    def __init__(self, base: BaseDir) -> None:
        self._base = base
        self._lock = threading.Lock()
        self._connection: Connection[Cursor] | None = None

    def run(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        """The rows of a statement. Raises ConnectionError if the engine does not answer, or refuses the statement."""
        with self._lock:
            try:
                rows = self._on_old_connection(sql)
                return self._on_new_connection(sql) if rows is None else rows
            except pymysql.err.Error as error:
                self._drop()
                raise ConnectionError(f"the engine in {self._base.path} does not answer: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _on_old_connection(self, sql: str) -> tuple[tuple[Any, ...], ...] | None:
        """The rows, None without a connection or if the connection broke: the engine may have been restarted."""
        if self._connection is None:
            return None
        try:
            return _rows(self._connection, sql)
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError):
            self._drop()
            return None

    def _on_new_connection(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        self._connection = connect(self._base)
        return _rows(self._connection, sql)

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(pymysql.err.Error, OSError):  # the connection may be broken already
                self._connection.close()
            self._connection = None


def _rows(connection: Connection[Cursor], sql: str) -> tuple[tuple[Any, ...], ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()
