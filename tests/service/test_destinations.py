"""Destinations that cannot be used, become unusable, or are somebody else's."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service.cluster import ServiceUnderTest, WriteLoad, assert_archive_equals_engine, wait_until


def _refusal(service: ServiceUnderTest, uri: str) -> str:
    """The text of the 9026 that a destination gets."""
    code, text = service.error(f"ALTER SYSTEM SET backup_dest = '{uri}'")
    assert code == 9026
    assert text.startswith("backup destination is not valid: ")
    return text


def test_a_destination_is_tried_when_it_is_set(
    shared_service: ServiceUnderTest, tmp_path: Path, small_disk: Path
) -> None:
    """A missing mount, a file, a full and a read-only disk, and texts that are no destination: path and cause named."""
    (tmp_path / "file").write_text("")
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))

    assert f"{tmp_path}/none is not a directory" in _refusal(shared_service, f"file://{tmp_path}/none")
    assert f"{tmp_path}/file is not a directory" in _refusal(shared_service, f"file://{tmp_path}/file")
    assert "No space left on device (free some space there" in _refusal(shared_service, f"file://{small_disk}")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert "mount the file system read-write" in _refusal(shared_service, f"file://{small_disk}")
    assert "write the destination as file:///absolute/path" in _refusal(shared_service, "gs://bucket")
    assert "name the store's host" in _refusal(shared_service, "s3://bucket")
    assert "with three slashes" in _refusal(shared_service, "file://relative")
    assert "must be shorter than 2,048 bytes" in _refusal(shared_service, "file:///" + "x" * 2048)
    assert "must be shorter than 1,024 bytes" in _refusal(shared_service, "file:///" + "x" * 1024)
    assert shared_service.error("ALTER SYSTEM SET backup_dest = 'file:///a?b=c'") == (
        1235,
        "backup device is nfs, additional parameters are not supported",
    )
    assert shared_service.run("SHOW PARAMETERS LIKE 'backup_dest'")[0]["value"] == ""


def test_a_destination_is_tried_again_when_a_round_begins(shared_service: ServiceUnderTest) -> None:
    """What was fine at SET and is gone at ARCHIVELOG is 9026, and the round does not begin."""
    shared_service.run(f"ALTER SYSTEM SET backup_dest = 'file://{shared_service.backup}'")
    shared_service.backup.rmdir()

    code, text = shared_service.error("ALTER SYSTEM ARCHIVELOG")
    assert (code, f"{shared_service.backup} is not a directory" in text) == (9026, True)
    assert shared_service.status() == "STOP"
    shared_service.backup.mkdir()
    shared_service.archive()


def test_another_clusters_archive_is_not_touched(shared_service: ServiceUnderTest, tmp_path: Path) -> None:
    """A foreign archive under the same name is refused at SET, and at ARCHIVELOG if it came later."""
    foreign = shared_service.backup / "redoubt" / "1" / "incarnation_1" / "cluster_clog_backup_info"
    foreign.parent.mkdir(parents=True)
    info = json.dumps({"cluster": "redoubt", "cluster_id": 1, "identity": "somebody else", "format": 1})
    foreign.write_text(info)
    assert "already holds a log archive" in _refusal(shared_service, f"file://{shared_service.backup}")

    foreign.unlink()
    shared_service.run(f"ALTER SYSTEM SET backup_dest = 'file://{shared_service.backup}'")
    foreign.write_text(info)
    assert "another cluster" in shared_service.error("ALTER SYSTEM ARCHIVELOG")[1]
    foreign.write_text("rubbish")
    assert "not JSON" in shared_service.error("ALTER SYSTEM ARCHIVELOG")[1]
    foreign.unlink()
    shared_service.round_folder(1).mkdir(parents=True)
    (shared_service.round_folder(1) / "something").write_text("")
    assert "is not empty; choose" in shared_service.error("ALTER SYSTEM ARCHIVELOG")[1]
    assert shared_service.status() == "STOP"


@pytest.fixture
def bound_disk(shared_service: ServiceUnderTest, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Mounts and unmounts a disk at the service's destination: called with `mount` or `umount`."""
    disk, point = tmp_path / "disk", str(shared_service.backup)
    disk.mkdir()
    words = {"mount": ["mount", "--bind", str(disk), point], "umount": ["umount", "--lazy", point]}
    done: list[str] = []

    def change(what: str) -> None:
        subprocess.run(words[what], check=True)
        done.append(what)

    yield change
    if done[-1:] == ["mount"]:
        change("umount")


