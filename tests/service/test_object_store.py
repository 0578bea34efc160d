"""A round in a bucket of a real S3 server: archived, backed up, restored and verified, and no key is to be seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pymysql
import pytest

from redoubt.destinations.access import ACCESS_ID, ACCESS_KEY
from redoubt.destinations.uri import open_destination
from redoubt.model.seams import Destination
from tests.destinations import rgw as server
from tests.destinations.fixtures import BUCKET
from tests.destinations.rgw import Rgw
from tests.service.bank import BankLoad
from tests.service.cluster import ServiceUnderTest, WriteLoad, assert_archive_equals_engine, wait_until
from tests.service.kills import kill_part

pytestmark = [pytest.mark.soak, pytest.mark.timeout(240)]


def _with_keys(uri: str, key: str = server.ACCESS_KEY) -> str:
    return f"{uri}&access_id={server.ACCESS_ID}&access_key={key}"


def _command(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "redoubt", *words],
        capture_output=True, text=True, check=False, timeout=120, env=os.environ | more,
    )  # fmt: skip


def test_a_round_in_a_bucket(shared_service: ServiceUnderTest, rgw: Rgw, tmp_path: Path) -> None:
    """By SQL as OceanBase spells it; a wrong key and a missing bucket are refused with what to do."""
    service, uri = shared_service, rgw.uri(BUCKET, f"round/{tmp_path.name}")
    code, text = service.error(f"ALTER SYSTEM SET backup_dest = '{_with_keys(uri, 'wrong-key')}'")
    assert (code, "the access_key is wrong: set the destination with the right keys" in text) == (9026, True), text
    code, text = service.error(f"ALTER SYSTEM SET backup_dest = '{_with_keys(rgw.uri('no-such-bucket'))}'")
    assert (code, "create the bucket, or correct its name or the host" in text) == (9026, True), text

    service.run(f"ALTER SYSTEM SET backup_dest = '{_with_keys(uri)}'")
    assert service.run("SHOW PARAMETERS LIKE 'backup_dest'")[0]["value"] == uri
    load = BankLoad(service)
    load.open_accounts()
    service.archive()
    service.run("ALTER SYSTEM BACKUP DATABASE")
    sets = "SELECT STATUS FROM CDB_REDOUBT_BACKUP_SETS WHERE TENANT_ID = 1001 ORDER BY BS_KEY DESC LIMIT 1"
    wait_until("the data backup is over", lambda: service.run(sets)[0]["STATUS"] == "SUCCESS")
    service.run("CREATE TABLE test.kept (a INT)", "root@main")
    service.run("INSERT INTO test.kept VALUES (7)", "root@main")
    service.stop_archiving()

    end = service.run("SELECT MAX_NEXT_TIME AS end FROM CDB_OB_BACKUP_ARCHIVELOG_SUMMARY WHERE TENANT_ID = 1001")
    until = max(str(row["end"]) for row in end)
    refused = _command("verify", _with_keys(uri))
    verified = _command("verify", uri, **{ACCESS_ID: server.ACCESS_ID, ACCESS_KEY: server.ACCESS_KEY})
    assert refused.returncode == 1
    assert "put the keys into the environment" in refused.stderr
    assert verified.returncode == 0, verified.stderr + verified.stdout
    wait_until("the moment is long enough ago", lambda: _restored(service, until), 60)
    wait_until(
        "it is restored",
        lambda: any(row["TENANT_NAME"] == "saved" and row["STATUS"] == "NORMAL" for row in service.run("SHOW TENANTS")),
    )
    assert service.run("SELECT a FROM test.kept", "root@saved") == [{"a": 7}]
    change = (
        f"ALTER SYSTEM CHANGE EXTERNAL_STORAGE_DEST PATH = '{uri}' SET ACCESS_INFO = 'access_id={{}}&access_key={{}}'"
    )
    code, text = service.error(change.format(server.ACCESS_ID, "other-key"))
    assert (code, "the access_key is wrong" in text) == (9026, True), text
    service.run(change.format(server.ACCESS_ID, server.ACCESS_KEY))
    kept = service.home / "access.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    _check_secret(service, kept)


def test_the_demo_in_a_bucket(rgw: Rgw, bucket_uri: str) -> None:
    """As `make demo DEST=s3` plays it; a bucket that does not exist is told, and nothing is left.

    Own services: the demo's.
    """
    played = _command("demo", "--dest", bucket_uri)
    refused = _command("demo", "--dest", rgw.uri("no-such-bucket"))

    assert (played.returncode, played.stderr) == (0, "")
    assert f"ALTER SYSTEM SET backup_dest='{bucket_uri}'" in played.stdout.replace("\n", "")
    assert "every archived byte equals the engine's own log" in played.stdout
    assert "none lost" in played.stdout
    assert refused.returncode == 1
    assert "create the bucket" in refused.stderr


def test_a_round_in_a_bucket_survives_kills(service: ServiceUnderTest, rgw: Rgw, bucket_uri: str) -> None:
    """Of the worker, the service and the store: every byte of log is there once, and the lease holds nobody up.

    Own service: it is killed.
    """
    service.run(f"ALTER SYSTEM SET backup_dest = '{_with_keys(bucket_uri)}'")
    service.keep_engine_log()
    service.archive()
    with WriteLoad(service).running() as load:
        for kill in ("worker", "service", "store", "worker"):
            load.pause(1.0)
            if kill == "worker":
                kill_part(service, kill)
            elif kill == "service":
                service.kill()
                service.start()
            else:
                rgw.stop_gateway()
                wait_until("the trouble is told", lambda: re.search("refused|cannot be reached", _cause(service)))
                rgw.start_gateway()
                wait_until("it is over", lambda: not _cause(service))
        load.pause(1.0)
    service.stop_archiving()

    _download(open_destination(bucket_uri), service.backup)
    assert_archive_equals_engine(service)
    assert rgw.requests()


def _cause(service: ServiceUnderTest) -> str:
    return str(service.run("SELECT CAUSE FROM CDB_REDOUBT_ARCHIVELOG_STATUS")[0]["CAUSE"])


def _download(destination: Destination, folder: Path, prefix: str = "") -> None:
    """Copy a destination into a folder."""
    folder.mkdir(exist_ok=True)
    for info in destination.list(prefix):
        (folder / info.name.rpartition("/")[2]).write_bytes(destination.get(info.name, 0, info.size + 1))
    for name in destination.folders(prefix):
        _download(destination, folder / name, f"{prefix}/{name}" if prefix else name)


def _restored(service: ServiceUnderTest, until: str) -> bool:
    try:
        service.run(f"ALTER SYSTEM RESTORE saved FROM main UNTIL '{until}' WITH 'pool_list=p'")
    except pymysql.err.MySQLError as error:
        assert error.args[0] == 4179, error  # noqa: PT017 - the moment is too new
        return False
    return True


def _check_secret(service: ServiceUnderTest, kept: Path) -> None:
    """The key is in no file of the home but one, in no view, and in no command line."""
    for path in service.home.rglob("*"):
        if path.is_file() and path != kept and path.stat().st_size < 100 * 1024 * 1024:
            assert server.ACCESS_KEY.encode() not in path.read_bytes(), path
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert server.ACCESS_KEY.encode() not in line.read_bytes(), line
        except OSError:
            continue  # it has ended
