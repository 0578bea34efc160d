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
            errors.backup_in_progress("run ALTER SYSTEM NOARCHIVELOG first and wait for STATUS = 'STOP'"),
            9036,
            "HY000",
            "Backup is in progress: run ALTER SYSTEM NOARCHIVELOG first and wait for STATUS = 'STOP'",
        ),
        (errors.invalid_argument("x"), 1210, "HY000", "Incorrect arguments to x"),
        (errors.not_supported_text("x"), 1235, "0A000", "x not supported"),
        (errors.not_supported_feature(), 1235, "0A000", "Not supported feature or function"),
        (errors.not_allowed("x"), 4179, "HY000", "x not allowed"),
        (
            errors.backup_can_not_start("STOP"),
            9040,
            "HY000",
            (
                "backup can not start, because log archive is not doing. log archive status : STOP. "
                "To begin a round, run ALTER SYSTEM ARCHIVELOG and wait for STATUS = 'DOING'"
            ),
        ),
        (
            errors.backup_can_not_start("INTERRUPTED", "the log is gone"),
            9040,
            "HY000",
            (
                "backup can not start, because log archive is not doing. log archive status : INTERRUPTED. "
                "Cause: the log is gone. "
                "To begin a new round, run ALTER SYSTEM NOARCHIVELOG, wait for STATUS = 'STOP', and begin a round"
            ),
        ),
        (errors.delete_in_progress(), 9044, "HY000", "delete backup data is in progress"),
        (errors.delete_backup_set_not_allowed(), 9045, "HY000", "delete backup set do not allow"),
        (errors.backup_already_stopped(), 9049, "HY000", "backup status is stopped, can not cancel"),
        (errors.cancel_delete_not_allowed(), 9053, "HY000", "cancel delete backup do not allow"),
        (errors.delete_piece_not_allowed(), 9069, "HY000", "deleting backup piece is not allowed"),
        (errors.delete_piece_not_allowed("x"), 9069, "HY000", "deleting backup piece is not allowed: x"),
        (
            errors.no_backup_set(3),
            1235,
            "0A000",
            "delete backupset is not exist. backup set id: 3, copy id: 0 . not supported",
        ),
        (
            errors.no_backup_piece(3, 1),
            1235,
            "0A000",
            "delete backup piece is not exist. backup piece id: 3, copy id: 1 . not supported",
        ),
        (
            errors.no_backup_round(3),
            1235,
            "0A000",
            "backup round is not exist. backup round id: 3, copy id: 0 . not supported",
        ),
        (
            errors.backup_piece_not_frozen(3, "ACTIVE"),
            1235,
            "0A000",
            (
                "backup piece can not be deleted, because status is not frozen or inactive. backup piece id: 3, "
                "copy id: 0, status : ACTIVE . not supported"
            ),
        ),
        (
            errors.backup_piece_deleted(3, "FROZEN"),
            1235,
            "0A000",
            "backup piece is already deleted. backup piece id: 3, copy id: 0, status : FROZEN . not supported",
        ),
        (
            errors.piece_mode_change_while_running(),
            1235,
            "0A000",
            (
                "change switch piece mode during log archive running is not supported: "
                "run ALTER SYSTEM NOARCHIVELOG first and wait for STATUS = 'STOP'"
            ),
        ),
        (errors.tenant_exists("t"), 5156, "HY000", "tenant 't' already exist"),
        (
            errors.invalid_tenant_name("x"),
            5160,
            "HY000",
            "invalid tenant name specified in connection string: x",
        ),
        (errors.identifier_too_long("t" * 64), 1059, "42000", f"Identifier name '{'t' * 64}' is too long"),
    ],
)
def test_errors(error: errors.SqlError, code: int, sqlstate: str, message: str) -> None:
    """Each error has the number, state and text that a client of OceanBase knows."""
    assert (code, sqlstate, message) == (error.code, error.sqlstate, error.message)
    assert f"{code} ({sqlstate}): {message}" == str(error)


@pytest.mark.parametrize(
    ("error", "code", "parts"),
    [
        (errors.unknown_tenant("t9"), 5157, ["Unknown tenant 't9'"]),
        (errors.engine_away("it is down"), 1053, ["it is down; ", "try again"]),
        (
            errors.gate_closed("much waits", 1.26),
            4012,
            ["MANDATORY", "much waits", "waited 1.3 s", "was not run", "'optional'", "log_archive_spool_limit"],
        ),
        (errors.commit_not_archived("too late"), 4012, ["too late", "is committed in the engine", "before you repeat"]),
        (
            errors.commit_interrupted("damaged"),
            9027,
            ["interrupted: damaged", "committed in the engine", "missing from the archive"],
        ),
    ],
)
def test_errors_that_say_what_to_do(error: errors.SqlError, code: int, parts: list[str]) -> None:
    """What failed, what is so all the same, and the next step; none is longer than an error packet takes."""
    assert error.code == code
    assert [part for part in parts if part not in error.message] == []
    assert len(error.sqlstate) == 5
    assert len(error.message) < 512
