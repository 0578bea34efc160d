"""Drills of a real archive: what they find, what they leave behind, and what is on record of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from redoubt.rehearsal.fingerprint import Fingerprint, dump_fingerprint
from tests.processes import is_alive
from tests.service.cluster import copy_destination, wait_until

from .conftest import PASSWORD, Archive


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for scratch directories, in which a drill leaves nothing."""
    path = tmp_path_factory.mktemp("s")
    yield path
    assert list(path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of 16 MiB."""
    path = tmp_path_factory.mktemp("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", str(path)], check=True)


def _command(uri: str, scratch: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "redoubt", "drill", uri, "--scratch", str(scratch), *options]


def _drill(uri: str, scratch: Path, *options: str, password: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(uri, scratch, *options),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
        env=os.environ | {"REDOUBT_PASSWORD": password},
    )


def _copy(archive: Archive, folder: Path) -> tuple[str, Path]:
    """A destination of one's own: its URI, and the folder of its data backup."""
    copy = folder / "copy"
    copy_destination(archive.service.backup, copy)
    return f"file://{copy}", copy / archive.set_folder.relative_to(archive.service.backup)


def _records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("drill_*"))]


def test_a_drill_passes_with_the_account_of_the_service_and_is_on_record(archive: Archive, scratch: Path) -> None:
    """Every table and index is counted, the schema is the recorded one; the destination and the view say so."""
    run = _drill(archive.uri, scratch, "--full", "--json", "--home", str(archive.service.home))
    said = json.loads(run.stdout)
    rows = archive.service.run("SELECT * FROM CDB_REDOUBT_DRILLS ORDER BY STARTED DESC LIMIT 1")

    assert (run.returncode, run.stderr, said["verdict"], said["cause"]) == (0, "", "PASSED", "")
    assert said["checked"].startswith("3 tables and 28 system tables read, 7 rows counted by table and index")
    assert "the schema at the snapshot matches the fingerprint" in said["checked"]
    assert said["end_scn"] > archive.summary.snapshot_scn
    assert said["laying_us"] > 0
    assert said["opening_us"] > 0
    assert _records(archive.set_folder)[-1]["checked"] == said["checked"]
    assert (rows[0]["TENANT_ID"], rows[0]["BS_KEY"], rows[0]["VERDICT"]) == (1001, 1, "PASSED")
    assert rows[0]["END_SCN"] == said["end_scn"]
    assert float(rows[0]["SECONDS"]) == pytest.approx(said["seconds"], abs=0.002)


def test_a_drill_at_the_snapshot_checks_with_the_user_s_own_sql(archive: Archive, scratch: Path) -> None:
    """Statements run as the named user, on what was there at that moment."""
    query = "SET @most = 3; SELECT COUNT(*) = @most FROM shop.item; SELECT name = 'a' FROM shop.item WHERE id = 1"
    at = ("--scn", str(archive.summary.snapshot_scn))
    run = _drill(archive.uri, scratch, *at, "--user", "clerk", "--query", query, password="of-the-clerk")

    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("PASSED\n3 user statements\n")


@pytest.mark.parametrize(
    ("sql", "cause"),
    [
        ("SELECT 1; SELECT COUNT(*) FROM shop.item WHERE id > 100", "statement 2 returned 0"),
        ("SELECT id FROM shop.item WHERE id > 100", "statement 1 returned no row"),
        ("SELECT 1; SELECT * FROM shop.nothing", "statement 2 failed: Table 'shop.nothing' doesn't exist (error 1146)"),
    ],
)
def test_a_check_that_does_not_hold_fails_the_drill(
    archive: Archive, scratch: Path, tmp_path: Path, sql: str, cause: str
) -> None:
    """Status 2, and which statement it was, also on record."""
    file = tmp_path / "check.sql"
    file.write_text(sql)
    run = _drill(archive.uri, scratch, "--tenant", "main", "--sql", str(file), password=PASSWORD)

    assert run.returncode == 2
    assert cause in run.stdout
    assert cause in [record["cause"] for record in _records(archive.set_folder)]


def test_with_nobody_s_password_the_verdict_says_how_far_it_came(archive: Archive, scratch: Path) -> None:
    """The engine took the log and opened: a verdict and a status of its own."""
    run = _drill(archive.uri, scratch, "--json", password="wrong")
    said = json.loads(run.stdout)

    assert (run.returncode, said["verdict"]) == (3, "OPENED")
    assert "its tables were not checked: no login succeeded (root); give --user" in said["cause"]


