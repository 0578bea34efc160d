"""Requests to a destination that may never answer: limited in time and in number."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from redoubt.sql.errors import backup_dest_not_valid

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE = 15.0
_AT_ONCE = 3


class DestinationQuestions:
    """For the event loop. Each request runs in its own thread, so a request that hangs delays nothing else."""

    def __init__(self) -> None:
        self._unanswered: Counter[str] = Counter()

    async def ask(self, uri: str, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of `question`, or its exception. Raises SqlError 9026 if no answer comes in time."""
        if self._unanswered[uri] >= _AT_ONCE:
            raise backup_dest_not_valid(f"{uri} has not answered earlier requests yet; check its mount or the network")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._unanswered[uri] += 1

        def answered(result: T | None, error: Exception | None) -> None:
            self._unanswered[uri] -= 1
            if answer.done():
                return  # nobody waits any more
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)  # type: ignore[arg-type]  # it is a T when there is no error

        threading.Thread(
            target=_answer, args=(asyncio.get_running_loop(), answered, lambda: question(*args, **kwargs)), daemon=True
        ).start()
        try:
            async with asyncio.timeout(_PATIENCE):
                return await answer
        except TimeoutError:
            raise backup_dest_not_valid(
                f"{uri} did not answer within {_PATIENCE:g} s; check its mount or the network"
            ) from None


def _answer(
    loop: asyncio.AbstractEventLoop,
    answered: Callable[[T | None, Exception | None], None],
    question: Callable[[], T],
) -> None:
    result, error = None, None
    try:
        result = question()
    except Exception as caught:  # noqa: BLE001 - passed to the caller
        error = caught
    with suppress(RuntimeError):  # the service has ended while the destination was silent
        loop.call_soon_threadsafe(answered, result, error)
