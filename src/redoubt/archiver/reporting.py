"""The events that a job reports about its piece."""

from __future__ import annotations

from collections.abc import Callable

from redoubt.archive.store import ArchiveEnd
from redoubt.messages.archiving import Event, Flushed, PieceFreezing, PieceProgress, PieceTrouble

PROGRESS_PAUSE = 0.05
"""Seconds between two reports of progress, because synchronous commit makes hundreds of segments a second."""
FREEZING_PAUSE = 0.5


class PieceReporter:
    """Turns a piece's state into events, each reported once. `clock()` gives monotonic seconds.

    `of` are the numbers of tenant, round and piece.
    """

    def __init__(self, of: tuple[int, int, int], clock: Callable[[], float]) -> None:
        self._of = of[:2]
        self._piece = of[2]
        self._clock = clock
        self._told_end: ArchiveEnd | None = None
        self._told_trouble = ""
        self._told_flushed = 0
        self._told_freezing = (0, 0)
        self._next_progress = self._next_freezing = float("-inf")

    def progress(self, end: ArchiveEnd | None, *, at_once: bool = False) -> list[Event]:
        """The durable end, if it has changed and the last report is not too recent; `at_once` ignores the pause."""
        now = self._clock()
        if end is None or end == self._told_end or not (at_once or now >= self._next_progress):
            return []
        self._told_end, self._next_progress = end, now + PROGRESS_PAUSE
        position = end.position
        return [
            PieceProgress(
                *self._of, position.lsn, position.scn, end.input_bytes, end.output_bytes, end.segments, self._piece
            ),
        ]

    def flushed(self, number: int) -> list[Event]:
        """The highest number of a completed flush, if it has changed; without a pause."""
        if number == self._told_flushed:
            return []
        self._told_flushed = number
        return [Flushed(*self._of, number)]

    def trouble(self, text: str) -> list[Event]:
        """The current complaint, if it has changed; empty when the trouble is over."""
        if text == self._told_trouble:
            return []
        self._told_trouble = text
        return [PieceTrouble(*self._of, text, self._piece)]

    def freezing(self, done: int, total: int) -> list[Event]:
        """The number of objects read for the manifest, if it has changed and the last report is not too recent."""
        now = self._clock()
        if (done, total) == self._told_freezing or now < self._next_freezing:
            return []
        self._told_freezing, self._next_freezing = (done, total), now + FREEZING_PAUSE
        return [PieceFreezing(*self._of, done, total, self._piece)]
