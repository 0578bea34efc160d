"""Lends one running service to test after test: each has a destination and rounds of its own, and leaves no trace.

A service costs two engines and some seconds. Only a test that kills, restarts or configures one needs one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redoubt.control.parameters.parameter_list import ALLOW_SHORT_INTERVALS, ENABLE_LOG_ARCHIVE, PARAMETERS

from .cluster import WRITTEN, ServiceUnderTest

_KEPT_SCHEMAS = frozenset({"information_schema", "mysql", "oceanbase", "sys", "sys_external_tbs", "test"})
_KEPT_USERS = frozenset({"root", "redoubt_service"})
_ROUND = "SELECT LOG_ARCHIVE_ROUND, STATUS FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1"


@contextmanager
def lent(service: ServiceUnderTest, folder: Path) -> Iterator[ServiceUnderTest]:
    """The service, with a new destination in `folder`; afterwards the round is STOP, and all is as it was."""
    service.move_to(folder)
    service.rounds_before = _round(service)[0]
    yield service
    if _round(service)[1] != "STOP":
        service.stop_archiving()
    _reset_parameters(service)
    for row in service.run("SHOW TENANTS"):
        if row["TENANT_NAME"] not in {"sys", "main"}:
            service.run(f"DROP TENANT {row['TENANT_NAME']} FORCE")
    for user in ("root@sys", "root@main"):
        _empty(service, user)
    assert _round(service)[1] == "STOP"


def _round(service: ServiceUnderTest) -> tuple[int, str]:
    rows = service.run(_ROUND)
    return (rows[0]["LOG_ARCHIVE_ROUND"], rows[0]["STATUS"]) if rows else (0, "STOP")


def _reset_parameters(service: ServiceUnderTest) -> None:
    """Set our parameters to what they are in a new cluster."""
    names = ", ".join(f"'{name}'" for name in PARAMETERS if name != ENABLE_LOG_ARCHIVE)
    for row in service.run(f"SHOW PARAMETERS WHERE name IN ({names}) AND value <> default_value"):
        service.run(f"ALTER SYSTEM SET {row['name']} = '{PARAMETERS[row['name']].default}'")
    service.run(f"ALTER SYSTEM SET {ALLOW_SHORT_INTERVALS} = 'False'")


def _empty(service: ServiceUnderTest, user: str) -> None:
    """Drop the users, tables and schemas that a test has made."""
    for row in service.run("SELECT DISTINCT user AS name FROM mysql.user", user):
        if row["name"] not in _KEPT_USERS:
            service.run(f"DROP USER `{row['name']}`", user)
    for row in service.run("SHOW DATABASES", user):
        (name,) = row.values()
        if name not in _KEPT_SCHEMAS:
            service.run(f"DROP DATABASE `{name}`", user)
    for row in service.run("SHOW FULL TABLES FROM test", user):
        name, kind = row.values()
        if name != WRITTEN:
            service.run(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} test.`{name}`", user)
