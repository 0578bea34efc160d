"""Runs a target blindly: mutations of the corpus, and of what gave a new answer on the way.

The check's own answers stand in for coverage, so this needs nothing installed; the same seed gives the same inputs.
"""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from tests.dose import dose

from .corpus import corpus_of, keep
from .known import KNOWN
from .mutation import mutated
from .target import Target

SLOW = 1.0
"""Seconds of processor time that no input of the sizes used here may take."""
_HARNESS = Path(__file__).parent


@dataclass
class Findings:
    """What a run came to: how many executions, which answers how often, what failed (by where it failed)."""

    executions: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Path] = field(default_factory=dict)


def inputs(target: Target, seed: int) -> Generator[bytes, bool | None, None]:
    """Mutations without end. Send True for an input that gave a new answer, to have it mutated further."""
    rng = random.Random(seed)
    pool = list(corpus_of(target).values()) or [b""]
    others = [*pool, *target.words]
    while True:
        data = mutated(rng, rng.choice(pool), others, target.longest)
        if rng.random() < 0.6:
            data = target.fix(data)
        is_new = yield data
        if is_new and len(pool) < 5000:
            pool.append(data)


def check_some(target: Target, seed: int) -> None:
    """The fixed series of `make test`; raises what a check raises, with the input noted."""
    series, seen = inputs(target, seed), set[str]()
    is_new: bool | None = None
    for _ in range(dose(target.executions // 2, target.executions * 10)):
        data = series.send(is_new)
        try:
            answer = target.check(data)
        except Exception as error:
            answer = place_of(error)
            if (target.name, answer) not in KNOWN:
                error.add_note(f"saved as {keep(target, data, answer)}")
                raise
        is_new = answer not in seen
        seen.add(answer)


def run(target: Target, seconds: float, seed: int) -> Findings:
    """Look for failures for that long; each is saved once."""
    findings = Findings()
    series = inputs(target, seed)
    is_new: bool | None = None
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = series.send(is_new)
        is_new = try_one(target, data, findings)
    return findings


def try_one(target: Target, data: bytes, findings: Findings) -> bool:
    """Check one input and note what came of it; tells whether its answer is new."""
    findings.executions += 1
    started = time.process_time()
    try:
        answer = target.check(data)
    except Exception as error:  # noqa: BLE001 - whatever a reader lets out is what is looked for
        answer = place_of(error)
        if answer not in findings.failures and (target.name, answer) not in KNOWN:
            findings.failures[answer] = keep(target, data, answer)
    if time.process_time() - started > SLOW and "slow" not in findings.failures:
        findings.failures["slow"] = keep(target, data, "slow")
    findings.answers[answer] += 1
    return findings.answers[answer] == 1


def place_of(error: BaseException) -> str:
    """The kind of an error and the line that it comes from: what tells two findings apart."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "redoubt" in frame.filename or _HARNESS in Path(frame.filename).parents]
    frame = (own or frames)[-1]
    return f"{type(error).__name__}-{Path(frame.filename).stem}-{frame.name.strip('<>')}"
