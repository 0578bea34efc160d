"""A catalog that is lost is made again from the destination; archiving goes on with numbers that were never used."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from .cluster import ServiceUnderTest

pytestmark = pytest.mark.timeout(180)
_VIEWS = (
    "SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG_SUMMARY ORDER BY TENANT_ID, LOG_ARCHIVE_ROUND",
    "SELECT * FROM CDB_OB_BACKUP_PIECE_FILES ORDER BY ROUND_ID, TENANT_ID",
)


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """A service with two rounds that have ended.

    Own service: its catalog is lost.
    """
    running = ServiceUnderTest(tmp_path_factory.mktemp("r"))
    running.start()
    running.archive("optional compression= zstd_1.3.8")
    running.stop_archiving()
    running.archive()
    running.stop_archiving()
    yield running
    running.close()


def _repair(service: ServiceUnderTest, *options: str, uri: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "redoubt", "repair-catalog", uri or f"file://{service.backup}"]
    return subprocess.run(
        [*command, "--home", str(service.home), *options], capture_output=True, text=True, check=False, timeout=120
    )


def _shown(service: ServiceUnderTest) -> list[list[dict[str, Any]]]:
    return [service.run(view) for view in _VIEWS]


def test_a_lost_catalog_is_made_again(service: ServiceUnderTest) -> None:
    """The views show what they showed; the next round has a number above all; nothing is changed a second time."""
    before = _shown(service)
    running = _repair(service)
    service.stop()
    shutil.rmtree(service.home / "sys")
    tried, done, again = _repair(service, "--dry-run"), _repair(service), _repair(service)
    service.start()
    after = _shown(service)
    service.run("ALTER SYSTEM ARCHIVELOG")
    service.wait_for_status("DOING")
    rounds = service.run("SELECT LOG_ARCHIVE_ROUND FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")

    assert "stop it first" in running.stderr
    assert [run.returncode for run in (running, tried, done, again)] == [1, 0, 0, 0], (tried, done, again)
    assert "rows would be changed" in tried.stdout
    assert "the destination has 2 rounds and 0 data backups; 0 rows changed" in again.stdout
    assert before == after
    assert rounds == [{"LOG_ARCHIVE_ROUND": 3}]


@pytest.mark.soak
def test_an_older_catalog_in_which_a_round_runs_is_repaired_as_advised(service: ServiceUnderTest) -> None:
    """A catalog that was put back to round 3, DOING, while the destination has round 4."""
    service.archive()
    service.stop()
    older = service.home / "sys.older"
    shutil.copytree(service.home / "sys", older, ignore=shutil.ignore_patterns("*.sock"))
    service.start()
    service.stop_archiving()
    service.archive()
    service.stop()
    shutil.rmtree(service.home / "sys")
    older.rename(service.home / "sys")

    held_up = _repair(service)
    service.start()
    service.stop_archiving()
    service.stop()
    repaired = _repair(service)
    service.start()
    service.archive()

    assert "start the service, run ALTER SYSTEM NOARCHIVELOG, stop the service, repair again" in held_up.stdout
    assert [held_up.returncode, repaired.returncode] == [2, 0], repaired.stderr
    shown = service.run("SELECT LOG_ARCHIVE_ROUND AS number FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")
    assert shown == [{"number": 5}]
