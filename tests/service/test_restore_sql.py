"""Restoring by SQL, on real engines: to the second before a mistake, refused, looked at first, cancelled, killed."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest

from redoubt.control.job_process import run_job
from redoubt.messages.jobs import BaseTaken, TakeBase
from tests.run_report import SILENT
from tests.service.cluster import ServiceUnderTest, assert_archive_equals_engine, log_of, wait_until

WITH = "WITH 'pool_list=p1'"
NOTES = [(1, "one"), (2, "two"), (3, "three")]


def take_base(service: ServiceUnderTest, cluster: str = "redoubt") -> None:
    """A data backup of main, as ALTER SYSTEM BACKUP DATABASE takes it."""
    request = TakeBase(
        tenant_id=1001,
        tenant="main",
        base_dir=str(service.main_dir),
        engine_kind="seekdb",
        destination=f"file://{service.backup}",
        cluster=cluster,
        cluster_id=1,
        identity=(service.home / "identity").read_text().strip(),
        set_id=1,
        create_date=int(datetime.now().astimezone().strftime("%Y%m%d")),
        began_at=time.time_ns(),
        pause_limit=5.0,
    )
    taken = asyncio.run(run_job(request, lambda _done, _total: None))
    assert isinstance(taken, BaseTaken), taken


class Elsewhere:
    """Another cluster's backup, whose root has a password."""

    def __init__(self, folder: Path) -> None:
        config = folder / "other.toml"
        config.write_text('[cluster]\nname = "other"\n')
        service = ServiceUnderTest(folder / "elsewhere")
        service.start("--config", str(config))
        service.archive()
        service.run("CREATE TABLE test.note (id INT PRIMARY KEY, text VARCHAR(20))", "root@main")
        service.run("ALTER USER root IDENTIFIED BY 'secret'", "root@main")
        take_base(service, "other")
        service.run("INSERT INTO test.note VALUES (1, 'one'), (2, 'two'), (3, 'three')", "root@main", "secret")
        service.stop_archiving()
        service.close()
        self.backup = service.backup


class Town:
    """A service with a backup of main, a table dropped from it by mistake, and the moment before that."""

    def __init__(self, service: ServiceUnderTest) -> None:
        self.service = service
        service.archive("optional compression=zstd_1.3.8")
        service.run("CREATE TABLE test.note (id INT PRIMARY KEY, text VARCHAR(20))", "root@main")
        service.run("CREATE TABLE test.later (id INT PRIMARY KEY)", "root@main")
        take_base(service)
        service.run("INSERT INTO test.note VALUES (1, 'one'), (2, 'two'), (3, 'three')", "root@main")
        self.good = self.now()
        # A commit behind the moment: the first log of a DROP that comes next bears the SCN of the commit before it, and
        # an engine that is restored to the midst of a transaction keeps its locks.
        service.run("INSERT INTO test.later VALUES (1)", "root@main")
        service.run("DROP TABLE test.note", "root@main")
        self.bad = self.now()
        wait_until("the archive has it", lambda: self.archived_to() > self.bad)
        wait_until("it is ten seconds ago", lambda: self.seconds_since(self.bad) > 11, 60)

    def now(self) -> str:
        """The present moment as the sys session writes it."""
        return str(self.service.run("SELECT CAST(now(6) AS CHAR(26)) AS t")[0]["t"])

    def archived_to(self) -> str:
        """MAX_NEXT_TIME of main."""
        rows = self.service.run("SELECT MAX_NEXT_TIME FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1001")
        return str(rows[0]["MAX_NEXT_TIME"])

    def seconds_since(self, moment: str) -> float:
        """How long ago a moment is."""
        rows = self.service.run(f"SELECT TIMESTAMPDIFF(MICROSECOND, '{moment}', now(6)) / 1000000 AS s")
        return float(rows[0]["s"])

    def restore(self, name: str, until: str | None = None, rest: str = WITH, where: str = "") -> None:
        """Type it into the mariadb client."""
        done = self.service.mariadb(
            f"ALTER SYSTEM RESTORE {name} FROM main {where} UNTIL '{until or self.good}' {rest}"
        )
        assert not done.stderr, done.stderr

    def history(self, name: str) -> dict[str, Any]:
        """The row of a restore that has ended; waits for it."""
        sql = f"SELECT * FROM CDB_OB_RESTORE_HISTORY WHERE TENANT_NAME = '{name}' ORDER BY JOB_ID DESC"
        return wait_until(f"{name} has ended", lambda: self.service.run(sql))[0]

    def status(self, name: str) -> str:
        """STATUS of a tenant, empty if there is none."""
        rows = self.service.run(f"SELECT STATUS FROM DBA_OB_TENANTS WHERE TENANT_NAME = '{name}'")
        return str(rows[0]["STATUS"]) if rows else ""

    def notes(self, name: str) -> list[tuple[int, str]]:
        """What the table holds that was dropped."""
        return [(row["id"], row["text"]) for row in self.service.run("SELECT * FROM test.note", f"root@{name}")]

    def drop(self, name: str) -> None:
        """Drop a tenant, and see that nothing of it is left in the home."""
        self.service.run(f"DROP TENANT {name} FORCE")
        self.assert_gone(name)

    @contextmanager
    def stuck(self) -> Iterator[None]:
        """While a restore comes to a point at which it doesn't go on: a part of the data backup gives no answer."""
        mark = Path(os.environ[SILENT])
        mark.touch()
        try:
            yield
        finally:
            mark.unlink()

    def assert_gone(self, name: str) -> None:
        """Nothing is left of a tenant but its row."""
        assert self.status(name) == ""
        ids = {row["TENANT_ID"] for row in self.service.run("SHOW TENANTS")} - {1}
        assert {entry.name for entry in (self.service.home / "tenants").iterdir()} == set(map(str, ids))


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """For all tests of this module.

    Own service: for all tests of the file; one of them kills it.
    """
    folder = tmp_path_factory.mktemp("restore")
    service = ServiceUnderTest(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SILENT, str(folder / "silent"))
        service.start()
        yield Town(service)
        service.close()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """For the one test that needs it."""
    return Elsewhere(tmp_path_factory.mktemp("elsewhere"))


