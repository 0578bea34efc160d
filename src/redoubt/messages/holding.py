"""What the service and the holder's process tell each other."""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.messages.lines import Lines


@dataclass(frozen=True)
class Hold:
    """To the holder: all directories whose log it has to hold from now on, as (kind of engine, directory)."""

    directories: list[list[str]]


@dataclass(frozen=True)
class HoldingTrouble:
    """From the holder: why the log in a directory cannot be held now; empty: it is held again."""

    directory: str
    cause: str


HoldingMessage = Hold | HoldingTrouble
_LINES: Lines[HoldingMessage] = Lines(Hold, HoldingTrouble)
to_line, from_line = _LINES.dump, _LINES.load
