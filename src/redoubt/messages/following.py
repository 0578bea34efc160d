"""What the service and the process that keeps a standby following tell each other, as JSON lines.

The first line to the process is `Follow`. SCNs are in ns since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from redoubt.messages.lines import Lines


@dataclass(frozen=True)
class Follow:
    """Follow the log of the engine `source` of a tenant, into a directory with a base; up to `until_scn`, if not None.

    The tenant is named by its cluster's name and id, and its id. `memory_budget` is as in `EngineSizes`.
    """

    directory: str
    engine_kind: str
    memory_budget: str
    destination: str
    cluster: str
    cluster_id: int
    tenant_id: int
    source: str
    until_scn: int | None


@dataclass(frozen=True)
class FollowUntil:
    """Follow up to another SCN from now on; None: without end."""

    until_scn: int | None


@dataclass(frozen=True)
class Activate:
    """Let the engine take over, with all archived log up to `until_scn`, or only with what it has received."""

    without_archive: bool


@dataclass(frozen=True)
class Decided:
    """The answer to `LogComplete`: the service has recorded that the engine is a primary from now on."""


@dataclass(frozen=True)
class Following:
    """How far the engine is: it has all log before `lsn`, whose SCN is `scn`, and answers reads as of `readable_scn`.

    An SCN of 0 is unknown. `is_complete`: it has all archived log up to the end that it was given, and answers clients.
    """

    lsn: int
    scn: int
    readable_scn: int
    is_complete: bool


@dataclass(frozen=True)
class Follows:
    """The engine answers clients, and asks for log. `is_open_door`: anybody can log in as root."""

    is_open_door: bool


@dataclass(frozen=True)
class FollowTrouble:
    """Why the engine gets no log, or does not start; empty: it does again."""

    cause: str


@dataclass(frozen=True)
class LogComplete:
    """The engine has all log with which it takes over. The process waits for `Decided`."""


@dataclass(frozen=True)
class TakenOver:
    """The engine is a primary. It goes on running until the process ends."""


@dataclass(frozen=True)
class NotTakenOver:
    """The engine could not take over, because of `cause`."""

    cause: str


FollowCommand = Follow | FollowUntil | Activate | Decided
FollowReport = Following | Follows | FollowTrouble | LogComplete | TakenOver | NotTakenOver
_LINES: Lines[FollowCommand | FollowReport] = Lines(*get_args(FollowCommand), *get_args(FollowReport))
to_line, from_line = _LINES.dump, _LINES.load
