"""Runs a target guided by coverage, with atheris (libFuzzer): `python -m tests.fuzz.guided TARGET SECONDS FOLDER`.

libFuzzer keeps its own growing corpus in the folder. It changes inputs its own way and ours, in turn; what fails is
saved as in a blind run and passed over, what hangs or eats memory ends the run and is saved by libFuzzer.
"""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path
from typing import Any

_HANGS_AFTER = 20
_MOST_MEMORY_MIB = 2048


def main(name: str, seconds: int, folder: Path) -> None:
    """Run; ends the process."""
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["redoubt"], enable_loader_override=False):
        targets = importlib.import_module("tests.fuzz.targets")
    from .corpus import CORPUS, corpus_of  # noqa: PLC0415 - imports what has to be instrumented first
    from .driver import Findings, try_one  # noqa: PLC0415
    from .mutation import mutated  # noqa: PLC0415

    target, findings = targets.TARGETS[name], Findings()
    others = [*corpus_of(target).values(), *target.words]

    def check(data: bytes) -> None:
        before, report = len(findings.failures), target.report()
        try_one(target, data, findings)
        if report != target.report():
            sys.stdout.write(f"report {target.report()}\n")
            sys.stdout.flush()
        if len(findings.failures) > before:
            sys.stdout.write(f"found {list(findings.failures)[-1]}\n")
            sys.stdout.flush()

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        changed = mutated(rng, data, others, max_size) if rng.random() < 0.5 else bytes(atheris.Mutate(data, max_size))
        return (target.fix(changed) if rng.random() < 0.6 else changed)[:max_size]

    arguments = [
        *(sys.argv[0], str(folder), str(CORPUS / name), f"-max_total_time={seconds}", f"-max_len={target.longest}"),
        *(f"-timeout={_HANGS_AFTER}", f"-rss_limit_mb={_MOST_MEMORY_MIB}", "-print_final_stats=1"),
        f"-artifact_prefix={CORPUS / name}/found-",
    ]
    atheris.Setup(arguments, check, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
