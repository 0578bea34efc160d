"""Every statement and command that a message advises is done by a test, in the state that the message is about."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_TESTS = Path(__file__).parents[1]
_SOURCES = _TESTS.parent / "src" / "redoubt"
_VERB = re.compile(r"(?:ALTER|CREATE|DROP|SET|SHOW|RESTORE|BACKUP|DELETE|GRANT) [A-Z]|redoubt ")
_ADVICE = re.compile(rf"\b(?:run|with|such as|with:|repeat|or run|then) ((?:{_VERB.pattern})[^;(]*)")
_ROUNDS = "service/test_advice.py::test_advice_about_rounds_and_modes_helps"
_BACKUPS = "service/test_advice.py::test_advice_about_backups_and_restores_helps"
_DOOR = "service/test_start.py::test_a_door_opens_once_every_root_has_a_password"
_STANDBY = "service/test_standbys.py::test_a_standby_tenant_by_sql_alone"
_SECOND = "service/test_second_backups.py::test_second_backups"
_CANCELLED = "control/test_second_backups.py::test_a_job_is_cancelled_and_can_be_repeated"
_KEPT = "service/test_second_backups.py::test_second_backups"
DONE = {
    ("retention", "ALTER SYSTEM CHANGE BACKUPSET {} NOKEEP first"): _KEPT,
    ("second_backups", "ALTER SYSTEM CANCEL BACKUP {}"): _CANCELLED,
    ("settings", "ALTER SYSTEM CANCEL BACKUP BACKUPSET or BACKUPPIECE"): _CANCELLED,
    (
        "second_backups",
        "ALTER SYSTEM SET backup_backup_dest = 'file:///…' first, or name a destination with BACKUP_BACKUP_DEST",
    ): _SECOND,
    ("handler", "ALTER SYSTEM BACKUP BACKUPPIECE ALL from time to time"): _SECOND,
    ("copying", "redoubt verify on the copy"): _SECOND,
    (
        "archived_history",
        "redoubt verify",
    ): "cli/test_destinations.py::test_verify_names_what_is_damaged_and_what_it_costs",
    ("repair", "ALTER SYSTEM NOARCHIVELOG, stop the service, repair again"): (
        "service/test_repair_catalog.py::test_an_older_catalog_in_which_a_round_runs_is_repaired_as_advised"
    ),
    ("connecting", "redoubt start --home {}"): "cli/test_commands.py::test_status_without_a_service",
    ("replay", "redoubt restore again to continue it"): "cli/test_restore.py::test_a_killed_restore_goes_on",
    ("restore", "redoubt replay {}"): "seekdb/test_replaying.py::test_a_directory_is_replayed_by_hand",
    ("roll_forward", "redoubt repair-catalog"): "service/test_roll_forward.py::test_the_cluster_knows_the_new_set",
    ("data_backups", "ALTER SYSTEM BACKUP DATABASE"): _BACKUPS,
    ("data_backups", "ALTER SYSTEM CANCEL BACKUP"): _BACKUPS,
    ("data_backups", "ALTER SYSTEM SET backup_dest = 'file:///…' first"): _ROUNDS,
    ("deletion", "ALTER SYSTEM CANCEL DELETE BACKUP"): (
        "service/test_refusals.py::test_a_deletion_goes_on_after_the_service_was_killed"
    ),
    ("deletion", "ALTER SYSTEM SET backup_dest_option = 'recovery_window=7d'"): _BACKUPS,
    ("parameters", "ALTER SYSTEM SET {} = 'mandatory', {} = True"): _ROUNDS,
    ("restore_session", "ALTER SYSTEM RESTORE … PREVIEW in this session first"): _BACKUPS,
    ("restore_session", "ALTER SYSTEM CLEAR RESTORE SOURCE first"): _BACKUPS,
    ("restores", "SHOW RESTORE PREVIEW for their paths"): _BACKUPS,
    ("archiving", "ALTER SYSTEM SET backup_dest = 'file:///…' first"): _ROUNDS,
    ("archiving", "ALTER SYSTEM SET log_archive_dest_state = 'ENABLE'"): _ROUNDS,
    ("handler", "ALTER SYSTEM NOARCHIVELOG"): _ROUNDS,
    ("handler", "ALTER SYSTEM ARCHIVELOG"): _ROUNDS,
    ("handler", "ALTER SYSTEM DELETE OBSOLETE BACKUP"): _BACKUPS,
    ("follow_live", "redoubt replay {}, which rolls back what was open"): (
        "rehearsal/test_live_standby.py::test_it_reads_survives_kills_and_takes_over_with_every_acknowledged_commit"
    ),
    ("handler", "ALTER SYSTEM ACTIVATE STANDBY TENANT = name"): _STANDBY,
    ("handler", "redoubt verify"): _BACKUPS,
    (
        "handler",
        "SET GLOBAL ob_tcp_invited_nodes",
    ): "gateway/test_admission.py::test_an_address_that_is_not_invited_is_refused",
    ("settings", "ALTER SYSTEM NOARCHIVELOG first and wait for STATUS = 'STOP'"): _ROUNDS,
    ("settings", "ALTER SYSTEM NOARCHIVELOG"): _ROUNDS,
    ("settings", "ALTER SYSTEM ARCHIVELOG"): _ROUNDS,
    ("settings", "ALTER SYSTEM CANCEL BACKUP"): "service/test_backup.py::test_a_cancelled_data_backup_leaves_nothing",
    ("tenants", "DROP TENANT, or add FORCE"): "control/test_tenants.py::test_a_drop_that_was_refused_can_be_repeated",
    ("tenants", "DROP TENANT {}"): _BACKUPS,
    (
        "external",
        "DROP USER {}",
    ): "service/test_external.py::test_the_account_of_an_application_that_is_away_is_left_and_told",
    ("first_start", "redoubt replay {} with --user and --password{}"): (
        "seekdb/test_replaying.py::test_who_may_not_log_in_is_told_what_to_do"
    ),
    (
        "folder_keys",
        "SET DECRYPTION IDENTIFIED BY '…' before RESTORE, or put the password into {}",
    ): "service/test_encryption.py::test_a_data_backup_with_a_password",
    ("keeping", "ALTER USER root IDENTIFIED BY '…', or set allow_empty_password"): _DOOR,
    ("admission", "ALTER USER root IDENTIFIED BY '…'"): _DOOR,
    ("service", "ALTER USER root IDENTIFIED BY '…' as root@{}, and start again"): _DOOR,
    ("recovery", "ALTER SYSTEM BACKUP DATABASE"): _BACKUPS,
    ("retention", "ALTER SYSTEM CANCEL BACKUP"): _BACKUPS,
    ("retention", "ALTER SYSTEM BACKUP DATABASE first"): _BACKUPS,
    ("errors", "ALTER SYSTEM SET backup_log_archive_option = 'optional'"): (
        "service/test_modes.py::test_a_closed_gate_survives_the_service_and_opens_with_the_mode"
    ),
    ("errors", "ALTER SYSTEM ARCHIVELOG and wait for STATUS = 'DOING'"): _ROUNDS,
    ("errors", "ALTER SYSTEM NOARCHIVELOG, wait for STATUS = 'STOP', and begin a round"): (
        "service/test_modes.py::test_optional_goes_on_and_the_hole_is_on_record"
    ),
    ("errors", "ALTER SYSTEM NOARCHIVELOG first and wait for STATUS = 'STOP'"): _ROUNDS,
    ("log_archive_option", "ALTER SYSTEM SET backup_log_archive_option = 'optional compression= disable'"): _ROUNDS,
    ("restore_errors", "ALTER SYSTEM CLEAR RESTORE SOURCE first"): _BACKUPS,
}
"""The test that does what a module's message advises."""


def test_all_advice_is_done_by_a_test() -> None:
    """New advice fails here until a test does it; advice that is gone leaves the table."""
    found = {(path.stem, advice) for path in _SOURCES.rglob("*.py") for advice in _advice(path)}

    assert found == DONE.keys()


def test_the_tests_are_there() -> None:
    """By file and name."""
    for place in DONE.values():
        file, _, name = place.partition("::")
        assert f"def {name}(" in (_TESTS / file).read_text(), place


def _advice(path: Path) -> Iterator[str]:
    source = path.read_text()
    for text in _messages(ast.parse(source)) if _VERB.search(source) else ():
        yield from (found.rstrip() for found in _ADVICE.findall(text))


def _messages(tree: ast.Module) -> Iterator[str]:
    """The texts of a module but its docstrings, with {} for what is filled in."""
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    passed_over = parts | {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed_over:
            yield node.value
