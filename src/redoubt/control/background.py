"""Work in the background, and the one rule of supervision: what fails is begun again, and ends nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from redoubt.printable import printable

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds between a failure and the next attempt: twice as many after each failure."""
_SOUND = 10.0
"""Seconds after which an attempt counts as successful."""
_log = structlog.get_logger("redoubt.control.background")


class Background:
    """For the event loop. `troubles`: the causes of the last failures, by the work's name, until the work goes on.

    `changed` is called after each change of `troubles`.
    """

    def __init__(self) -> None:
        self.troubles: dict[str, str] = {}
        self.changed: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Run `work` until it returns or the task is cancelled; begin it again after any error."""
        task = asyncio.ensure_future(self._keep(name, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            is_sound = loop.call_later(_SOUND, self._end_trouble, name)
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the trouble of this work alone
                self._begin_trouble(name, error)
            else:
                self._end_trouble(name)
                return
            finally:
                is_sound.cancel()
            if loop.time() - began > _SOUND:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _begin_trouble(self, name: str, error: Exception) -> None:
        cause = printable(f"{type(error).__name__}: {error}")
        if self.troubles.get(name) != cause:  # once: the trouble may last for days
            _log.error("background work failed, beginning it again", work=name, cause=cause, exc_info=error)
            self.troubles[name] = cause
            self.changed()

    def _end_trouble(self, name: str) -> None:
        if self.troubles.pop(name, None) is not None:
            _log.info("background work goes on", work=name)
            self.changed()
