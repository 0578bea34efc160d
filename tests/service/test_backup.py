"""Data backups of a running cluster: taken under load, cancelled, killed in the midst, deleted; one service for all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redoubt.destinations.file import FileDestination
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter
from redoubt.model.recovery import NotRecoverableError
from redoubt.restore.planning import Plan, find_tenant, make_plan
from tests.service.application import Application
from tests.service.bank import BankLoad
from tests.service.cluster import ServiceUnderTest, wait_until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """A service whose round is DOING, with some rows in main, and a new piece every two seconds.

    Own service: for all tests of the file; some kill it.
    """
    running = ServiceUnderTest(tmp_path_factory.mktemp("backup"))
    running.start()
    assert running.error("ALTER SYSTEM BACKUP DATABASE")[0] == 9040
    BankLoad(running).open_accounts()
    running.run(
        "ALTER SYSTEM SET _allow_short_intervals = True, backup_dest_option = 'log_archive_piece_switch_interval=2s'"
    )
    running.archive()
    yield running
    running.close()


@pytest.fixture
def application() -> Iterator[Application]:
    """An application that runs an engine in a directory of its own.

    Own engine: the application's.
    """
    folder = Path(tempfile.mkdtemp(prefix="application-"))
    running = Application(folder / "data")
    yield running
    running.close()
    shutil.rmtree(folder)


def _sets(service: ServiceUnderTest, number: int) -> dict[int, dict[str, Any]]:
    rows = service.run(f"SELECT * FROM CDB_REDOUBT_BACKUP_SETS WHERE BS_KEY = {number}")
    return {row["TENANT_ID"]: row for row in rows}


def _last(service: ServiceUnderTest) -> int:
    return int(service.run("SELECT COALESCE(MAX(BS_KEY), 0) AS n FROM CDB_OB_BACKUP_SET_FILES")[0]["n"])


def _begun(service: ServiceUnderTest) -> int:
    """Begin a data backup; its number."""
    service.run("ALTER SYSTEM BACKUP DATABASE")
    return _last(service)


def _over(service: ServiceUnderTest, number: int) -> dict[str, Any]:
    """Wait until a data backup is over; the cluster's row."""

    def row() -> dict[str, Any] | None:
        found = _sets(service, number)[1]
        return found if found["STATUS"] != "DOING" else None

    return wait_until(f"data backup {number} is over", row)


def _taken(service: ServiceUnderTest) -> dict[str, Any]:
    """Take a data backup; the cluster's row."""
    row = _over(service, _begun(service))
    assert (row["STATUS"], row["FILE_STATUS"], row["CAUSE"]) == ("SUCCESS", "AVAILABLE", "")
    return row


def _folder(service: ServiceUnderTest, number: int, tenant_id: int = 1001) -> Path:
    data = service.round_folder(tenant_id=tenant_id).parents[1] / "data"
    return next(iter(data.glob(f"backup_set_{number}_full_*")), data / "none")


