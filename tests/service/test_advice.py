"""What a refusal advises is done, word for word as the message has it, and helps. tests/docs/test_advice.py has all."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pymysql
import pytest

from tests.service.cluster import ServiceUnderTest, wait_until

_ADVICE = re.compile(
    r"(?:run|such as) ((?:ALTER|DROP) .*?)(?: first\b.*| and wait .*| in this session first|, or .*)?$"
)
_NOT_SUPPORTED, _NO_DESTINATION, _BAD_CONFIG, _BAD_ARGUMENT = 1235, 9026, 4147, 1210
_BACKUP_RUNS, _SET_NEEDED, _RESTORE_RUNS, _NO_BACKUP = 9036, 9045, 9014, 9011


class _Session:
    """One session of root@sys."""

    def __init__(self, service: ServiceUnderTest) -> None:
        self._connection = service.connect()
        self._cursor = self._connection.cursor(pymysql.cursors.DictCursor)

    def run(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a statement."""
        self._cursor.execute(sql)
        return list(self._cursor.fetchall())

    def accepts(self, sql: str, unless: int) -> bool:
        """Run a statement; False if it is refused with that code."""
        try:
            self._cursor.execute(sql)
        except pymysql.err.MySQLError as refused:
            assert refused.args[0] == unless, refused  # noqa: PT017 - a refusal is an answer here
            return False
        return True

    def advice(self, sql: str, code: int) -> str:
        """The statement that the refusal of `sql` advises."""
        with pytest.raises(pymysql.err.MySQLError) as refused:
            self._cursor.execute(sql)
        assert refused.value.args[0] == code, refused.value
        found = _ADVICE.search(refused.value.args[1])
        assert found is not None, refused.value
        return found[1]

    def follow(self, sql: str, code: int, placeholder: str = "…", text: str = "…") -> None:
        """Run what the refusal of `sql` advises, with `text` for the placeholder."""
        self.run(self.advice(sql, code).replace(placeholder, text))


def test_advice_about_rounds_and_modes_helps(shared_service: ServiceUnderTest) -> None:
    """Each statement is refused, what the message says is done, and the statement is no longer refused."""
    service, session = shared_service, _Session(shared_service)
    session.run("ALTER SYSTEM SET log_archive_dest_state = 'DEFER'")
    session.follow("ALTER SYSTEM ARCHIVELOG", _NO_DESTINATION, "/…", str(service.backup))
    session.follow("ALTER SYSTEM ARCHIVELOG", _NOT_SUPPORTED)
    assert session.advice("ALTER SYSTEM BACKUP DATABASE", 9040) == "ALTER SYSTEM ARCHIVELOG"
    session.follow("ALTER SYSTEM SET enable_log_archive = true", _NOT_SUPPORTED)  # ARCHIVELOG
    assert session.advice("ALTER SYSTEM SUSPEND BACKUP", _NOT_SUPPORTED) == "ALTER SYSTEM NOARCHIVELOG"
    assert session.advice("ALTER SYSTEM SET enable_log_archive = false", _NOT_SUPPORTED) == "ALTER SYSTEM NOARCHIVELOG"
    assert (
        session.advice("ALTER SYSTEM SET log_archive_dest_state = 'DEFER'", _NOT_SUPPORTED)
        == "ALTER SYSTEM NOARCHIVELOG"
    )
    elsewhere = service.backup.with_name("elsewhere")
    elsewhere.mkdir()
    session.follow(f"ALTER SYSTEM SET backup_dest = 'file://{elsewhere}'", _BACKUP_RUNS)
    service.wait_for_status("STOP")
    session.run(f"ALTER SYSTEM SET backup_dest = 'file://{elsewhere}'")
    assert session.advice("ALTER SYSTEM RESUME BACKUP", _NOT_SUPPORTED) == "ALTER SYSTEM ARCHIVELOG"

    session.follow("ALTER SYSTEM SET log_archive_sync_commit = true", _BAD_CONFIG)
    mode = "ALTER SYSTEM SET backup_log_archive_option = 'compression= disable'"
    session.run("ALTER SYSTEM SET log_archive_sync_commit = false")
    session.follow(mode, _BAD_CONFIG)
    session.run(mode)


