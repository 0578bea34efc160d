"""Runs many schedules, over all cores."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable
from multiprocessing.pool import Pool
from multiprocessing.sharedctypes import Synchronized

from .defects import DEFECTS
from .report import Report
from .schedule import Schedule

_CHUNK = 100


def run_one(seed: int, report: Report, trace: Callable[[str], None] | None = None) -> None:
    """One schedule; a violation is noted, and so is what the product raised where it should not."""
    schedule = Schedule(seed) if trace is None else Schedule(seed, trace)
    try:
        schedule.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the seed that is asked for
        report.violations.append((seed, f"{type(error).__name__}: {error}"))
    report.schedules += 1
    report.counts += schedule.counts


def run_range(seeds: Iterable[int]) -> Report:
    """The schedules of these seeds, one after another, in this process."""
    report, began = Report(), time.monotonic()
    for seed in seeds:
        run_one(seed, report)
    report.seconds = time.monotonic() - began
    return report


def run_all(first: int, number: int, said: Callable[[Report], None] = lambda _report: None) -> Report:
    """The schedules from `first` on, over all cores; `said` is told now and then how far it is."""
    total, began = Report(), time.monotonic()
    chunks = [range(at, min(at + _CHUNK, first + number)) for at in range(first, first + number, _CHUNK)]
    with _pool() as pool:
        for part in pool.imap_unordered(run_range, chunks):
            total.add(part)
            total.seconds = time.monotonic() - began
            said(total)
    return total


def find(defect: str, bound: int) -> Report:
    """Schedules until one finds the planted defect, at most `bound`."""
    report, began = Report(), time.monotonic()
    with DEFECTS[defect].planted():
        while not report.violations and report.schedules < bound:
            run_one(2 * report.schedules + DEFECTS[defect].in_bucket, report)
    report.seconds = time.monotonic() - began
    return report


def find_all(bound: int) -> dict[str, Report]:
    """What `find` gives for each defect, over all cores."""
    names = [name for name in DEFECTS if name != "none"]
    with _pool() as pool:
        return dict(zip(names, pool.starmap(find, [(name, bound) for name in names], chunksize=1), strict=True))


def _pool() -> Pool:
    context = multiprocessing.get_context("spawn")
    cores = sorted(os.sched_getaffinity(0))
    return context.Pool(len(cores), _stay_on_a_core, (cores, context.Value("i", 0)))


def _stay_on_a_core(cores: list[int], taken: Synchronized[int]) -> None:
    """Fibers hand over to each other thousands of times a second: three times as fast where nothing is moved."""
    with taken.get_lock():
        core = cores[taken.value % len(cores)]
        taken.value += 1
    os.sched_setaffinity(0, {core})
