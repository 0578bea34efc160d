"""What the service and its archive worker say to each other: one JSON object a line, commands down, events up."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, get_args


@dataclass(frozen=True)
class ArchiveRound:
    """Command: archive a tenant's log into a round; goes on where the destination ends.

    `start_lsn` is where a round that is not yet claimed begins; None for one that must be there already. `after` is the
    round before this one in the same destination, if there is one: where it ends tells what is missing in between.
    With a `broken_by`, the round was interrupted for that cause at `broken_at` (ns since the epoch): nothing more is
    archived, but where the round ends and why is recorded in the destination.
    """

    tenant_id: int
    tenant: str
    base_dir: str
    source: str
    destination: str
    cluster: str
    cluster_id: int
    identity: str
    round: int
    piece: int
    start_scn: int
    start_lsn: int | None
    after: int | None = None
    broken_by: str = ""
    broken_at: int = 0


@dataclass(frozen=True)
class Flush:
    """Command: make durable what the engine's log holds when this is obeyed, then say `Flushed` with the number."""

    tenant_id: int
    round: int
    number: int


@dataclass(frozen=True)
class SetCodec:
    """Command: compress with this codec from the next segment on."""

    codec: str


@dataclass(frozen=True)
class StopRound:
    """Command: archive what the log holds now, then say `RoundStopped`; give up after `patience` seconds."""

    tenant_id: int
    round: int
    patience: float


@dataclass(frozen=True)
class RoundProgress:
    """Event: what of a tenant's round is durable: up to `lsn` and `scn` (0 if nothing yet), in bytes and segments."""

    tenant_id: int
    round: int
    lsn: int
    scn: int
    input_bytes: int
    output_bytes: int
    segments: int


@dataclass(frozen=True)
class RoundTrouble:
    """Event: archiving is being retried because of `text`; the empty text says that it goes on."""

    tenant_id: int
    round: int
    text: str


@dataclass(frozen=True)
class RoundStopped:
    """Event: the round has been stopped as asked; `text` says what kept it from being archived to the end, if any."""

    tenant_id: int
    round: int
    text: str


@dataclass(frozen=True)
class Flushed:
    """Event: everything that `Flush` with this number, or a lower one, asked for is durable."""

    tenant_id: int
    round: int
    number: int


@dataclass(frozen=True)
class RoundFreezing:
    """Event: a stopping round is being merged and its manifest made; `done` of `total` objects have been read."""

    tenant_id: int
    round: int
    done: int
    total: int


@dataclass(frozen=True)
class HoleOpened:
    """Event: it is on record in the destination that the interrupted round ends at `lsn` and `scn`."""

    tenant_id: int
    round: int
    lsn: int
    scn: int


@dataclass(frozen=True)
class HoleClosed:
    """Event: the log from `start_*` (the end of round `after`) to `end_*` (the start of this one) is in no round.

    Nothing is missing if `end_lsn` is not above `start_lsn`.
    """

    tenant_id: int
    round: int
    after: int
    start_lsn: int
    start_scn: int
    end_lsn: int
    end_scn: int


@dataclass(frozen=True)
class RoundBroken:
    """Event: the round cannot continue, because of `text`."""

    tenant_id: int
    round: int
    text: str


Command = ArchiveRound | Flush | SetCodec | StopRound
Event = RoundProgress | RoundTrouble | RoundStopped | RoundBroken | Flushed | RoundFreezing | HoleOpened | HoleClosed
_KINDS: dict[str, type[Command | Event]] = {kind.__name__: kind for kind in (*get_args(Command), *get_args(Event))}


def to_line(message: Command | Event) -> bytes:
    """The message as a line, line end included."""
    return json.dumps({"kind": type(message).__name__} | asdict(message)).encode() + b"\n"


def from_line(line: bytes) -> Command | Event:
    """The message on a line."""
    fields: dict[str, Any] = json.loads(line)
    return _KINDS[fields.pop("kind")](**fields)
