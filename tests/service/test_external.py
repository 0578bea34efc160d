"""Engines that applications run: archived beside them, through their restarts and kills, and left as they were."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import pytest

from tests.seekdb.template import copy_of_new
from tests.service.application import Application
from tests.service.cluster import ServiceUnderTest, assert_archive_equals_engine, log_of, wait_until
from tests.service.piece_rounds import archive_in_pieces, pieces, wait_for_pieces


@pytest.fixture
def directory() -> Iterator[Path]:
    """An application's directory, with a path short enough for a socket; its engine is not new any more.

    An engine that is killed in its first seconds may leave open what it makes by itself, and take no DDL ever after.
    """
    path = Path(tempfile.mkdtemp(prefix="application-"))
    copy_of_new(path / "data")
    yield path / "data"
    shutil.rmtree(path)


@pytest.fixture
def start(directory: Path) -> Iterator[Callable[[], Application]]:
    """Starts the application there.

    Own engine: the application's.
    """
    started: list[Application] = []

    def begin() -> Application:
        started.append(Application(directory))
        return started[-1]

    yield begin
    for application in started:
        application.close()


def _trouble(service: ServiceUnderTest) -> str:
    rows = service.run("SELECT TROUBLE FROM CDB_REDOUBT_TENANTS WHERE TENANT_NAME = 'app' AND STATUS = 'NORMAL'")
    return str(rows[0]["TROUBLE"])


def _status(service: ServiceUnderTest, tenant_id: int) -> str:
    rows = service.run(f"SELECT STATUS FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = {tenant_id}")
    return str(rows[0]["STATUS"]) if rows else ""


def test_an_application_is_archived_over_its_restarts(
    shared_service: ServiceUnderTest, directory: Path, start: Callable[[], Application]
) -> None:
    """Nothing is lost between its runs, and Redoubt keeps none of them alive; a drop only forgets it."""
    service, application = shared_service, start()
    service.archive()
    service.run(f"CREATE TENANT app SOURCE='seekdb://{directory}'")
    number = service.run("SHOW TENANTS LIKE 'app'")[0]["TENANT_ID"]
    wait_until("it is archived", lambda: _status(service, number) == "DOING")
    for is_killed in (True, False):
        application.insert(50)
        if is_killed:
            application.kill()
        else:
            application.close()
        wait_until("its engine has ended", lambda: not _is_running(directory))
        wait_until("that is told", lambda: "archiving waits" in _trouble(service))

        assert service.error("SELECT 1", "root@app")[0] in {1045, 1053, 2013}
        application = start()
        wait_until("it is back", lambda: not _trouble(service))
    application.insert(50)
    rows = service.run("SELECT COUNT(*) AS n FROM test.t", "root@app")
    service.stop_archiving()
    first, last = assert_archive_equals_engine(service, 1, number, log_of(directory))
    with service.connect("root@app") as doomed:
        service.run("DROP TENANT app")
        with pytest.raises(pymysql.err.MySQLError):
            doomed.ping(reconnect=False)
    application.insert()
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(unix_socket=str(directory / "run" / "sql.sock"), user="redoubt_service", password="x")
    users = _ask(directory, "SELECT user FROM mysql.user")
    application.close()

    assert rows == [{"n": 150}]
    assert last - first > 150 * 1400
    assert users == (("root",),)
    assert not (directory / "redoubt").exists()
    assert (directory / "store").is_dir()


def test_a_directory_that_was_set_back_interrupts_its_own_tenant_only(
    shared_service: ServiceUnderTest, directory: Path, start: Callable[[], Application]
) -> None:
    """The other is archived in new pieces, and backed up; the cluster's row says whose is not; a new round takes it."""
    service, application = shared_service, start()
    service.keep_engine_log()
    archive_in_pieces(service, 3)
    service.run(f"CREATE TENANT app SOURCE='seekdb://{directory}'")
    number = service.run("SHOW TENANTS LIKE 'app'")[0]["TENANT_ID"]
    application.insert(20)
    wait_until("it is archived", lambda: _status(service, number) == "DOING")
    application.close()
    wait_until("its engine has ended", lambda: not _is_running(directory))
    shutil.copytree(directory, directory.with_name("earlier"))
    application = start()
    application.insert(50)
    end = _ask(directory, "SELECT MAX_SCN FROM oceanbase.V$OB_LOG_STAT")[0][0]
    scn = f"SELECT checkpoint_scn AS scn FROM oceanbase.__all_backup_log_archive_status_v2 WHERE tenant_id = {number}"
    wait_until("it is archived", lambda: service.run(scn)[0]["scn"] > end)
    application.close()
    wait_until("its engine has ended", lambda: not _is_running(directory))
    directory.rename(directory.with_name("later"))  # at once: the holder still links blocks there
    directory.with_name("earlier").rename(directory)
    application = start()
    application.insert(120)
    wait_until("its part is interrupted", lambda: _status(service, number) == "INTERRUPTED")
    segments = len(service.segments())
    service.run("CREATE TABLE IF NOT EXISTS test.goes_on (a INT)", "root@main")
    wait_until("the other goes on", lambda: len(service.segments()) > segments)
    wait_for_pieces(service, len(pieces(service)) + 2)
    table = "SELECT tenant_id, comment FROM oceanbase.__all_backup_log_archive_status_v2"
    comments = {row["tenant_id"]: row["comment"] for row in service.run(table)}
    statuses = {each: _status(service, each) for each in (1, 1001, number)}
    service.run("ALTER SYSTEM BACKUP DATABASE")
    sets = "SELECT TENANT_ID, STATUS FROM CDB_REDOUBT_BACKUP_SETS ORDER BY BS_KEY DESC, TENANT_ID LIMIT 3"
    wait_until("the data backup has ended", lambda: all(row["STATUS"] != "DOING" for row in service.run(sets)))
    parts = {row["TENANT_ID"]: row["STATUS"] for row in service.run(sets)}
    service.stop_archiving()
    left = {row["STATUS"] for row in (*pieces(service), *pieces(service, number), *pieces(service, 1))}
    service.run("ALTER SYSTEM ARCHIVELOG")
    wait_until("a new round takes both", lambda: _status(service, number) == _status(service, 1001) == "DOING")
    service.stop_archiving()
    service.run("DROP TENANT app")

    assert statuses == {1: "INTERRUPTED", 1001: "DOING", number: "INTERRUPTED"}
    assert left == {"FROZEN"}
    assert parts == {1: "FAILED", 1001: "SUCCESS", number: "FAILED"}
    assert "this directory was set back to an earlier state" in comments[number]
    assert comments[1].startswith(f"tenant {number}: ")
    assert comments[1].endswith("the others go on; a new round takes all of them again")
    assert comments[1001] == ""


