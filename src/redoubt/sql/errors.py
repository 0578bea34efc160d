"""The errors that a client sees, with OceanBase's codes, SQLSTATEs and texts.

A statement's handler raises no exception but `SqlError`; the gateway turns it into an error packet. The functions below
make the errors of OceanBase's log backup, with number, SQLSTATE and text as in its `ob_errno.def` of 3.1.5. The errors
of restore are in `restore_errors.py`. A `hint`, or a `why`, follows OceanBase's text and a colon, and says what to do.
"""

from __future__ import annotations


class SqlError(Exception):
    """An error packet in the making: `code` (as a MySQL client shows it), five-letter `sqlstate`, `message`."""

    def __init__(self, code: int, sqlstate: str, message: str) -> None:
        super().__init__(f"{code} ({sqlstate}): {message}")
        self.code = code
        self.sqlstate = sqlstate
        self.message = message


def access_denied(user: str, *, password_given: bool) -> SqlError:
    """Refuse a login. An unknown tenant and a wrong password get the same error."""
    used = "YES" if password_given else "NO"
    return SqlError(1045, "28000", f"Access denied for user '{user}'@'%' (using password: {used})")


def too_many_connections() -> SqlError:
    """No place for another client, as MySQL says it."""
    return SqlError(1040, "08004", "Too many connections")


def no_privilege() -> SqlError:
    """A cluster statement in a user tenant, or from a user without ALTER SYSTEM."""
    return SqlError(
        1227,
        "42501",
        "Access denied; you need (at least one of) the SUPER or ALTER SYSTEM privilege(s) for this operation",
    )


def misspelled_secret() -> SqlError:
    """A syntax error of our own: the engine would quote the statement, and log it, with the secret in it."""
    return SqlError(
        1064,
        "42000",
        "You have an error in your SQL syntax; write SET ENCRYPTION ON IDENTIFIED BY 'password' ONLY, "
        "SET ENCRYPTION OFF, SET DECRYPTION IDENTIFIED BY 'password', ALTER SYSTEM CHANGE EXTERNAL_STORAGE_DEST "
        "PATH='…' SET ACCESS_INFO='access_id=…&access_key=…', or a destination without keys",
    )


def invalid_argument(to: str, hint: str = "") -> SqlError:
    """OB_INVALID_ARGUMENT (4002 inside): the argument of `to`, a parameter or a statement, is invalid."""
    return SqlError(1210, "HY000", with_hint(f"Incorrect arguments to {to}", hint))


def not_supported(what: str, hint: str = "") -> SqlError:
    """OB_NOT_SUPPORTED (4007 inside): the state of the cluster does not allow `what`."""
    return SqlError(1235, "0A000", with_hint(f"{what} is not supported", hint))


def not_supported_text(text: str, hint: str = "") -> SqlError:
    """OB_NOT_SUPPORTED whose text is `text` and "not supported", without "is"."""
    return SqlError(1235, "0A000", with_hint(f"{text} not supported", hint))


def not_supported_feature(hint: str = "") -> SqlError:
    """OB_NOT_SUPPORTED in OceanBase's general form, for statements that are parsed but not implemented."""
    return SqlError(1235, "0A000", with_hint("Not supported feature or function", hint))


def not_allowed(what: str, hint: str = "") -> SqlError:
    """OB_OP_NOT_ALLOW: `what` is not allowed now, or never."""
    return SqlError(4179, "HY000", with_hint(f"{what} not allowed", hint))


def invalid_config(hint: str = "") -> SqlError:
    """OB_INVALID_CONFIG: a parameter does not accept the value."""
    return SqlError(4147, "HY000", with_hint("Invalid config", hint))


def unknown_config() -> SqlError:
    """OB_ERR_SYS_CONFIG_UNKNOWN: the tenant has no parameter of that name."""
    return SqlError(5099, "42000", "System config unknown")


def log_archive_already_disabled() -> SqlError:
    """NOARCHIVELOG while nothing is archived."""
    return SqlError(9024, "HY000", "log archive backup is already disabled")


def backup_dest_not_valid(why: str) -> SqlError:
    """The backup destination is empty or unusable, or belongs to another cluster."""
    return SqlError(9026, "HY000", f"backup destination is not valid: {why}")


def backup_in_progress(hint: str) -> SqlError:
    """A log or data backup is running: `backup_dest` cannot change, and no other data backup can start."""
    return SqlError(9036, "HY000", with_hint("Backup is in progress", hint))


_TO_DOING = {
    "STOP": "To begin a round, run ALTER SYSTEM ARCHIVELOG and wait for STATUS = 'DOING'",
    "BEGINNING": "Wait for STATUS = 'DOING'",
    "STOPPING": "Wait for STATUS = 'STOP', then run ALTER SYSTEM ARCHIVELOG and wait for STATUS = 'DOING'",
    "INTERRUPTED": "To begin a new round, run ALTER SYSTEM NOARCHIVELOG, wait for STATUS = 'STOP', and begin a round",
}
"""What to do until the log backup is DOING, by its STATUS."""


def backup_can_not_start(status: str, cause: str = "") -> SqlError:
    """OB_BACKUP_CAN_NOT_START: a data backup needs the log backup's STATUS DOING, but STATUS is `status`.

    `cause` says why, if that is known.
    """
    text = f"backup can not start, because log archive is not doing. log archive status : {status}."
    parts = (text, cause and f"Cause: {cause}.", _TO_DOING.get(status, ""))
    return SqlError(9040, "HY000", " ".join(part for part in parts if part))


def delete_in_progress(hint: str = "") -> SqlError:
    """Another deletion is running."""
    return SqlError(9044, "HY000", with_hint("delete backup data is in progress", hint))


