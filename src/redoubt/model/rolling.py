"""The seam to an engine that brings log into the files of a directory, and writes none of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from redoubt.model.bases import BaseSource
from redoubt.model.log import LogPosition
from redoubt.model.scratch import Login, ScratchEngine


class NotRolledError(Exception):
    """The files of the directory do not hold the log, or more than it; the text says why, and what to do."""


class Roller(Protocol):
    """Rolls a directory forward into which a base was written, and log laid."""

    def roll(
        self,
        end: LogPosition,
        logins: Sequence[Login],
        source: str,
        version: str,
        look: Callable[[ScratchEngine], None],
    ) -> BaseSource:
        """Have the files hold all log up to `end`, at which it ends, and nothing else; they make a base then.

        It is one of the engine `source`, of that `version`. `look` sees the engine when its files hold all of it.
        Raises NotRolledError, OSError, and what `look` raises.
        """
        ...
