"""Every code that a statement about settings and deletions gives, and texts near the grammar, on the real service."""

from __future__ import annotations

import random

import pymysql
import pytest

from tests.service.cluster import ServiceUnderTest, wait_until

PRIVILEGE = 1227
REFUSALS = [
    ("ALTER SYSTEM SET no_such_parameter = 1", 5099, ""),
    ("ALTER SYSTEM SET backup_backup_dest_option = 'recovery_window=1d'", 5099, ""),
    ("ALTER SYSTEM SET backup_dest = 'file:///x' TENANT = main", 5099, ""),
    ("ALTER SYSTEM SET log_archive_checkpoint_interval = '1s'", 4147, "out of range [5s, 3600s]"),
    ("ALTER SYSTEM SET log_archive_concurrency = 101", 4147, "out of range [0, 100]"),
    ("ALTER SYSTEM SET auto_delete_expired_backup = 'maybe'", 4147, "is not a truth value"),
    ("ALTER SYSTEM SET backup_recovery_window = 'x'", 4147, "is not a time"),
    ("ALTER SYSTEM SET backup_dest_option = 'recovery_window = 1d'", 1210, "backup_dest_option"),
    ("ALTER SYSTEM SET backup_dest_option = 'nothing=1'", 1210, "backup_dest_option"),
    ("ALTER SYSTEM SET backup_dest_option = 'log_archive_piece_switch_interval=1h'", 1235, "out of range [1d,7d]"),
    ("ALTER SYSTEM SET backup_dest_option = 'backup_copies=1'", 1235, "backup_copies out of range [0,8]"),
    ("ALTER SYSTEM SET backup_dest = 'file:///x?a=b'", 1235, "additional parameters are not supported"),
    ("ALTER SYSTEM SET backup_dest = 'file:///x?'", 1235, "setting '?' is not supported"),
    ("ALTER SYSTEM SET backup_dest = 'file:///no/such'", 9026, "backup destination is not valid"),
    ("ALTER SYSTEM SET enable_log_archive = true", 1235, "set enable log archive true without archivelog is not"),
    ("ALTER SYSTEM SET LOG_ARCHIVE_DEST = 'BINDING=Optional'", 1210, "log_archive_dest"),
    ("ALTER SYSTEM SET LOG_ARCHIVE_DEST = 'LOCATION=file:///x' TENANT = nobody", 5157, "nobody"),
    ("ALTER SYSTEM SET LOG_ARCHIVE_DEST = 'LOCATION=file:///x' TENANT = sys", 1235, "TENANT = ALL"),
    ("ALTER SYSTEM SET LOG_ARCHIVE_DEST_STATE = 'x'", 1210, "log_archive_dest_state"),
    ("ALTER SYSTEM ARCHIVELOG", 9026, "backup_dest is empty"),
    ("ALTER SYSTEM ARCHIVELOG TENANT = nobody", 5157, "nobody"),
    ("ALTER SYSTEM NOARCHIVELOG TENANT = sys", 1235, "TENANT = ALL"),
    ("ALTER SYSTEM NOARCHIVELOG", 9024, ""),
    ("ALTER SYSTEM BACKUP DATABASE", 9040, "log archive status : STOP."),
    ("ALTER SYSTEM BACKUP INCREMENTAL DATABASE", 9040, "log archive status : STOP."),
    ("ALTER SYSTEM CANCEL BACKUP", 9049, "backup status is stopped, can not cancel"),
    ("ALTER SYSTEM SUSPEND BACKUP", 1235, ""),
    ("ALTER SYSTEM RESUME BACKUP", 1235, ""),
    ("ALTER SYSTEM DELETE BACKUPSET 999", 1235, "delete backupset is not exist"),
    ("ALTER SYSTEM DELETE BACKUPPIECE 999", 1235, "delete backup piece is not exist"),
    ("ALTER SYSTEM DELETE BACKUPROUND 999 COPY 2", 1235, "backup round is not exist"),
    ("ALTER SYSTEM DELETE OBSOLETE BACKUP", 1235, "recovery window unexpected"),
    ("ALTER SYSTEM DELETE EXPIRED BACKUP", 1210, ""),
    ("ALTER SYSTEM CANCEL DELETE BACKUP", 9053, "cancel delete backup do not allow"),
    ("ALTER SYSTEM VALIDATE DATABASE", 1235, ""),
    ("ALTER SYSTEM VALIDATE BACKUPSET 1", 1235, ""),
    ("ALTER SYSTEM CANCEL VALIDATE 1", 1235, ""),
    ("ALTER SYSTEM START BACKUP ARCHIVELOG", 1235, ""),
    ("ALTER SYSTEM BACKUP BACKUPPIECE ALL", 9026, "backup_backup_dest is empty"),
    ("ALTER SYSTEM BACKUP BACKUPPIECE ALL WITH ACTIVE", 1235, "active piece"),
    ("ALTER SYSTEM CANCEL BACKUP BACKUPSET", 9049, "no second backup of a BACKUPSET is running"),
]


