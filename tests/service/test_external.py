"""Engines that applications run: archived beside them, through their restarts and kills, and left as they were."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from tests.service.application import Application
from tests.service.cluster import ServiceUnderTest, assert_archive_equals_engine, log_of, wait_until


@pytest.fixture
def directory() -> Iterator[Path]:
    """An application's directory, with a path short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="application-"))
    yield path / "data"
    shutil.rmtree(path)


def _trouble(service: ServiceUnderTest) -> str:
    rows = service.run("SELECT TROUBLE FROM CDB_REDOUBT_TENANTS WHERE TENANT_NAME = 'app' AND STATUS = 'NORMAL'")
    return str(rows[0]["TROUBLE"])


def _status(service: ServiceUnderTest, tenant_id: int) -> str:
    rows = service.run(f"SELECT STATUS FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = {tenant_id}")
    return str(rows[0]["STATUS"]) if rows else ""


def test_an_application_is_archived_over_its_restarts(shared_service: ServiceUnderTest, directory: Path) -> None:
    """Nothing is lost between its runs, and Redoubt keeps none of them alive; a drop only forgets it."""
    service, application = shared_service, Application(directory)
    service.archive()
    service.run(f"CREATE TENANT app SOURCE='seekdb://{directory}'")
    number = service.run("SHOW TENANTS LIKE 'app'")[0]["TENANT_ID"]
    wait_until("it is archived", lambda: _status(service, number) == "DOING")
    for end in (application.kill, application.close):
        application.insert(50)
        end = application.kill if end == application.kill else application.close
        end()
        wait_until("its engine has ended", lambda: not _is_running(directory))
        wait_until("that is told", lambda: "archiving waits for it" in _trouble(service))

        assert service.error("SELECT 1", "root@app")[0] in {1045, 1053, 2013}
        application = Application(directory)
        wait_until("it is back", lambda: not _trouble(service))
    application.insert(50)
    rows = service.run("SELECT COUNT(*) AS n FROM test.t", "root@app")
    service.stop_archiving()
    start, end_lsn = assert_archive_equals_engine(service, service_round(service), number, log_of(directory))
    service.run("DROP TENANT app")
    application.insert()
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(unix_socket=str(directory / "run" / "sql.sock"), user="redoubt_service", password="x")
    users = _ask(directory, "SELECT user FROM mysql.user")
    application.close()

    assert rows == [{"n": 150}]
    assert end_lsn - start > 150 * 1400
    assert users == (("root",),)
    assert not (directory / "redoubt").exists()
    assert (directory / "store").is_dir()


def test_what_cannot_be_a_source_is_refused(shared_service: ServiceUnderTest, directory: Path) -> None:
    """Each with what to do; nothing is left in the directory."""
    service = shared_service
    before = service.run("SHOW TENANTS")
    application = Application(directory)
    refused = {
        "mysql:///x": "SOURCE='seekdb:///absolute/path'",
        "seekdb://relative": "has no absolute path",
        "seekdb:///nowhere/at/all": "No such file or directory",
        f"seekdb://{directory.parent}": "is no seekdb directory",
        f"seekdb://{service.home}": "the service's own",
        f"seekdb://{service.main_dir}": "the service's own",
    }
    for source, why in refused.items():
        code, text = service.error(f"CREATE TENANT app SOURCE='{source}'")

        assert code == 4179
        assert why in text
    _ask(directory, "ALTER USER root IDENTIFIED BY 'secret'")

    assert (
        "CREATE USER redoubt_service IDENTIFIED BY"
        in service.error(f"CREATE TENANT app SOURCE='seekdb://{directory}'")[1]
    )
    assert not (directory / "redoubt").exists()
    _ask(directory, "ALTER USER root IDENTIFIED BY ''", "secret")
    service.run(f"CREATE TENANT app SOURCE='seekdb://{directory}'")
    assert "archived already, as tenant app" in service.error(f"CREATE TENANT b SOURCE='seekdb://{directory}/'")[1]
    service.run("DROP TENANT app")
    application.close()
    wait_until("its engine has ended", lambda: not _is_running(directory))
    assert "is not there" in service.error(f"CREATE TENANT app SOURCE='seekdb://{directory}'")[1]
    assert not (directory / "redoubt").exists()
    assert service.run("SHOW TENANTS") == before


def service_round(service: ServiceUnderTest) -> int:
    """The number of the present round."""
    return int(
        service.run("SELECT LOG_ARCHIVE_ROUND FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")[0][
            "LOG_ARCHIVE_ROUND"
        ]
    )


def _is_running(directory: Path) -> bool:
    try:
        _ask(directory, "SELECT 1")
    except pymysql.err.OperationalError:
        return False
    return True


def _ask(directory: Path, sql: str, password: str = "") -> tuple[tuple[object, ...], ...]:
    socket = str(directory / "run" / "sql.sock")
    connection = pymysql.connect(unix_socket=socket, user="root", password=password)
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()
