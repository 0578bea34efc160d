"""The worker's processes: on which machine each one runs, and whether it lives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .faults import Faults
from .fibers import FiberExecutor


@dataclass(eq=False)
class Process:
    """One process: what goes wrong in it, and its threads."""

    machine: str
    pid: int
    fate: Faults
    threads: list[FiberExecutor] = field(default_factory=list)
    is_dead: bool = False
    has_service: bool = True
    """Whether somebody hears the process, and would tell it of a switch or a stop."""


class Processes:
    """All processes that ever were; `current` is the one that runs."""

    def __init__(self) -> None:
        self.all: list[Process] = []
        self.current: Process | None = None

    def begin(self, machine: str, fate: Faults) -> Process:
        """A new process; process ids are not given again."""
        self.all.append(Process(machine, 100 + len(self.all), fate))
        return self.all[-1]

    @contextmanager
    def running(self, process: Process) -> Iterator[None]:
        """While this runs, what runs is part of the process."""
        before, self.current = self.current, process
        try:
            yield
        finally:
            self.current = before

    # what stands in the product for the operating system's view of processes

    def getpid(self) -> int:
        """See `os`."""
        return self._running().pid

    def machine(self) -> str:
        """See `lease`."""
        return self._running().machine

    def started(self, pid: int) -> str:
        """See `lease`."""
        return "" if self.has_ended(pid, "") else str(pid)

    def has_ended(self, pid: int, _started: str) -> bool:
        """See `lease`."""
        return self.all[pid - 100].is_dead

    def threads(self) -> list[FiberExecutor]:
        """The threads of the current process."""
        return self._running().threads

    def _running(self) -> Process:
        assert self.current is not None, "a process asks"
        return self.current
