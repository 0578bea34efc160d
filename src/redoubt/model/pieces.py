"""Pieces of a round: what state one is in, and what may follow (OceanBase 3.x). Pure.

A round without a piece interval is one piece, number 0. A piece only goes forward, and is FROZEN when nothing more will
be written to it.
"""

from __future__ import annotations

from enum import StrEnum

from redoubt.model.rounds import RoundStatus


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
