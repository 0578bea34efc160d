"""`python -m tests.simulation 100000` runs so many schedules; `--seed 1234 --verbose` plays one again, step by step."""
# ruff: noqa: T201 - the answer of a command is printed

from __future__ import annotations

import argparse
import json
import sys

from .defects import DEFECTS
from .report import Report
from .runner import find_all, run_all, run_one


def main() -> int:
    """0 if all is well, 1 if a violation was found, or a planted defect was not."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("number", nargs="?", type=int, default=10_000, help="how many schedules (10000)")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first one (0)")
    parser.add_argument("--seed", type=int, help="play this one alone")
    parser.add_argument("--defect", choices=DEFECTS, default="none", help="with --seed: plant this in the product")
    parser.add_argument("--verbose", action="store_true", help="with --seed: every step and every call")
    parser.add_argument("--defects", action="store_true", help="plant one after another: is each found in so many?")
    parser.add_argument("--json", action="store_true", help="for machines")
    chosen = parser.parse_args()
    if chosen.defects:
        return _plant_all(chosen.number, as_json=chosen.json)
    if chosen.seed is None:
        report = run_all(chosen.first, chosen.number, _say if sys.stderr.isatty() else _be_quiet)
    else:
        report = Report()
        with DEFECTS[chosen.defect].planted():
            run_one(chosen.seed, report, print if chosen.verbose else None)
    print(json.dumps(vars(report)) if chosen.json else report.text())
    if report.violations and not chosen.json:
        print(f"play it again: python -m tests.simulation --seed {min(report.violations)[0]} --verbose")
    return 1 if report.violations else 0


def _plant_all(bound: int, *, as_json: bool) -> int:
    found = find_all(bound)
    if as_json:
        print(json.dumps({name: vars(report) for name, report in found.items()}))
    else:
        for name, report in found.items():
            text = report.violations[0][1] if report.violations else "NOT FOUND"
            print(f"{name} ({DEFECTS[name].text}): after {report.schedules}: {text}")
    return 0 if all(report.violations for report in found.values()) else 1


def _say(report: Report) -> None:
    speed = report.schedules / max(report.seconds, 0.001)
    text = f"\r{report.schedules} schedules, {speed:.0f} a second, {len(report.violations)} violations"
    print(text, end="", file=sys.stderr, flush=True)


def _be_quiet(_report: Report) -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
