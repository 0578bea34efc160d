"""Lends one running service to test after test: each has a destination and rounds of its own, and leaves no trace.

A service costs two engines and some seconds. Only a test that kills, restarts or configures one needs one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql

from redoubt.control.parameters.parameter_list import ALLOW_SHORT_INTERVALS, ENABLE_LOG_ARCHIVE, PARAMETERS

from .cluster import ServiceUnderTest

_KEPT_SCHEMAS = frozenset({"information_schema", "mysql", "oceanbase", "sys", "sys_external_tbs", "test"})
_NOTHING_RUNS = frozenset({9049, 9053})
_KEPT_USERS = frozenset({"root", "redoubt_service"})


@contextmanager
def lent(service: ServiceUnderTest, folder: Path) -> Iterator[ServiceUnderTest]:
    """The service, with a new destination in `folder`; afterwards the round is STOP, and all is as it was."""
    service.move_to(folder)
    service.rounds_before = _round(service)[0]
    yield service
    service.stop_keeping_log()
    if _round(service)[1] != "STOP":
        service.stop_archiving()
    with service.connect() as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        _end_jobs(cursor)
        _reset_parameters(cursor)
        _drop_tenants(cursor)
        _drop_objects(cursor)
    with service.connect("root@main") as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        _drop_objects(cursor)
    assert _round(service)[1] == "STOP"


def _round(service: ServiceUnderTest) -> tuple[int, str]:
    rows = service.run("SELECT LOG_ARCHIVE_ROUND, STATUS FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")
    return (rows[0]["LOG_ARCHIVE_ROUND"], rows[0]["STATUS"]) if rows else (0, "STOP")


def _end_jobs(cursor: Any) -> None:
    """End a deletion or a data backup that still runs: its destination goes with the test."""
    for statement in (
        *("ALTER SYSTEM CANCEL DELETE BACKUP", "ALTER SYSTEM CANCEL BACKUP"),
        *("ALTER SYSTEM CANCEL BACKUP BACKUPSET", "ALTER SYSTEM CANCEL BACKUP BACKUPPIECE"),
    ):
        try:
            cursor.execute(statement)
        except pymysql.err.MySQLError as error:
            assert error.args[0] in _NOTHING_RUNS, error  # noqa: PT017 - what nobody runs cannot be cancelled


def _reset_parameters(cursor: Any) -> None:
    """Set our parameters to what they are in a new cluster."""
    names = ", ".join(f"'{name}'" for name in PARAMETERS if name != ENABLE_LOG_ARCHIVE)
    cursor.execute(f"SHOW PARAMETERS WHERE name IN ({names}) AND value <> default_value")
    for row in cursor.fetchall():
        cursor.execute(f"ALTER SYSTEM SET {row['name']} = '{PARAMETERS[row['name']].default}'")
    cursor.execute(f"ALTER SYSTEM SET {ALLOW_SHORT_INTERVALS} = 'False'")
    cursor.execute("ALTER SYSTEM SET backup_log_archive_option = 'encryption_mode= none'")  # the default names none


def _drop_tenants(cursor: Any) -> None:
    cursor.execute("SHOW TENANTS")
    for row in cursor.fetchall():
        if row["TENANT_NAME"] not in {"sys", "main"}:
            cursor.execute(f"DROP TENANT {row['TENANT_NAME']} FORCE")


def _drop_objects(cursor: Any) -> None:
    """Drop the users, tables and schemas that a test has made."""
    cursor.execute("SELECT DISTINCT user AS name FROM mysql.user")
    for row in cursor.fetchall():
        if row["name"] not in _KEPT_USERS:
            cursor.execute(f"DROP USER `{row['name']}`")
    cursor.execute("SHOW DATABASES")
    for row in cursor.fetchall():
        (name,) = row.values()
        if name not in _KEPT_SCHEMAS:
            cursor.execute(f"DROP DATABASE `{name}`")
    cursor.execute("SHOW FULL TABLES FROM test")
    for row in cursor.fetchall():
        name, kind = row.values()
        cursor.execute(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} test.`{name}`")