def test_an_unmounted_disk_is_no_new_destination(
    shared_service: ServiceUnderTest, bound_disk: Callable[[str], None]
) -> None:
    """Neither for a new round, nor for SET, nor for a data backup; nothing is written on the disk below."""
    service, point = shared_service, shared_service.backup
    bound_disk("mount")
    service.archive()
    service.stop_archiving()
    bound_disk("umount")
    refused = [
        service.error("ALTER SYSTEM ARCHIVELOG"),
        service.error(f"ALTER SYSTEM SET backup_dest = 'file://{point}/'"),
    ]
    left = list(point.iterdir())
    bound_disk("mount")
    service.archive()
    bound_disk("umount")
    service.run("ALTER SYSTEM BACKUP DATABASE")
    query = "SELECT STATUS, CAUSE FROM CDB_REDOUBT_BACKUP_SETS WHERE TENANT_ID = 1 ORDER BY BS_KEY DESC LIMIT 1"
    backup = wait_until("it ends", lambda: (rows := service.run(query)) and rows[0]["STATUS"] != "DOING" and rows)
    left += list(point.iterdir())
    bound_disk("mount")
    service.stop_archiving()

    assert [code for code, _ in refused] == [9026, 9026]
    assert all("mount the backup disk again" in text for _, text in refused)
    assert backup[0]["STATUS"] == "FAILED"
    assert "check that the backup disk is mounted" in backup[0]["CAUSE"]
    assert left == []


def test_a_full_disk_is_waited_out(service: ServiceUnderTest, small_disk: Path) -> None:
    """Trouble shows in the status, writers do not notice, and archiving goes on by itself when there is space.

    Own service: its log must be short, for a small disk to hold its beginning.
    """
    subprocess.run(["mount", "-o", "remount,size=3m", str(small_disk)], check=True)
    service.keep_engine_log()
    service.backup = small_disk
    service.archive("optional compression= zstd_1.3.8")
    with WriteLoad(service).running() as load:
        wait_until("the disk is full", lambda: "No space left" in _comment(service))
        commits = load.commits
        wait_until("writers go on", lambda: load.commits > commits + 100)
        assert service.status() == "DOING"
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        wait_until("the trouble is over", lambda: _comment(service) == "")
    service.stop_archiving()

    assert_archive_equals_engine(service)


def _comment(service: ServiceUnderTest) -> str:
    rows = service.run("SELECT comment FROM __all_backup_log_archive_status_v2 WHERE tenant_id = 1001")
    return str(rows[0]["comment"]) if rows else ""


def test_a_round_that_cannot_be_stored_still_stops(hasty_service: ServiceUnderTest, small_disk: Path) -> None:
    """NOARCHIVELOG is bounded in time when the disk stays full; the round ends with what is durable, and says why.

    Own service: it is configured to wait two seconds only.
    """
    service = hasty_service
    service.keep_engine_log()
    service.backup = small_disk
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    service.archive("optional compression= disable")
    with WriteLoad(service).running():
        wait_until("the disk is full", lambda: "No space left" in _comment(service))
    service.run("ALTER SYSTEM NOARCHIVELOG")
    service.wait_for_status("STOP", timeout=40)

    history = "__all_backup_log_archive_status_history_v2"
    where = f"tenant_id = 1001 AND log_archive_round = {service.round_number()}"
    rows = service.run(f"SELECT comment FROM {history} WHERE {where}")
    assert "No space left" in str(rows[0]["comment"])
    assert_archive_equals_engine(service)
    assert not (service.main_dir / "redoubt" / "held").exists()


def test_a_vanished_destination_is_not_written_beside(shared_service: ServiceUnderTest, tmp_path: Path) -> None:
    """When the mount goes, nothing lands on the disk below; when it comes back, archiving goes on."""
    shared_service.keep_engine_log()
    shared_service.archive()
    aside = tmp_path / "aside"
    shutil.move(shared_service.backup, aside)
    shared_service.backup.mkdir()
    with WriteLoad(shared_service).running():
        wait_until("the trouble is told", lambda: "check that the backup disk is mounted" in _comment(shared_service))
    assert list(shared_service.backup.iterdir()) == []

    shared_service.backup.rmdir()
    shutil.move(aside, shared_service.backup)
    wait_until("the trouble is over", lambda: _comment(shared_service) == "")
    shared_service.stop_archiving()
    assert_archive_equals_engine(shared_service)
