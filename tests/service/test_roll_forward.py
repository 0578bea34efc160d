"""A base that was rolled forward beside a running cluster, which then knows it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.bank import BankLoad
from tests.service.cluster import ServiceUnderTest, copy_destination, wait_until

pytestmark = pytest.mark.new_engines


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder whose path is short enough for an engine's socket."""
    folder = Path(tempfile.mkdtemp(prefix="scratch-"))
    yield folder
    shutil.rmtree(folder)


def _begun(service: ServiceUnderTest, backup: Path, scratch: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "redoubt", "roll-forward", f"file://{backup}", "--json"]
    options = ["--home", str(service.home), "--scratch", str(scratch)]
    return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_cluster_knows_the_new_set(service: ServiceUnderTest, scratch: Path) -> None:
    """Its views show it, the next has a number above, and retention counts on it: the older one may go.

    One that was made in a copy of the destination, at the same time, is not in the cluster's own: it is told so.

    Own service: new engines, as a user's; its sets are numbered from 1 on.
    """
    BankLoad(service).open_accounts()
    service.archive()
    service.run("ALTER SYSTEM BACKUP DATABASE")
    sets = "SELECT TENANT_ID, STATUS, FILE_STATUS, METHOD FROM CDB_REDOUBT_BACKUP_SETS WHERE BS_KEY = {} ORDER BY 1"
    wait_until("the data backup is over", lambda: service.run(sets.format(1))[0]["STATUS"] == "SUCCESS")
    written = time.time_ns()
    service.run("CREATE TABLE test.later (a INT)", "root@main")
    checkpoint = "SELECT CHECKPOINT_SCN AS scn FROM CDB_OB_ARCHIVELOG WHERE TENANT_ID = 1001"
    wait_until("the log is archived", lambda: service.run(checkpoint)[0]["scn"] > written)
    refused = service.error("ALTER SYSTEM DELETE BACKUPSET 1")
    copy = scratch / "copy"
    copy_destination(service.backup, copy)
    runs = [_begun(service, backup, scratch) for backup in (service.backup, copy)]
    (out, said), (_, of_copy) = (run.communicate(timeout=280) for run in runs)
    assert [run.returncode for run in runs] == [0, 0], said + of_copy
    made = json.loads(out)
    number = made["set_id"]

    assert made["checked"].endswith("system tables read; the schema at the snapshot matches the fingerprint")
    assert "is not in the catalog" in of_copy
    assert "does not hold the set as redoubt/1/incarnation_1/1001/data/backup_set_2_full_" in of_copy
    assert "catalog" not in said
    assert number == 2
    assert [tuple(row.values()) for row in service.run(sets.format(number))] == [
        (tenant_id, "SUCCESS", "AVAILABLE", "rolled") for tenant_id in (1, 1001)
    ]
    assert refused[0] != 0
    service.run("ALTER SYSTEM DELETE BACKUPSET 1")
    wait_until("the older set is deleted", lambda: service.run(sets.format(1))[0]["FILE_STATUS"] == "DELETED")
    service.run("ALTER SYSTEM BACKUP DATABASE")
    wait_until("the next is over", lambda: service.run(sets.format(3))[0]["STATUS"] == "SUCCESS")