def test_a_tenant_comes_back_as_it_was_before_the_mistake(town: Town) -> None:
    """With its rows and archived on its own; the old one's round goes on undisturbed."""
    before = town.service.run("SELECT STATUS, START_PIECE_ID FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1001")
    town.restore("shop", rest="WITH 'pool_list=p1&locality=F@z1&restore_job_id=77'")
    row = town.history("shop")
    number = row["TENANT_ID"]

    assert (row["STATUS"], row["INFO"]) == ("RESTORE_SUCCESS", "")
    assert (row["BACKUP_TENANT_NAME"], row["BACKUP_CLUSTER_NAME"], row["EXTERNAL_JOB_ID"]) == ("main", "redoubt", 77)
    assert row["RESTORE_START_TIMESTAMP"] < row["RESTORE_FINISH_TIMESTAMP"] == row["RESTORE_CURRENT_TIMESTAMP"]
    assert str(row["RESTORE_FINISH_TIMESTAMP"]) <= town.good
    assert row["BACKUP_SET_LIST"].startswith(f"file://{town.service.backup}/redoubt/1/incarnation_1/1001/data/")
    assert row["BACKUP_PIECE_LIST"] == f"file://{town.service.round_folder()}"
    assert town.notes("shop") == NOTES
    with pytest.raises(pymysql.err.ProgrammingError, match="doesn't exist"):
        town.notes("main")
    assert town.service.run("SELECT * FROM CDB_OB_RESTORE_PROGRESS") == []
    rows = town.service.run("SELECT STATUS, LOCALITY, LOG_MODE FROM DBA_OB_TENANTS WHERE TENANT_NAME = 'shop'")
    assert rows == [{"STATUS": "NORMAL", "LOCALITY": "F@z1", "LOG_MODE": "ARCHIVELOG"}]
    wait_until("it is archived", lambda: town.service.segments(1, number))
    town.service.run("INSERT INTO test.note VALUES (4, 'four')", "root@shop")
    written = town.now()
    sql = f"SELECT 1 FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = {number} AND MAX_NEXT_TIME > '{written}'"
    wait_until("its archive has that", lambda: town.service.run(sql))
    assert_archive_equals_engine(town.service, 1, number, log_of(town.service.home / "tenants" / str(number)))
    assert before == town.service.run(
        "SELECT STATUS, START_PIECE_ID FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1001"
    )
    infos = {(town.service.round_folder(1, each) / "round_info").read_text() for each in (1001, number)}
    assert len(infos) == 2
    town.drop("shop")


