"""The seam to an engine that the service keeps within reach: started again where it is the service's, or waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from redoubt.errors import RedoubtError
from redoubt.model.seams import Engine


class EngineStartError(RedoubtError):
    """The engine did not start; the text says why and where to look."""


class AccountError(RedoubtError):
    """The service cannot log in to its engine."""


class OpenDoorError(AccountError):
    """Anybody who reaches the gateway could log in to the engine as root."""


@dataclass(frozen=True)
class EngineSizes:
    """How much an engine may use, in its own spelling of sizes (`1G`); `others`: more parameters, as `name=value`."""

    memory_budget: str = "1G"
    log_disk_size: str = "2G"
    others: tuple[str, ...] = ()


class KeptEngine(Engine, Protocol):
    """An engine, as the service has it that keeps it. Methods block and may be called from any thread."""

    def keep_up(self) -> None:
        """Hold the log that has come since, if log is being held; cheap when there is nothing new. Raises OSError."""
        ...

    def end_sessions(self, only: set[int] | None = None) -> None:
        """End every session but the service's own, or only those of these ids. Raises OSError if no answer comes."""
        ...


class Keeper(Protocol):
    """Keeps one engine within reach. For the event loop.

    `trouble` says at any time why the engine cannot be used; it is empty while it can.
    """

    trouble: str
    was_tried: asyncio.Event
    """Set when it has been tried once to reach the engine, with whatever result."""
    is_open_door: bool
    """Whether the engine is out of reach because anybody could log in to it as root."""
    may_be_new: bool
    """Whether the directory may be empty: an engine makes itself there then. Otherwise it counts as damaged."""
    reached: Callable[[KeptEngine], None]
    """Called in a thread whenever the engine has come within reach. May raise OSError."""

    @property
    def directory(self) -> Path:
        """The engine's directory."""
        ...

    @property
    def engine(self) -> KeptEngine:
        """The engine, whether or not it is within reach."""
        ...

    async def start(self) -> None:
        """Have the engine within reach, now. Raises EngineStartError, AccountError."""
        ...

    async def keep(self) -> None:
        """Have the engine within reach from now on; runs until cancelled."""
        ...

    async def stop(self) -> None:
        """Let the engine go: one that is the service's own ends in order."""
        ...

    async def kill(self) -> None:
        """Let the engine go at once, for good."""
        ...


class ApplicationKeeper(Keeper, Protocol):
    """Waits for an engine that an application runs, and never starts or stops it."""

    async def leave(self, *, force: bool) -> None:
        """Leave nothing of Redoubt's in the application's directory. Raises OSError, but not with `force`."""
        ...
