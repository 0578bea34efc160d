"""The errors of standbys, with OceanBase 4.x's codes, SQLSTATEs and texts, as those in `errors.py`."""

from __future__ import annotations

from redoubt.sql.errors import SqlError, invalid_argument, not_allowed


def tenant_not_named() -> SqlError:
    """OB_INVALID_ARGUMENT: root@sys must say which tenant is meant."""
    return invalid_argument("tenant name, should specify tenant name", "add TENANT = name")


def only_user_tenants() -> SqlError:
    """OB_INVALID_ARGUMENT: sys has no role to change."""
    return invalid_argument("tenant name, only support operating user tenant")


def not_a_standby(statement: str) -> SqlError:
    """OB_OP_NOT_ALLOW: the tenant writes log of its own."""
    return not_allowed(f"tenant role is not STANDBY, {statement} is")


def tenant_not_normal(statement: str, status: str) -> SqlError:
    """OB_OP_NOT_ALLOW: the tenant is being restored, dropped, or activated."""
    return not_allowed(
        f"tenant status is not normal, {statement} is", f"the tenant is {status}; wait until it is NORMAL"
    )


def no_recovery_end() -> SqlError:
    """OB_INVALID_ARGUMENT: RECOVER STANDBY without UNTIL and CANCEL."""
    return invalid_argument(
        "restore until, should specify restore until point",
        "add UNTIL UNLIMITED, UNTIL TIME = '…', UNTIL SCN = …, or CANCEL",
    )


def until_in_the_past(sync: str) -> SqlError:
    """OB_OP_NOT_ALLOW: the standby already has later log."""
    return not_allowed(
        "recover before tenant sync_scn sync_scn is",
        f"the tenant has all log up to {sync}; name a later moment, or restore another tenant to the earlier one",
    )


def wrong_source_type(hint: str) -> SqlError:
    """OB_INVALID_ARGUMENT: the value of LOG_RESTORE_SOURCE has no valid form."""
    return invalid_argument("log restore source type", hint)


def source_not_accessible(why: str) -> SqlError:
    """OB_INVALID_ARGUMENT: the standby's log is not at the new LOG_RESTORE_SOURCE."""
    return invalid_argument("access the log restore source location", why)