def test_a_preview_shows_the_plan_and_does_nothing(town: Town) -> None:
    """In OceanBase's columns; its paths are sources for a restore in the same session."""
    with town.service.connect() as connection, connection.cursor() as cursor:
        assert _code(cursor, "SHOW RESTORE PREVIEW") == 1235
        cursor.execute(f"ALTER SYSTEM RESTORE seen FROM main UNTIL '{town.good}' {WITH} PREVIEW")
        cursor.execute("SHOW WARNINGS")
        note = str(cursor.fetchall()[0][2])
        cursor.execute("SHOW RESTORE PREVIEW")
        rows = list(cursor.fetchall())
        columns = [column[0] for column in cursor.description or ()]
        for row in rows:
            cursor.execute(f"ALTER SYSTEM ADD RESTORE SOURCE '{row[3]}'")
        twice = f"ALTER SYSTEM RESTORE seen FROM main AT 'file:///b' UNTIL '{town.good}' {WITH}"
        assert (_code(cursor, twice), _code(cursor, twice)) == (1235, 9011), "a restore clears the list, also in vain"
        connection.ping(reconnect=False)

    assert columns == ["BACKUP_TYPE", "BACKUP_ID", "COPY_ID", "PREVIEW_PATH", "FILE_STATUS"]
    assert [row[:3] for row in rows] == [("BACKUP_SET", 1, 0), ("BACKUP_PIECE", 0, 0)]
    assert all(Path(str(row[3]).removeprefix("file://")).is_dir() for row in rows)
    assert "main (id 1001) of redoubt#1 would be restored to SCN" in note
    assert town.status("seen") == ""
    assert town.service.error("SHOW RESTORE PREVIEW", "root@main")[0] == 1235


def _code(cursor: pymysql.cursors.Cursor, sql: str) -> int:
    with pytest.raises(pymysql.err.MySQLError) as refused:
        cursor.execute(sql)
    return int(refused.value.args[0])


def test_what_cannot_be_restored_is_refused_at_once(town: Town, tmp_path: Path) -> None:
    """With OceanBase's codes, and what to do; nothing is made."""

    def refused(name: str = "not_made", source: str = "main", until: str = town.good, rest: str = WITH) -> str:
        code, text = town.service.error(f"ALTER SYSTEM RESTORE {name} FROM {source} UNTIL '{until}' {rest}")
        return f"{code} {text}"

    tables = f"ALTER SYSTEM RESTORE test.note FOR other FROM main UNTIL '{town.good}' {WITH}"
    with town.service.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CAST(now(6) + INTERVAL 1 HOUR AS CHAR(26))")
        later = str(cursor.fetchall()[0][0])
    before = refused(until="2026-01-01 00:00:00")
    after = refused(until=later, rest=f"{WITH} PREVIEW")
    earliest = before.rpartition("the earliest after it is ")[2].partition(" (")[0]

    assert before.startswith("9025 log archive backup info not exists: the moment is before the first data backup")
    assert earliest.removesuffix("+08:00") < town.good
    assert "the latest restorable moment before it is" in after
    assert after.startswith("9025")
    assert refused(until="noon").startswith("1525 Incorrect TIMESTAMP value: 'noon'")
    assert refused(until=f"{town.good} Europe/Berlin").startswith("1525")
    assert refused(until=town.now()).startswith("4179 need retry later, restore timestamp is too new")
    assert refused(name="main").startswith("4179 restore tenant with existed tenant name")
    assert refused(name="`a-b`").startswith("5160")
    assert refused(source="nobody").startswith("9011 cannot find backup file: no backup of tenant 'nobody'")
    assert refused(rest="WITH 'pool_list'").startswith("1210")
    assert refused(rest="WITH 'backup_cluster_name=c'").startswith("9011")
    assert refused(source="main AT 's3://bucket'").startswith("9001 URI error")
    assert refused(source=f"main AT 'file://{tmp_path}'").startswith("9011")
    assert town.service.error(tables)[0] == 1235
    assert town.service.error("ALTER SYSTEM ADD RESTORE SOURCE 'here'")[0] == 9001
    assert town.service.error(f"ALTER SYSTEM RESTORE x FROM main UNTIL '{town.good}' {WITH}", "root@main")[0] == 1227
    town.assert_gone("not_made")
    assert earliest.endswith("+08:00"), "the message's own words can be given to UNTIL"
    town.restore("at_the_first_moment", until=earliest, rest=f"{WITH} PREVIEW")


