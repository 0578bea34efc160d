"""`python -m tests.fuzz [TARGET …] [--seconds N]` looks for failures, `python -m tests.fuzz replay FILE` shows one."""

from __future__ import annotations

import argparse
import importlib.util
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .corpus import CORPUS
from .driver import run
from .known import KNOWN
from .target import Target
from .targets import TARGETS

_MOST_MEMORY = 4 << 30


def main() -> int:
    """0 if nothing was found."""
    if sys.argv[1:2] == ["replay"]:
        return replay(Path(sys.argv[2]))
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"any of {', '.join(TARGETS)}; all without one")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--blind", action="store_true", help="without atheris, also where it is installed")
    parser.add_argument("--seed", type=int, default=time.time_ns(), help="of a blind run")
    chosen = parser.parse_args()
    is_guided = not chosen.blind and importlib.util.find_spec("atheris") is not None
    found: list[Path] = []
    for name in chosen.targets or TARGETS:
        target, before = TARGETS[name], set(_files(name))
        _say(f"{name}: {_guided(target, chosen.seconds) if is_guided else _blind(target, chosen.seconds, chosen.seed)}")
        found += sorted(set(_files(name)) - before)
    for path in found:
        _say(f"found: {path}\n  replay with: {sys.executable} -m tests.fuzz replay {path}")
    return bool(found)


def replay(path: Path) -> int:
    """Check the input in a file of the corpus, with the traceback if it fails."""
    target = TARGETS[path.absolute().parent.name]
    _say(f"{target.name}: {target.check(path.read_bytes())}")
    return 0


def _blind(target: Target, seconds: int, seed: int) -> str:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    findings = run(target, seconds, seed)
    known = sum(count for answer, count in findings.answers.items() if (target.name, answer) in KNOWN)
    return (
        f"{findings.executions} executions in {seconds} s, seed {seed}, {len(findings.answers)} different answers, "
        f"{len(findings.failures)} failures, {known} times one that is known{_and(target.report())}"
    )


def _guided(target: Target, seconds: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", f"{__package__}.guided", target.name, str(seconds), folder]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        grown = len(list(Path(folder).iterdir()))
    executions = re.search(r"number_of_executed_units: *(\d+)", done.stderr)
    coverage = re.findall(r"\bcov: (\d+) ft: (\d+)", done.stderr)
    reports = re.findall(r"^report (.*)$", done.stdout, re.MULTILINE)
    if not executions or not coverage:
        return f"did not run to its end:\n{done.stdout}{done.stderr[-4000:]}"
    return (
        f"{executions[1]} executions in {seconds} s, guided: {coverage[-1][0]} edges, {coverage[-1][1]} features, "
        f"{grown} new inputs of interest{', exit ' + str(done.returncode) if done.returncode else ''}"
        f"{_and(reports[-1] if reports else '')}"
    )


def _and(report: str) -> str:
    return f"; {report}" if report else ""


def _files(name: str) -> list[Path]:
    return list((CORPUS / name).iterdir())


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
