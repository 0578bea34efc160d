"""Destinations that give no answer, and two services on one destination."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.processes import is_alive, thread_states
from tests.service.cluster import (
    ServiceUnderTest,
    WriteLoad,
    assert_archive_equals_engine,
    wait_until,
)
from tests.service.disks import StallingDisk


def _state(service: ServiceUnderTest) -> dict[str, Any]:
    return service.run("SELECT * FROM CDB_REDOUBT_ARCHIVELOG_STATUS WHERE TENANT_ID = 1001")[0]


@pytest.mark.timeout(180)
def test_an_answer_that_never_comes_is_named_and_waited_out(
    shared_service: ServiceUnderTest, stalling_disk: StallingDisk
) -> None:
    """Clients do not notice, the status says who is silent, and archiving goes on by itself when the answer comes."""
    shared_service.keep_engine_log()
    shared_service.backup = stalling_disk.path
    shared_service.archive()
    with WriteLoad(shared_service).running() as load:
        with stalling_disk.stalled():
            row = wait_until("it is named", lambda: (row := _state(shared_service))["HEALTH"] == "BEHIND" and row)
            commits = load.commits
            wait_until("writers go on", lambda: load.commits > commits + 100)
        wait_until("it is over", lambda: _state(shared_service)["HEALTH"] == "FINE")
    shared_service.stop_archiving()

    assert "has not answered" in row["CAUSE"]
    assert_archive_equals_engine(shared_service)


@pytest.mark.timeout(240)
def test_statements_are_bounded_when_the_destination_is_silent(
    hasty_service: ServiceUnderTest, stalling_disk: StallingDisk
) -> None:
    """NOARCHIVELOG ends the round without it, ARCHIVELOG says that nothing answers; afterwards all is well again.

    Own service: it is configured to wait two seconds only.
    """
    hasty_service.keep_engine_log()
    hasty_service.backup = stalling_disk.path
    hasty_service.archive()
    with stalling_disk.stalled():
        hasty_service.run("ALTER SYSTEM NOARCHIVELOG")
        hasty_service.wait_for_status("STOP", timeout=60)
        code, text = hasty_service.error("ALTER SYSTEM ARCHIVELOG")
        assert (code, "did not answer within" in text) == (9026, True)
        assert hasty_service.run("SELECT 1 AS one", "root@main") == [{"one": 1}]
    wait_until("a round begins", lambda: _begins(hasty_service))
    hasty_service.wait_for_status("DOING")
    hasty_service.stop_archiving()

    assert_archive_equals_engine(hasty_service, 2)
    assert (hasty_service.round_folder(2) / "single_piece_info").exists()


@pytest.mark.timeout(180)
def test_a_medium_that_is_gone_is_done_without(
    shared_service: ServiceUnderTest, stalling_disk: StallingDisk, tmp_path: Path
) -> None:
    """CANCEL ALL BACKUP FORCE ends the round at once, and another destination takes over while the first is silent."""
    shared_service.keep_engine_log()
    first, shared_service.backup = shared_service.backup, stalling_disk.path
    shared_service.archive()
    with stalling_disk.stalled():
        with WriteLoad(shared_service, connections=1).running() as load:
            wait_until("something waits to be stored", lambda: load.commits > 50)
            wait_until("the destination is silent", lambda: _state(shared_service)["HEALTH"] == "BEHIND")
        worker = shared_service.worker_pid()
        shared_service.run("ALTER SYSTEM CANCEL ALL BACKUP FORCE")
        assert shared_service.status() == "STOP"
        assert shared_service.run("SHOW PARAMETERS LIKE 'backup_dest'")[0]["value"] == ""
        shared_service.backup = first
        shared_service.archive()
        assert "D" in thread_states(worker), "the system has let go of it: this test shows nothing"
    wait_until("the first worker has ended", lambda: not is_alive(worker))
    shared_service.stop_archiving()

    assert_archive_equals_engine(shared_service, 2)
    where = f"tenant_id = 1 AND log_archive_round = {shared_service.round_number()}"
    (row,) = shared_service.run(f"SELECT comment FROM __all_backup_log_archive_status_history_v2 WHERE {where}")
    assert "CANCEL ALL BACKUP FORCE" in row["comment"]


def _begins(service: ServiceUnderTest) -> bool:
    if service.status() != "STOP":
        return True
    return service.mariadb("ALTER SYSTEM ARCHIVELOG").returncode == 0


@pytest.mark.soak
@pytest.mark.timeout(180)
def test_a_copied_home_does_not_write_into_the_originals_round(service: ServiceUnderTest, tmp_path: Path) -> None:
    """Both say that the round is theirs; the second is refused, by name, and the first goes on undisturbed.

    Own services: the home of one is copied for another.
    """
    service.keep_engine_log()
    service.archive()
    children = service.children()
    assert service.stop() == 0
    wait_until("everything has ended", lambda: not any(is_alive(pid) for pid in children))
    copy = ServiceUnderTest(tmp_path / "copy")
    shutil.copytree(service.home, copy.home)
    service.start()
    segments = len(service.segments())
    wait_until("the original goes on", lambda: len(service.segments()) > segments)
    try:
        copy.start()
        row = wait_until("the copy is refused", lambda: (row := _state(copy))["HEALTH"] == "BEHIND" and row)
        with WriteLoad(copy, connections=1).running(), WriteLoad(service, connections=1).running() as load:
            wait_until("both are written to", lambda: load.commits > 200)
        worker = service.worker_pid()
    finally:
        copy.close()
    service.stop_archiving()

    assert f"pid {worker}" in row["CAUSE"]
    assert_archive_equals_engine(service)


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_a_copied_home_that_went_on_is_told_from_damage(service: ServiceUnderTest, tmp_path: Path) -> None:
    """The copy archives, also if links were not copied as links; the original is then told whose log the archive has.

    Own services: the home of one is copied for another.
    """
    service.run("CREATE TABLE test.t (a VARCHAR(100))", "root@main")
    service.archive()
    children = service.children()
    assert service.stop() == 0
    wait_until("everything has ended", lambda: not any(is_alive(pid) for pid in children))
    copy = ServiceUnderTest(tmp_path / "copy")
    subprocess.run(["cp", "-r", str(service.home), str(copy.home)], check=True)
    try:
        copy.start()
        for number in range(50):
            copy.run(f"INSERT INTO test.t VALUES ('{number}')", "root@main")
        segments = len(service.segments())
        wait_until("the copy's log is archived", lambda: len(service.segments()) > segments)
        assert (_state(copy)["HEALTH"], _state(copy)["CAUSE"]) == ("FINE", "")
        assert copy.stop() == 0
    finally:
        copy.close()
    service.start()
    for number in range(100):
        service.run(f"INSERT INTO test.t VALUES ('{number} {'x' * 70}')", "root@main")
    row = wait_until("it is refused", lambda: (row := _state(service))["HEALTH"] == "BROKEN" and row)

    assert "this directory was set back to an earlier state or is a copy, and was written to since" in row["CAUSE"]
