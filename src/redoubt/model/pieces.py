"""Pieces of a round: their states and transitions (OceanBase 3.x). Pure.

A round without a piece interval is one piece, number 0. With an interval, the round switches to a new piece from time
to time: the old piece becomes FREEZING, and each tenant's log continues in the next piece, from the first place in the
log that is not before the switch. When the old piece's small segments are merged and its manifest is written, the old
piece is FROZEN. Invariants, which every function here keeps:

- A piece only goes forward: ACTIVE, FREEZING, FROZEN; so does each tenant's part of it.
- A piece is FROZEN exactly when it was FREEZING and every tenant's part is FROZEN.
- A tenant's checkpoint never goes back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum

_KEY = re.compile(r"(?P<round>[1-9][0-9]{0,17})(?:_(?P<piece>[1-9][0-9]{0,17})_(?P<date>[0-9]{8}))?\Z", re.ASCII)


@dataclass(frozen=True, order=True)
class PieceKey:
    """The key of a piece. `create_date` is the local day on which the piece began, as the number YYYYMMDD.

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
        """Parse a folder's name; None if the name is not a key."""
        match = _KEY.match(name)
        if match is None:
            return None
        return cls(int(match["round"]), int(match["piece"] or 0), int(match["date"] or 0))


class PieceStatus(StrEnum):
    """OceanBase's words for the state of a piece."""

    ACTIVE = "ACTIVE"
    FREEZING = "FREEZING"
    FROZEN = "FROZEN"


@dataclass(frozen=True)
class TenantPiece:
    """A tenant's part of a piece. SCNs in ns since the epoch (0: nothing yet), sizes in bytes.

    `start_scn` is 0 until the tenant's log goes on in this piece.
    """

    tenant_id: int
    start_scn: int = 0
    status: PieceStatus = PieceStatus.ACTIVE
    checkpoint_scn: int = 0
    input_bytes: int = 0
    output_bytes: int = 0

    @property
    def has_begun(self) -> bool:
        """Whether some of the tenant's log belongs to this piece, or will."""
        return self.start_scn > 0

    @property
    def is_open(self) -> bool:
        """Whether the part has begun and is not complete yet."""
        return self.has_begun and self.status is not PieceStatus.FROZEN


@dataclass(frozen=True)
class Piece:
    """A piece of the cluster's round; `piece_id` is 0 in a round without a piece interval. Times as in TenantPiece.

    `switch_scn` is the SCN from which on log belongs to the next piece, 0 without a next piece.
    """

    piece_id: int
    create_date: int
    start_scn: int
    status: PieceStatus = PieceStatus.ACTIVE
    switch_scn: int = 0
    tenants: dict[int, TenantPiece] = field(default_factory=dict)

    @property
    def checkpoint_scn(self) -> int:
        """The SCN up to which every tenant's log is durable; the latest end if the piece is FROZEN."""
        ends = [part.checkpoint_scn for part in self.tenants.values()]
        return max(ends, default=0) if self.status is PieceStatus.FROZEN else min(ends, default=0)

    @property
    def input_bytes(self) -> int:
        """Bytes of log archived, over all tenants."""
        return sum(part.input_bytes for part in self.tenants.values())

    @property
    def output_bytes(self) -> int:
        """Bytes of objects stored for that log, over all tenants."""
        return sum(part.output_bytes for part in self.tenants.values())

    def key(self, round_id: int) -> PieceKey:
        """The key that names the piece's folders."""
        return PieceKey(round_id, self.piece_id, self.create_date) if self.piece_id else PieceKey(round_id)


def begun(piece_id: int, create_date: int, start_scn: int, tenants: list[int]) -> Piece:
    """The first piece of a round, in which every tenant's log begins."""
    parts = {tenant_id: TenantPiece(tenant_id, start_scn) for tenant_id in tenants}
    return Piece(piece_id, create_date, start_scn, tenants=parts)


def following(now: Piece, create_date: int, tenants: list[int]) -> Piece:
    """The piece after one whose switch is decided; no tenant's log is in the new piece yet."""
    parts = {tenant_id: TenantPiece(tenant_id) for tenant_id in tenants}
    return Piece(now.piece_id + 1, create_date, now.switch_scn, tenants=parts)


def freezing(now: Piece, switch_scn: int = 0) -> Piece:
    """Freeze the piece: only log before `switch_scn` is still added."""
    if now.status is not PieceStatus.ACTIVE:
        return now
    parts = {
        key: replace(part, status=PieceStatus.FREEZING) if part.status is PieceStatus.ACTIVE else part
        for key, part in now.tenants.items()
    }
    return _settled(replace(now, status=PieceStatus.FREEZING, switch_scn=switch_scn, tenants=parts))


def tenant_begun(now: Piece, tenant_id: int, start_scn: int) -> Piece:
    """A tenant's log goes on in this piece, from `start_scn`."""
    part = now.tenants.get(tenant_id) or TenantPiece(tenant_id, status=_open(now.status))
    if part.has_begun or now.status is PieceStatus.FROZEN:
        return now
    return _with(now, replace(part, start_scn=start_scn, checkpoint_scn=start_scn))


def progressed(now: Piece, tenant_id: int, checkpoint_scn: int, input_bytes: int, output_bytes: int) -> Piece:
    """A tenant's log is durable up to `checkpoint_scn`; the byte counts are totals of the piece."""
    part = now.tenants[tenant_id]
    scn = max(part.checkpoint_scn, checkpoint_scn)
    return _with(now, replace(part, checkpoint_scn=scn, input_bytes=input_bytes, output_bytes=output_bytes))


def tenant_frozen(now: Piece, tenant_id: int, end_scn: int = 0) -> Piece:
    """A tenant's part of the piece is complete. A part that never began is empty, at `end_scn`."""
    part = now.tenants[tenant_id]
    if not part.has_begun:
        part = replace(part, start_scn=end_scn, checkpoint_scn=end_scn)
    return _settled(_with(now, replace(part, status=PieceStatus.FROZEN)))


def _open(status: PieceStatus) -> PieceStatus:
    return PieceStatus.FREEZING if status is PieceStatus.FREEZING else PieceStatus.ACTIVE


def _with(now: Piece, part: TenantPiece) -> Piece:
    return replace(now, tenants=now.tenants | {part.tenant_id: part})


def _settled(now: Piece) -> Piece:
    is_done = all(part.status is PieceStatus.FROZEN for part in now.tenants.values())
    return replace(now, status=PieceStatus.FROZEN) if is_done and now.status is PieceStatus.FREEZING else now
