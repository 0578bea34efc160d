"""A question to an engine that is asked in a thread of its own: an engine that hangs makes nobody wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Question(Generic[T]):
    """Asks `ask`, once at a time, and remembers the answer until it is fetched. For one thread."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._asking: threading.Thread | None = None
        self._answer: T | OSError | None = None

    def __call__(self) -> T | None:
        """The answer to a question that was asked at an earlier call; None while there is none. Raises OSError."""
        if self._asking is None:
            self._begin()
        return self._fetched()

    def now(self, patience: float) -> T:
        """The answer to a question that is asked during this call; waits `patience` seconds for it. Raises OSError.

        An earlier question that has no answer yet is not waited for: TimeoutError.
        """
        if self._asking is None or not self._asking.is_alive():
            self._begin().join(patience)
        answer = self._fetched()
        if answer is None:
            raise TimeoutError("the engine does not say where its log ends")
        return answer

    def _begin(self) -> threading.Thread:
        self._asking = threading.Thread(target=self._run, name="ask-engine", daemon=True)
        self._asking.start()
        return self._asking

    def _fetched(self) -> T | None:
        assert self._asking
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
