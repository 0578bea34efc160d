"""An encrypted archive, as a user has it: nothing in it is readable, and with the key everything is as ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pymysql

from redoubt.archive.master_keys import FORMER_MASTER_KEYS, MASTER_KEY
from tests.service.cluster import ServiceUnderTest, wait_until
from tests.service.fixtures import MASTER_KEY_FILE

_SECRET = "the quick brown secret that nobody may read"


def _command(*words: str, key: str = "", former: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {MASTER_KEY: key, FORMER_MASTER_KEYS: former}
    return subprocess.run(
        [sys.executable, "-m", "redoubt", *words],
        capture_output=True, text=True, check=False, timeout=200, env=environment,
    )  # fmt: skip


def test_an_encrypted_archive(shared_service: ServiceUnderTest, tmp_path: Path) -> None:
    """Log from before and after SET ENCRYPTION_MODE, a data backup, a drill, restores by SQL and by command.

    Starts engines: one of a drill, one of a restore.
    """
    service = shared_service
    source = f"file:{service.home.parent / MASTER_KEY_FILE}"
    service.archive("optional compression= disable")
    service.run("CREATE TABLE test.plain (a VARCHAR(99))", "root@main")
    service.run("INSERT INTO test.plain VALUES ('before the encryption')", "root@main")
    wait_until("it is archived", lambda: _objects_with(service, "before the encryption"))
    service.run("ALTER SYSTEM SET backup_log_archive_option = 'encryption_mode= transparent_encryption'")
    wait_until("encrypted log is there", lambda: any(service.backup.rglob("*.aes")))
    service.run(f"INSERT INTO test.plain VALUES ('{_SECRET}')", "root@main")
    service.run("ALTER SYSTEM BACKUP DATABASE")
    sets = "SELECT STATUS, ENCRYPTION_MODE, BS_KEY FROM CDB_OB_BACKUP_SET_FILES WHERE TENANT_ID = 1001 ORDER BY BS_KEY"
    wait_until("the data backup is over", lambda: service.run(sets)[-1]["STATUS"] == "SUCCESS")
    assert service.run(sets)[-1]["ENCRYPTION_MODE"] == "TRANSPARENT_ENCRYPTION"
    shown = service.run("SHOW PARAMETERS LIKE 'backup_log_archive_option'")[0]["value"]
    assert shown == "encryption_mode= transparent_encryption"
    service.run(f"INSERT INTO test.plain VALUES ('{_SECRET}')", "root@main")
    service.write_log()
    service.stop_archiving()

    assert not _objects_with(service, _SECRET)

    uri = f"file://{service.backup}"
    directory = tmp_path / "restored"
    without = _command("restore", uri, "--to", str(directory), "--tenant", "main", "--latest")
    wrong = _command("verify", uri, "--json", "--all", key="command:openssl rand -hex 32")
    assert without.returncode == 1
    assert "is encrypted: its master key is" in without.stderr, without.stderr
    assert "those given are: none" in without.stderr
    assert wrong.returncode == 0, wrong.stderr
    assert json.loads(wrong.stdout)["objects_not_decrypted"] > 0

    verified = _command("verify", uri, "--json", "--all", key=source)
    drilled = _command("drill", uri, "--tenant", "main", key=source)
    assert (verified.returncode, json.loads(verified.stdout)["objects_not_decrypted"]) == (0, 0), verified.stdout
    assert drilled.returncode == 0, drilled.stderr + drilled.stdout
    (record,) = (file for file in service.backup.rglob("drill_*"))
    assert "content" in json.loads(record.read_text())
    assert "checked" not in json.loads(record.read_text())

    wait_until("the moment is long enough ago", lambda: _restore_begins(service), 60)
    wait_until("it is restored", lambda: any(row["TENANT_NAME"] == "saved" and row["STATUS"] == "NORMAL"
                                             for row in service.run("SHOW TENANTS")))  # fmt: skip
    rows = service.run("SELECT a FROM test.plain", "root@saved")
    assert [row["a"] for row in rows] == ["before the encryption", _SECRET, _SECRET]


def _objects_with(service: ServiceUnderTest, text: str) -> list[Path]:
    """The objects of the archive in which a text can be read."""
    return [file for file in service.backup.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


def _restore_begins(service: ServiceUnderTest) -> bool:
    ends = "SELECT MAX(MAX_NEXT_TIME) AS end FROM CDB_OB_BACKUP_ARCHIVELOG_SUMMARY WHERE TENANT_ID = 1001"
    until = service.run(ends)[0]["end"]
    try:
        service.run(f"ALTER SYSTEM RESTORE saved FROM main UNTIL '{until}' WITH 'pool_list=p'")
    except pymysql.err.MySQLError as error:
        assert error.args[0] == 4179, error  # noqa: PT017 - the moment is too new
        return False
    return True
