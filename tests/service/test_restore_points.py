"""A restore point beyond the recovery window: the log between it and the window goes, and it can be restored."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from tests.service.cluster import ServiceUnderTest, wait_until
from tests.service.piece_rounds import archive_in_pieces, pieces

_BLOCK = 64 * 1024 * 1024
"""A base needs log from the start of a block on, so what lies between must be longer."""


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "redoubt", *words], capture_output=True, text=True, check=False, timeout=300
    )


def _backup(service: ServiceUnderTest) -> tuple[int, int]:
    """Take a data backup; its number and its snapshot."""
    service.run("ALTER SYSTEM BACKUP DATABASE")
    last = "SELECT BS_KEY, STATUS, SNAPSHOT_SCN FROM CDB_REDOUBT_BACKUP_SETS WHERE TENANT_ID = 1 ORDER BY BS_KEY"
    wait_until("the data backup is over", lambda: service.run(last)[-1]["STATUS"] == "SUCCESS")
    return service.run(last)[-1]["BS_KEY"], service.run(last)[-1]["SNAPSHOT_SCN"]


def _write(service: ServiceUnderTest, size: int) -> None:
    """Let a tenant's log grow by at least so many bytes, over several pieces."""
    before = len(pieces(service))
    with service.connect("root@main") as connection, connection.cursor() as cursor:
        for number in range(size // 1_000_000):
            cursor.execute("INSERT INTO test.filler (a) VALUES (REPEAT(%s, 1000000))", (chr(97 + number % 26),))
            connection.commit()
    service.run("ALTER SYSTEM MINOR FREEZE TENANT = main")
    wait_until("there are more pieces", lambda: len(pieces(service)) > before + 1)


@pytest.mark.soak
def test_a_restore_point_needs_only_its_own_log(shared_service: ServiceUnderTest) -> None:
    """Named by KEEP. The preview tells what goes; verify stays green; a drill restores the point.

    Starts engines: one of a drill.
    """
    service, uri = shared_service, f"file://{shared_service.backup}"
    archive_in_pieces(service, 2)
    service.run("CREATE TABLE test.filler (id BIGINT PRIMARY KEY AUTO_INCREMENT, a LONGTEXT)", "root@main")
    service.run("CREATE TABLE test.kept (a INT)", "root@main")
    service.run("INSERT INTO test.kept VALUES (1), (2), (3)", "root@main")
    point, snapshot = _backup(service)
    service.run(f"ALTER SYSTEM CHANGE BACKUPSET {point} KEEP")
    service.run("DELETE FROM test.kept", "root@main")
    _write(service, 2 * _BLOCK)
    _write(service, _BLOCK // 2)
    last, scn = _backup(service)
    archived = "SELECT checkpoint_scn AS scn FROM oceanbase.__all_backup_log_archive_status_v2 WHERE tenant_id = 1"
    wait_until("it is in the past", lambda: min(time.time_ns(), service.run(archived)[0]["scn"]) > scn + 1_000_000)
    service.run("ALTER SYSTEM SET backup_recovery_window = '1us'")
    doomed = service.run("ALTER SYSTEM DELETE OBSOLETE BACKUP PREVIEW")
    assert {row["BACKUP_TYPE"] for row in doomed} == {"BACKUP_PIECE"}, doomed
    service.run("ALTER SYSTEM DELETE OBSOLETE BACKUP")
    busy = "SELECT * FROM CDB_OB_BACKUP_CLEAN_HISTORY WHERE STATUS = 'DOING'"
    wait_until("the deletion is done", lambda: not service.run(busy))
    service.stop_archiving()

    gone = [row["BACKUP_PIECE_ID"] for row in pieces(service) if row["FILE_STATUS"] == "DELETED"]
    there = [row["BACKUP_PIECE_ID"] for row in pieces(service) if row["FILE_STATUS"] == "AVAILABLE"]
    assert min(there) < min(gone) < max(gone) < max(there), "the log between is gone"
    verified = _command("verify", uri)
    assert verified.returncode == 0, verified.stdout
    windows = json.loads(_command("window", uri, "--json").stdout)["tenants"][0]["windows"]
    assert [window["bases"] for window in windows] == [[point], [last]]
    drilled = _command("drill", uri, "--scn", str(snapshot), "--query", "SELECT COUNT(*) = 3 FROM test.kept", "--json")
    assert drilled.returncode == 0, drilled.stdout + drilled.stderr
