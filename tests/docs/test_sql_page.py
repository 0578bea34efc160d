"""docs/SQL.md is true: its tables and the code say the same, in both directions, with all that OceanBase has."""

from __future__ import annotations

import ast
import re
from dataclasses import astuple, fields
from pathlib import Path
from typing import get_args

import pytest

from redoubt.catalog.schema import VIEWS
from redoubt.control.parameters.parameter_list import (
    LOG_ARCHIVE_DEST,
    LOG_ARCHIVE_DEST_STATE,
    LOG_RESTORE_SOURCE,
    PARAMETERS,
)
from redoubt.sql.backup_dest_option import BackupDestOption, parse_dest_option
from redoubt.sql.parser import parse, split
from redoubt.sql.statements import (
    AccountWithHost,
    BackupDatabase,
    CancelValidate,
    RestoreTables,
    Statement,
    Switchover,
    ValidateBackup,
)

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "redoubt"
TEXT = (ROOT / "docs" / "SQL.md").read_text()
MAKERS = [SOURCES / "sql" / name for name in ("errors.py", "restore_errors.py", "standby_errors.py")]
"""Where errors are made."""
REFUSED = (ValidateBackup, CancelValidate, RestoreTables, AccountWithHost, Switchover)
"""Statements of which the words are known and nothing else is here."""
INCREMENTAL = BackupDatabase(is_incremental=True)
"""So is this form of one that is here."""

OCEANBASE_PARAMETERS = """backup_dest backup_dest_option backup_backup_dest backup_backup_dest_option
backup_log_archive_option enable_log_archive log_archive_checkpoint_interval log_archive_batch_buffer_limit
log_archive_concurrency log_restore_concurrency gc_wait_archive backup_recovery_window auto_delete_expired_backup
_auto_update_reserved_backup_timestamp backup_concurrency backup_net_limit backup_region backup_zone restore_concurrency
_backup_retry_timeout _backup_idle_time _restore_idle_time backup_log_archive_checkpoint_interval log_archive_dest
log_archive_dest_state log_restore_source"""
OCEANBASE_VIEWS = """CDB_OB_BACKUP_ARCHIVELOG CDB_OB_BACKUP_ARCHIVELOG_SUMMARY CDB_OB_BACKUP_ARCHIVELOG_PROGRESS
CDB_OB_BACKUP_PIECE_FILES CDB_OB_BACKUP_SET_FILES CDB_OB_BACKUP_PROGRESS CDB_OB_BACKUP_JOB_DETAILS
CDB_OB_BACKUP_SET_DETAILS CDB_OB_BACKUP_SET_EXPIRED CDB_OB_BACKUP_SET_OBSOLETE CDB_OB_BACKUP_CLEAN_HISTORY
CDB_OB_BACKUP_TASK_CLEAN_HISTORY __all_virtual_backup_clean_info CDB_OB_BACKUP_BACKUPPIECE_JOB
CDB_OB_BACKUP_BACKUPPIECE_JOB_HISTORY CDB_OB_BACKUP_BACKUPPIECE_TASK CDB_OB_BACKUP_BACKUPPIECE_TASK_HISTORY
CDB_OB_BACKUP_BACKUPSET_JOB CDB_OB_BACKUP_BACKUPSET_JOB_HISTORY CDB_OB_BACKUP_BACKUPSET_TASK
CDB_OB_BACKUP_BACKUPSET_TASK_HISTORY CDB_OB_BACKUP_BACKUP_ARCHIVELOG CDB_OB_BACKUP_BACKUP_ARCHIVELOG_SUMMARY
CDB_OB_BACKUP_VALIDATION_JOB CDB_OB_BACKUP_VALIDATION_JOB_HISTORY CDB_OB_TENANT_BACKUP_VALIDATION_TASK
CDB_OB_BACKUP_VALIDATION_TASK_HISTORY __all_rootservice_event_history CDB_OB_RESTORE_PROGRESS CDB_OB_RESTORE_HISTORY
CDB_OB_ARCHIVELOG CDB_OB_ARCHIVELOG_SUMMARY CDB_OB_ARCHIVELOG_PIECE_FILES CDB_OB_ARCHIVE_DEST
CDB_OB_LS_LOG_ARCHIVE_PROGRESS DBA_OB_TENANTS CDB_OB_LOG_RESTORE_SOURCE V$OB_LS_LOG_RESTORE_STATUS"""
OCEANBASE_ERRORS = """1210 1227 1235 4114 4147 4179 5099 9001 9011 9014 9022 9023 9024 9025 9026 9027 9028 9029 9030
9034 9036 9039 9040 9041 9044 9045 9048 9049 9051 9052 9053 9054 9057 9058 9063 9064 9069"""


def _table(mark: str) -> list[tuple[list[str], str]]:
    """The rows of the first table behind a mark in the text: cells, and how the row stands to OceanBase."""
    section = TEXT.partition(mark)[2]
    lines = section[section.index("\n|") + 1 :].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [(cells[:-1], cells[-1]) for cells in rows]


def _codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


STATEMENTS, SETTINGS, SEEN, ERRORS = (
    _table(f"\n## {name}\n") for name in ("Statements", "Parameters", "Views", "Errors")
)
HERE, ELSEWHERE = ("as OceanBase", "beyond"), "not here, because "


