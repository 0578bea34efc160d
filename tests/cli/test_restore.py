"""`redoubt restore`: what it prints, its exit status, and what it says when it refuses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from redoubt.archive.record import load_record
from redoubt.cli import progress
from redoubt.cli import restore as command
from redoubt.cli.main import app
from redoubt.engines.seekdb.log_layer import SeekdbLogLayer
from redoubt.moments import MomentError, instant, moment
from redoubt.restore.restoring import Restored
from tests.restore.small import SmallArchive, assert_restored, ordinary

KILLED_AFTER = """
import os, signal, sys
from redoubt.cli.main import app
from redoubt.restore import base_files, laying, restoring

base_files._SYNC_EVERY = laying._SYNC_EVERY = 1
limit, tell = int(sys.argv.pop(1)), restoring.Restoration._tell

def dying(self, size):
    tell(self, size)
    if self._done >= limit:
        os.kill(os.getpid(), signal.SIGKILL)

restoring.Restoration._tell = dying
app()
"""


def run(*arguments: str | Path | int) -> tuple[int, str, str]:
    """Exit status, standard output and error of the command, in this process; no engine could open what is restored."""
    result = CliRunner().invoke(app, ["restore", "--no-start", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def archive() -> SmallArchive:
    """A small archive."""
    return ordinary()


@pytest.fixture
def uri(archive: SmallArchive, tmp_path: Path) -> str:
    """It, as a directory."""
    return archive.to_files(tmp_path / "backup")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A directory that is not there."""
    return tmp_path / "target"


def result_of(target: Path) -> Any:
    """What a directory says that it was made of."""
    return load_record(Restored, (target / "redoubt" / "restored_from").read_bytes())


def test_a_plan_is_shown_and_carried_out(archive: SmallArchive, uri: str, target: Path) -> None:
    """Tenant, base, pieces, bytes, and the exact place; then how to open what there is."""
    status, out, err = run(uri, "--tenant", "main", "--scn", 850, "--to", target)
    lines = out.splitlines()

    assert (status, err) == (0, "")
    assert lines[0] == "tenant  main (id 1001) of redoubt#1"
    assert lines[1].startswith("base    set 1, taken 1970-01-01T00:00:00.000000Z, ")
    assert lines[2].startswith(f"log     piece 1_1_20261123: LSN 0 to {archive.ends[6].lsn}, 1 segments, ")
    assert lines[3].startswith(
        f"log     piece 1_2_20261123: LSN {archive.ends[6].lsn} to {archive.ends[8].lsn}, 2 segm"
    )
    assert lines[5:8] == [
        "asked   for SCN 850, 1970-01-01T00:00:00.000000Z",
        "stops   at SCN 800, 1970-01-01T00:00:00.000000Z",
        f"into    {target}",
    ]
    assert (
        lines[8] == f"restored: pylibseekdb.open({str(target)!r}) opens it, with the users and passwords of that moment"
    )
    assert_restored(archive, target, result_of(target))


def test_what_no_engine_opens_is_said(uri: str, target: Path) -> None:
    """It is restored as it was backed up; that this is no engine's directory shows when one is started."""
    result = CliRunner().invoke(app, ["restore", uri, "--tenant", "main", "--latest", "--to", str(target)])

    assert (result.exit_code, "restored: " in result.stdout) == (1, False)
    assert "redoubt: the engine in" in result.stderr
    assert result_of(target).end.scn == 1200


