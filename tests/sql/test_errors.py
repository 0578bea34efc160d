"""The error packets: OceanBase's numbers, SQLSTATEs and texts."""

from __future__ import annotations

import pytest

from redoubt.sql import errors


@pytest.mark.parametrize(
    ("error", "code", "sqlstate", "message"),
    [
        (
            errors.access_denied("root@t", password_given=True),
            1045,
            "28000",
            "Access denied for user 'root@t'@'%' (using password: YES)",
        ),
        (
            errors.access_denied("root@t", password_given=False),
            1045,
            "28000",
            "Access denied for user 'root@t'@'%' (using password: NO)",
        ),
        (
            errors.no_privilege(),
            1227,
            "42501",
            "Access denied; you need (at least one of) the SUPER or ALTER SYSTEM privilege(s) for this operation",
        ),
        (errors.not_supported("this"), 1235, "0A000", "this is not supported"),
        (errors.invalid_config(), 4147, "HY000", "Invalid config"),
        (errors.invalid_config("why"), 4147, "HY000", "Invalid config: why"),
        (errors.unknown_config(), 5099, "42000", "System config unknown"),
        (errors.log_archive_already_disabled(), 9024, "HY000", "log archive backup is already disabled"),
        (errors.backup_dest_not_valid("it is empty"), 9026, "HY000", "backup destination is not valid: it is empty"),
        (
            errors.backup_in_progress(),
            9036,
            "HY000",
            "Backup is in progress: run ALTER SYSTEM NOARCHIVELOG first and wait for STATUS = 'STOP'",
        ),
    ],
)
def test_errors(error: errors.SqlError, code: int, sqlstate: str, message: str) -> None:
    """Each error has the number, state and text that a client of OceanBase knows."""
    assert (code, sqlstate, message) == (error.code, error.sqlstate, error.message)
    assert f"{code} ({sqlstate}): {message}" == str(error)