def test_another_schema_than_the_recorded_one_fails_the_drill(archive: Archive, scratch: Path, tmp_path: Path) -> None:
    """A fingerprint with other figures stands for an engine that has lost a table."""
    uri, folder = _copy(archive, tmp_path)
    path = folder / "fingerprint"
    recorded = json.loads(path.read_text())
    lines = [line.split() for line in recorded["tables"].splitlines()]
    changed = "\n".join(f"{name} {int(rows) + (name == '__all_table')} {digest}" for name, rows, digest in lines)
    path.write_bytes(dump_fingerprint(Fingerprint(recorded["scn"], changed)))
    run = _drill(uri, scratch, password=PASSWORD)

    assert run.returncode == 2
    assert "the schema differs from the snapshot: __all_table has" in run.stdout


def test_a_damaged_part_fails_the_drill_by_its_name(archive: Archive, scratch: Path, tmp_path: Path) -> None:
    """The restore refuses it; nothing is started, and the record says why."""
    uri, folder = _copy(archive, tmp_path)
    part = folder / "part_00000001.zst"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.chmod(0o600)
    part.write_bytes(data)
    run = _drill(uri, scratch, password=PASSWORD)

    assert run.returncode == 2
    assert "part_00000001.zst is damaged" in run.stdout
    assert "part_00000001.zst is damaged" in _records(folder)[-1]["cause"]


def test_a_drill_that_is_kept_leaves_a_directory_that_no_later_one_removes(archive: Archive, tmp_path: Path) -> None:
    """It says where; a drill that cannot be done ends with 1 and leaves nothing."""
    kept = json.loads(_drill(archive.uri, tmp_path, "--keep", "--json", password=PASSWORD).stdout)
    too_early = _drill(archive.uri, tmp_path, "--until", "2001-01-01", "--utc", password=PASSWORD)

    assert (too_early.returncode, too_early.stdout) == (1, "")
    assert "the moment is before the first data backup" in too_early.stderr
    assert [Path(kept["directory"]).parent] == list(tmp_path.iterdir())
    assert (Path(kept["directory"]) / "store").is_dir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_drill_that_is_ended_leaves_no_engine_and_no_directory(
    archive: Archive, scratch: Path, number: signal.Signals
) -> None:
    """SIGTERM: at once. SIGKILL: the engine ends by itself, the directory goes when the next drill begins."""
    drill = subprocess.Popen(_command(archive.uri, scratch), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pid_file = wait_until("an engine runs", lambda: next(scratch.glob("redoubt-drill-*/d/run/seekdb.pid"), None))
    pid = int(wait_until("its pid is there", pid_file.read_text))
    drill.send_signal(number)
    drill.communicate(timeout=60)
    wait_until("the engine ends", lambda: not is_alive(pid))

    if number == signal.SIGTERM:
        assert drill.returncode == 128 + number
        assert list(scratch.iterdir()) == []
    else:
        next_one = _drill(archive.uri, scratch, password="wrong")
        assert next_one.returncode == 3


def test_a_scratch_disk_without_room_is_named(archive: Archive, small_disk: Path) -> None:
    """Status 1: nothing is wrong with the backup, and nothing is put on record."""
    before = len(_records(archive.set_folder))
    run = _drill(archive.uri, small_disk)

    assert run.returncode == 1
    assert "bytes free, but has" in run.stderr
    assert "name a folder on another disk with --scratch" in run.stderr
    assert [path.name for path in small_disk.iterdir()] == []
    assert len(_records(archive.set_folder)) == before


def test_mistakes_are_told(archive: Archive, tmp_path: Path) -> None:
    """No such tenant, a time without offset, no destination, a folder that cannot be made, two moments."""
    uri = archive.uri
    wrong = [
        (_drill(uri, tmp_path, "--tenant", "other"), "'other' found; tenants with a backup: main (id 1001)"),
        (_drill(uri, tmp_path, "--until", "2026-11-23 12:00"), "add the offset"),
        (_drill("nowhere", tmp_path), "write the destination as file:///absolute/path"),
        (_drill(f"file://{tmp_path}", tmp_path), "name the tenant with --tenant; tenants with a backup: none"),
        (_drill(uri, Path("/dev/null/x")), "name another folder with --scratch"),
    ]

    for run, text in wrong:
        assert (run.returncode, run.stdout) == (1, "")
        assert text in run.stderr
    assert _drill(uri, tmp_path, "--latest", "--scn", "5").returncode == 2
