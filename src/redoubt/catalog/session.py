"""The service's connection to the sys engine. Methods block; one transaction at a time, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pymysql

from redoubt.errors import RedoubtError

if TYPE_CHECKING:
    from pymysql.connections import Connection
    from pymysql.cursors import Cursor


class CatalogError(RedoubtError):
    """The sys engine does not answer, or refuses a statement; nothing was written."""


class CatalogSession:
    """A connection made by `connect` (autocommit on), and made again after a restart of the engine."""

    def __init__(self, connect: Callable[[], Connection[Cursor]]) -> None:
        self._connect = connect
        self._connection: Connection[Cursor] | None = None
        self._lock = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor whose statements take effect together or not at all. Raises CatalogError."""
        with self.cursor() as cursor:
            cursor.execute("BEGIN")
            yield cursor
            cursor.execute("COMMIT")

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor for statements that stand alone. Raises CatalogError."""
        with self._lock:
            try:
                with self._alive().cursor() as cursor:
                    yield cursor
            except (pymysql.err.Error, OSError) as error:
                self._drop()  # this ends an open transaction too
                raise CatalogError(f"the catalog in the sys engine is unavailable: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _alive(self) -> Connection[Cursor]:
        if self._connection is not None:
            try:
                self._connection.ping(reconnect=False)
            except (pymysql.err.Error, OSError):
                self._drop()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(pymysql.err.Error, OSError):  # the connection may be broken already
                self._connection.close()
            self._connection = None
