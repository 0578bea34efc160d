"""Threads that take turns: one runs only while the scheduler has resumed it, so that a seed gives one order of events.

What an executor's job does is interrupted at its calls of the operating system, and goes on when its turn comes again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class CrashError(BaseException):
    """The process is gone: nothing more happens, not even what stands in a `finally`."""


class _Thread(threading.Thread):
    """A thread that is used by one fiber after another."""

    idle: list[_Thread] = []  # noqa: RUF012 - a pool for the whole process, on purpose

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.go, self.back = threading.Lock(), threading.Lock()
        self.go.acquire()
        self.back.acquire()
        self.work: Callable[[], None] = lambda: None

    def run(self) -> None:
        """Do one fiber's work after another."""
        while True:
            self.go.acquire()
            self.work()
            self.back.release()


class Fiber:
    """Work that is done piece by piece, in a thread of its own."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.is_done = False
        self.wakes_at = 0.0
        self.woken_by: Callable[[], bool] = lambda: True
        self._is_killed = False
        self._work = work
        self._thread = _Thread.idle.pop() if _Thread.idle else _Thread()
        self._thread.work = self._run
        if not self._thread.is_alive():
            self._thread.start()

    def resume(self) -> None:
        """Let it go on until it pauses or is done."""
        self._thread.go.release()
        self._thread.back.acquire()
        if self.is_done:
            _Thread.idle.append(self._thread)

    def pause(self) -> None:
        """Called in the fiber: give others a turn."""
        self._thread.back.release()
        self._thread.go.acquire()
        if self._is_killed:
            raise CrashError

    def kill(self) -> None:
        """Its process is gone."""
        self._is_killed = True
        while not self.is_done:
            self.resume()

    def _run(self) -> None:
        try:
            if not self._is_killed:
                self._work()
        except CrashError:
            pass
        finally:
            self.is_done = True


class Turns:
    """Whose turn it is, and what time it is."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.running: Fiber | None = None

    def clock(self) -> float:
        """The time in seconds."""
        return self.now

    def resume(self, fiber: Fiber) -> None:
        """Give a fiber its turn."""
        before, self.running = self.running, fiber
        try:
            fiber.resume()
        finally:
            self.running = before

    def yields(self) -> None:
        """Called anywhere: if a fiber runs, others get a turn."""
        if self.running is not None:
            self.running.pause()


class Event:
    """Stands for `threading.Event`: a fiber that waits is resumed when it is set or the time is over."""

    turns: Turns
    """Set by the schedule that runs now."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """See `threading.Event`."""
        self._is_set = True

    def is_set(self) -> bool:
        """See `threading.Event`."""
        return self._is_set

    def wait(self, timeout: float) -> bool:
        """See `threading.Event`."""
        fiber = self.turns.running
        assert fiber is not None, "only work on an executor may wait"
        fiber.wakes_at, fiber.woken_by = self.turns.now + timeout, self.is_set
        fiber.pause()
        fiber.wakes_at, fiber.woken_by = 0.0, lambda: True
        return self._is_set


class Lock:
    """Stands for `threading.Lock`: a fiber that finds it taken gives others a turn until it is free."""

    turns: Turns
    """Set by the schedule that runs now."""

    def __init__(self) -> None:
        self._is_taken = False

    def __enter__(self) -> None:
        while self._is_taken:
            assert self.turns.running is not None, "only work on an executor may wait"
            self.turns.yields()
        self._is_taken = True

    def __exit__(self, *_error: object) -> None:
        self._is_taken = False


class FiberExecutor(Executor):
    """An executor with one thread, as the storer has."""

    def __init__(self, turns: Turns, name: str) -> None:
        self.name = name
        self._turns = turns
        self.waiting: deque[tuple[Future[Any], Callable[[], Any], list[Future[Any]]]] = deque()
        self._fiber: Fiber | None = None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor`."""
        future: Future[T] = Future()
        needed = [argument for argument in args if isinstance(argument, Future)]
        self.waiting.append((future, lambda: fn(*args, **kwargs), needed))
        return future

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return self._fiber is None and not self.waiting

    @property
    def is_under_way(self) -> bool:
        """Whether a job has been begun, and is not done."""
        return self._fiber is not None

    @property
    def is_asleep(self) -> bool:
        """Whether it waits for a time to come."""
        fiber = self._fiber
        return fiber is not None and self._turns.now < fiber.wakes_at and not fiber.woken_by()

    def run(self) -> bool:
        """Go on with the present job or begin the next one; False if there is nothing that can be done now."""
        if self._fiber is None:
            if not self.waiting or not all(future.done() for future in self.waiting[0][2]):
                return False
            future, work, _ = self.waiting.popleft()
            if not future.set_running_or_notify_cancel():
                return True
            self._fiber = Fiber(lambda: _fulfil(future, work))
        elif self.is_asleep:
            return False
        self._turns.resume(self._fiber)
        if self._fiber.is_done:
            self._fiber = None
        return True

    def kill(self) -> None:
        """The process is gone."""
        self.waiting.clear()
        if self._fiber is not None:
            self._fiber.kill()
            self._fiber = None

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as its base
        """See `Executor`; what is under way goes on."""


class LooseExecutor(Executor):
    """An executor with several threads whose jobs do no I/O: they are done whole, in any order."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor`."""
        future: Future[T] = Future()
        self.waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def run(self, index: int) -> None:
        """Do one of the waiting jobs."""
        _fulfil(*self.waiting.pop(index))


def _fulfil(future: Future[T], work: Callable[[], T]) -> None:
    try:
        result = work()
    except Exception as error:  # noqa: BLE001 - as every executor does
        future.set_exception(error)
    else:
        future.set_result(result)
