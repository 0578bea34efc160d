"""Synchronous commit: what was acknowledged is in the archive, whatever is killed or deleted."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tests.dose import dose
from tests.processes import is_alive
from tests.service.bank import ACCOUNTS, BALANCE, ENTRY, BankLoad, archived_log
from tests.service.cluster import ServiceUnderTest, assert_archive_equals_engine, wait_until
from tests.service.kills import kill_part


def _archive_synchronously(service: ServiceUnderTest) -> None:
    service.run("ALTER SYSTEM SET backup_log_archive_option = 'mandatory', log_archive_sync_commit = True")
    service.archive()
    wait_until("commits are synchronous", lambda: _sync_commit(service) == "SYNC")


def _sync_commit(service: ServiceUnderTest) -> str:
    rows = service.run("SELECT SYNC_COMMIT FROM CDB_REDOUBT_ARCHIVELOG_STATUS WHERE TENANT_ID = 1001")
    return str(rows[0]["SYNC_COMMIT"]) if rows else ""


def _assert_archived(service: ServiceUnderTest, acknowledged: list[str]) -> None:
    archived = {entry.decode() for entry in ENTRY.findall(archived_log(service.round_folder()))}
    lost = [entry for entry in acknowledged if entry not in archived]
    assert lost == [], f"{len(lost)} of {len(acknowledged)} acknowledged commits are not in the archive"


def test_every_acknowledged_commit_is_in_the_archive_when_the_machine_is_gone(service: ServiceUnderTest) -> None:
    """Kill -9 of everything at once under load, then the home is deleted: the archive has what was acknowledged.

    Own service: it is killed, and its home deleted.
    """
    _archive_synchronously(service)
    load = BankLoad(service, connections=8)
    with load.running():
        wait_until("some transfers", lambda: len(load.acknowledged) > 500)
        for pid in [*service.children(), service.process.pid if service.process else 0]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        service.reap()
        children = service.children()
        wait_until("all is dead", lambda: not any(is_alive(pid) for pid in children))
        shutil.rmtree(service.home)
        service.home.mkdir()

    assert len(load.acknowledged) > 500
    _assert_archived(service, load.acknowledged)


def test_transfers_survive_kills_in_every_mode(stopped_service: ServiceUnderTest) -> None:
    """Worker, service and engines are killed at random; synchronous commits are archived at any moment, sums hold.

    Own service: it is killed.
    """
    service, dice = stopped_service, random.Random(20261123)
    service.keep_engine_log()
    service.start()
    _archive_synchronously(service)
    kills = ["worker"] * dose(1, 3) + ["service"] * dose(1, 2) + ["engine"] * 1
    dice.shuffle(kills)
    load = BankLoad(service)
    with load.running():
        for victim in kills:
            before = len(load.acknowledged)
            wait_until("transfers", lambda before=before: len(load.acknowledged) > before + 50)  # type: ignore[misc]
            load._stop.wait(dice.uniform(0, 0.5))
            kill_part(service, victim)
            _assert_archived(service, load.acknowledged[:])
        before = len(load.acknowledged)
        wait_until("transfers go on", lambda: len(load.acknowledged) > before + 50)
    service.stop_archiving()
    (row,) = service.run("SELECT SUM(balance) AS total, COUNT(*) AS accounts FROM test.account", "root@main")
    entries = {row["entry"] for row in service.run("SELECT entry FROM test.ledger", "root@main")}

    assert (int(row["total"]), row["accounts"]) == (ACCOUNTS * BALANCE, ACCOUNTS)
    assert set(load.acknowledged) <= entries
    _assert_archived(service, load.acknowledged)
    assert_archive_equals_engine(service)


def test_a_commit_that_cannot_be_archived_is_not_acknowledged(shared_service: ServiceUnderTest) -> None:
    """It fails after the time-out, and says so; with fallback it is acknowledged, on record, until it is well again."""
    shared_service.run("ALTER SYSTEM SET log_archive_sync_timeout = '300ms'")
    _archive_synchronously(shared_service)
    shared_service.run("CREATE TABLE test.t (a INT PRIMARY KEY)", "root@main")
    worker = shared_service.worker_pid()
    subprocess.run(["kill", "-STOP", str(worker)], check=True)
    try:
        code, text = shared_service.error("INSERT INTO test.t VALUES (1)", "root@main")
        assert (code, "committed in the engine" in text, "log_archive_sync_timeout" in text) == (4012, True, True)
        assert shared_service.run("SELECT a FROM test.t", "root@main") == [{"a": 1}]
        shared_service.run("ALTER SYSTEM SET log_archive_sync_fallback = True")
        shared_service.run("INSERT INTO test.t VALUES (2)", "root@main")
        wait_until("it has fallen back", lambda: _sync_commit(shared_service) == "ASYNC")
        row = shared_service.run("SELECT HEALTH, CAUSE FROM CDB_REDOUBT_ARCHIVELOG_STATUS WHERE TENANT_ID = 1001")[0]
        assert (row["HEALTH"], "not archived within 0.3 s" in row["CAUSE"]) == ("BEHIND", True)
    finally:
        subprocess.run(["kill", "-CONT", str(worker)], check=True)
    wait_until("it has recovered", lambda: _sync_commit(shared_service) == "SYNC")
    changes = shared_service.run(
        "SELECT * FROM CDB_REDOUBT_ARCHIVELOG_EVENTS WHERE WHAT = 'SYNC_COMMIT' "
        f"AND LOG_ARCHIVE_ROUND > {shared_service.rounds_before} ORDER BY EVENT_ID"
    )
    states = [(row["STATE_BEFORE"], row["STATE_AFTER"]) for row in changes]

    assert states == [("OFF", "SYNC"), ("SYNC", "ASYNC"), ("ASYNC", "SYNC")]


def test_commits_that_wait_when_the_round_is_interrupted_are_not_acknowledged(service: ServiceUnderTest) -> None:
    """They would be in no archive; later ones do not wait, and the status says that nothing is archived.

    Own service: its engine's log is damaged.
    """
    _archive_synchronously(service)
    service.run("CREATE TABLE test.t (a INT PRIMARY KEY, filler LONGTEXT)", "root@main")
    worker = service.worker_pid()
    os.kill(worker, signal.SIGSTOP)
    end = service.run("SELECT MAX_LSN FROM oceanbase.V$OB_LOG_STAT", "root@main")[0]["MAX_LSN"]
    # The second is long: an engine writes the last page of its log again with what comes next, which would mend it.
    inserts = ["INSERT INTO test.t VALUES (1, NULL)", "INSERT INTO test.t VALUES (2, REPEAT('x', 65536))"]
    count = "SELECT COUNT(*) AS n FROM test.t"
    with ThreadPoolExecutor(2) as pool:
        waiting = []
        for number, insert in enumerate(inserts, 1):
            waiting.append(pool.submit(service.error, insert, "root@main"))
            wait_until("it is in the engine", lambda n=number: service.run(count, "root@main")[0]["n"] == n)  # type: ignore[misc]
        _damage(service, end + 100)
        os.kill(worker, signal.SIGCONT)
        answers = [each.result(60) for each in waiting]
    service.wait_for_status("INTERRUPTED")
    service.run("INSERT INTO test.t VALUES (3, NULL)", "root@main")

    for code, text in answers:
        assert (code, "committed in the engine, but its log may be missing" in text) == (9027, True)


def _damage(service: ServiceUnderTest, lsn: int) -> None:
    """Flip a bit of the engine's first redo block."""
    with (service.engine_log / "0").open("r+b") as block:
        block.seek(4096 + lsn)
        byte = block.read(1)[0]
        block.seek(4096 + lsn)
        block.write(bytes([byte ^ 1]))
