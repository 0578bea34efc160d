"""Pieces of a round: what state one is in, and what may follow (OceanBase 3.x). Pure.

A round without a piece interval is one piece, number 0. A piece only goes forward, and is FROZEN when nothing more will
be written to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from redoubt.model.rounds import RoundStatus

_KEY = re.compile(r"(?P<round>[1-9][0-9]*)(?:_(?P<piece>[1-9][0-9]*)_(?P<date>[0-9]{8}))?\Z", re.ASCII)


@dataclass(frozen=True, order=True)
class PieceKey:
    """Which piece of which round; `create_date` is the local day on which it began, as the number YYYYMMDD.

    In a round without a piece interval, `piece` and `create_date` are 0.
    """

    round: int
    piece: int = 0
    create_date: int = 0

    def __str__(self) -> str:
        """The folder's name: `<round>`, or `<round>_<piece>_<YYYYMMDD>`."""
        return f"{self.round}_{self.piece}_{self.create_date}" if self.piece else str(self.round)

    @classmethod
    def parse(cls, name: str) -> PieceKey | None:
        """The key of a folder's name, None if it is not one."""
        match = _KEY.match(name)
        if match is None:
            return None
        return cls(int(match["round"]), int(match["piece"] or 0), int(match["date"] or 0))


class PieceStatus(StrEnum):
    """OceanBase's words for the state of a piece."""

    ACTIVE = "ACTIVE"
    FREEZING = "FREEZING"
    FROZEN = "FROZEN"


def piece_of(status: RoundStatus) -> PieceStatus:
    """The state of a round's last piece: it freezes as the round stops, whatever came before.

    While it is FREEZING its small segments are merged and its manifest is written.
    """
    if status is RoundStatus.STOP:
        return PieceStatus.FROZEN
    return PieceStatus.FREEZING if status is RoundStatus.STOPPING else PieceStatus.ACTIVE
