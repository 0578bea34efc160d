"""The statements that every client runs, and the answers that each is to give: data, a line for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Result = dict[str, Any]
"""What a client shows of one result: `columns`, `types`, `rows` and `warnings`; `affected` and `warnings`; or `code`,
`sqlstate` and `message`. Values are texts, NULL is None."""

LONGLONG, DECIMAL, VARCHAR = 8, 246, 253
OPTION = "backup_log_archive_option"
PRIVILEGE = "Access denied; you need (at least one of) the SUPER or ALTER SYSTEM privilege(s) for this operation"


@dataclass(frozen=True)
class Step:
    """A text, which may hold several statements, and its results; `prepared` where the client can."""

    sql: str
    results: tuple[Result, ...]
    prepared: bool = False


@dataclass(frozen=True)
class Session:
    """A login, and what it does one after the other."""

    user: str
    steps: tuple[Step, ...]
    password: str = ""


def ok(affected: int = 0, warnings: int = 0) -> Result:
    """A statement without rows."""
    return {"affected": affected, "warnings": warnings}


def rows(columns: dict[str, int], *values: tuple[str | None, ...], warnings: int = 0) -> Result:
    """A result set: its columns with their types, its rows."""
    shown = [list(row) for row in values]
    return {"columns": list(columns), "types": list(columns.values()), "rows": shown, "warnings": warnings}


def error(code: int, sqlstate: str, message: str) -> Result:
    """A refusal."""
    return {"code": code, "sqlstate": sqlstate, "message": message}


def text(sql: str, *results: Result) -> Step:
    """A step in the text protocol."""
    return Step(sql, results)


def prepared(sql: str, result: Result) -> Step:
    """A step in the binary protocol."""
    return Step(sql, (result,), prepared=True)


SHOWN = dict.fromkeys(
    ("svr_type", "name", "data_type", "value", "info", "section", "scope", "source", "edit_level", "default_value"),
    VARCHAR,
) | {"isdefault": LONGLONG}
INFO = (
    "mode (MANDATORY, OPTIONAL), COMPRESSION (enable, disable, lz4_1.0, zstd_1.3.8) and ENCRYPTION_MODE (none, "
    "transparent_encryption) of log backups"
)
SHOWN_OPTION = rows(
    SHOWN,
    (
        *("observer", OPTION, "STRING", "optional", INFO, "OBSERVER", "CLUSTER", "DEFAULT", "DYNAMIC_EFFECTIVE"),
        *("OPTIONAL COMPRESSION=ENABLE", "0"),
    ),
)
STATUS = rows(
    {"TENANT_ID": LONGLONG, "STATUS": VARCHAR, "MIN_FIRST_TIME": VARCHAR, "COMPRESSION_RATIO": DECIMAL},
    ("1", "STOP", "", None),
)
STATUS_SQL = (
    "SELECT TENANT_ID, STATUS, MIN_FIRST_TIME, COMPRESSION_RATIO FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1"
)
NOT_RUNNING = error(9024, "HY000", "log archive backup is already disabled")
NO_PRIVILEGE = error(1227, "42501", PRIVILEGE)
UNKNOWN_CONFIG = error(5099, "42000", "System config unknown")
WARNED = {"Level": VARCHAR, "Code": LONGLONG, "Message": VARCHAR}
ONE, TWO = rows({"one": LONGLONG}, ("1",)), rows({"two": LONGLONG}, ("2",))

TENANTS = rows({"TENANT_ID": LONGLONG, "TENANT_NAME": VARCHAR}, ("1", "sys"), ("1001", "main"))
NO_PIECE = error(1235, "0A000", "delete backup piece is not exist. backup piece id: 7, copy id: 0 . not supported")

SET_OPTION = f"ALTER SYSTEM SET {OPTION} = 'optional'"
SHOW_OPTION = f"SHOW PARAMETERS LIKE '{OPTION}'"

SESSIONS = (
    Session(
        "root@sys",
        (
            text(SET_OPTION, ok()),
            text(SHOW_OPTION, SHOWN_OPTION),
            text(f"SHOW PARAMETERS WHERE name = '{OPTION}'", SHOWN_OPTION),
            text(STATUS_SQL, STATUS),
            text("ALTER SYSTEM MINOR FREEZE TENANT = ALL", ok()),
            text("ALTER SYSTEM NOARCHIVELOG", NOT_RUNNING),
            text("ALTER SYSTEM MINOR FREEZE TENANT = nobody", error(5157, "HY000", "Unknown tenant 'nobody'")),
            text("ALTER SYSTEM SET no_such_parameter = 1", UNKNOWN_CONFIG),
            text("SELECT 1 AS one", ONE),
            # Tenants, and the deletion of what is not there.
            text("SELECT TENANT_ID, TENANT_NAME FROM DBA_OB_TENANTS ORDER BY TENANT_ID", TENANTS),
            text("CREATE TENANT main", error(5156, "HY000", "tenant 'main' already exist")),
            text("CREATE TENANT IF NOT EXISTS main", ok(warnings=1)),
            text("SHOW WARNINGS", rows(WARNED, ("Note", "5156", "tenant 'main' already exist"))),
            prepared("DROP TENANT nobody", error(5157, "HY000", "Unknown tenant 'nobody'")),
            text("DROP TENANT IF EXISTS nobody", ok(warnings=1)),
            text("ALTER SYSTEM DELETE BACKUPPIECE 7", NO_PIECE),
            prepared("ALTER SYSTEM CANCEL ALL BACKUP FORCE", ok()),
            # Comments before, between and behind the words.
            text("/* first */ ALTER SYSTEM SET /* and */ backup_dest = ''", ok()),
            text("-- first\nALTER SYSTEM NOARCHIVELOG", NOT_RUNNING),
            text(f"# first\n{SHOW_OPTION} /* last */", SHOWN_OPTION),
            # Several statements in one text; the first error ends it.
            text(f"SELECT 1 AS one; {SET_OPTION}; SELECT 2 AS two", ONE, ok(), TWO),
            text(f"{SET_OPTION}; {SHOW_OPTION}; SELECT 2 AS two", ok(), SHOWN_OPTION, TWO),
            text("SELECT 1 AS one; ALTER SYSTEM NOARCHIVELOG; SELECT 2 AS two", ONE, NOT_RUNNING),
            # What a statement left, and statements prepared as text.
            text("ALTER SYSTEM NOARCHIVELOG", NOT_RUNNING),
            text("SHOW WARNINGS", rows(WARNED, ("Error", "9024", NOT_RUNNING["message"]))),
            text("SHOW COUNT(*) ERRORS", rows({"@@session.error_count": LONGLONG}, ("1",))),
            text("PREPARE freeze FROM 'ALTER SYSTEM MINOR FREEZE'", ok()),
            text("EXECUTE freeze", ok()),
            text("DEALLOCATE PREPARE freeze", ok()),
            text("EXECUTE freeze", error(1243, "HY000", "Unknown prepared statement handle")),
            # The binary protocol.
            prepared(SET_OPTION, ok()),
            prepared(SHOW_OPTION, SHOWN_OPTION),
            prepared(STATUS_SQL, STATUS),
            prepared("/* first */ ALTER SYSTEM NOARCHIVELOG", NOT_RUNNING),
            prepared("ALTER SYSTEM SET no_such_parameter = 1", UNKNOWN_CONFIG),
            prepared("SELECT 2 AS two", TWO),
        ),
    ),
    Session("operator@sys", (text(SET_OPTION, ok()), text("ALTER SYSTEM NOARCHIVELOG", NOT_RUNNING)), "o"),
    Session(
        "visitor@sys#redoubt",
        (
            text("ALTER SYSTEM ARCHIVELOG", NO_PRIVILEGE),
            text("ALTER SYSTEM NOARCHIVELOG", NO_PRIVILEGE),
            text("ALTER SYSTEM MINOR FREEZE", NO_PRIVILEGE),
            prepared(SET_OPTION, NO_PRIVILEGE),
        ),
        "v",
    ),
    Session(
        "root@main",
        (
            text("ALTER SYSTEM ARCHIVELOG", NO_PRIVILEGE),
            prepared("ALTER SYSTEM NOARCHIVELOG", NO_PRIVILEGE),
            text(SET_OPTION, UNKNOWN_CONFIG),
            text("CREATE TABLE IF NOT EXISTS test.clients (id INT, name VARCHAR(10))", ok()),
            text("DELETE FROM test.clients WHERE id = 1 OR id = 2", ok()),
            text("INSERT INTO test.clients VALUES (1, NULL), (2, '水')", ok(2)),
            prepared("SELECT name FROM test.clients ORDER BY id", rows({"name": VARCHAR}, (None,), ("水",))),
            text("DELETE FROM test.clients", ok(2)),
            text("ALTER SYSTEM MINOR FREEZE", ok()),
        ),
    ),
)

FIVE = "SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5"
FIVE_ROWS = rows({"n": LONGLONG}, ("1",), ("2",), ("3",), ("4",), ("5",))
TENANT_COLUMNS = {"TENANT_ID": LONGLONG} | dict.fromkeys(("TENANT_NAME", "STATUS", "KIND", "CREATED"), VARCHAR)
NO_TENANT = rows(TENANT_COLUMNS)
NO_PARAMETER = rows(SHOWN)
FEW_ROWS: tuple[Step, ...] = (
    prepared(FIVE, FIVE_ROWS),
    prepared("SELECT 1 AS n FROM DUAL WHERE 1 = 0", rows({"n": LONGLONG})),
    prepared("SELECT name FROM DBA_OB_NOTHING", error(1146, "42S02", "Table 'oceanbase.dba_ob_nothing' doesn't exist")),
    prepared("SELECT TENANT_NAME FROM DBA_OB_TENANTS WHERE TENANT_ID < 0", rows({"TENANT_NAME": VARCHAR})),
    prepared("SHOW TENANTS LIKE 'no such'", NO_TENANT),
    prepared("SHOW PARAMETERS LIKE 'no such'", NO_PARAMETER),
    text(f"SHOW TENANTS LIKE 'no such'; {FIVE}; SHOW PARAMETERS LIKE 'no such'", NO_TENANT, FIVE_ROWS, NO_PARAMETER),
)
"""For a client that fetches two rows at a time: more rows than that, and none; prepared and as texts."""
