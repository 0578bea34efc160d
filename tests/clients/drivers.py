"""The Python drivers, each made to run sessions and to show what it shows of their results.

Every driver takes and gives what the Node programs take and give as JSON: `host`, `port`, `ca` (a file with the
certificate to trust; without it nothing is encrypted) and `sessions`; and for each session and step a list of results.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Callable, Iterable
from typing import Any, cast

import asyncmy
import mysql.connector
import pymysql
import sqlalchemy
from pymysql.constants import CLIENT

_ERRORS: tuple[type[Exception], ...] = (pymysql.MySQLError, mysql.connector.Error)

Request = dict[str, Any]
Answers = list[list[list[dict[str, Any]]]]


def through_pymysql(request: Request) -> Answers:
    """PyMySQL, which knows no binary protocol."""
    return [_pymysql_session(request, session) for session in request["sessions"]]


def through_connector(request: Request) -> Answers:
    """mysql-connector-python without its C extension."""
    return [_connector_session(request, session, pure=True) for session in request["sessions"]]


def through_connector_cext(request: Request) -> Answers:
    """mysql-connector-python with its C extension."""
    return [_connector_session(request, session, pure=False) for session in request["sessions"]]


def through_asyncmy(request: Request) -> Answers:
    """Run on an event loop; the sessions at the same time."""

    async def run() -> Answers:
        return list(await asyncio.gather(*(_asyncmy_session(request, session) for session in request["sessions"])))

    return asyncio.run(run())


def through_sqlalchemy(request: Request) -> Answers:
    """Over PyMySQL; several statements in one text through the driver's own cursor, as its manual says."""
    return [_sqlalchemy_session(request, session) for session in request["sessions"]]


def _pymysql_session(request: Request, session: dict[str, Any]) -> list[list[dict[str, Any]]]:
    options: dict[str, Any] = {"client_flag": CLIENT.MULTI_STATEMENTS, "autocommit": True, **_tls(request)}
    with pymysql.connect(**_login(request, session), **options) as connection, connection.cursor() as cursor:
        return [_run(cursor, step["sql"], _of_pymysql) for step in session["steps"]]


def _of_pymysql(cursor: Any) -> dict[str, Any]:
    return _shown(cursor.description, cursor.fetchall(), cursor.rowcount, cursor._result.warning_count)


def _connector_session(request: Request, session: dict[str, Any], *, pure: bool) -> list[list[dict[str, Any]]]:
    ca = request["ca"]
    tls = {"ssl_ca": ca, "ssl_verify_cert": True} if ca else {"ssl_disabled": True}
    options = {"use_pure": pure, "autocommit": True, **tls}
    answers = []
    with contextlib.closing(mysql.connector.connect(**_login(request, session), **options)) as connection:
        assert type(connection).__name__ == ("MySQLConnection" if pure else "CMySQLConnection")
        for step in session["steps"]:
            with contextlib.closing(connection.cursor(prepared=step["prepared"])) as cursor:
                answers.append(_run(cursor, step["sql"], _of_connector))
    return answers


def _of_connector(cursor: Any) -> dict[str, Any]:
    found = cursor.fetchall() if cursor.description else []
    return _shown(cursor.description, found, cursor.rowcount, cursor.warning_count)


async def _asyncmy_session(request: Request, session: dict[str, Any]) -> list[list[dict[str, Any]]]:
    tls = ssl.create_default_context(cafile=request["ca"]) if request["ca"] else None
    login = _login(request, session)
    answers = []
    async with asyncmy.connect(**login, ssl=tls, autocommit=True, client_flag=CLIENT.MULTI_STATEMENTS) as connection:
        for step in session["steps"]:
            run = _asyncmy_prepared if step["prepared"] else _asyncmy_text
            answers.append(await run(connection, step["sql"]))
    return answers


async def _asyncmy_text(connection: Any, sql: str) -> list[dict[str, Any]]:
    results = []
    async with connection.cursor() as cursor:
        try:
            await cursor.execute(sql)
            more = True
            while more:
                result = cursor._result
                results.append(
                    _shown(cursor.description, await cursor.fetchall(), cursor.rowcount, result.warning_count)
                )
                more = await cursor.nextset()
        except asyncmy.errors.MySQLError as error:
            results.append(_refusal(error))
    return results


async def _asyncmy_prepared(connection: Any, sql: str) -> list[dict[str, Any]]:
    try:
        async with await connection.prepare(sql) as statement:
            result = await statement.execute()
            return [_shown(result.description, result.rows or (), result.affected_rows, result.warning_count)]
    except asyncmy.errors.MySQLError as error:
        return [_refusal(error)]


def _sqlalchemy_session(request: Request, session: dict[str, Any]) -> list[list[dict[str, Any]]]:
    login = _login(request, session)
    url = sqlalchemy.URL.create("mysql+pymysql", login["user"], login["password"], login["host"], login["port"])
    options = {"client_flag": CLIENT.MULTI_STATEMENTS, **_tls(request)}
    engine = sqlalchemy.create_engine(url, connect_args=options, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            return [_sqlalchemy_step(connection, step["sql"]) for step in session["steps"]]
    finally:
        engine.dispose()


def _sqlalchemy_step(connection: sqlalchemy.Connection, sql: str) -> list[dict[str, Any]]:
    if "; " in sql:
        with contextlib.closing(connection.connection.cursor()) as cursor:
            return _run(cursor, sql, _of_pymysql)
    try:
        result = connection.exec_driver_sql(sql)
    except sqlalchemy.exc.DBAPIError as error:
        return [_refusal(error.orig)]
    raw: Any = result.cursor
    if raw is None:
        return [_shown(None, (), result.rowcount, 0)]
    description, warnings = raw.description, raw._result.warning_count
    return [_shown(description, result.fetchall(), result.rowcount, warnings)]


def _login(request: Request, session: dict[str, Any]) -> dict[str, Any]:
    return {
        "host": request["host"],
        "port": request["port"],
        "user": session["user"],
        "password": session["password"],
    }


def _tls(request: Request) -> dict[str, Any]:
    return {"ssl_ca": request["ca"], "ssl_verify_cert": True} if request["ca"] else {"ssl_disabled": True}


def _run(cursor: Any, sql: str, shown: Callable[[Any], dict[str, Any]]) -> list[dict[str, Any]]:
    """Execute, and collect results up to the last or an error."""
    results = []
    try:
        cursor.execute(sql)
        more: Any = True
        while more:
            results.append(shown(cursor))
            more = cursor.nextset()
    except _ERRORS + _c_errors() as error:
        results.append(_refusal(error))
    return results


def _c_errors() -> tuple[type[Exception], ...]:
    """The error of the C extension, which `nextset` lets through as it is; only where the extension is in use."""
    extension = sys.modules.get("_mysql_connector")
    return (cast("type[Exception]", extension.MySQLInterfaceError),) if extension else ()


def _shown(description: Any, found: Iterable[Any], affected: int, warnings: int) -> dict[str, Any]:
    if not description:
        return {"affected": affected, "warnings": warnings}
    return {
        "columns": [column[0] for column in description],
        "types": [column[1] for column in description],
        "rows": [[_as_text(value) for value in row] for row in found],
        "warnings": warnings,
    }


def _refusal(error: Any) -> dict[str, Any]:
    code, message = (error.errno, error.msg) if hasattr(error, "msg") else error.args[:2]
    return {"code": code, "sqlstate": getattr(error, "sqlstate", None), "message": message}


def _as_text(value: Any) -> str | None:
    if isinstance(value, bytes | bytearray):
        return value.decode()
    return None if value is None else str(value)
