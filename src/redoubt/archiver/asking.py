"""Asking a destination until it answers: retried with growing pauses, with the complaint on show while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from redoubt.model.seams import DestinationError

T = TypeVar("T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0


class Asker:
    """Asks on behalf of one thread. `pause(seconds)` waits between tries and says False when it is time to give up."""

    def __init__(self, pause: Callable[[float], bool]) -> None:
        self._pause = pause
        self.trouble = ""
        """The destination's present complaint, empty when all is well."""

    def until_answered(self, question: Callable[[], T]) -> T:
        """What `question` returns, once it raises no DestinationError; the last one raised if it is time to give up."""
        seconds = FIRST_PAUSE
        while True:
            try:
                answer = question()
            except DestinationError as error:
                self.trouble = str(error)
                if not self._pause(seconds):
                    raise
                seconds = min(seconds * 2, LONGEST_PAUSE)
            else:
                self.trouble = ""
                return answer