@pytest.mark.soak
def test_advice_about_backups_and_restores_helps(shared_service: ServiceUnderTest) -> None:
    """The same for sets, their deletion, previews, sources and a restore that runs."""
    service, session = shared_service, _Session(shared_service)
    service.archive()
    checked = [sys.executable, "-m", *re.findall(r"redoubt verify", service.error("ALTER SYSTEM VALIDATE DATABASE")[1])]
    verify = [*" ".join(checked).split(), f"file://{service.backup}"]
    assert subprocess.run(verify, capture_output=True, check=False, timeout=60).returncode == 0

    session.follow("ALTER SYSTEM BACKUP INCREMENTAL DATABASE", _NOT_SUPPORTED)  # BACKUP DATABASE
    session.follow("ALTER SYSTEM BACKUP DATABASE", _BACKUP_RUNS)  # CANCEL BACKUP
    session.run("ALTER SYSTEM BACKUP DATABASE")
    sets = "SELECT MAX(BS_KEY) AS number FROM CDB_REDOUBT_BACKUP_SETS"
    session.follow(f"ALTER SYSTEM DELETE BACKUPSET {session.run(sets)[0]['number']}", _SET_NEEDED)  # CANCEL BACKUP
    session.follow("ALTER SYSTEM RESTORE saved FROM main UNTIL '2026-01-01 00:00:00' WITH 'pool_list=p'", _NO_BACKUP)
    first = _newest_set(session)
    session.follow(f"ALTER SYSTEM DELETE BACKUPSET {first}", _SET_NEEDED)  # BACKUP DATABASE
    assert _newest_set(session) > first
    session.run(f"ALTER SYSTEM DELETE BACKUPSET {first}")
    busy = "SELECT * FROM CDB_OB_BACKUP_CLEAN_HISTORY WHERE STATUS = 'DOING'"
    wait_until("it is deleted", lambda: not session.run(busy))

    obsolete = session.advice("ALTER SYSTEM DELETE EXPIRED BACKUP", _BAD_ARGUMENT)
    session.follow(obsolete, _NOT_SUPPORTED)  # a recovery window
    session.run(obsolete)

    until = session.run("SELECT MAX_NEXT_TIME AS end FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1001")[0]["end"]
    restore = f"ALTER SYSTEM RESTORE saved FROM main {{}} UNTIL '{until}' WITH 'pool_list=p'"
    preview = session.advice("SHOW RESTORE PREVIEW", _NOT_SUPPORTED)
    session.run(preview.replace("… PREVIEW", restore.format("").partition("RESTORE ")[2]) + " PREVIEW")
    session.run("SHOW RESTORE PREVIEW")
    session.run(f"ALTER SYSTEM ADD RESTORE SOURCE 'file://{service.backup}'")
    session.follow(restore.format(f"AT 'file://{service.backup}'"), _NOT_SUPPORTED)  # CLEAR RESTORE SOURCE
    wait_until("the moment is long enough ago", lambda: session.accepts(restore.format(""), unless=4179), 30)
    session.follow(restore.format(""), _RESTORE_RUNS)  # DROP TENANT
    assert not any(row["TENANT_NAME"] == "saved" for row in session.run("SHOW TENANTS"))


def _newest_set(session: _Session) -> int:
    """The number of the newest data backup, once none is being taken."""
    sets = "SELECT MAX(BS_KEY) AS number FROM CDB_REDOUBT_BACKUP_SETS WHERE STATUS"
    wait_until("none is being taken", lambda: session.run(f"{sets} = 'DOING'")[0]["number"] is None)
    return int(session.run(f"{sets} = 'SUCCESS'")[0]["number"])
