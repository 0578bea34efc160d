"""How long an event loop stands still: the processor time of its longest turn, in which it serves nobody else.

It is this thread's time, so that a busy machine does not count.
"""

from __future__ import annotations

import time
from asyncio.events import Handle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

LONGEST = 0.05
"""Seconds that nothing which a client sends may take. What takes longer is tried again: a turn may be unlucky."""
TRIES = 20


@dataclass
class Turns:
    """The longest turn in seconds."""

    longest: float = 0.0


@contextmanager
def timed_turns() -> Iterator[Turns]:
    """Take the time of all turns of the event loops that run meanwhile."""
    turns, run = Turns(), Handle._run

    def timed(handle: Handle) -> None:
        started = time.thread_time()
        run(handle)
        turns.longest = max(turns.longest, time.thread_time() - started)

    with mock.patch.object(Handle, "_run", timed):
        yield turns


def least(measure: Callable[[], float]) -> float:
    """The least of some tries in seconds; one is enough if it is short."""
    found = measure()
    for _ in range(TRIES - 1):
        if found < LONGEST:
            break
        found = min(found, measure())
    return found
