"""Optional and Mandatory on real engines: writers go on with a hole on record, or wait and lose nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

import pymysql
import pytest

from tests.processes import is_alive
from tests.service.cluster import (
    BLOCK_LOG_SIZE,
    ServiceUnderTest,
    WriteLoad,
    assert_archive_equals_engine,
    wait_until,
)

MEGABYTE_OF_LOG = "INSERT INTO test.big (a) VALUES (REPEAT(UUID(), 29000))"


def _state(service: ServiceUnderTest) -> dict[str, Any]:
    """The main tenant's row of CDB_REDOUBT_ARCHIVELOG_STATUS."""
    return service.run("SELECT * FROM CDB_REDOUBT_ARCHIVELOG_STATUS WHERE TENANT_ID = 1001")[0]


def _wait_for_health(service: ServiceUnderTest, health: str, timeout: float = 60.0) -> dict[str, Any]:
    return wait_until(f"HEALTH is {health}", lambda: (row := _state(service))["HEALTH"] == health and row, timeout)


def _holes(service: ServiceUnderTest) -> list[dict[str, Any]]:
    return service.run(f"SELECT * FROM CDB_REDOUBT_ARCHIVELOG_HOLES WHERE AFTER_ROUND > {service.rounds_before}")


def _events(service: ServiceUnderTest, what: str) -> list[tuple[str, str]]:
    where = f"WHERE LOG_ARCHIVE_ROUND > {service.rounds_before}"
    rows = service.run(f"SELECT * FROM CDB_REDOUBT_ARCHIVELOG_EVENTS {where} ORDER BY EVENT_ID")
    return [(row["STATE_BEFORE"], row["STATE_AFTER"]) for row in rows if row["WHAT"] == what]


class Flood:
    """One connection of root's that writes about a megabyte of log a statement; notes how long each one took."""

    def __init__(self, service: ServiceUnderTest) -> None:
        service.run(
            "CREATE TABLE IF NOT EXISTS test.big (id BIGINT AUTO_INCREMENT PRIMARY KEY, a LONGTEXT)", "root@main"
        )
        self._service = service
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.times: list[float] = []
        self.errors: list[pymysql.err.MySQLError] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def _write(self) -> None:
        with self._service.connect("root@main") as connection, connection.cursor() as cursor:
            while not self._stop.is_set():
                began = time.monotonic()
                try:
                    cursor.execute(MEGABYTE_OF_LOG)
                except pymysql.err.MySQLError as error:
                    self.errors.append(error)
                self.times.append(time.monotonic() - began)


def _archive_to(service: ServiceUnderTest, disk: Path, option: str) -> None:
    service.backup = disk
    service.keep_engine_log()
    service.run("ALTER SYSTEM SET log_archive_spool_limit = '64M'")
    service.archive(f"{option} compression= disable")


