"""Second backups as a user has them: copies by SQL, a drill in the copy alone, a damaged archive mended from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.service.cluster import ServiceUnderTest, wait_until


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "redoubt", *words], capture_output=True, text=True, check=False, timeout=200
    )


def _wait_for_job(service: ServiceUnderTest, kind: str) -> None:
    """Wait for the job that runs; it was successful."""
    wait_until("the second backup is over", lambda: not service.run(f"SELECT * FROM CDB_OB_BACKUP_{kind}_JOB"))
    last = service.run(f"SELECT * FROM CDB_OB_BACKUP_{kind}_JOB_HISTORY ORDER BY JOB_ID")[-1]
    assert (last["STATUS"], last["RESULT"], last["COMMENT"]) == ("FINISH", 0, "")


def test_second_backups(shared_service: ServiceUnderTest, tmp_path: Path) -> None:
    """Copies of log and data; a drill in the copy while the original is away; repair; deletion of a copy.

    Starts engines: one of a drill.
    """
    service, second = shared_service, tmp_path / "second"
    second.mkdir()
    second_uri = f"file://{second}"
    service.archive()
    service.run("CREATE TABLE test.kept (a INT)", "root@main")
    service.run("ALTER SYSTEM BACKUP DATABASE")
    sets = "SELECT BS_KEY, STATUS FROM CDB_OB_BACKUP_SET_FILES WHERE TENANT_ID = 1 ORDER BY BS_KEY"
    wait_until("the data backup is over", lambda: service.run(sets)[-1]["STATUS"] == "SUCCESS")
    service.run("INSERT INTO test.kept VALUES (1), (2), (3)", "root@main")
    assert service.error("ALTER SYSTEM BACKUP BACKUPSET ALL")[0] == 9026
    service.run(f"ALTER SYSTEM SET backup_backup_dest = '{second_uri}'")
    service.run("ALTER SYSTEM BACKUP BACKUPSET ALL")
    _wait_for_job(service, "BACKUPSET")
    service.write_log()
    service.stop_archiving()
    service.run("ALTER SYSTEM BACKUP BACKUPPIECE ALL")
    _wait_for_job(service, "BACKUPPIECE")

    number = service.run(sets)[-1]["BS_KEY"]
    for view, key in (("SET_FILES", f"BS_KEY = {number}"), ("PIECE_FILES", f"ROUND_ID = {service.round_number()}")):
        copies = service.run(
            f"SELECT TENANT_ID, COPY_ID, FILE_STATUS FROM CDB_OB_BACKUP_{view} WHERE {key} AND COPY_ID > 0"
        )
        assert sorted(tuple(row.values()) for row in copies) == [(1, 1, "AVAILABLE"), (1001, 1, "AVAILABLE")], view
    for file in (
        each for each in second.rglob("*") if each.is_file() and each.name not in {"writer", "second_backup_info"}
    ):
        assert file.read_bytes() == (service.backup / file.relative_to(second)).read_bytes(), file
    status = json.loads(_command("status", "--home", str(service.home), "--json").stdout)["last_second_backup"]
    assert (status["kind"], status["status"], status["backup_dest"]) == ("BACKUPPIECE", "FINISH", second_uri)

    away = service.backup.rename(service.backup.with_name("away"))
    drilled = _command("drill", second_uri, "--query", "SELECT COUNT(*) = 3 FROM test.kept", "--json")
    away.rename(service.backup)
    assert drilled.returncode == 0, drilled.stderr + drilled.stdout
    assert json.loads(drilled.stdout)["verdict"] == "PASSED", drilled.stdout

    verified = _command("verify", second_uri)
    assert verified.returncode == 0, verified.stdout

    part = _damage_and_repair(service, second_uri)
    _keep_and_let_go(service, number)
    service.run(f"ALTER SYSTEM DELETE BACKUPSET {number} COPY 1")
    copy = f"SELECT FILE_STATUS AS s FROM CDB_OB_BACKUP_SET_FILES WHERE BS_KEY = {number} AND COPY_ID = 1"
    wait_until("the copy is deleted", lambda: {row["s"] for row in service.run(copy)} == {"DELETED"})
    assert not any(second.rglob("part_*"))
    assert part.exists()


def _keep_and_let_go(service: ServiceUnderTest, number: int) -> None:
    """Keep a data backup: it cannot be deleted until NOKEEP."""
    service.run(f"ALTER SYSTEM CHANGE BACKUPSET {number} KEEP")
    kept = f"SELECT DISTINCT KEEP, KEEP_UNTIL FROM CDB_OB_BACKUP_SET_FILES WHERE BS_KEY = {number} AND COPY_ID = 0"
    assert service.run(kept) == [{"KEEP": "YES", "KEEP_UNTIL": "MAX"}]
    refused = service.error(f"ALTER SYSTEM DELETE BACKUPSET {number}")
    assert (refused[0], f"run ALTER SYSTEM CHANGE BACKUPSET {number} NOKEEP first" in refused[1]) == (9045, True), (
        refused
    )
    service.run(f"ALTER SYSTEM CHANGE BACKUPSET {number} NOKEEP")
    assert service.run(kept) == [{"KEEP": "NO", "KEEP_UNTIL": ""}]
    service.run("ALTER SYSTEM SET backup_recovery_window = '1s'")
    assert service.run("ALTER SYSTEM DELETE OBSOLETE BACKUP PREVIEW") == [], "the only data backup is needed"


def _damage_and_repair(service: ServiceUnderTest, second_uri: str) -> Path:
    """Flip a bit of a segment, lose a part, and mend both; returns the part."""
    first_uri = f"file://{service.backup}"
    segment = service.segments()[0]
    sound = segment.read_bytes()
    segment.chmod(0o600)
    segment.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    part = next(service.backup.rglob("part_*"))
    part.unlink()
    damaged = _command("verify", first_uri, "--all")
    assert (damaged.returncode, damaged.stdout.count("DAMAGED ")) == (2, 2), damaged.stdout
    repaired = _command("verify", first_uri, "--all", "--repair", second_uri)
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert repaired.stdout.count("1 object stored again") == 2, repaired.stdout
    assert segment.read_bytes() == sound
    return part
