"""An encrypted archive, as a user has it: nothing in it is readable, and with the key everything is as ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pymysql
import pytest

from redoubt.archive.master_keys import FORMER_MASTER_KEYS, MASTER_KEY
from tests.service.cluster import ServiceUnderTest, wait_until
from tests.service.fixtures import MASTER_KEY_FILE

_TOO_NEW = 4179
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
    assert "is encrypted, and its master key is" in without.stderr, without.stderr
    assert "no key is given" in without.stderr
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
    wait_until("it is restored", lambda: _is_normal(service, "saved"))
    rows = service.run("SELECT a FROM test.plain", "root@saved")
    assert [row["a"] for row in rows] == ["before the encryption", _SECRET, _SECRET]


def _objects_with(service: ServiceUnderTest, text: str) -> list[Path]:
    """The objects of the archive in which a text can be read."""
    return [file for file in service.backup.rglob("*") if file.is_file() and text.encode() in file.read_bytes()]


def _restore_statement(service: ServiceUnderTest) -> str:
    ends = "SELECT MAX(MAX_NEXT_TIME) AS end FROM CDB_OB_BACKUP_ARCHIVELOG_SUMMARY WHERE TENANT_ID = 1001"
    until = service.run(ends)[0]["end"]
    return f"ALTER SYSTEM RESTORE saved FROM main UNTIL '{until}' WITH 'pool_list=p'"


def _restore_begins(service: ServiceUnderTest) -> bool:
    try:
        service.run(_restore_statement(service))
    except pymysql.err.MySQLError as error:
        assert error.args[0] == _TOO_NEW, error  # noqa: PT017 - the moment is too new
        return False
    return True


def test_a_data_backup_with_a_password(shared_service: ServiceUnderTest, tmp_path: Path) -> None:
    """Only the session that set it encrypts; without the password it says what to do, which then is done.

    Starts an engine: of the restore.
    """
    service, password = shared_service, "correct horse battery staple"
    service.archive()
    service.run("CREATE TABLE test.locked (a INT)", "root@main")
    with service.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SET ENCRYPTION ON IDENTIFIED BY '{password}' ONLY")
        cursor.execute("ALTER SYSTEM BACKUP DATABASE")
    sets = "SELECT STATUS, ENCRYPTION_MODE, BS_KEY FROM CDB_OB_BACKUP_SET_FILES WHERE TENANT_ID = 1001 ORDER BY BS_KEY"
    wait_until("the data backup is over", lambda: service.run(sets)[-1]["STATUS"] == "SUCCESS")
    assert service.run(sets)[-1]["ENCRYPTION_MODE"] == "PASSWORD"
    service.run("INSERT INTO test.locked VALUES (7)", "root@main")
    service.write_log()
    service.stop_archiving()

    uri = f"file://{service.backup}"
    refused = _command("restore", uri, "--to", str(tmp_path / "restored"), "--tenant", "main", "--latest")
    assert refused.returncode == 1
    assert "is encrypted with a password, and no password is given" in refused.stderr
    statement = _restore_statement(service)
    wait_until("the moment is long enough ago", lambda: service.error(statement)[0] != _TOO_NEW, 60)
    code, text = service.error(statement)
    assert (code, "run SET DECRYPTION IDENTIFIED BY '…' before RESTORE" in text) == (9026, True), text
    with service.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET DECRYPTION IDENTIFIED BY 'wrong'")
        with pytest.raises(pymysql.err.MySQLError, match="the passwords that were given are others"):
            cursor.execute(statement)
        cursor.execute(f"SET DECRYPTION IDENTIFIED BY 'wrong', '{password}'")
        cursor.execute(statement)
    wait_until("it is restored", lambda: _is_normal(service, "saved"))
    assert service.run("SELECT a FROM test.locked", "root@saved") == [{"a": 7}]
    places = [*service.home.rglob("*"), *service.backup.rglob("*")]
    assert not [file for file in places if file.is_file() and password.encode() in file.read_bytes()]


def _is_normal(service: ServiceUnderTest, tenant: str) -> bool:
    return any(row["TENANT_NAME"] == tenant and row["STATUS"] == "NORMAL" for row in service.run("SHOW TENANTS"))
