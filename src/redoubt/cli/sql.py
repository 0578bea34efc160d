"""`redoubt sql`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pymysql
from rich.console import Console

from redoubt.cli.connecting import NoServiceError, address_of, connect
from redoubt.cli.printing import complain, console, print_rows
from redoubt.cli.tls import TlsOptions, TlsOptionsError


def run_statement(
    text: str,
    home: Path,
    *,
    user: str,
    password: str,
    host: str | None,
    port: int | None,
    tls: TlsOptions,
    as_json: bool,
) -> int:
    """Run one or more statements and print the results; the exit status is 1 for an error."""
    out = console()
    try:
        if host is None and port is None:
            host, port = address_of(home)
        connection = connect(host or "127.0.0.1", port or 2881, user, password, tls)
        with connection, connection.cursor() as cursor:
            cursor.execute(text)
            while True:
                _print_answer(out, cursor, as_json=as_json)
                if not cursor.nextset():
                    return 0
    except (NoServiceError, TlsOptionsError) as error:
        complain(error)
    except pymysql.err.MySQLError as error:
        code, message = error.args if len(error.args) == 2 else (0, str(error))  # noqa: PLR2004 - code and text
        complain(f"ERROR {code}: {message}")
    return 1


def _print_answer(out: Console, cursor: Any, *, as_json: bool) -> None:
    if cursor.description is None:
        if as_json:
            out.print_json(json.dumps({"affected_rows": cursor.rowcount}))
        else:
            out.print(f"OK, {cursor.rowcount} rows affected")
        return
    names = [column[0] for column in cursor.description]
    rows = list(cursor.fetchall())
    if as_json:
        out.print_json(json.dumps([dict(zip(names, row, strict=True)) for row in rows], default=_plain))
    else:
        print_rows(out, names, rows)


def _plain(value: object) -> str:
    """A value that JSON does not have, as text: bytes that are no text in hexadecimal digits, as SQL writes them."""
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"