def test_dropping_the_tenant_cancels_its_restore(town: Town) -> None:
    """Nobody comes in meanwhile, and no other restore begins."""
    with town.stuck():
        town.restore("doomed")
        sql = "SELECT * FROM CDB_OB_RESTORE_PROGRESS WHERE STATUS = 'RESTORE_USER_REPLICA'"
        row = wait_until("it is laid", lambda: town.service.run(sql))[0]
        folder = town.service.home / "tenants" / f"{row['TENANT_ID']}.restoring" / "redoubt"
        wait_until("it has begun", folder.is_dir)
        again = f"FROM main UNTIL '{town.good}' {WITH}"
        busy = [town.service.error(f"ALTER SYSTEM RESTORE {name} {again}")[0] for name in ("doomed", "other")]

        assert busy == [9014, 9014]
        assert row["INFO"].startswith("0 of ")
        assert town.status("doomed") == "RESTORING"
        assert town.service.error("SELECT 1", "root@doomed")[0] == 1045
        town.service.run("DROP TENANT doomed")
        ended = town.history("doomed")

    assert (ended["STATUS"], ended["INFO"]) == ("RESTORE_FAIL", "cancelled by DROP TENANT")
    town.assert_gone("doomed")


def test_a_restore_goes_on_after_the_service_was_killed(town: Town) -> None:
    """In the midst of it; and what is damaged fails with its reason, and leaves nothing."""
    with town.stuck():
        town.restore("alive")
        sql = "SELECT * FROM CDB_OB_RESTORE_PROGRESS WHERE STATUS = 'RESTORE_USER_REPLICA'"
        wait_until("it is laid", lambda: town.service.run(sql))
        town.service.kill()
    town.service.start()
    row = town.history("alive")

    assert (row["STATUS"], row["INFO"]) == ("RESTORE_SUCCESS", "")
    assert town.notes("alive") == NOTES
    town.drop("alive")
    (part,) = town.service.backup.glob("redoubt/1/incarnation_1/1001/data/*/part_00000001.zst")
    sound = part.read_bytes()
    part.write_bytes(b"damaged")
    town.restore("broken")
    failed = town.history("broken")
    part.write_bytes(sound)

    assert failed["STATUS"] == "RESTORE_FAIL"
    assert "part_00000001.zst" in failed["INFO"]
    town.assert_gone("broken")


@pytest.mark.soak
def test_another_clusters_backup_needs_its_roots_password_once(town: Town, elsewhere: Elsewhere) -> None:
    """The service has no account in it: the tenant says what to do, and is there when that is done."""
    where = f"AT 'file://{elsewhere.backup}'"
    last = f"ALTER SYSTEM RESTORE x FROM main {where} UNTIL '{town.now()}' {WITH} PREVIEW"
    moment = town.service.error(last)[1].rpartition("moment before it is ")[2].partition(" (")[0]
    wait_until("it is ten seconds ago", lambda: town.seconds_since(moment) > 11)
    town.restore("guest", until=moment, where=where)
    row = town.history("guest")
    base = town.service.home / "tenants" / str(row["TENANT_ID"])
    password = (base / "redoubt" / "account").read_text().strip()

    assert (row["STATUS"], row["BACKUP_CLUSTER_NAME"]) == ("RESTORE_SUCCESS", "other")
    assert f"Log in to {base}/run/sql.sock as root and run: CREATE USER IF NOT EXISTS" in row["INFO"]
    query = "SELECT TROUBLE FROM CDB_REDOUBT_TENANTS WHERE TENANT_NAME = 'guest'"
    wait_until("its trouble is on record", lambda: town.service.run(query)[0]["TROUBLE"] == row["INFO"])
    assert town.status("guest") == "UNAVAILABLE"
    with (
        pymysql.connect(unix_socket=str(base / "run" / "sql.sock"), user="root", password="secret") as root,
        root.cursor() as cursor,
    ):
        cursor.execute("ALTER USER redoubt_service IDENTIFIED BY %s", (password,))
    wait_until("it is within reach", lambda: town.status("guest") == "NORMAL")
    rows = town.service.run("SELECT * FROM test.note", "root@guest", "secret")
    assert [(row["id"], row["text"]) for row in rows] == NOTES
    assert town.service.error("SELECT 1", "redoubt_service@guest", password)[0] == 1045
    town.drop("guest")
