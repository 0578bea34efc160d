"""The seam to a keeper of an engine: it restarts the service's own engine, or waits for an application's engine."""

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
    """The service cannot log in to an engine."""


class OpenDoorError(AccountError):
    """Anybody who reaches the gateway could log in to the engine as root."""


@dataclass(frozen=True)
class EngineSizes:
    """The limits of an engine, in the engine's notation (`1G`); `others`: more parameters, as `name=value`."""

    memory_budget: str = "1G"
    log_disk_size: str = "2G"
    others: tuple[str, ...] = ()


class KeptEngine(Engine, Protocol):
    """An engine, as its keeper gives it out. Methods block and may be called from any thread."""

    def end_sessions(self, only: set[int] | None = None) -> None:
        """End every session except the service's own, or only the sessions with these ids.

        Raises OSError if the engine does not answer.
        """
        ...


class Keeper(Protocol):
    """Keeps one engine reachable. For the event loop.

    `trouble` says why the engine cannot be used now; empty if the engine can be used.
    """

    trouble: str
    was_tried: asyncio.Event
    """Set after the first attempt to reach the engine, whether or not the attempt succeeded."""
    is_open_door: bool
    """Whether the keeper refuses the engine because anybody could log in to the engine as root."""
    may_be_new: bool
    """Whether the directory may be empty: then the engine initializes it. Otherwise an empty directory is damaged."""
    reached: Callable[[KeptEngine], None]
    """Called in a thread whenever the engine becomes reachable. May raise OSError."""

    @property
    def directory(self) -> Path:
        """The engine's directory."""
        ...

    @property
    def engine(self) -> KeptEngine:
        """The engine, whether or not the engine is reachable."""
        ...

    async def start(self) -> None:
        """Make the engine reachable now. Raises EngineStartError, AccountError."""
        ...

    async def keep(self) -> None:
        """Keep the engine reachable from now on; runs until cancelled."""
        ...

    async def stop(self) -> None:
        """Release the engine; the service's own engine shuts down in order."""
        ...

    async def kill(self) -> None:
        """Release the engine at once, for good."""
        ...


class ApplicationKeeper(Keeper, Protocol):
    """Waits for an engine that an application runs, and never starts or stops it."""

    async def leave(self, *, force: bool) -> str:
        """Remove everything of Redoubt's from the application's directory.

        Returns what the user must remove, as the engine does not answer; empty if nothing is left.
        Raises OSError if that fails; with `force`, an engine that still refuses writes is no error.
        """
        ...
