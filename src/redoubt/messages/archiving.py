"""The messages between the service and its archive worker, as JSON lines: commands to the worker, events back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from redoubt.messages.lines import Lines
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.pieces import PieceKey

ALL_PIECES = -1
"""The `piece` of a `PieceStopped` if the worker does not know the round."""


@dataclass(frozen=True)
class ArchivePiece:
    """Command: archive a tenant's log into a piece of a round; the worker continues at the end in the destination.

    The log is that of the engine in `base_dir`, of the kind `engine_kind`.

    `piece` and `create_date` are 0 in a round without a piece interval. `start_lsn` is the start of a piece that is not
    claimed yet. It is None if the piece must exist, or continues another one: `previous_piece` of `previous_date` (0
    without one), which was cut at `start_scn`. `next_piece` of `next_date`, if not 0, has the log from `switch_scn` on.

    `after` is the round before in the same destination, if any; the hole is measured from its end. With `broken_by`,
    the round was interrupted for that cause at `broken_at` (ns since the epoch): the worker archives no more log, but
    records the end and the cause in the destination.
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
        """The key of the piece."""
        return PieceKey(self.round, self.piece, self.create_date)

    @property
    def previous(self) -> PieceKey | None:
        """The piece that this one continues, None for the first piece of the tenant in the round."""
        return PieceKey(self.round, self.previous_piece, self.previous_date) if self.previous_piece else None

    @property
    def next(self) -> PieceKey | None:
        """The piece that continues this one, None without one."""
        return PieceKey(self.round, self.next_piece, self.next_date) if self.next_piece else None


@dataclass(frozen=True)
class SwitchPiece:
    """Command: the tenant's log from `switch_scn` on belongs to `next_piece`; its ArchivePiece command will follow."""

    tenant_id: int
    round: int
    piece: int
    next_piece: int
    next_date: int
    switch_scn: int


@dataclass(frozen=True)
class Flush:
    """Command: make all log durable that the engine has now, then report `Flushed` with the number."""

    tenant_id: int
    round: int
    number: int


@dataclass(frozen=True)
class Configure:
    """Command: from the next segment on, compress with `codec` in `concurrency` threads (0: the worker's default).

    A segment is sealed at the age of `longest_age` seconds at the latest, and encrypted if `encrypts`.
    """

    codec: str
    longest_age: float = 3600.0
    concurrency: int = 0
    encrypts: bool = False


@dataclass(frozen=True)
class StopRound:
    """Command: archive all present log, then report `PieceStopped` for each piece.

    Gives up after `patience` seconds without progress. The present log ends at the first place after `end_lsn` at which
    a read ends; without `end_lsn`, where a read finds no more, which never happens if the writers are faster.
    """

    tenant_id: int
    round: int
    patience: float
    end_lsn: int | None = None


@dataclass(frozen=True)
class PieceProgress:
    """Event: a tenant's piece is durable up to `lsn` and `scn` (0 if nothing is yet); its bytes and segments."""

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
    """Event: archiving is retried because of `text`; an empty text means that the trouble is over."""

    tenant_id: int
    round: int
    text: str
    piece: int = 0


@dataclass(frozen=True)
class PieceStopped:
    """Event: the piece has stopped as requested; `text` is the reason if some log was not archived, otherwise empty."""

    tenant_id: int
    round: int
    text: str
    piece: int = 0


@dataclass(frozen=True)
class Flushed:
    """Event: the log of all flushes up to this number is durable."""

    tenant_id: int
    round: int
    number: int


@dataclass(frozen=True)
class PieceFreezing:
    """Event: the piece is being frozen; `done` of `total` objects have been read for its manifest."""

    tenant_id: int
    round: int
    done: int
    total: int
    piece: int = 0


@dataclass(frozen=True)
class PieceCut:
    """Event: all log of a tenant's piece is durable, up to `lsn` and `scn`; later log belongs to the next piece."""

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
    """Event: the destination records that the interrupted round ends at `lsn` and `scn`."""

    tenant_id: int
    round: int
    lsn: int
    scn: int
    piece: int = 0


@dataclass(frozen=True)
class HoleClosed:
    """Event: no round has the log from `start_*` (the end of round `after`) to `end_*` (the start of this round).

    No log is missing if `end_lsn` is not above `start_lsn`.
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