@pytest.mark.parametrize(("sql", "code", "text"), REFUSALS, ids=[each[0][13:60] for each in REFUSALS])
def test_a_refusal_has_oceanbases_code(shared_service: ServiceUnderTest, sql: str, code: int, text: str) -> None:
    """In sys; in a user tenant a cluster statement is 1227, and a cluster parameter 5099."""
    found = shared_service.error(sql)
    assert found[0] == code
    assert text in found[1]
    of_tenant = shared_service.error(sql, "root@main")[0]
    assert of_tenant == (5099 if " SET " in sql else PRIVILEGE)


def test_alter_system_is_needed_for_each(shared_service: ServiceUnderTest) -> None:
    """A user without it gets 1227, whatever the statement says; one with it gets the statement's own error."""
    shared_service.run("CREATE USER IF NOT EXISTS keeper IDENTIFIED BY 'k'")
    shared_service.run("CREATE USER IF NOT EXISTS guest IDENTIFIED BY 'g'")
    shared_service.run("GRANT ALTER SYSTEM ON *.* TO keeper")
    statements = [sql for sql, _, _ in REFUSALS if "no_such" not in sql and "backup_backup" not in sql]
    for sql in [*statements, "CREATE TENANT t", "DROP TENANT t", "ALTER SYSTEM CANCEL ALL BACKUP FORCE"]:
        assert shared_service.error(sql, "guest@sys", "g")[0] == PRIVILEGE, sql
    assert shared_service.error("ALTER SYSTEM CANCEL BACKUP", "keeper@sys", "k")[0] == 9049
    shared_service.run("ALTER SYSTEM CANCEL ALL BACKUP FORCE", "keeper@sys", "k")


WORDS = (
    *("ALTER", "SYSTEM", "SET", "DELETE", "BACKUPSET", "BACKUPPIECE", "BACKUPROUND", "OBSOLETE", "EXPIRED", "BACKUP"),
    *(
        "CANCEL",
        "ALL",
        "VALIDATE",
        "DATABASE",
        "SUSPEND",
        "RESUME",
        "COPY",
        "TENANT",
        "MINOR",
        "FREEZE",
        "NOARCHIVELOG",
    ),
    *(
        "log_archive_dest",
        "backup_dest_option",
        "log_archive_dest_state",
        "enable_log_archive",
        "backup_recovery_window",
    ),
    *(
        "log_archive_concurrency",
        "'recovery_window=1d&x'",
        "'LOCATION=file:///x'",
        "'x'",
        "1",
        "-1",
        "99",
        "=",
        ",",
        "(",
    ),
)
DOCUMENTED = {1064, 1210, 1235, 4147, 5099, 5157, 9024, 9026, 9036, 9040, 9044, 9045, 9049, 9053, 9069}


def test_texts_near_the_grammar_are_run_or_refused(shared_service: ServiceUnderTest) -> None:
    """With a documented code or the engine's syntax error; each at once, all in one session that lives on."""
    dice = random.Random(20260921)
    known = [sql for sql, _, _ in REFUSALS]
    with shared_service.connect(read_timeout=30) as connection, connection.cursor() as cursor:
        for number in range(400):
            words = dice.choice(known).split(" ")
            for _ in range(dice.randint(1, 2)):
                at = dice.randrange(2, len(words)) if len(words) > 2 else len(words)
                words[at : at + dice.randint(0, 1)] = [dice.choice(WORDS)] * dice.randint(0, 2)
            sql, code = " ".join(words), 0
            try:
                cursor.execute(sql)
            except pymysql.err.MySQLError as error:
                code = error.args[0]
            assert code in DOCUMENTED | {0}, (number, sql, code)
        cursor.execute("SELECT 1")
    for reset in ("backup_dest_option = ''", "log_archive_dest_state = 'ENABLE'", "backup_recovery_window = 0"):
        shared_service.run(f"ALTER SYSTEM SET {reset}")


def _set_file(service: ServiceUnderTest, number: int, scn: str) -> None:
    service.run(
        "INSERT INTO oceanbase.__all_backup_set_files (incarnation, tenant_id, bs_key, copy_id, backup_type, "
        "encryption_mode, status, file_status, start_time, completion_time, snapshot_scn, start_replay_scn, "
        "input_bytes, output_bytes, log_archive_round, backup_dest, comment) SELECT 1, 1, "
        f"{number}, 0, 'D', 'NONE', 'SUCCESS', 'AVAILABLE', 1, 2, {scn}, {scn}, 0, 0, 1, backup_dest, '' "
        "FROM oceanbase.__all_backup_log_archive_status_v2 WHERE tenant_id = 1"
    )


