"""Tenants on real engines: made, loaded, archived and dropped while a round runs, and through crashes."""

from __future__ import annotations

import random
import threading
from contextlib import suppress

import pymysql
import pytest

from tests.processes import is_alive
from tests.service.cluster import ServiceUnderTest, assert_archive_equals_engine, log_of, wait_until


def _names(service: ServiceUnderTest) -> dict[str, str]:
    """The user tenants' STATUS, by name."""
    rows = service.run("SELECT TENANT_NAME, STATUS FROM DBA_OB_TENANTS WHERE TENANT_TYPE = 'USER' ORDER BY TENANT_ID")
    return {row["TENANT_NAME"]: row["STATUS"] for row in rows}


def _archived(service: ServiceUnderTest, column: str) -> dict[int, object]:
    """A column of the round's rows, by tenant."""
    rows = service.run(f"SELECT TENANT_ID, {column} FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID <> 1")
    return {row["TENANT_ID"]: row[column] for row in rows}


def _load(service: ServiceUnderTest, tenant: str, rows: int = 50) -> None:
    with service.connect(f"root@{tenant}") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS test.t (id INT AUTO_INCREMENT PRIMARY KEY, note TEXT)")
        for _ in range(rows):
            cursor.execute("INSERT INTO test.t (note) VALUES (%s)", ("a note " * 200,))


def test_tenants_come_and_go_while_a_round_runs(shared_service: ServiceUnderTest) -> None:
    """Each one's log is archived from its making on, to its very end when it is dropped; the others' goes on."""
    service = shared_service
    service.archive()
    for name in ("one", "two", "three"):
        service.run(f"CREATE TENANT {name}" + (" SET ob_tcp_invited_nodes = '127.0.0.1'" if name == "one" else ""))
        _load(service, name)
    white_list = service.run("SELECT @@ob_tcp_invited_nodes AS it", "root@one")
    numbers = {row["TENANT_NAME"]: row["TENANT_ID"] for row in service.run("SHOW TENANTS")}
    mine = {name: numbers[name] for name in ("one", "two", "three")}
    wait_until("all are archived", lambda: [*_archived(service, "STATUS").values()].count("DOING") == 4)
    modes = service.run("SELECT LOG_MODE FROM DBA_OB_TENANTS ORDER BY TENANT_ID")
    kept = service.home.parent / "two"
    kept.mkdir()
    for block in log_of(service.home / "tenants" / str(mine["two"])).iterdir():
        (kept / block.name).hardlink_to(block)
    with service.connect("root@two") as doomed:
        _load(service, "two", 200)
        service.run("DROP TENANT two")
        with pytest.raises(pymysql.err.MySQLError):
            doomed.ping(reconnect=False)

    assert white_list == [{"it": "127.0.0.1"}]
    assert [row["LOG_MODE"] for row in modes] == ["NOARCHIVELOG"] + ["ARCHIVELOG"] * 4
    assert _names(service) == {"main": "NORMAL", "one": "NORMAL", "three": "NORMAL"}
    assert service.error("SELECT 1", "root@two")[0] == 1045
    assert mine["two"] not in _archived(service, "STATUS")
    assert not (service.home / "tenants" / str(mine["two"])).exists()
    _load(service, "three")
    service.stop_archiving()
    for name in ("one", "three"):
        assert_archive_equals_engine(service, 1, mine[name], log_of(service.home / "tenants" / str(mine[name])))
    start, end = assert_archive_equals_engine(service, 1, mine["two"], kept)
    assert end - start > 250 * 1000
    rest = "SELECT TENANT_ID FROM CDB_REDOUBT_ARCHIVELOG_STATUS"
    assert mine["two"] not in {row["TENANT_ID"] for row in service.run(rest)}
    service.run("DROP TENANT one FORCE")
    service.run("DROP TENANT three")