def delete_backup_set_not_allowed(hint: str = "") -> SqlError:
    """DELETE BACKUPSET of the last set, or of a set that is still needed."""
    return SqlError(9045, "HY000", with_hint("delete backup set do not allow", hint))


def backup_already_stopped(hint: str = "") -> SqlError:
    """CANCEL BACKUP while no data backup runs."""
    return SqlError(9049, "HY000", with_hint("backup status is stopped, can not cancel", hint))


def cancel_delete_not_allowed(hint: str = "") -> SqlError:
    """CANCEL DELETE BACKUP while no deletion runs."""
    return SqlError(9053, "HY000", with_hint("cancel delete backup do not allow", hint))


def delete_piece_not_allowed(hint: str = "") -> SqlError:
    """DELETE BACKUPPIECE or BACKUPROUND of log that is still needed: no later full data backup replaces the log."""
    return SqlError(9069, "HY000", with_hint("deleting backup piece is not allowed", hint))


def no_backup_set(number: int, copy_id: int = 0) -> SqlError:
    """DELETE BACKUPSET of an unknown set."""
    return not_supported_text(f"delete backupset is not exist. backup set id: {number}, copy id: {copy_id} .")


def no_backup_piece(number: int, copy_id: int = 0) -> SqlError:
    """DELETE BACKUPPIECE of an unknown piece."""
    return not_supported_text(f"delete backup piece is not exist. backup piece id: {number}, copy id: {copy_id} .")


def no_backup_round(number: int, copy_id: int = 0) -> SqlError:
    """DELETE BACKUPROUND of a round that is unknown or not ended."""
    return not_supported_text(f"backup round is not exist. backup round id: {number}, copy id: {copy_id} .")


def backup_piece_not_frozen(number: int, status: str, copy_id: int = 0) -> SqlError:
    """DELETE BACKUPPIECE of a piece whose `status` is ACTIVE or FREEZING."""
    return not_supported_text(
        "backup piece can not be deleted, because status is not frozen or inactive. "
        f"backup piece id: {number}, copy id: {copy_id}, status : {status} ."
    )


def backup_piece_deleted(number: int, status: str, copy_id: int = 0) -> SqlError:
    """DELETE BACKUPPIECE of a piece whose FILE_STATUS is DELETED; `status` is its STATUS."""
    return not_supported_text(
        f"backup piece is already deleted. backup piece id: {number}, copy id: {copy_id}, status : {status} ."
    )


def piece_mode_change_while_running() -> SqlError:
    """`backup_dest_option` turns pieces on or off while a log or data backup is not in STOP."""
    return not_supported(
        "change switch piece mode during log archive running",
        "run ALTER SYSTEM NOARCHIVELOG first and wait for STATUS = 'STOP'",
    )


def tenant_exists(name: str) -> SqlError:
    """OB_TENANT_EXIST: CREATE TENANT without IF NOT EXISTS; with it, a note of the same number and text."""
    return SqlError(5156, "HY000", f"tenant '{name}' already exist")


def invalid_tenant_name(why: str) -> SqlError:
    """OB_ERR_INVALID_TENANT_NAME: a name that no tenant may have."""
    return SqlError(5160, "HY000", f"invalid tenant name specified in connection string: {why}")


def identifier_too_long(name: str) -> SqlError:
    """OB_ERR_TOO_LONG_IDENT (5179 inside): a tenant's name of more than 63 bytes."""
    return SqlError(1059, "42000", f"Identifier name '{name[:200]}' is too long")


def unknown_tenant(name: str) -> SqlError:
    """OB_TENANT_NOT_EXIST: a statement names a tenant that the cluster does not have."""
    return SqlError(5157, "HY000", f"Unknown tenant '{name}'")


def tenant_left(what: str) -> SqlError:
    """The note of a DROP TENANT that could not remove everything of Redoubt's."""
    return SqlError(1003, "HY000", what)


def engine_away(why: str) -> SqlError:
    """An engine that the statement needs does not answer."""
    return SqlError(1053, "08S01", f"{why}; try again in a few seconds")


def gate_closed(why: str, waited: float) -> SqlError:
    """OB_TIMEOUT: a writing statement waited at the closed write gate until its time-out."""
    return SqlError(
        4012,
        "HY000",
        f"Timeout: the write gate is closed: the log archive mode is MANDATORY, and {why}. The statement waited "
        f"{waited:.1f} s (ob_query_timeout) and was not run; an open transaction stays open. Reads still work. Repair "
        "the destination, or as root@sys raise log_archive_spool_limit, or run "
        "ALTER SYSTEM SET backup_log_archive_option = 'optional'",
    )


def commit_not_archived(why: str) -> SqlError:
    """OB_TIMEOUT: a synchronous commit is done in the engine, but not confirmed by the archive."""
    return SqlError(
        4012,
        "HY000",
        f"Timeout: {why} (log_archive_sync_timeout). The statement is committed in the engine, but its log is not "
        "archived yet; if this machine is lost now, the commit is lost. The log is archived as soon as the destination "
        "accepts it. Check the data before you repeat the statement. For the cause, read "
        "CDB_REDOUBT_ARCHIVELOG_STATUS as root@sys",
    )


def commit_interrupted(cause: str) -> SqlError:
    """The round was interrupted while a synchronous commit waited."""
    return SqlError(
        9027,
        "HY000",
        f"ob log archive interrupted: {cause}. The statement is committed in the engine, but its log may be missing "
        "from the archive",
    )


def with_hint(text: str, hint: str) -> str:
    """OceanBase's text, followed by a colon and the hint if the hint is not empty."""
    return f"{text}: {hint}" if hint else text
