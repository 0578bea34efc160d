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