def test_statements_say_what_they_refuse(shared_service: ServiceUnderTest) -> None:
    """With OceanBase's codes."""
    service = shared_service
    with service.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TENANT IF NOT EXISTS MAIN")
        noted = cursor.rowcount, connection._result.warning_count  # type: ignore[attr-defined]
        cursor.execute("DROP TENANT IF EXISTS nobody")

        assert noted == (0, 1)
        assert connection._result.warning_count == 1  # type: ignore[attr-defined]
    assert service.error("CREATE TENANT main") == (5156, "tenant 'main' already exist")
    assert service.error("CREATE TENANT sys")[0] == 5156
    assert service.error("CREATE TENANT all_user")[0] == 5160
    assert service.error(f"CREATE TENANT {'x' * 64}")[0] == 1059
    assert service.error("DROP TENANT nobody") == (5157, "Unknown tenant 'nobody'")
    assert service.error("DROP TENANT sys")[0] == 4179


def test_an_id_is_never_given_twice_and_no_tenant_is_needed(stopped_service: ServiceUnderTest) -> None:
    """Main can be dropped as well; the service starts without any, and with one whose directory is damaged.

    Own service: it is restarted, and main is dropped.
    """
    service = stopped_service
    service.start()
    service.run("DROP TENANT main")
    none = service.run("SHOW TENANTS")
    service.archive()
    service.stop()
    service.start()
    service.wait_for_status("DOING")
    service.run("CREATE TENANT first")
    service.run("CREATE TENANT second")
    service.stop()
    number = next(entry for entry in (service.home / "tenants").iterdir() if entry.name == "1002")
    number.rename(service.home / "elsewhere")
    service.start()
    wait_until("it is told", lambda: _names(service) == {"first": "UNAVAILABLE", "second": "NORMAL"})
    why = service.run("SELECT TROUBLE FROM CDB_REDOUBT_TENANTS WHERE TENANT_NAME = 'first'")[0]["TROUBLE"]
    (service.home / "elsewhere").rename(number)

    assert [row["TENANT_NAME"] for row in none] == ["sys"]
    assert "put the directory back, or drop the tenant" in why
    wait_until("it is back", lambda: _names(service) == {"first": "NORMAL", "second": "NORMAL"})
    assert service.run("SELECT 1", "root@first") == [{"1": 1}]
    service.run("DROP TENANT first")
    assert [row["TENANT_ID"] for row in service.run("SHOW TENANTS LIKE '%o%d'")] == [1003]


def test_a_crash_leaves_nothing_half(stopped_service: ServiceUnderTest) -> None:
    """The service is killed while it makes and drops tenants: afterwards each is there, or is not.

    Own service: it is killed.
    """
    service = stopped_service
    service.start()
    service.archive()
    service.run("CREATE TENANT kept")
    for what, longest in (("CREATE TENANT made", 1.5), ("DROP TENANT kept", 0.3)):

        def ask(sql: str = what) -> None:
            with suppress(pymysql.err.MySQLError, OSError):
                service.run(sql)

        asking = threading.Thread(target=ask)
        asking.start()
        asking.join(random.uniform(0, longest))
        children = service.children()
        service.kill()
        asking.join()
        _wait_until_ended(children)
        service.start()
        _assert_nothing_is_half(service)


def _wait_until_ended(children: list[int]) -> None:
    wait_until("the engines have ended", lambda: not any(is_alive(pid) for pid in children))


def _assert_nothing_is_half(service: ServiceUnderTest) -> None:
    """Whoever is there can be used, has a directory and is archived; nobody else has one."""
    wait_until("nothing is under way", lambda: set(_names(service).values()) == {"NORMAL"})
    wait_until("all answer", lambda: all(_answers(service, name) for name in _names(service)))
    ids = {row["TENANT_ID"] for row in service.run("SHOW TENANTS")} - {1}

    assert {int(entry.name) for entry in (service.home / "tenants").iterdir()} == ids
    wait_until("all are archived", lambda: _archived(service, "STATUS") == dict.fromkeys(ids, "DOING"))


def _answers(service: ServiceUnderTest, name: str) -> bool:
    try:
        return bool(service.run("SELECT 1", f"root@{name}"))
    except pymysql.err.MySQLError:
        return False
