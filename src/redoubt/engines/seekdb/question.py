"""A question to an engine that is asked in a thread of its own: an engine that hangs makes nobody wait."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Question:
    """Asks `ask`, once at a time, and remembers the answer until it is fetched. For one thread."""

    def __init__(self, ask: Callable[[], int]) -> None:
        self._ask = ask
        self._asking: threading.Thread | None = None
        self._answer: int | OSError | None = None

    def __call__(self) -> int | None:
        """The answer to a question that was asked at an earlier call; None while there is none. Raises OSError."""
        if self._asking is None:
            self._asking = threading.Thread(target=self._run, name="ask-engine", daemon=True)
            self._asking.start()
        if self._asking.is_alive():
            return None
        self._asking = None
        if isinstance(self._answer, OSError):
            raise self._answer
        return self._answer

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except OSError as error:
            self._answer = error