@pytest.mark.parametrize(
    "table", [STATEMENTS, SETTINGS, SEEN, ERRORS], ids=["statements", "parameters", "views", "errors"]
)
def test_every_row_says_how_it_stands_to_oceanbase(table: list[tuple[list[str], str]]) -> None:
    """With a reason where something is not here."""
    assert len(table) > 20
    for cells, mark in table:
        assert mark.startswith((*HERE, ELSEWHERE)), cells


def test_statements_of_the_page_are_those_of_the_code() -> None:
    """Examples of what is here parse, to every class there is; others parse to nothing, or to what is refused."""
    parsed = [(parse(example), mark, example) for cells, mark in STATEMENTS for example in _codes(cells[0])]

    for statement, mark, example in parsed:
        if mark.startswith(ELSEWHERE):
            assert statement in {None, INCREMENTAL} or isinstance(statement, REFUSED), example
        else:
            assert statement is not None, example
            assert statement != INCREMENTAL, example
            assert not isinstance(statement, REFUSED), example
    assert {type(statement) for statement, _, _ in parsed if statement is not None} == set(get_args(Statement))


def test_the_procedure_is_ours() -> None:
    """Every statement of it."""
    blocks = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)
    statements = [statement for block in blocks for statement in split(block)]

    assert len(statements) > 5
    assert all(parse(statement) is not None for statement in statements)
    option = next(statement for statement in statements if "backup_dest_option" in statement)
    assert parse_dest_option(option.split("'")[1], short_intervals=False).recovery_window == 7 * 86400


def test_parameters_of_the_page_are_those_of_the_code() -> None:
    """With type, default and range as SHOW PARAMETERS has them."""
    shown: dict[str, tuple[str, str, str]] = {}
    absent: set[str] = set()
    for (names, *cells, _), mark in SETTINGS:
        if mark.startswith(ELSEWHERE):
            absent |= set(_codes(names))
        else:
            shown |= dict.fromkeys(_codes(names), (cells[0], cells[1], cells[2]))

    def facts(name: str) -> tuple[str, str, str]:
        bounds = re.search(r"\[[^\]]*[\])]\Z", PARAMETERS[name].info)
        return PARAMETERS[name].data_type, PARAMETERS[name].default, bounds[0] if bounds else ""

    only_set = dict.fromkeys((LOG_ARCHIVE_DEST, LOG_ARCHIVE_DEST_STATE, LOG_RESTORE_SOURCE), ("", "", ""))
    assert shown == {name: facts(name) for name in PARAMETERS} | only_set
    assert not absent & shown.keys()
    assert absent | shown.keys() >= set(OCEANBASE_PARAMETERS.split())


def test_keys_of_backup_dest_option_are_described() -> None:
    """Those that the page calls ours are taken."""
    keys = [key for cells, _ in _table("\n`backup_dest_option` has no spaces") for key in _codes(cells[0])]
    values = {
        "log_archive_piece_switch_interval": "1d",
        "log_archive_checkpoint_interval": "5s",
        "recovery_window": "1d",
    }
    text = "&".join(f"{key}={values.get(key, '0')}" for key in keys)
    assert len(keys) == len(fields(BackupDestOption))
    assert None not in astuple(parse_dest_option(text, short_intervals=False))


def test_views_of_the_page_are_those_of_the_catalog() -> None:
    """With their columns, in order."""
    shown = {name: cells[1] for cells, mark in SEEN for name in _codes(cells[0]) if not mark.startswith(ELSEWHERE)}
    absent = {name for cells, mark in SEEN for name in _codes(cells[0]) if mark.startswith(ELSEWHERE)}
    columns = {
        name: re.findall(r"\bAS ([A-Z][A-Z0-9_]*)(?=,|\s+FROM\b|\s*$)", select) for name, select in VIEWS.items()
    }

    assert shown == {name: ", ".join(dict.fromkeys(names)) for name, names in columns.items()}
    assert not absent & VIEWS.keys()
    assert absent | VIEWS.keys() >= set(OCEANBASE_VIEWS.split())


def _reached() -> set[str]:
    """Codes of the errors that something in the code gives: of those that are made, what is used elsewhere."""
    elsewhere = "\n".join(path.read_text() for path in SOURCES.rglob("*.py") if path not in MAKERS)
    nodes = [node for path in MAKERS for node in ast.parse(path.read_text()).body]
    makers = {node.name: ast.unparse(node) for node in nodes if isinstance(node, ast.FunctionDef)}
    used = [body for name, body in makers.items() if re.search(rf"\b{name}\b", elsewhere)]
    used += [body for name, body in makers.items() if f"return {name}(" in "".join(used)]
    return {code for body in used for code in re.findall(r"SqlError\(\s*(\d{4})", body)}


def test_errors_of_the_page_are_those_of_the_code() -> None:
    """Each that a statement can get is there, with its SQLSTATE; what is not here is given by nothing."""
    rows = [(re.findall(r"(\d{4}) \((\w{5})\)", cells[0]), mark) for cells, mark in ERRORS]
    here = dict(code for codes, mark in rows for code in codes if not mark.startswith(ELSEWHERE))
    absent = dict(code for codes, mark in rows for code in codes if mark.startswith(ELSEWHERE))
    made = dict(re.findall(r"SqlError\(\s*(\d{4}),\s*\"(\w{5})\"", "".join(path.read_text() for path in MAKERS)))

    assert set(here) == _reached()
    assert here.items() <= made.items()
    assert not here.keys() & absent.keys()
    assert here.keys() | absent.keys() >= {*made, *OCEANBASE_ERRORS.split()}