def _file_status(service: ServiceUnderTest, round_id: int) -> set[str]:
    rows = service.run(f"SELECT FILE_STATUS FROM CDB_OB_BACKUP_PIECE_FILES WHERE ROUND_ID = {round_id}")
    return {row["FILE_STATUS"] for row in rows}


def _wait_for_the_job(service: ServiceUnderTest) -> None:
    """A job ends a moment after the last of what it deletes."""
    doing = "SELECT 1 FROM oceanbase.__all_backup_clean_info_history WHERE status = 'DOING'"
    wait_until("the job has ended", lambda: not service.run(doing))


@pytest.mark.soak
def test_log_is_deleted_when_a_full_set_makes_it_needless(service: ServiceUnderTest) -> None:
    """Refused with 9069 before and 9045 for the set; then the segments go, and what stays says so; also by itself.

    Own service: what may be deleted depends on all that it has.
    """
    service.run("CREATE TABLE test.t (a INT)", "root@main")
    service.archive()
    assert service.error("ALTER SYSTEM SET LOG_ARCHIVE_DEST_STATE = 'DEFER'")[0] == 1235
    assert service.error("ALTER SYSTEM DELETE BACKUPROUND 1")[0] == 1235
    service.stop_archiving()
    service.archive()
    service.stop_archiving()
    assert service.error("ALTER SYSTEM DELETE BACKUPROUND 1")[0] == 9069
    assert service.segments()

    end = "(SELECT MAX(max_scn) FROM oceanbase.__all_backup_piece_files WHERE round_id = %d)"
    _set_file(service, 1, end % 1)
    assert service.error("ALTER SYSTEM DELETE BACKUPSET 1")[0] == 9045
    service.run("ALTER SYSTEM DELETE BACKUPROUND 1")
    wait_until("round 1 is deleted", lambda: _file_status(service, 1) == {"DELETED"})
    _wait_for_the_job(service)
    assert not service.segments()
    assert {"deletion", "round_info", "single_piece_info"} <= {path.name for path in service.round_folder().iterdir()}
    assert service.error("ALTER SYSTEM DELETE BACKUPROUND 1")[0] == 1235

    assert service.error("ALTER SYSTEM DELETE BACKUPROUND 2")[0] == 9069
    _set_file(service, 2, end % 2)
    service.archive()  # ages are counted from the newest archived moment
    service.run("ALTER SYSTEM SET backup_recovery_window = '1us', auto_delete_expired_backup = true")
    wait_until("round 2 is deleted", lambda: _file_status(service, 2) == {"DELETED"})
    _wait_for_the_job(service)
    rows = service.run(
        "SELECT type, status, parameter FROM oceanbase.__all_backup_clean_info_history WHERE tenant_id = 1"
    )
    assert [(row["type"], row["status"]) for row in rows] == [
        ("DELETE BACKUP ROUND", "STOP"),
        ("DELETE OBSOLETE BACKUP", "STOP"),
    ]
    service.stop_archiving()


def test_a_deletion_goes_on_after_the_service_was_killed(service: ServiceUnderTest) -> None:
    """While the old destination is away the job waits and says why, refuses another one, and can be cancelled.

    Own service: it is killed.
    """
    service.archive()
    service.stop_archiving()
    service.run("ALTER SYSTEM SET backup_dest = ''")
    away = service.backup.rename(service.backup.with_name("away"))
    service.run("ALTER SYSTEM DELETE BACKUPROUND 1")
    said = "SELECT error_msg FROM oceanbase.__all_backup_clean_info_history WHERE tenant_id = 1 AND status = 'DOING'"
    wait_until(
        "the cause is told",
        lambda: "mount the backup disk" in (service.run(said) or [{"error_msg": ""}])[0]["error_msg"],
    )
    assert service.error("ALTER SYSTEM DELETE OBSOLETE BACKUP")[0] == 9044
    assert service.error("ALTER SYSTEM SET auto_delete_expired_backup = true")[0] == 1235

    service.kill()
    service.start()
    assert service.error("ALTER SYSTEM DELETE BACKUPROUND 1")[0] == 9044
    service.run("ALTER SYSTEM CANCEL DELETE BACKUP")
    assert _file_status(service, 1) == {"DELETING"}
    service.run("ALTER SYSTEM DELETE BACKUPROUND 1")
    away.rename(service.backup)
    wait_until("round 1 is deleted", lambda: _file_status(service, 1) == {"DELETED"})
    assert not service.segments()
