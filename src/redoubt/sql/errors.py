"""The errors that a client sees, with OceanBase's codes, SQLSTATEs and texts.

`SqlError` is the only exception that a statement's handler may let out; the gateway turns it into an error packet. The
functions below it are the errors that OceanBase's log backup knows (number and text as in its `ob_errno.def`); where
the text leaves room, they add what to do next.
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
    """Login refused: unknown tenant or wrong password, told apart by nobody."""
    used = "YES" if password_given else "NO"
    return SqlError(1045, "28000", f"Access denied for user '{user}'@'%' (using password: {used})")


def no_privilege() -> SqlError:
    """A cluster statement in a user tenant, or from a user without ALTER SYSTEM."""
    return SqlError(
        1227,
        "42501",
        "Access denied; you need (at least one of) the SUPER or ALTER SYSTEM privilege(s) for this operation",
    )


def not_supported(what: str) -> SqlError:
    """OB_NOT_SUPPORTED (4007 inside): the state of the cluster does not allow `what`."""
    return SqlError(1235, "0A000", f"{what} is not supported")


def invalid_config(hint: str = "") -> SqlError:
    """OB_INVALID_CONFIG: a parameter's value is not one that it can have."""
    return SqlError(4147, "HY000", f"Invalid config: {hint}" if hint else "Invalid config")


def unknown_config() -> SqlError:
    """OB_ERR_SYS_CONFIG_UNKNOWN: no parameter of that name, or not one of this tenant's."""
    return SqlError(5099, "42000", "System config unknown")


def log_archive_already_disabled() -> SqlError:
    """NOARCHIVELOG while nothing is archived."""
    return SqlError(9024, "HY000", "log archive backup is already disabled")


def backup_dest_not_valid(why: str) -> SqlError:
    """The backup destination is empty, unusable or somebody else's."""
    return SqlError(9026, "HY000", f"backup destination is not valid: {why}")


def backup_in_progress() -> SqlError:
    """`backup_dest` changed while a round runs."""
    return SqlError(
        9036, "HY000", "Backup is in progress: run ALTER SYSTEM NOARCHIVELOG first and wait for STATUS = 'STOP'"
    )


def unknown_tenant(name: str) -> SqlError:
    """OB_TENANT_NOT_EXIST: a statement names a tenant that the cluster does not have."""
    return SqlError(5157, "HY000", f"Unknown tenant '{name}'")


def engine_away(why: str) -> SqlError:
    """An engine that the statement needs does not answer just now."""
    return SqlError(1053, "08S01", f"{why}; it is being restarted, try again in a few seconds")


def gate_closed(why: str, waited: float) -> SqlError:
    """OB_TIMEOUT: a writing statement waited in front of the closed write gate for as long as it may."""
    return SqlError(
        4012,
        "HY000",
        f"Timeout: the write gate is closed, because the log backup goes first (MANDATORY) and {why}. Waited "
        f"{waited:.1f} s (ob_query_timeout); the statement was not run, and an open transaction is open still. Reads "
        "go on. Make the destination work, or as root@sys raise log_archive_spool_limit, or let writes go first: "
        "ALTER SYSTEM SET backup_log_archive_option = 'optional'",
    )


def commit_not_archived(why: str) -> SqlError:
    """OB_TIMEOUT: a synchronous commit is done in the engine, and not known to be in the archive."""
    return SqlError(
        4012,
        "HY000",
        f"Timeout: {why} (log_archive_sync_timeout). What the statement wrote is committed in the engine, but would be "
        "lost with this machine; it will be archived when the destination takes it. Don't repeat the statement without "
        "a look. As root@sys, CDB_REDOUBT_ARCHIVELOG_STATUS has the cause",
    )


def commit_interrupted(cause: str) -> SqlError:
    """The round was interrupted while a synchronous commit waited."""
    return SqlError(
        9027,
        "HY000",
        f"ob log archive interrupted: {cause}. What the statement wrote is committed in the engine, but not archived",
    )
