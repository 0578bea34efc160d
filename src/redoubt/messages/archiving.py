"""What the service and its archive worker say to each other: one JSON object a line, commands down, events up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from redoubt.messages.lines import Lines
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.pieces import PieceKey

ALL_PIECES = -1
"""What `PieceStopped` tells of when the worker knows nothing of the round."""


@dataclass(frozen=True)
class ArchivePiece:
    """Command: archive a tenant's log into a piece of a round; goes on where the destination ends.

    The log is that of the engine in `base_dir`, which is of the kind `engine_kind`.
    `create_date` is the piece's, 0 in a round without a piece interval, as `piece` is. `start_lsn` is where a piece
    that is not yet claimed begins; None for one that must be there already, or that continues another: `previous_piece`
    of `previous_date`, 0 if there is none, which was cut at `start_scn`. `next_piece` of `next_date`, if not 0, takes
    the log from `switch_scn` on.
    `after` is the round before this one in the same destination, if there is one: where it ends tells what is missing
    in between. With a `broken_by`, the round was interrupted for that cause at `broken_at` (ns since the epoch):
    nothing more is archived, but where the round ends and why is recorded in the destination.
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
    create_date: int = 0
    previous_piece: int = 0
    previous_date: int = 0
    next_piece: int = 0
    next_date: int = 0
    switch_scn: int = 0
    after: int | None = None
    broken_by: str = ""
    broken_at: int = 0
    engine_kind: str = SEEKDB

    @property
    def key(self) -> PieceKey:
        """Which piece it is."""
        return PieceKey(self.round, self.piece, self.create_date)

    @property
    def previous(self) -> PieceKey | None:
        """The piece that this one continues, None if it begins a tenant's part of the round."""
        return PieceKey(self.round, self.previous_piece, self.previous_date) if self.previous_piece else None

    @property
    def next(self) -> PieceKey | None:
        """The piece that continues this one, None while there is none."""
        return PieceKey(self.round, self.next_piece, self.next_date) if self.next_piece else None


@dataclass(frozen=True)
class SwitchPiece:
    """Command: log of a tenant's `piece` from `switch_scn` on belongs to `next_piece`, whose task will follow."""

    tenant_id: int
    round: int
    piece: int
    next_piece: int
    next_date: int
    switch_scn: int


@dataclass(frozen=True)
class Flush:
    """Command: make durable what the engine's log holds when this is obeyed, then say `Flushed` with the number."""

    tenant_id: int
    round: int
    number: int


@dataclass(frozen=True)
class Configure:
    """Command: from the next segment on, compress with this codec, in so many threads (0: as the worker likes).

    `checkpoint_interval` is in seconds: a segment is sealed at this age at the latest.
    """

    codec: str
    checkpoint_interval: float = 3600.0
    concurrency: int = 0


@dataclass(frozen=True)
class StopRound:
    """Command: archive what the log holds now, then say `PieceStopped` of each piece; give up after `patience` s."""

    tenant_id: int
    round: int
    patience: float


@dataclass(frozen=True)
class PieceProgress:
    """Event: what of a tenant's piece is durable: up to `lsn` and `scn` (0 if nothing yet), in bytes and segments."""

    tenant_id: int
    round: int
    lsn: int
    scn: int
    input_bytes: int
    output_bytes: int
    segments: int
    piece: int = 0


@dataclass(frozen=True)
class PieceTrouble:
    """Event: archiving is being retried because of `text`; the empty text says that it goes on."""

    tenant_id: int
    round: int
    text: str
    piece: int = 0


@dataclass(frozen=True)
class PieceStopped:
    """Event: the piece has been stopped as asked; `text` says what kept it from being archived to the end, if any."""

    tenant_id: int
    round: int
    text: str
    piece: int = 0


@dataclass(frozen=True)
class Flushed:
    """Event: everything that `Flush` with this number, or a lower one, asked for is durable."""

    tenant_id: int
    round: int
    number: int


@dataclass(frozen=True)
class PieceFreezing:
    """Event: a stopping round is being merged and its manifest made; `done` of `total` objects have been read."""

    tenant_id: int
    round: int
    done: int
    total: int
    piece: int = 0


@dataclass(frozen=True)
class PieceCut:
    """Event: all log of a tenant's piece is durable, up to `lsn` and `scn`; what comes belongs to the next piece."""

    tenant_id: int
    round: int
    piece: int
    lsn: int
    scn: int


@dataclass(frozen=True)
class PieceFrozen:
    """Event: a tenant's piece that was cut has been merged, and its manifest is written."""

    tenant_id: int
    round: int
    piece: int


@dataclass(frozen=True)
class HoleOpened:
    """Event: it is on record in the destination that the interrupted round ends at `lsn` and `scn`."""

    tenant_id: int
    round: int
    lsn: int
    scn: int
    piece: int = 0


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
class PieceBroken:
    """Event: the round cannot continue, because of `text`."""

    tenant_id: int
    round: int
    text: str
    piece: int = 0


Command = ArchivePiece | Flush | Configure | SwitchPiece | StopRound
Event = (
    PieceProgress
    | PieceTrouble
    | PieceStopped
    | PieceBroken
    | Flushed
    | PieceFreezing
    | PieceCut
    | PieceFrozen
    | HoleOpened
    | HoleClosed
)
_LINES: Lines[Command | Event] = Lines(*get_args(Command), *get_args(Event))
to_line = _LINES.dump
from_line = _LINES.load
