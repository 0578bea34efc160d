"""What a job is given to work with."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from redoubt.archiver.archiver import SealRule
from redoubt.archiver.shipper import SMALL


@dataclass(frozen=True)
class Means:
    """Threads, clocks and choices. `storer` and `merger` each run one thing at a time, for one job alone.

    `clock` gives seconds that never go back, `now` ns since the epoch. `notify` is called when waiting work is done,
    `close` when the job has let go of the destination. `holder` tells others who writes. `small`: see `Shipper`.
    `longest_age()`: see `Archiver`.
    """

    encoders: Executor
    storer: Executor
    merger: Executor
    clock: Callable[[], float]
    now: Callable[[], int]
    notify: Callable[[], None]
    codec: Callable[[], str]
    seal: SealRule
    holder: str
    small: int = SMALL
    longest_age: Callable[[], float] = lambda: math.inf
    close: Callable[[], None] = lambda: None
