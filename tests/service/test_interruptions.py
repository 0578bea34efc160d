"""Rounds that cannot go on: damaged log, log that was recycled, another history, a damaged archive."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from tests.processes import is_alive
from tests.service.cluster import ServiceUnderTest, WriteLoad, wait_until


def _cause(service: ServiceUnderTest) -> str:
    """Wait for INTERRUPTED; the cause on record."""
    service.wait_for_status("INTERRUPTED")
    row = service.run("SELECT comment FROM __all_backup_log_archive_status_v2 WHERE tenant_id = 1")[0]
    return str(row["comment"])


def _start_afresh(service: ServiceUnderTest) -> None:
    """What OceanBase documents: NOARCHIVELOG, then ARCHIVELOG begins a new round."""
    service.stop_archiving()
    service.run("ALTER SYSTEM ARCHIVELOG")
    service.wait_for_status("DOING")
    assert service.run("SELECT LOG_ARCHIVE_ROUND FROM CDB_OB_BACKUP_ARCHIVELOG")[0]["LOG_ARCHIVE_ROUND"] == 2


def _stop_engine_and_worker(service: ServiceUnderTest) -> None:
    children = service.children()
    assert service.stop() == 0
    wait_until("everything has ended", lambda: not any(is_alive(pid) for pid in children))


def test_damaged_log_interrupts_the_round(service: ServiceUnderTest) -> None:
    """A flipped bit in log that the engine has finished is named, not archived.

    Own service: its engine's log is damaged.
    """
    service.archive()
    worker = service.worker_pid()
    os.kill(worker, signal.SIGSTOP)
    unread = service.run("SELECT MAX_LSN FROM oceanbase.V$OB_LOG_STAT", "root@main")[0]["MAX_LSN"]
    with WriteLoad(service).running() as load:
        wait_until("some log", lambda: load.commits > 50)
    with (service.engine_log / "0").open("r+b") as block:
        block.seek(4096 + unread + 2000)
        byte = block.read(1)[0]
        block.seek(4096 + unread + 2000)
        block.write(bytes([byte ^ 1]))
    os.kill(worker, signal.SIGCONT)

    cause = _cause(service)
    assert "is damaged" in cause
    assert "redo block 0" in cause


@pytest.mark.soak
def test_another_history_is_not_mixed_in(service: ServiceUnderTest) -> None:
    """An engine that was set back to an earlier state is refused into the old round; a new round takes it.

    Own service: its engine is set back.
    """
    service.archive()
    _stop_engine_and_worker(service)
    earlier = service.main_dir.with_name("earlier")
    shutil.copytree(service.main_dir, earlier)
    service.start()
    with WriteLoad(service).running() as load:
        wait_until("more log", lambda: load.commits > 200)
    archived = len(service.segments())
    wait_until("it is archived", lambda: len(service.segments()) > archived)
    _stop_engine_and_worker(service)
    shutil.rmtree(service.main_dir)
    earlier.rename(service.main_dir)
    before = [segment.read_bytes() for segment in service.segments()]
    service.start()
    with WriteLoad(service).running() as load:
        wait_until("a different continuation", lambda: load.commits > 400 or service.status() == "INTERRUPTED")
        cause = _cause(service)
    assert "was set back to an earlier state" in cause

    assert before == [segment.read_bytes() for segment in service.segments()][: len(before)]
    _start_afresh(service)


@pytest.mark.soak
def test_a_damaged_archive_is_not_continued(service: ServiceUnderTest) -> None:
    """When the last segment does not verify, a restarted service says so instead of building on it.

    Own service: it is restarted.
    """
    service.archive()
    service.stop()
    last = service.segments()[-1]
    content = bytearray(last.read_bytes())
    content[-1] ^= 1
    last.write_bytes(content)
    service.start()

    cause = _cause(service)
    assert last.name in cause
    assert "is damaged" in cause


def test_a_hole_in_the_archive_is_not_continued(service: ServiceUnderTest) -> None:
    """When a segment in the middle is gone, a restarted service names the place.

    Own service: it is restarted.
    """
    service.archive()
    wait_until("some segments", lambda: len(service.segments()) >= 4)
    service.stop()
    missing = service.segments()[1]
    missing.unlink()
    service.start()

    assert "does not follow" in _cause(service)


@pytest.mark.soak
def test_recycled_log_interrupts_the_round(service: ServiceUnderTest) -> None:
    """When blocks went that had not been archived, the place is named; a new round begins behind the hole.

    Own service: log of its engine is removed.
    """
    service.archive()
    worker = service.worker_pid()
    os.kill(worker, signal.SIGSTOP)
    with WriteLoad(service, rows_per_insert=500).running():
        wait_until("a second block", (service.engine_log / "1").exists)
        wait_until("a third block", (service.engine_log / "2").exists)
    service.run("ALTER SYSTEM MINOR FREEZE")
    wait_until("the engine recycled the first block", lambda: not (service.engine_log / "0").exists())
    (service.main_dir / "redoubt" / "held" / "0").unlink()
    os.kill(worker, signal.SIGKILL)

    assert "recycled the log" in _cause(service)
    _start_afresh(service)
