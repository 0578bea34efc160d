"""Standby tenants by SQL, with real engines: restored, followed, read, killed, taken over, archived as any other."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pymysql
import pytest

from redoubt.catalog.standbys import UNLIMITED
from tests.processes import is_alive
from tests.rehearsal.test_live_standby import leave_open
from tests.service.bank import ACCOUNTS, BALANCE, BankLoad
from tests.service.cluster import ServiceUnderTest, wait_until

_READ_ONLY = 4688
_TOTAL = "SELECT CAST(SUM(balance) AS SIGNED) AS total FROM test.account"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A service that archives a bank synchronously, with a data backup.

    Own service: it is killed, and has a standby.
    """
    running = ServiceUnderTest(tmp_path / "f")
    running.start()
    try:
        running.run("ALTER SYSTEM SET backup_log_archive_option = 'mandatory', log_archive_sync_commit = True")
        running.archive()
        query = "SELECT SYNC_COMMIT FROM CDB_REDOUBT_ARCHIVELOG_STATUS WHERE TENANT_ID = 1001"
        wait_until("commits are synchronous", lambda: running.run(query)[0]["SYNC_COMMIT"] == "SYNC")
        BankLoad(running).open_accounts()
        running.run("CREATE TABLE test.big (a INT PRIMARY KEY, b LONGTEXT)", "root@main")
        running.run("ALTER SYSTEM BACKUP DATABASE")
        wait_until("a data backup", lambda: running.run("SELECT 1 FROM CDB_OB_BACKUP_SET_DETAILS"))
        yield running
    finally:
        running.close()


def _tenant(service: ServiceUnderTest) -> dict[str, object]:
    return service.run("SELECT * FROM DBA_OB_TENANTS WHERE TENANT_NAME = 's'")[0]


def _refused(service: ServiceUnderTest, sql: str, user: str = "root@sys") -> int:
    with pytest.raises(pymysql.err.Error) as refusal:
        service.run(sql, user)
    return int(refusal.value.args[0])


