"""The errors of restore: OceanBase's numbers, SQLSTATEs and texts."""

from __future__ import annotations

import pytest

from redoubt.sql import restore_errors as errors
from redoubt.sql.errors import SqlError


@pytest.mark.parametrize(
    ("error", "code", "sqlstate", "text"),
    [
        (
            errors.wrong_restore_timestamp("noon"),
            1525,
            "HY000",
            "Incorrect TIMESTAMP value: 'noon': write it as UNTIL '",
        ),
        (errors.wrong_restore_timestamp("x" * 9999), 1525, "HY000", f"Incorrect TIMESTAMP value: '{'x' * 200}': "),
        (errors.invalid_restore_option("x"), 1210, "HY000", "Invalid argument: restore option after WITH: x"),
        (
            errors.restore_sources_twice(),
            1235,
            "0A000",
            "should not have backup_dest and restore_source at the same time not supported: leave AT out, or",
        ),
        (
            errors.restore_timestamp_too_new("wait"),
            4179,
            "HY000",
            "need retry later, restore timestamp is too new not allowed: wait",
        ),
        (
            errors.restore_tenant_exists(),
            4179,
            "HY000",
            "restore tenant with existed tenant name is not allowed: choose another name",
        ),
        (errors.restore_preview_note("x"), 1003, "HY000", "x"),
        (errors.uri_error("x"), 9001, "HY000", "URI error: x"),
        (errors.backup_file_not_exist("x"), 9011, "HY000", "cannot find backup file: x"),
        (errors.restore_in_progress("x"), 9014, "HY000", "Another restore is in progress: x"),
        (errors.log_archive_backup_info_not_exist("x"), 9025, "HY000", "log archive backup info not exists: x"),
        (errors.cancel_backup_not_allowed("x"), 9041, "HY000", "cancel backup do not allow: x"),
        (errors.isolated_backup_set("x"), 9048, "HY000", "backup set is isolated by two log archive round: x"),
        (
            errors.archive_log_not_continuous("x"),
            9064,
            "HY000",
            "the archive log and backup data are not continuous: x",
        ),
    ],
)
def test_errors(error: SqlError, code: int, sqlstate: str, text: str) -> None:
    """Each has the number and state that a client of OceanBase knows, and OceanBase's text first."""
    assert (error.code, error.sqlstate) == (code, sqlstate)
    assert error.message.startswith(text)
    assert len(error.message) < 512


def test_without_a_hint_there_is_no_colon() -> None:
    """OceanBase's text alone."""
    assert errors.uri_error().message == "URI error"