def _objects(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []


def _plan(service: ServiceUnderTest, scn: int | None = None, tenant: str = "main") -> Plan:
    destination = FileDestination(service.backup)
    return make_plan(destination, find_tenant(destination, tenant), scn, SeekdbLogCutter())


def _check_removed(service: ServiceUnderTest, number: int) -> None:
    """Wait until nothing is left of a data backup but who it was; the engine goes on."""
    wait_until("it is removed", lambda: {row["FILE_STATUS"] for row in _sets(service, number).values()} == {"DELETED"})
    assert set(_objects(_folder(service, number))) <= {"backup_set_info", "deletion"}
    service.run("INSERT INTO test.ledger VALUES (UUID())", "root@main")


def test_a_data_backup_is_taken_under_load_and_can_be_restored(service: ServiceUnderTest) -> None:
    """Refused while one runs; the views say what it is, and the pause; plans for moments after it begin with it."""
    load = BankLoad(service)
    with load.running():
        wait_until("there is load", lambda: len(load.acknowledged) > 100)
        number = _begun(service)
        code, text = service.error("ALTER SYSTEM BACKUP DATABASE")
        assert (code, "CANCEL BACKUP" in text) == (9036, True)
        progress = {row["TENANT_ID"]: row for row in service.run("SELECT * FROM CDB_OB_BACKUP_PROGRESS")}
        row = _over(service, number)
        count = len(load.acknowledged)
        wait_until("the load goes on", lambda: len(load.acknowledged) > count + 50)

    assert (row["STATUS"], row["CAUSE"]) == ("SUCCESS", "")
    assert (progress[1]["STATUS"], progress[1]["PARTITION_COUNT"], progress[1]["FINISH_PARTITION_COUNT"]) == (
        *("RUNNING", 1),
        progress[1001]["FINISH_PARTITION_COUNT"],
    )
    main = _sets(service, number)[1001]
    assert 0 < main["PAUSE_MS"] < 1000
    assert main["PASSES"] >= 1
    assert main["METHOD"] in {"hot", "reflink"}
    assert 0 < main["OUTPUT_BYTES"] < main["INPUT_BYTES"]
    assert main["START_LSN"] < main["SNAPSHOT_LSN"]
    assert 0 < main["START_REPLAY_SCN"] < main["SNAPSHOT_SCN"] == row["SNAPSHOT_SCN"]
    assert main["PATH"] == f"file://{service.backup}"
    files = service.run(f"SELECT * FROM CDB_OB_BACKUP_SET_FILES WHERE BS_KEY = {number} AND TENANT_ID = 1001")[0]
    assert (files["COMPRESSED"], files["OUTPUT_BYTES"]) == ("YES", main["OUTPUT_BYTES"])
    details = service.run(f"SELECT * FROM CDB_OB_BACKUP_SET_DETAILS WHERE BS_KEY = {number}")
    assert {detail["STATUS"] for detail in details} == {"COMPLETED"}
    job = service.run(f"SELECT * FROM CDB_OB_BACKUP_JOB_DETAILS WHERE BS_KEY = {number} AND TENANT_ID = 1001")[0]
    assert (job["STATUS"], job["START_REPLAY_LOG_TS"]) == ("COMPLETED", main["START_REPLAY_SCN"] // 1000)
    assert service.run("SELECT * FROM CDB_OB_BACKUP_PROGRESS") == []
    window = service.run(f"SELECT * FROM CDB_REDOUBT_RESTORABLE_WINDOW WHERE BS_KEY = {number}")[0]
    assert (window["TENANT_ID"], window["START_SCN"], window["GROWS"]) == (1001, main["SNAPSHOT_SCN"], "YES")
    command = [sys.executable, "-m", "redoubt", "status", "--home", str(service.home)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout
    assert f"data backup {number}: SUCCESS, files AVAILABLE" in shown
    plan = _plan(service, window["START_SCN"])
    assert (plan.base.summary.of.set_id, plan.end.scn) == (number, main["SNAPSHOT_SCN"])
    assert _plan(service, window["END_SCN"]).end.scn <= window["END_SCN"]
    with contextlib.suppress(NotRecoverableError):  # there is no earlier one
        assert _plan(service, window["START_SCN"] - 1).base.summary.of.set_id < number


def test_a_cancelled_data_backup_leaves_nothing(service: ServiceUnderTest) -> None:
    """9049 when none runs; FAILED with the reason when CANCEL BACKUP returns, and its number is not given again."""
    assert service.error("ALTER SYSTEM CANCEL BACKUP")[0] == 9049
    number = _claimed(service)
    service.run("ALTER SYSTEM CANCEL BACKUP")

    row = _sets(service, number)[1]
    assert (row["STATUS"], row["CAUSE"]) == ("FAILED", "cancelled by ALTER SYSTEM CANCEL BACKUP")
    assert service.error("ALTER SYSTEM CANCEL BACKUP")[0] == 9049
    _check_removed(service, number)


def _claimed(service: ServiceUnderTest) -> int:
    """Begin a data backup, and wait until something is in the destination; its number."""
    number = _begun(service)
    wait_until("it has begun", lambda: _objects(_folder(service, number)))
    return number


def _job(service: ServiceUnderTest) -> int:
    """The process id of the last job."""
    events = [json.loads(line) for line in (service.home / "log" / "redoubt.log").read_text().splitlines()]
    return int([event["pid"] for event in events if event["event"] == "job started"][-1])


def test_what_was_killed_in_the_midst_has_failed_and_the_engine_goes_on(service: ServiceUnderTest) -> None:
    """The job, or the service and the job: what they left is removed, and the next data backup is taken."""
    number = _claimed(service)
    os.kill(_job(service), signal.SIGKILL)
    row = _over(service, number)
    assert (row["STATUS"], row["CAUSE"]) == ("FAILED", "tenant main: the job's process ended with status -9")
    _check_removed(service, number)

    number = _claimed(service)
    service.kill()
    with contextlib.suppress(ProcessLookupError):  # it ends with the service
        os.kill(_job(service), signal.SIGKILL)
    service.start()
    row = _sets(service, number)[1]
    assert (row["STATUS"], row["CAUSE"]) == ("FAILED", "the service ended during the data backup")
    _check_removed(service, number)
    assert _taken(service)["BS_KEY"] == number + 1


def test_an_applications_tenant_is_backed_up_as_well(service: ServiceUnderTest, application: Application) -> None:
    """While it can be reached; while not, only its own part fails; one that is dropped meanwhile is left out."""
    service.run(f"CREATE TENANT app SOURCE = 'seekdb://{application.directory}'")
    tenant_id = service.run("SHOW TENANTS LIKE 'app'")[0]["TENANT_ID"]
    application.insert(20)
    number = _taken(service)["BS_KEY"]
    rows = _sets(service, number)
    assert set(rows) == {1, 1001, tenant_id}
    assert rows[1]["SNAPSHOT_SCN"] == max(rows[1001]["SNAPSHOT_SCN"], rows[tenant_id]["SNAPSHOT_SCN"])
    assert _plan(service, tenant="app").base.summary.of.tenant_id == tenant_id

    application.close()
    row = _over(service, _begun(service))
    assert (row["STATUS"], row["FILE_STATUS"], row["CAUSE"].startswith("tenant app: ")) == ("FAILED", "AVAILABLE", True)
    parts = _sets(service, row["BS_KEY"])
    assert (parts[1001]["STATUS"], parts[1001]["FILE_STATUS"], parts[tenant_id]["STATUS"]) == (
        *("SUCCESS", "AVAILABLE"),
        "FAILED",
    )
    assert _plan(service).base.summary.of.set_id == row["BS_KEY"], "main can be restored from its part"

    number = _begun(service)
    service.run("DROP TENANT app")
    row = _over(service, number)
    assert (row["STATUS"], row["CAUSE"]) == ("SUCCESS", "")
    gone = _sets(service, number)[tenant_id]
    assert (gone["STATUS"], gone["CAUSE"]) == ("FAILED", "the tenant was dropped during the backup")


def _there(service: ServiceUnderTest) -> list[int]:
    rows = service.run("SELECT BS_KEY FROM CDB_OB_BACKUP_SET_FILES WHERE TENANT_ID = 1 AND FILE_STATUS = 'AVAILABLE'")
    return sorted(row["BS_KEY"] for row in rows)


def _deleted(service: ServiceUnderTest) -> None:
    busy = "SELECT * FROM CDB_OB_BACKUP_CLEAN_HISTORY WHERE STATUS = 'DOING'"
    wait_until("the deletion is done", lambda: not service.run(busy))


def test_sets_and_log_go_by_the_rules_and_the_rest_can_be_restored(service: ServiceUnderTest) -> None:
    """The oldest first, never the last; log stays that shares a block with what the last set needs."""
    pieces = "SELECT * FROM CDB_OB_BACKUP_PIECE_FILES WHERE TENANT_ID = 1001"
    wait_until("there are several pieces", lambda: len(service.run(pieces)) > 2)
    _, last = _taken(service), _taken(service)
    assert service.error(f"ALTER SYSTEM DELETE BACKUPSET {last['BS_KEY']}")[0] == 9045
    oldest = _there(service)[0]
    service.run(f"ALTER SYSTEM DELETE BACKUPSET {oldest}")
    _deleted(service)
    assert oldest not in _there(service)
    assert _objects(_folder(service, oldest)) == ["backup_set_info", "deletion"]
    assert service.error(f"ALTER SYSTEM DELETE BACKUPSET {oldest}")[0] == 1235
    assert _plan(service, last["SNAPSHOT_SCN"]).base.summary.of.set_id == last["BS_KEY"]

    # Ages are counted from the newest archived moment; the SCNs of a restarted engine may be ahead of the clock.
    archived = "SELECT checkpoint_scn AS scn FROM oceanbase.__all_backup_log_archive_status_v2 WHERE tenant_id = 1"
    past = last["SNAPSHOT_SCN"] + 1_000_000
    wait_until("the last set is in the past", lambda: min(time.time_ns(), service.run(archived)[0]["scn"]) > past)
    service.run("ALTER SYSTEM SET backup_recovery_window = '1us'")
    service.run("ALTER SYSTEM DELETE OBSOLETE BACKUP")
    _deleted(service)
    assert _there(service) == [last["BS_KEY"]]
    base = _plan(service, last["SNAPSHOT_SCN"]).base
    assert base.summary.of.set_id == last["BS_KEY"], "no piece of its block is gone"

    assert _plan(service).end.scn >= last["SNAPSHOT_SCN"]
    window = service.run("SELECT * FROM CDB_REDOUBT_RESTORABLE_WINDOW")
    assert [row["BS_KEY"] for row in window] == [last["BS_KEY"]]


def test_a_round_that_stops_ends_the_data_backup(service: ServiceUnderTest) -> None:
    """Its log would not be archived; the destination cannot be changed under it."""
    number = _claimed(service)
    assert service.error("ALTER SYSTEM SET backup_dest = ''")[0] == 9036
    service.run("ALTER SYSTEM NOARCHIVELOG")
    row = _over(service, number)
    service.wait_for_status("STOP")

    assert row["STATUS"] == "FAILED"
    assert "log archive status is STOP" in row["CAUSE"]
    _check_removed(service, number)
    service.archive()