def test_optional_goes_on_and_the_hole_is_on_record(service: ServiceUnderTest, small_disk: Path) -> None:
    """In the view, in the log and in the destination: from where to where, since when, why; exactly what is missing.

    Own service: its log must be short, for a small disk to hold its beginning.
    """
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    _archive_to(service, small_disk, "optional")
    service.run("ALTER SYSTEM SET log_archive_spool_limit = '1G'")
    with Flood(service) as flood:
        wait_until("the disk is full", lambda: "No space left" in _state(service)["CAUSE"])
        service.run("ALTER SYSTEM SET log_archive_spool_limit = '64M'")
        row = _wait_for_health(service, "BROKEN")
        written = len(flood.times)
        wait_until("writers go on, for a block or two", lambda: len(flood.times) > written + 150)
    assert "more than log_archive_spool_limit allows" in row["CAUSE"]
    assert "No space left" in row["CAUSE"]
    assert flood.errors == []
    assert max(flood.times) < 10
    service.wait_for_status("INTERRUPTED")
    wait_until("log is let go", lambda: not (service.main_dir / "redoubt" / "held").exists())
    wait_until("the hole is on record", lambda: len(_holes(service)) == 1)
    (hole,) = _holes(service)
    _, end = assert_archive_equals_engine(service)
    first = service.round_number()
    assert (hole["STATUS"], hole["AFTER_ROUND"], hole["START_LSN"], hole["END_LSN"]) == ("OPEN", first, end, None)

    subprocess.run(["mount", "-o", "remount,size=512m", str(small_disk)], check=True)
    interruption = service.round_folder() / "interruption"
    wait_until("it is on record in the destination", interruption.exists)
    record = json.loads(interruption.read_text())
    assert (record["end_lsn"], "No space left" in record["cause"]) == (end, True)

    advice = service.error("ALTER SYSTEM BACKUP DATABASE")[1].partition("To begin a new round, ")[2]
    assert advice == "run ALTER SYSTEM NOARCHIVELOG, wait for STATUS = 'STOP', and begin a round"
    service.run("ALTER SYSTEM MINOR FREEZE")
    service.stop_archiving()
    _begin_beyond(service, end)
    wait_until("the hole is closed", lambda: _holes(service)[0]["STATUS"] == "CLOSED")
    assert _events(service, "HEALTH")[-2:] == [("BROKEN", "STOPPED"), ("STOPPED", "FINE")]
    (hole,) = _holes(service)
    service.stop_archiving()
    start, _ = assert_archive_equals_engine(service, 2)
    assert (hole["START_LSN"], hole["END_LSN"]) == (end, start)
    record = json.loads((service.round_folder(2) / "hole_info").read_text())
    assert (record["start_lsn"], record["end_lsn"], record["after"]) == (end, start, first)


