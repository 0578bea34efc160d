"""What is printed on terminals of any width, and in rarer states."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from redoubt.archive.segment import SegmentName
from redoubt.cli import connecting, demo, status
from redoubt.cli.demo_cluster import DemoFailedError
from redoubt.cli.printing import print_rows
from redoubt.engines.seekdb import account
from redoubt.home import Home, HomeError, Running


def test_rows_too_wide_for_the_terminal_are_shown_one_under_the_other() -> None:
    """As MySQL's client does on request."""
    stream = io.StringIO()
    print_rows(Console(file=stream, width=20), ["id", "note"], [(1, "a text of some length"), (2, None)])

    assert stream.getvalue().splitlines()[0] == "*** 1. row ***"
    assert "note: NULL" in stream.getvalue()


NOTHING: dict[str, Any] = {
    "service": None,
    "round": {"round_id": 0, "status": "STOP", "backup_dest": "", "comment": ""},
    "tenants": [],
    "pieces": [],
    "health": [],
    "holes": [],
    "last_backup_set": None,
    "last_second_backup": None,
}
HEALTH = {
    "tenant_id": 1001,
    "tenant_name": "main",
    "health": "GATED",
    "cause": "disk full",
    "since": "2026-01-02T03:04:05.000000Z",
    "mode": "MANDATORY",
    "sync_commit": "SYNC",
    "gate": "CLOSED",
    "backlog_bytes": 7,
}
HOLE = {
    "tenant_id": 1001,
    "after_round": 1,
    "status": "OPEN",
    "start_lsn": 10,
    "start_time": "t1",
    "end_lsn": None,
    "end_time": None,
    "cause": "disk full",
}


def test_a_status_without_rounds_or_with_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that is not there is shown; what holds archiving up is."""
    status._print(NOTHING)
    status._print(NOTHING | {"round": NOTHING["round"] | {"comment": "disk full"}})

    assert capsys.readouterr().out.splitlines() == ["round 0: STOP", "round 0: STOP", "disk full"]
    assert status._utc(0) is None


def test_engines_that_nothing_confines_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Once a person can do something about it."""
    running = {"pid": 1, "host": "127.0.0.1", "port": 2881, "troubles": {}}
    status._print(NOTHING | {"service": running | {"confinement": ""}})
    status._print(NOTHING | {"service": running | {"confinement": "Landlock"}})
    lines = capsys.readouterr().out.splitlines()

    assert [line for line in lines if "not confined" in line] == [
        "engines are not confined: read docs/SECURITY.md, and give nobody FILE"
    ]


def test_parts_of_the_service_that_fail_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With the cause, as long as they fail."""
    running = {"pid": 1, "host": "h", "port": 2, "confinement": "Landlock", "troubles": {"journal": "OSError: [x]"}}
    status._print(NOTHING | {"service": running})

    assert "journal: fails, and is begun again: OSError: [x]" in capsys.readouterr().out.splitlines()


def test_only_the_present_rounds_pieces_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """A cluster has hundreds of them after a year."""
    names = ("tenant_id", "piece_id", "status", "file_status", "start_time", "checkpoint_time")
    pieces = [dict.fromkeys(names, f"of round {number}") | {"round_id": number} for number in (1, 2, 2, 3)]
    status._print(NOTHING | {"round": NOTHING["round"] | {"round_id": 3}, "pieces": pieces})
    shown = capsys.readouterr().out

    assert "of round 3" in shown
    assert "of round 2" not in shown
    assert "and 3 pieces of earlier rounds" in shown


def test_no_archive_is_ahead_of_the_clock() -> None:
    """Though an engine's SCNs may be, after its restart."""
    row: dict[str, Any] = defaultdict(int, status="DOING", checkpoint_scn=time.time_ns() + 5_000_000_000)

    assert status._round(row)["lag_seconds"] == 0


