"""A pytest plugin: says at the end where the time went and how many engines were started, and holds a limit to it.

Engines are what a run's time goes into: one costs a second of a processor, and a service has two. A run of the small
dose in which more are started than `MOST_ENGINE_STARTS` fails, so that the suite does not grow slow by and by.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.dose import IS_SOAK

MOST_ENGINE_STARTS = 292
"""What the small dose needs, 282, and some: an engine that is killed at its start may be started once more."""

_TESTS = Path(__file__).parent
_COUNTING = _TESTS / "engine_starts"
sys.path.insert(0, str(_COUNTING))
from sitecustomize import SILENT as SILENT  # noqa: E402, PLC0414 - for tests
from sitecustomize import STARTS as STARTS  # noqa: E402, PLC0414 - this process notes its own starts, too

_PHASES = ("setup", "call", "teardown")


class RunReport:
    """What one run of tests cost, by folder of tests."""

    def __init__(self, starts: Path) -> None:
        self._starts = starts
        self._began = time.monotonic()
        self._seconds: defaultdict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(_PHASES, 0.0))
        self._tests: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one phase of a test, here or of a process that has a share of the tests."""
        folder = _folder(report.nodeid)
        self._seconds[folder][report.when] += report.duration
        self._tests[folder] += report.when == "call"

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that has started too many engines."""
        if self._is_too_dear():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a line for each folder, the dearest first."""
        starts = self.engine_starts
        write = terminalreporter.write_line
        terminalreporter.section("where the time went (seconds of each folder's tests)")
        write(f"{'folder':<16}{'tests':>7}{'setup':>9}{'call':>9}{'teardown':>9}{'engine starts':>15}")
        for folder in sorted(self._seconds, key=lambda name: -sum(self._seconds[name].values())):
            phases = "".join(f"{self._seconds[folder][phase]:9.1f}" for phase in _PHASES)
            write(f"{folder:<16}{self._tests[folder]:>7}{phases}{starts[folder]:>15}")
        write(f"{time.monotonic() - self._began:.0f} s in all, {starts.total()} engine starts")
        if self._is_too_dear():
            message = f"more than {MOST_ENGINE_STARTS} engines were started: share a running one (tests/run_report.py)"
            write(message, red=True)

    def _is_too_dear(self) -> bool:
        return not IS_SOAK and self.engine_starts.total() > MOST_ENGINE_STARTS

    @property
    def engine_starts(self) -> Counter[str]:
        """How many engines were started so far, by folder of tests."""
        lines = self._starts.read_text().splitlines() if self._starts.exists() else []
        return Counter(map(_folder, lines))


def pytest_configure(config: pytest.Config) -> None:
    """Have every process note its starts; only the one that sees all tests reports."""
    if hasattr(config, "workerinput"):
        return
    folder = Path(tempfile.mkdtemp(prefix="redoubt-tests-"))
    os.environ[STARTS] = str(folder / "engine_starts")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_COUNTING), os.environ.get("PYTHONPATH"))))
    config.pluginmanager.register(RunReport(Path(os.environ[STARTS])), "run-report")


def _folder(nodeid: str) -> str:
    parts = nodeid.partition("::")[0].split("/")
    return parts[1] if len(parts) > 2 and parts[0] == "tests" else parts[0] or "none"
