"""Schedules with crashes, power losses and errors, and the proof that they would find a defect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.dose import dose

from .defects import DEFECTS
from .report import Report
from .runner import run_one

pytestmark = pytest.mark.repeated
_SCHEDULES = dose(1_000, 40_000)
_RANGE = dose(500, 5_000)
_BOUND = 20_000
_CALLS = (
    *("mkdir", "open", "open folder", "create lock", "flock", "write lock", "ftruncate"),
    *("create part", "write part", "fsync file", "close", "link", "unlink part", "fsync folder"),
    *("pread", "unlink segment"),
)
_AT_LEAST = {
    **{f"crash {when} {call}": 2 for when in ("before", "after") for call in _CALLS},
    "crash before scandir": 10,
    "crash before stat": 10,
    **{f"error {name}": 200 for name in ("ENOSPC", "EIO", "EDQUOT", "ESTALE", "EROFS")},
    **{f"weather {name}": 200 for name in ("ENOSPC", "EIO", "EDQUOT", "ESTALE", "EROFS")},
    "error EIO (carried out)": 100,
    "error EEXIST (carried out)": 10,
    "short write": 1000,
    "short pread": 500,
    "power loss": 1000,
    "power loss, looked at": 5000,
    "service killed": 1000,
    "worker killed": 1000,
    "engine silent": 1000,
    "set back": 1000,
    "time jump": 1000,
    "read by another": 2000,
    "segment": 10_000,
    "merged object": 3000,
    "flushed": 2000,
    "stopped": 3000,
    "stopped late": 100,
    "broken by the valve": 200,
    "round broken by the worker": 200,
    "cancelled": 500,
    "service killed when only the hole was saved": 30,
    "switched": 800,
    "service killed before it told of a switch": 50,
    "piece cut": 800,
    "piece frozen": 80,
    "read on in the next piece": 100,
    "life ended between cut and next claim": 80,
    "life ended between next claim and manifest": 40,
    "life ended between next log and manifest": 40,
    "life ended between manifest and next claim": 3,
    "hole opened": 500,
    "hole closed": 100,
    "no hole between rounds": 50,
}


def simulation(*arguments: str) -> Any:
    """What `python -m tests.simulation` says; over all cores, and not slowed down by the measuring of coverage."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-m", "tests.simulation", "--json", *arguments]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, env=environment, check=False, capture_output=True, text=True)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@cache
def simulated(first: int) -> dict[str, Any]:
    """The report on a range of seeds; each is run once."""
    report = simulation(str(_RANGE), "--first", str(first))
    assert isinstance(report, dict)
    return report


@cache
def planted() -> dict[str, Any]:
    """The report on each planted defect."""
    reports = simulation(str(_BOUND), "--defects")
    assert isinstance(reports, dict)
    return reports


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, _SCHEDULES, _RANGE))
def test_no_schedule_finds_a_violation(first: int) -> None:
    """See checker.py for what must hold; play a seed again with `python -m tests.simulation --seed N --verbose`."""
    assert simulated(first)["violations"] == []


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_everything_that_may_happen_has_happened() -> None:
    """Else the schedules above would prove less than they say."""
    counts: Counter[str] = Counter()
    for first in range(0, _SCHEDULES, _RANGE):
        counts.update(simulated(first)["counts"])
    missing = {what: (counts[what], least) for what, least in _AT_LEAST.items() if counts[what] < least}

    assert missing == {}


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name in DEFECTS if name != "none"])
def test_a_planted_defect_is_found(name: str) -> None:
    """Within a bounded number of schedules."""
    assert planted()[name]["violations"], f"{DEFECTS[name].text}: not found in {_BOUND} schedules"


def test_a_seed_gives_the_same_schedule_each_time() -> None:
    """Every step and every call of it, so that what was found can be looked at."""
    for seed in range(dose(10, 100)):
        traces: list[list[str]] = [[], []]
        for trace in traces:
            run_one(seed, Report(), trace.append)

        assert traces[0] == traces[1]
        assert traces[0]


def test_a_found_seed_plays_again() -> None:
    """With the defect in place it fails in the same way; the report says what occurred."""
    reports = [Report(), Report()]
    with DEFECTS["no folder fsync"].planted():
        for report in reports:
            for seed in range(5):
                run_one(seed, report)

    assert reports[0].violations
    assert reports[0].violations == reports[1].violations
    assert f"seed {reports[0].violations[0][0]}: " in reports[0].text()
