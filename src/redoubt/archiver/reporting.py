"""What a job has told of its piece, and what it has to tell now."""

from __future__ import annotations

from collections.abc import Callable

from redoubt.archive.store import ArchiveEnd
from redoubt.messages.archiving import Event, Flushed, PieceFreezing, PieceProgress, PieceTrouble

PROGRESS_PAUSE = 0.05
"""Seconds between two tellings of progress: with a synchronous commit there are hundreds of segments a second."""
FREEZING_PAUSE = 0.5


class PieceReporter:
    """Turns a piece's state into events, each told once. `clock()` gives seconds that never go back.

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
        """How far the round is durable, if that has changed and was not told just now; `at_once`, whenever it was."""
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
        """Up to which number all that was asked for is durable; never waits."""
        if number == self._told_flushed:
            return []
        self._told_flushed = number
        return [Flushed(*self._of, number)]

    def trouble(self, text: str) -> list[Event]:
        """The present complaint, or that there is none any more."""
        if text == self._told_trouble:
            return []
        self._told_trouble = text
        return [PieceTrouble(*self._of, text, self._piece)]

    def freezing(self, done: int, total: int) -> list[Event]:
        """How many of the round's objects have been read for its manifest, now and then."""
        now = self._clock()
        if (done, total) == self._told_freezing or now < self._next_freezing:
            return []
        self._told_freezing, self._next_freezing = (done, total), now + FREEZING_PAUSE
        return [PieceFreezing(*self._of, done, total, self._piece)]
