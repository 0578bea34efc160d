"""What the product has said, as the checker holds it to it. Kept over every crash."""

from __future__ import annotations

from dataclasses import dataclass, field

from redoubt.messages.archiving import Event, HoleClosed, HoleOpened, PieceCut, PieceFrozen, PieceProgress, PieceStopped

Key = tuple[int, int]
"""Round and piece."""


@dataclass
class Promises:
    """By round, or by round and piece. LSNs in bytes."""

    pieces: dict[Key, int] = field(default_factory=dict)
    """The pieces that were ordered, in order, with the day of each."""
    switches: dict[Key, int] = field(default_factory=dict)
    """For each piece that another one is to continue the SCN of the switch."""
    reach: dict[Key, int] = field(default_factory=dict)
    """For each piece the LSN at which it may end at most: see `PieceReader`."""
    durable: dict[int, int] = field(default_factory=dict)
    """For each round the LSN up to which it was reported durable."""
    starts: dict[Key, int] = field(default_factory=dict)
    """For each piece the LSN at which it was reported to begin."""
    cuts: dict[Key, tuple[int, int]] = field(default_factory=dict)
    """For each piece that was reported to be cut: LSN and SCN of its end."""
    frozen: set[Key] = field(default_factory=set)
    """The pieces of which it was said that their manifest is written."""
    broken: dict[int, set[str]] = field(default_factory=dict)
    """For each broken round the cause that was to be recorded; more than one if the service died too soon."""
    opened: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """For each round of which it was said that its interruption is on record: piece, and LSN and SCN of its end."""
    closed: dict[int, tuple[int, int, int, int]] = field(default_factory=dict)
    """For each round whose begin was reported: the round before, and start and end of the hole."""

    disputed: set[int] = field(default_factory=set)
    """The rounds of which a worker without a service took a lease: its orders were old. No log may be lost even so."""

    def take(self, event: Event) -> None:
        """Something was said."""
        match event:
            case PieceProgress():
                self.is_durable(event.round, event.lsn)
                self.starts.setdefault((event.round, event.piece), event.lsn - event.input_bytes)
            case PieceCut():
                self.cuts[event.round, event.piece] = (event.lsn, event.scn)
                self.is_durable(event.round, event.lsn)
            case PieceFrozen():
                self.frozen.add((event.round, event.piece))
            case PieceStopped() if not event.text:
                self.frozen.add((event.round, event.piece))
            case HoleOpened():
                self.opened[event.round] = (event.piece, event.lsn, event.scn)
            case HoleClosed():
                self.closed[event.round] = (event.after, event.start_lsn, event.end_lsn, event.end_scn)
            case _:
                pass

    def is_durable(self, number: int, lsn: int) -> None:
        """The round was said to be durable up to an LSN."""
        self.durable[number] = max(self.durable.get(number, 0), lsn)