def test_the_account_of_an_application_that_is_away_is_left_and_told(
    shared_service: ServiceUnderTest, directory: Path, start: Callable[[], Application]
) -> None:
    """The statement of the note removes the account."""
    service, application = shared_service, start()
    service.run(f"CREATE TENANT app SOURCE='seekdb://{directory}'")
    application.close()
    wait_until("its engine has ended", lambda: not _is_running(directory))
    with service.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP TENANT app")
        cursor.execute("SHOW WARNINGS")
        ((_, code, note),) = cursor.fetchall()
    application = start()
    before = _ask(directory, "SELECT user FROM mysql.user ORDER BY user")
    _ask(directory, note.rpartition(" and run ")[2])
    after = _ask(directory, "SELECT user FROM mysql.user")
    application.close()

    assert code == 1003
    assert before == (("redoubt_service",), ("root",))
    assert after == (("root",),)


def test_what_cannot_be_a_source_is_refused(
    shared_service: ServiceUnderTest, directory: Path, start: Callable[[], Application]
) -> None:
    """Each with what to do; nothing is left in the directory."""
    service = shared_service
    before = service.run("SHOW TENANTS")
    application = start()
    refused = {
        "/srv/data": "SOURCE='seekdb:///absolute/path'",
        "mysql:///x": "the engine kind 'mysql' is not installed (installed: seekdb)",
        "seekdb://relative": "needs an absolute path",
        "seekdb:///nowhere/at/all": "No such file or directory",
        f"seekdb://{directory.parent}": "is not a seekdb directory",
        f"seekdb://{service.home}": "the service's home",
        f"seekdb://{service.main_dir}": "the service's home",
    }
    for source, why in refused.items():
        code, text = service.error(f"CREATE TENANT app SOURCE='{source}'")

        assert code == 4179
        assert why in text
    (directory / "inside").mkdir()
    service.run(f"ALTER SYSTEM SET backup_dest = 'file://{directory}/inside'")
    code, text = service.error(f"CREATE TENANT app SOURCE='seekdb://{directory}'")
    assert (code, f"is inside the directory of tenant app ({directory}); choose" in text) == (9026, True)
    service.run("ALTER SYSTEM SET backup_dest = ''")
    _ask(directory, "ALTER USER root IDENTIFIED BY 'secret'")

    create = f"CREATE TENANT app SOURCE='seekdb://{directory}'"
    assert "ALTER USER redoubt_service IDENTIFIED BY" in service.error(create)[1]
    assert not (directory / "redoubt").exists()
    _ask(directory, "ALTER USER root IDENTIFIED BY ''", "secret")
    service.run(create)
    assert "already archived, as tenant app" in service.error(f"CREATE TENANT b SOURCE='seekdb://{directory}/'")[1]
    service.run("DROP TENANT app")
    application.close()
    wait_until("its engine has ended", lambda: not _is_running(directory))
    assert "does not answer" in service.error(create)[1]
    assert not (directory / "redoubt").exists()
    assert service.run("SHOW TENANTS") == before