def test_a_first_start_that_is_interrupted_says_what_is_left(
    uri: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is restored is restored."""
    monkeypatch.setattr(command, "start_once", mock.Mock(side_effect=KeyboardInterrupt))
    result = CliRunner().invoke(app, ["restore", uri, "--tenant", "main", "--latest", "--to", str(target)])

    assert result.exit_code == 130
    assert f"to finish the first start, run redoubt replay {target}" in result.stderr


def test_a_dry_run_ends_with_the_plan(uri: str, target: Path) -> None:
    """For people and for programs."""
    status, out, _ = run(uri, "--tenant", "MAIN", "--latest", "--to", target, "--dry-run")
    assert (status, "stops   at SCN 1200" in out, "restored" in out, target.exists()) == (0, True, False, False)
    assert "asked" not in out
    status, out, _ = run(uri, "--tenant", "1001", "--latest", "--to", target, "--dry-run", "--json")
    said = json.loads(out)

    assert (status, said["restored"], said["plan"]["end_scn"], target.exists()) == (0, None, 1200, False)
    assert (said["plan"]["asked_scn"], said["plan"]["asked_time"]) == (None, None)
    assert said["plan"]["bytes"] == said["plan"]["end_lsn"] + said["plan"]["base"]["bytes"]
    assert [part["piece"] for part in said["plan"]["log"]] == ["1_1_20261123", "1_2_20261123"]


def test_a_time_names_a_moment(uri: str, target: Path) -> None:
    """With its offset, or with --utc; to the nanosecond."""
    when = "1970-01-01T08:00:00.000000450"
    _, with_offset, _ = run(uri, "--tenant", "main", "--until", f"{when}+08:00", "--to", target, "--dry-run")
    _, in_utc, _ = run(
        uri, "--tenant", "main", "--until", when.replace("08", "00"), "--utc", "--to", target, "--dry-run"
    )
    status, _, err = run(uri, "--tenant", "main", "--until", when, "--to", target)

    for said in (with_offset, in_utc):
        assert "asked   for SCN 450, 1970-01-01T00:00:00.000000Z" in said, "the offset was understood as it was meant"
        assert "stops   at SCN 400," in said
    assert (status, "has no offset; add the offset (+08:00, or Z for UTC), or give --utc" in err) == (1, True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "name the moment with one of --until TIME, --scn N and --latest"),
        (["--latest", "--scn", "500"], "name the moment with one of"),
        (["--until", "yesterday"], "'yesterday' is not a time; write it as"),
        (["--scn", "200"], "that moment cannot be restored: the moment is before the first data backup"),
        (["--scn", "200"], "the nearest restorable moment after it: --scn 300 (1970-01-01T00:00:00.000000Z)"),
        (["--scn", "2000"], "the nearest restorable moment before it: --scn 1200 (1970"),
        (["--latest", "--tenant", "shop"], "no backup of tenant 'shop' found; tenants with a backup: main (id 1001)"),
        (["--latest", "--cluster-id", "7"], "no backup of tenant 'main' found; tenants with a backup: none"),
    ],
)
def test_what_is_refused_has_its_reason(uri: str, target: Path, options: list[str], text: str) -> None:
    """Exit status 1, and nothing is written."""
    tenant = [] if "--tenant" in options else ["--tenant", "main"]
    status, out, err = run(uri, *tenant, "--to", target, *options)

    assert (status, out, target.exists()) == (1, "", False)
    assert text in err


def test_refusals_for_programs(uri: str, target: Path) -> None:
    """The error, and the nearest moments where there are any."""
    status, out, _ = run(uri, "--tenant", "main", "--scn", 2000, "--to", target, "--json")
    assert (status, json.loads(out)) == (
        1,
        {
            "error": "the moment is after the end of the archived log",
            "before": {"scn": 1200, "time": "1970-01-01T00:00:00.000001Z"},
            "after": None,
        },
    )
    _, out, _ = run("file:///nowhere", "--tenant", "main", "--latest", "--to", target, "--json")
    assert json.loads(out)["error"].startswith("/nowhere is not a directory: correct the path")
    _, out, _ = run(f"{uri}/redoubt", "--tenant", "main", "--latest", "--to", target, "--json")
    assert json.loads(out)["error"].startswith(f"no backup found in {uri}/redoubt; name the backup_dest")
    _, out, _ = run("gs://bucket", "--tenant", "main", "--latest", "--to", target, "--json")
    assert "write the destination as file:///absolute/path" in json.loads(out)["error"]


def test_a_directory_that_is_not_empty_and_damage_are_refused(archive: SmallArchive, tmp_path: Path) -> None:
    """Nothing is said to be done."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "notes").touch()
    uri = archive.to_files(tmp_path / "backup")
    status, _, err = run(uri, "--tenant", "main", "--latest", "--to", target)
    assert (status, "is not empty" in err) == (1, True)
    (target / "notes").unlink()
    part = tmp_path / "backup" / archive.plan(None).base_store.path.part(3)
    part.write_bytes(part.read_bytes()[:-1])
    status, out, err = run(uri, "--tenant", "main", "--latest", "--to", target)

    assert (status, "part_00000003.zst is damaged" in err, "restored:" in out) == (1, True, False)


def test_what_should_be_known_is_said(archive: SmallArchive, tmp_path: Path) -> None:
    """A directory that no engine can be opened in; what was done without."""
    archive.take_base(2)
    uri = archive.to_files(tmp_path / "backup")
    manifest = archive.plan(None).base_store.path.manifest
    (tmp_path / "backup" / manifest).write_bytes(b"{")
    deep = tmp_path / ("x" * 100)
    _, out, _ = run(uri, "--tenant", "main", "--latest", "--to", deep, "--dry-run")

    socket = f"{deep}/run/sql.sock"
    assert f"warning: an engine cannot start there: the path of the unix socket {socket} is longer than 107" in out
    assert "warning: ignored unreadable backup data: " in out


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.8, 0.95])
def test_a_killed_restore_goes_on(archive: SmallArchive, uri: str, target: Path, share: float) -> None:
    """SIGKILL after some bytes; the same command goes on to the same moment, though the archive has grown."""
    plan = archive.plan(None)
    limit = int((plan.base_bytes + plan.log_bytes) * share)
    arguments = [uri, "--tenant", "main", "--latest", "--to", str(target)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_AFTER, str(limit), "restore", "--no-start", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (target / "redoubt" / "restored_from").exists()
    archive.write(2)
    archive.take_base(2)
    archive.to_files(Path(uri.removeprefix("file://")))
    status, out, err = run(*arguments)

    assert (status, err) == (0, ""), out
    assert result_of(target).end.scn == 1200
    assert_restored(archive, target, result_of(target))


def test_an_interrupted_restore_says_how_to_go_on(uri: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C has the exit status that shells give it."""

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SeekdbLogLayer, "lay", interrupt)
        status, _, err = run(uri, "--tenant", "main", "--latest", "--to", target)

    assert (status, f"run the same command again to continue the restore into {target}" in err) == (130, True)
    assert run(uri, "--tenant", "main", "--latest", "--to", target)[0] == 0


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """With bytes and the time that is left."""
    terminal = Console(force_terminal=True, width=120, record=True)
    with progress.shown_progress(terminal, "restoring") as tell:
        tell(50, 100)
    assert "50/100 bytes" in terminal.export_text()
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)  # type: ignore[attr-defined]
    lines = Console(force_terminal=False, width=120, record=True)
    with progress.shown_progress(lines, "restoring") as tell:
        for now in (1.0, 20.0, 21.0):
            tell(int(now), 40)
    assert lines.export_text() == "restoring: 20 of 40 bytes, about 20 s left\n"


@given(scn=st.integers(0, 4 * 10**18))
def test_a_moment_is_read_as_it_is_written(scn: int) -> None:
    """To the microsecond as it is shown; to the nanosecond with nine digits."""
    shown = instant(scn)

    assert moment(shown, utc=False) == scn // 1000 * 1000
    assert moment(f"{shown[:-1]}{scn % 1000:03d}Z", utc=False) == scn


@pytest.mark.parametrize(
    ("text", "scn"),
    [
        ("2026-11-23T14:26:47.494062+08:00", 1795415207494062000),
        ("2026-11-23 06:26:47,5Z", 1795415207500000000),
        ("2026-11-23T06:26Z", 1795415160000000000),
        ("20261123T062647.25Z", 1795415207250000000),
    ],
)
def test_iso_8601_is_read(text: str, scn: int) -> None:
    """In its usual forms."""
    assert moment(text, utc=False) == scn


@pytest.mark.parametrize("text", ["", "now", "2026-13-01T00:00:00Z", "2026-11"])
def test_no_time_is_refused(text: str) -> None:
    """The message says how to write one."""
    with pytest.raises(MomentError, match="is not a time; write it as 2026-11-23T14:26:47"):
        moment(text, utc=True)
    with pytest.raises(MomentError, match="more precise than a nanosecond"):
        moment("2026-11-23T14:26:47.1234567890Z", utc=True)
