"""Connections of the command line to a running service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT
from rich.console import Console
from rich.table import Table
from rich.text import Text

from redoubt.engines.seekdb.account import NAME, password_of
from redoubt.home import Home


class NoServiceError(Exception):
    """There is no service to talk to; the text says what to do."""


def address_of(home: Path) -> tuple[str, int]:
    """Where the service of a home listens. Raises NoServiceError."""
    running = Home(home).running()
    if running is None:
        raise NoServiceError(f"no redoubt service runs in {home}; start one with: redoubt start --home {home}")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(running.host, running.host)  # noqa: S104 - compared, not bound
    return host, running.port


def connect(host: str, port: int, user: str, password: str) -> Connection[Any]:
    """A connection through the gateway. Raises NoServiceError, or PyMySQL's error for a refused login."""
    try:
        return pymysql.connect(
            host=host,
            port=port,
            user=user,
            password=password,
            autocommit=True,
            charset="utf8mb4",
            client_flag=CLIENT.MULTI_STATEMENTS,
        )
    except pymysql.err.OperationalError as error:
        if error.args[0] in {2003, 2013}:
            raise NoServiceError(f"nothing answers on {host}:{port}: {error.args[1]}") from error
        raise


def connect_as_service(home: Path) -> Connection[Any]:
    """A connection to the sys tenant with the service's own account, for those who may read its file."""
    host, port = address_of(home)
    try:
        password = password_of(Home(home).sys)
    except PermissionError as error:
        raise NoServiceError(f"{error.filename} is not yours to read; run this as the service's user") from error
    return connect(host, port, f"{NAME}@sys", password)


def result_table(names: list[str], rows: list[tuple[Any, ...]]) -> Table:
    """A result set as a table."""
    table = Table(show_lines=False)
    for name in names:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*(Text("NULL", style="dim") if value is None else Text(str(value)) for value in row))
    return table


def console(*, error: bool = False) -> Console:
    """The terminal; a pipe or file gets lines as wide as they need to be."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else 10_000
    return Console(stderr=error, width=width, highlight=False, soft_wrap=error)