def _is_running(directory: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as door:
        return door.connect_ex(str(directory / "run" / "sql.sock")) == 0


def _ask(directory: Path, sql: str, password: str = "") -> tuple[tuple[object, ...], ...]:
    connection = pymysql.connect(unix_socket=str(directory / "run" / "sql.sock"), user="root", password=password)
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_an_engine_that_hangs_stalls_only_itself(
    shared_service: ServiceUnderTest, directory: Path, start: Callable[[], Application]
) -> None:
    """For longer than it takes until it is asked: another tenant's commits are archived, and status answers."""
    service, application = shared_service, start()
    service.run("ALTER SYSTEM SET backup_log_archive_option = 'mandatory', log_archive_sync_commit = True")
    service.archive("mandatory")
    service.run(f"CREATE TENANT app SOURCE='seekdb://{directory}'")
    number = service.run("SHOW TENANTS LIKE 'app'")[0]["TENANT_ID"]
    wait_until("it is archived", lambda: _status(service, number) == "DOING")
    application.insert(10)
    engine = service.engine_pid(directory)
    longest = {"commit": 0.0, "status": 0.0}
    with service.connect("root@main") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS test.beside (id INT AUTO_INCREMENT PRIMARY KEY)")
        os.kill(engine, signal.SIGSTOP)
        try:
            end = time.monotonic() + 45
            while time.monotonic() < end:
                for what, run in (
                    ("commit", lambda: cursor.execute("INSERT INTO test.beside VALUES ()")),
                    ("status", lambda: service.run("SELECT * FROM CDB_REDOUBT_ARCHIVELOG_STATUS")),
                ):
                    began = time.monotonic()
                    run()
                    longest[what] = max(longest[what], time.monotonic() - began)
        finally:
            os.kill(engine, signal.SIGCONT)
    service.run("ALTER SYSTEM SET log_archive_sync_commit = False")
    application.insert(1)
    service.run("DROP TENANT app FORCE")

    assert max(longest.values()) < 5, longest