def _followers(service: ServiceUnderTest) -> list[int]:
    """The processes of the service that keep a standby following."""
    assert service.process is not None
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    return [pid for pid in map(int, children) if b"redoubt.follower" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_a_takeover_whose_service_is_killed_is_completed(service: ServiceUnderTest) -> None:
    """Killed just after the catalog has the new role: at the next start the engine writes, with all of its log."""
    service.run(f"ALTER SYSTEM RESTORE s FROM 'file://{service.backup}'")
    wait_until("the end of the restore", lambda: service.run("SELECT STATUS FROM CDB_OB_RESTORE_HISTORY"))
    service.run("UPDATE oceanbase.__redoubt_tenant SET role = 'PRIMARY' WHERE tenant_name = 's'")
    service.kill()
    service.start()
    assert service.run(_TOTAL, "root@s") == [{"total": ACCOUNTS * BALANCE}]
    service.run("UPDATE test.account SET balance = 1", "root@s")
    assert not _followers(service)


def test_a_standby_tenant_by_sql_alone(service: ServiceUnderTest) -> None:
    """With what obshell and ob-operator send. It stops and goes on, survives kills of all, and loses no commit."""
    uri = f"file://{service.backup}"
    service.run(f"ALTER SYSTEM RESTORE s FROM \"{uri}, {uri}\" WITH 'pool_list=p&locality=F@z1&concurrency=2';")
    assert _refused(service, "ALTER SYSTEM ACTIVATE STANDBY TENANT s") == 4179
    restored = wait_until("the end of the restore", lambda: service.run("SELECT STATUS FROM CDB_OB_RESTORE_HISTORY"))
    assert restored == [{"STATUS": "RESTORE_SUCCESS"}]
    tenant = _tenant(service)
    assert (tenant["STATUS"], tenant["TENANT_ROLE"], tenant["LOG_MODE"]) == ("NORMAL", "STANDBY", "NOARCHIVELOG")
    (status,) = service.run("SELECT SYNC_STATUS, COMMENT FROM V$OB_LS_LOG_RESTORE_STATUS")
    assert status == {"SYNC_STATUS": "RESTORE SUSPEND", "COMMENT": ""}
    assert service.run(_TOTAL, "root@s") == [{"total": ACCOUNTS * BALANCE}]

    service.run("ALTER SYSTEM RECOVER STANDBY TENANT 's' UNTIL UNLIMITED")
    with BankLoad(service).running():
        wait_until("it follows", lambda: _moves(service))
        for _ in range(20):
            assert service.run(_TOTAL, "root@s") == [{"total": ACCOUNTS * BALANCE}]
        (follower,) = _followers(service)
        os.kill(follower, signal.SIGKILL)
        wait_until("its end", lambda: not is_alive(follower))
        wait_until("its engine's end", lambda: not _answers(service))
        wait_until("another", lambda: _answers(service) and _moves(service))
    assert _refused(service, "UPDATE test.account SET balance = 0", "root@s") == _READ_ONLY
    assert _refused(service, "ALTER SYSTEM ACTIVATE STANDBY", "root@s") == 1235
    assert _refused(service, "ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL TIME = '2020-01-01 00:00:00'") == 4179
    assert _refused(service, "ALTER SYSTEM SWITCHOVER TO PRIMARY TENANT = s") == 1235
    assert _refused(service, "ALTER SYSTEM SET LOG_RESTORE_SOURCE = 'LOCATION=file:///nowhere' TENANT = s") == 1210

    service.kill()
    service.start()
    assert _tenant(service)["RECOVERY_UNTIL_SCN"] == UNLIMITED
    with BankLoad(service).running():
        wait_until("it follows again", lambda: _moves(service))

    service.run("ALTER SYSTEM ACTIVATE STANDBY TENANT = s VERIFY")
    service.run("ALTER SYSTEM ACTIVATE STANDBY TENANT = s")
    _is_a_primary_with_everything(service)


def _answers(service: ServiceUnderTest) -> bool:
    """Whether the standby can be read."""
    try:
        service.run("SELECT 1", "root@s")
    except pymysql.err.Error:
        return False
    return True


def _moves(service: ServiceUnderTest) -> bool:
    """Whether reads of the standby see new commits."""
    before = int(str(_tenant(service)["READABLE_SCN"] or 0))
    return bool(wait_until("it moves", lambda: int(str(_tenant(service)["READABLE_SCN"] or 0)) > before, timeout=60))


def _is_a_primary_with_everything(service: ServiceUnderTest) -> None:
    """All rows of the source are there, it is written, archived, backed up, and an ordinary tenant after a restart."""
    rows = "SELECT * FROM test.account ORDER BY 1"
    assert service.run(rows, "root@s") == service.run(rows, "root@main")
    tenant = _tenant(service)
    assert (tenant["TENANT_ROLE"], tenant["SWITCHOVER_STATUS"]) == ("PRIMARY", "NORMAL")
    assert tenant["RECOVERY_UNTIL_SCN"] == UNLIMITED
    service.run("ALTER SYSTEM ACTIVATE STANDBY TENANT = s")  # once more has no effect
    assert _refused(service, "ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL UNLIMITED") == 4179
    service.run("UPDATE test.account SET balance = 1", "root@s")
    wait_until("it is archived", lambda: _tenant(service)["LOG_MODE"] == "ARCHIVELOG")
    doing = "SELECT 1 FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1002 AND STATUS = 'DOING'"
    wait_until("its log is", lambda: service.run(doing))
    with suppress(pymysql.err.Error), service.connect("root@s") as connection, connection.cursor() as cursor:
        leave_open(cursor)
        service.kill()
    service.start()
    service.run("UPDATE test.account SET balance = 1 WHERE id = 0", "root@s")  # nothing holds the row
    assert service.run(_TOTAL, "root@s") == [{"total": ACCOUNTS}]
    assert not _followers(service)
    service.run("DROP TENANT s")