def _begin_beyond(service: ServiceUnderTest, lsn: int) -> None:
    """Begin a round whose start is beyond an LSN: the engine has recycled log up to its freeze point."""
    sql = "SELECT checkpoint_lsn FROM oceanbase.__all_virtual_ls_info"
    beyond = (lsn // BLOCK_LOG_SIZE + 1) * BLOCK_LOG_SIZE
    wait_until("the freeze point has moved", lambda: service.run(sql, "root@main")[0]["checkpoint_lsn"] > beyond)
    service.run("ALTER SYSTEM ARCHIVELOG")
    service.wait_for_status("DOING")


@pytest.mark.soak
def test_a_new_round_begins_by_itself_where_that_is_wished(service: ServiceUnderTest, small_disk: Path) -> None:
    """As soon as it is; until then the old one stays INTERRUPTED.

    Own service: its log must be short, for a small disk to hold its beginning.
    """
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    _archive_to(service, small_disk, "optional")
    with Flood(service):
        _wait_for_health(service, "BROKEN")
    subprocess.run(["mount", "-o", "remount,size=512m", str(small_disk)], check=True)
    service.wait_for_status("INTERRUPTED")  # the views of health and of rounds are written one after the other
    service.run("ALTER SYSTEM SET log_archive_auto_restart = True")
    wait_until(
        "round 2",
        lambda: (
            service.run("SELECT LOG_ARCHIVE_ROUND AS n FROM CDB_OB_BACKUP_ARCHIVELOG")[0]["n"]
            == service.round_number(2)
        ),
    )
    service.wait_for_status("DOING")


def test_mandatory_lets_writers_wait_and_loses_nothing(service: ServiceUnderTest, small_disk: Path) -> None:
    """Root's writes wait and fail with the reason, reads go on; the gate opens by itself when there is room.

    Own service: its log must be short, for a small disk to hold its beginning.
    """
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    _archive_to(service, small_disk, "mandatory")
    service.run("CREATE USER writer", "root@main")
    service.run("GRANT ALL ON test.* TO writer", "root@main")
    with Flood(service) as flood:
        row = _wait_for_health(service, "GATED")
        wait_until("the cause is known", lambda: "No space left" in _state(service)["CAUSE"])
        assert row["BACKLOG_BYTES"] > 64 * 2**20
        with service.connect("root@main") as connection, connection.cursor() as cursor:
            cursor.execute("SET ob_query_timeout = 1000000")
            with pytest.raises(pymysql.err.MySQLError) as refused:
                cursor.execute("INSERT INTO test.big (a) VALUES ('x')")
            cursor.execute("SELECT COUNT(*) FROM test.big")
            assert cursor.fetchall()
        assert refused.value.args[0] == 4012
        assert "optional" in refused.value.args[1]
        assert "No space left" in refused.value.args[1]
        _assert_other_doors_are_closed(service)
        subprocess.run(["mount", "-o", "remount,size=512m", str(small_disk)], check=True)
        wait_until("the gate opens", lambda: _state(service)["GATE"] == "OPEN")
        written = len(flood.times)
        wait_until("writers go on", lambda: len(flood.times) > written + 3)
    assert flood.errors == []
    wait_until("all is archived", lambda: _state(service)["BACKLOG_BYTES"] == 0)
    events = _events(service, "GATE")  # a flood that outruns the archive closes the gate again
    assert events == [("OPEN", "CLOSED"), ("CLOSED", "OPEN")] * max(len(events) // 2, 1)
    assert _holes(service) == []
    assert service.run("SELECT @@global.read_only AS r", "root@main")[0]["r"] == 0
    service.stop_archiving()

    assert_archive_equals_engine(service)


def _assert_other_doors_are_closed(service: ServiceUnderTest) -> None:
    """An application that uses the engine's own socket is refused by the engine itself."""
    socket = str(service.main_dir / "run" / "sql.sock")
    with pymysql.connect(unix_socket=socket, user="writer") as connection, connection.cursor() as cursor:
        wait_until("read_only is set", lambda: service.run("SELECT @@global.read_only AS r", "root@main")[0]["r"] == 1)
        with pytest.raises(pymysql.err.MySQLError, match="1290"):
            cursor.execute("INSERT INTO test.big (a) VALUES ('x')")


def test_a_closed_gate_survives_the_service_and_opens_with_the_mode(
    service: ServiceUnderTest, small_disk: Path
) -> None:
    """SIGKILL while it is closed: closed after the start. OPTIONAL opens it at once, and breaks the round.

    Own service: it is killed.
    """
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    _archive_to(service, small_disk, "mandatory")
    with Flood(service):
        _wait_for_health(service, "GATED")
        children = service.children()
        service.kill()
    wait_until("its children are gone", lambda: not any(is_alive(child) for child in children))
    service.start()
    assert _state(service)["GATE"] == "CLOSED"
    service.run("ALTER SYSTEM SET backup_log_archive_option = 'optional'")
    # An engine that was killed may refuse writes for some seconds, and its last log may be lost. The worker that was
    # killed may have left room for a segment on the disk. So it takes some log until the limit is exceeded again.
    writes: list[bool] = []

    def is_broken() -> bool:
        writes.append(service.mariadb(MEGABYTE_OF_LOG, user="root@main").returncode == 0)
        return writes[-1] and service.status() == "INTERRUPTED"

    wait_until("writes go on and break the round", is_broken)
    assert service.run("SELECT @@global.read_only AS r", "root@main")[0]["r"] == 0

    wait_until("the hole is on record, too", lambda: [each["STATUS"] for each in _holes(service)] == ["OPEN"])


def test_an_archive_that_stands_still_is_said_to(shared_service: ServiceUnderTest) -> None:
    """A worker that is stopped tells nothing: view, status and exit status say STALE after the lag target."""
    shared_service.run("ALTER SYSTEM SET archive_lag_target = '2s'")
    shared_service.archive()
    worker = shared_service.worker_pid()
    subprocess.run(["kill", "-STOP", str(worker)], check=True)
    try:
        with WriteLoad(shared_service, connections=1).running():
            row = _wait_for_health(shared_service, "STALE")
            command = [sys.executable, "-m", "redoubt", "status", "--home", str(shared_service.home)]
            status = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["kill", "-CONT", str(worker)], check=True)
    _wait_for_health(shared_service, "FINE")

    assert row["LAG_SECONDS"] > 2
    assert "while the log grew" in row["CAUSE"]
    assert (status.returncode, "STALE" in status.stdout) == (3, True), status
