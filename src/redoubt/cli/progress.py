"""Shows the progress of long work on a console: a bar on a terminal, otherwise a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

_LINE_EVERY = 10.0


@contextmanager
def shown_progress(out: Console, what: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress while the context is open. Call the yielded function with the bytes done and in total."""
    if not out.is_terminal:
        yield _Lines(out, what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=out) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class _Lines:
    """Prints a line every few seconds."""

    def __init__(self, out: Console, what: str) -> None:
        self._out = out
        self._what = what
        self._told_at = self._began = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told_at < _LINE_EVERY:
            return
        self._told_at = now
        left = (now - self._began) * (total - done) / max(done, 1)
        self._out.print(f"{self._what}: {done} of {total} bytes, about {left:.0f} s left", markup=False)
