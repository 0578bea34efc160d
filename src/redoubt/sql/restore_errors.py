"""The errors of restore, with OceanBase's codes, SQLSTATEs and texts, as those in `errors.py`.

The texts, their spelling, and the choice of a text for a refusal are those of OceanBase 3.1.5.
"""

from __future__ import annotations

from redoubt.sql.errors import SqlError, not_allowed, not_supported_text, with_hint

_LONGEST_SHOWN = 200  # characters of a wrong value in an error's text


def unknown_restore_keys(keys: tuple[str, ...]) -> SqlError:
    """The note of a RESTORE whose WITH has keys that mean nothing, such as a mistyped one."""
    return invalid_restore_option(f"no such key: {', '.join(keys)[:100]}; the rest of the text has its effect")


def invalid_restore_option(why: str) -> SqlError:
    """OB_INVALID_ARGUMENT: the text after WITH is invalid. OceanBase's text ends after the first two words."""
    return SqlError(1210, "HY000", f"Invalid argument: restore option after WITH: {why}")


def wrong_restore_timestamp(until: str) -> SqlError:
    """OB_ERR_WRONG_VALUE (5241 inside): the text after UNTIL is not a time."""
    hint = (
        "write it as UNTIL '2026-11-23 10:00:00.000000' in the session's time zone, or with an offset, "
        "as UNTIL '2026-11-23 10:00:00+08:00'"
    )
    return SqlError(1525, "HY000", with_hint(f"Incorrect TIMESTAMP value: '{until[:_LONGEST_SHOWN]}'", hint))


def restore_sources_twice() -> SqlError:
    """OB_NOT_SUPPORTED: RESTORE … AT in a session with ADD RESTORE SOURCE."""
    return not_supported_text(
        "should not have backup_dest and restore_source at the same time",
        "leave AT out, or run ALTER SYSTEM CLEAR RESTORE SOURCE first",
    )


def restore_timestamp_too_new(hint: str = "") -> SqlError:
    """OB_OP_NOT_ALLOW: UNTIL is less than 10 s ago, or in the future."""
    return not_allowed("need retry later, restore timestamp is too new", hint)


def restore_tenant_exists(hint: str = "choose another name, or DROP TENANT first") -> SqlError:
    """OB_OP_NOT_ALLOW: a tenant of the new name exists already."""
    return not_allowed("restore tenant with existed tenant name is", hint)


def uri_error(hint: str = "") -> SqlError:
    """OB_URI_ERROR: the text after AT or ADD RESTORE SOURCE is not a destination."""
    return SqlError(9001, "HY000", with_hint("URI error", hint))


def backup_file_not_exist(hint: str = "") -> SqlError:
    """OB_BACKUP_FILE_NOT_EXIST: a file of the backup is missing."""
    return SqlError(9011, "HY000", with_hint("cannot find backup file", hint))


def restore_in_progress(hint: str = "") -> SqlError:
    """OB_RESTORE_IN_PROGRESS: another restore is running."""
    return SqlError(9014, "HY000", with_hint("Another restore is in progress", hint))


def log_archive_backup_info_not_exist(hint: str = "") -> SqlError:
    """OB_LOG_ARCHIVE_BACKUP_INFO_NOT_EXIST: UNTIL lies in no round of the log archive."""
    return SqlError(9025, "HY000", with_hint("log archive backup info not exists", hint))


def cancel_backup_not_allowed(hint: str = "") -> SqlError:
    """OB_CANCEL_BACKUP_NOT_ALLOWED: the data backup cannot be cancelled now."""
    return SqlError(9041, "HY000", with_hint("cancel backup do not allow", hint))


def isolated_backup_set(hint: str = "") -> SqlError:
    """OB_ISOLATED_BACKUP_SET: between a data backup and what follows it, another round began."""
    return SqlError(9048, "HY000", with_hint("backup set is isolated by two log archive round", hint))


def archive_log_not_continuous(hint: str = "") -> SqlError:
    """OB_ARCHIVE_LOG_NOT_CONTINUES_WITH_DATA: the round's log begins after the data backup's, or has a hole."""
    return SqlError(9064, "HY000", with_hint("the archive log and backup data are not continuous", hint))


def restore_preview_note(plan: str) -> SqlError:
    """The note of RESTORE … PREVIEW: what would be restored, and to which moment."""
    return SqlError(1003, "HY000", plan)