def test_the_last_data_backup_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With why it failed, if it did."""
    monkeypatch.setenv("COLUMNS", "200")
    row = {
        "bs_key": 3,
        "status": "FAILED",
        "file_status": "BROKEN",
        "start_time": 10**9,
        "completion_time": 2 * 10**9,
        "snapshot_scn": 0,
        "input_bytes": 0,
        "output_bytes": 5,
        "pause_us": 18000,
        "backup_dest": "file:///b",
        "comment": "no disk",
    }
    status._print(NOTHING | {"last_backup_set": status._set(row)})

    assert capsys.readouterr().out.splitlines() == [
        "round 0: STOP",
        "data backup 3: FAILED, files BROKEN, started 1970-01-01T00:00:01.000000Z, 5 bytes, pause 0.018 s",
        "  no disk",
    ]


def test_health_and_holes_are_shown_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cause once, though the round has it too; an open hole has no end yet."""
    monkeypatch.setenv("COLUMNS", "200")
    fine = HEALTH | {"health": "FINE", "cause": "", "mode": "OPTIONAL", "sync_commit": "OFF", "gate": "OPEN"}
    closed = HOLE | {"status": "CLOSED", "end_lsn": 20, "end_time": "t2"}
    interrupted = NOTHING["round"] | {"comment": "disk full"}
    status._print(NOTHING | {"round": interrupted, "health": [HEALTH, fine], "holes": [HOLE, closed]})

    assert capsys.readouterr().out.splitlines() == [
        "round 0: STOP",
        (
            "tenant main: GATED since 2026-01-02T03:04:05.000000Z (MANDATORY, commits are SYNC, "
            "the write gate is CLOSED; backlog 7 bytes)"
        ),
        "  disk full",
        "tenant main: FINE since 2026-01-02T03:04:05.000000Z (OPTIONAL; backlog 7 bytes)",
        "hole: tenant 1001, after round 1, LSN 10 (t1) to the next round: disk full",
        "hole: tenant 1001, after round 1, LSN 10 (t1) to LSN 20 (t2): disk full",
    ]


def test_an_account_file_that_is_not_ours_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may not read it is told whose it is."""
    home = Home(tmp_path)
    home.prepare()
    home.announce(Running(1, "127.0.0.1", 1))

    def refuse(_: object) -> str:
        raise PermissionError(13, "Permission denied", "account")

    monkeypatch.setattr(account, "password_of", refuse)
    with pytest.raises(connecting.NoServiceError, match="cannot read account; run the command as the service's user"):
        connecting.connect_as_service(tmp_path)


def test_a_home_whose_lock_cannot_be_made(tmp_path: Path) -> None:
    """The reason is named."""
    home = Home(tmp_path)
    home.prepare()
    (tmp_path / "run" / "service.lock").mkdir()

    with pytest.raises(HomeError, match="cannot write in"):
        home.lock()


def test_output_that_nobody_reads_ends_the_command_quietly() -> None:
    """As when it is piped into head."""
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, "-m", "redoubt", "version"], stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60
    )
    os.close(writer)

    assert b"Traceback" not in run.stderr


def test_a_demo_whose_round_does_not_start_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 1, and the step that did not hold."""
    monkeypatch.setattr(demo, "_DEADLINE", -1.0)

    assert demo.play() == 1
    assert "STATUS is not DOING" in capsys.readouterr().err


class WholeCluster:
    """A demo's cluster, with one segment in its archive, that is as the engine's log has it."""

    def __init__(self, *, begins: int = 100, engine_log: bytes = b"log") -> None:
        self._begins = begins
        self._engine_log = engine_log

    def archived(self, *, round_id: int) -> WholeCluster:
        """The store."""
        assert round_id == 1
        return self

    def round_start(self, *, round_id: int) -> int:
        """The LSN with which the round began."""
        return self._begins * round_id

    def engine_log(self, start: int, end: int) -> Iterator[bytes]:
        """The engine's own."""
        assert (start, end) == (100, 103)
        yield self._engine_log

    def segments(self) -> list[tuple[SegmentName, int]]:
        """What is archived."""
        return [(SegmentName(100, 103, ".zst"), 3)]

    def read(self, _name: SegmentName) -> tuple[None, bytes]:
        """A segment's log."""
        return None, b"log"


@pytest.mark.parametrize(
    ("cluster", "complaint"),
    [
        (WholeCluster(engine_log=b"other"), "differs from the engine's log"),
        (WholeCluster(begins=1), "does not begin at LSN 1"),
    ],
)
def test_a_demo_whose_archive_is_wrong_fails(cluster: Any, complaint: str) -> None:
    """The comparison can fail."""
    story = demo._Story(Console(), cluster, session=None)  # type: ignore[arg-type]  # fails before it asks
    with pytest.raises(DemoFailedError, match=complaint):
        story._compare(demo.Summary(0, []))


def test_the_last_second_backup_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """With what it waits for, or why it failed."""
    row = {
        "job_id": 3,
        "kind": "BACKUPPIECE",
        "status": "DOING",
        "result": 0,
        "backup_dest": "file:///second",
        "comment": "the network is down",
        "start_time": 1_790_000_000 * 10**9,
        "end_time": 0,
    }
    status._print(NOTHING | {"last_second_backup": status._second_backup(row)})
    out = " ".join(capsys.readouterr().out.split())
    assert "second backup 3 (BACKUPPIECE): DOING, result 0, started 2026-09-21T14:13:20.000000Z" in out
    assert "into file:///second" in out
    assert "the network is down" in out
