"""The limit to the engines that a run starts, and the report on where its time went."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import run_report
from tests.run_report import RunReport


def report_on(starts: Path, engines: int) -> tuple[int, list[str]]:
    """The exit status of a run that started so many engines, and the lines that it prints."""
    starts.write_text("tests/service/test_x.py::test_y (setup)\n" * engines)
    report, session, lines = RunReport(starts), SimpleNamespace(exitstatus=0), list[str]()
    printer: Any = SimpleNamespace(section=lines.append, write_line=lambda line, **_: lines.append(line))
    report.pytest_runtest_logreport(
        SimpleNamespace(nodeid="tests/service/test_x.py::test_y", when="call", duration=2.5)  # type: ignore[arg-type]
    )
    report.pytest_sessionfinish(session)  # type: ignore[arg-type]
    report.pytest_terminal_summary(printer)
    return session.exitstatus, lines


def test_a_run_that_starts_too_many_engines_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the small dose only; the report names the folder that started them."""
    monkeypatch.setattr(run_report, "MOST_ENGINE_STARTS", 3)
    monkeypatch.setattr(run_report, "IS_SOAK", False)
    assert report_on(tmp_path / "few", 3)[0] == 0
    status, lines = report_on(tmp_path / "many", 4)
    assert status == pytest.ExitCode.TESTS_FAILED
    assert ["service", "1", "0.0", "2.5", "0.0", "4"] in [line.split() for line in lines]
    assert "more than 3 engines were started" in lines[-1]
    monkeypatch.setattr(run_report, "IS_SOAK", True)
    assert report_on(tmp_path / "many", 4)[0] == 0


def test_each_start_of_an_engine_is_noted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By every Python process below; asking the engine's program for its version is no start."""
    engine, starts = tmp_path / "seekdb", tmp_path / "starts"
    engine.write_text("#!/bin/sh\n")
    engine.chmod(0o755)
    monkeypatch.setenv(run_report.STARTS, str(starts))
    script = "import subprocess, sys\nfor word in ('--base-dir', '--version'): subprocess.run([sys.argv[1], word])"
    subprocess.run([sys.executable, "-c", script, str(engine)], check=True)

    assert len(starts.read_text().splitlines()) == 1
    assert "test_each_start_of_an_engine_is_noted_once" in starts.read_text()
