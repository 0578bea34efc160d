"""Rounds of log archiving: their states and transitions. Pure.

A round belongs to the cluster; every user tenant has its own row in it. Invariants, which every function here keeps:

- A round's status moves only along `ALLOWED`.
- All tenants present when the round began have the same start; a tenant that joins later has its own. The cluster is
  DOING when every tenant's archive has reached the start. A tenant that joins is DOING when it has caught up.
- A tenant's checkpoint never goes back. The cluster's checkpoint is the least of the tenants' checkpoints and never
  goes back either: it waits for a tenant that joins.
- The interruption of a tenant is its own: the other tenants go on. The round is INTERRUPTED when all its tenants are.
- At most one piece is FREEZING while the last one is ACTIVE, besides those in which an INTERRUPTED tenant's part waits
  for the end of the round; pieces are numbered without a gap.
- `comment` keeps the cause of an interruption until a new round begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from redoubt.model import pieces
from redoubt.model.pieces import Piece, PieceStatus


class RoundStatus(StrEnum):
    """OceanBase's words for the state of a round."""

    STOP = "STOP"
    BEGINNING = "BEGINNING"
    DOING = "DOING"
    STOPPING = "STOPPING"
    INTERRUPTED = "INTERRUPTED"


ALLOWED: dict[RoundStatus, frozenset[RoundStatus]] = {
    RoundStatus.STOP: frozenset({RoundStatus.BEGINNING}),
    RoundStatus.BEGINNING: frozenset({RoundStatus.DOING, RoundStatus.STOPPING, RoundStatus.INTERRUPTED}),
    RoundStatus.DOING: frozenset({RoundStatus.STOPPING, RoundStatus.INTERRUPTED}),
    RoundStatus.STOPPING: frozenset({RoundStatus.STOP}),
    RoundStatus.INTERRUPTED: frozenset({RoundStatus.STOPPING}),
}
"""From each status, the others that may follow (SPEC of OceanBase 3.x; staying is always allowed)."""


class RoundTransitionError(Exception):
    """A round was asked for a transition that is not allowed."""


@dataclass(frozen=True)
class TenantRound:
    """A tenant's part of a round. SCNs in ns since the epoch (0: nothing yet), sizes in bytes."""

    tenant_id: int
    status: RoundStatus = RoundStatus.BEGINNING
    checkpoint_scn: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    comment: str = ""
    start_scn: int = 0


@dataclass(frozen=True)
class Round:
    """A round of the cluster. Times as in TenantRound; `pieces` are all of the round's, in order.

    `create_date` is the local day on which the round began, as the number YYYYMMDD. `last_piece_id` is the highest
    number that a piece ever had, 0 if there never was one.
    """

    round_id: int = 0
    status: RoundStatus = RoundStatus.STOP
    start_scn: int = 0
    create_date: int = 0
    destination: str = ""
    comment: str = ""
    tenants: dict[int, TenantRound] = field(default_factory=dict)
    checkpoint_scn: int = 0
    last_piece_id: int = 0
    pieces: tuple[Piece, ...] = ()

    @property
    def is_archiving(self) -> bool:
        """Whether log is to be held and archived."""
        return self.status in {RoundStatus.BEGINNING, RoundStatus.DOING}

    @property
    def broken(self) -> list[TenantRound]:
        """The parts of the tenants that are INTERRUPTED."""
        return [tenant for tenant in self.tenants.values() if tenant.status is RoundStatus.INTERRUPTED]

    @property
    def shown_status(self) -> RoundStatus:
        """The worst of the tenants' statuses: INTERRUPTED also while other tenants go on."""
        return RoundStatus.INTERRUPTED if self.broken else self.status

    @property
    def shown_comment(self) -> str:
        """The cause of an interruption or a delay; of an interruption while other tenants go on, with the tenant."""
        if self.is_archiving and self.broken:
            first = self.broken[0]
            return f"tenant {first.tenant_id}: {first.comment}; the others go on; a new round takes all of them again"
        return self.comment or next((tenant.comment for tenant in self.tenants.values() if tenant.comment), "")

    def status_of(self, tenant_id: int) -> RoundStatus:
        """The status of a tenant's part, or the round's if the tenant has none."""
        return self.tenants[tenant_id].status if tenant_id in self.tenants else self.status

    def is_archiving_of(self, tenant_id: int) -> bool:
        """Whether a tenant's log is to be held and archived."""
        return self.status_of(tenant_id) in {RoundStatus.BEGINNING, RoundStatus.DOING}

    @property
    def start_piece_id(self) -> int:
        """The number of the round's first piece, 0 for a round without a piece interval."""
        return self.pieces[0].piece_id if self.pieces else 0

    @property
    def input_bytes(self) -> int:
        """Bytes of log archived, over all tenants."""
        return sum(tenant.input_bytes for tenant in self.tenants.values())

    @property
    def output_bytes(self) -> int:
        """Bytes of objects stored for that log, over all tenants."""
        return sum(tenant.output_bytes for tenant in self.tenants.values())

    def piece(self, piece_id: int) -> Piece | None:
        """The piece of a number, None if the round has none."""
        return next((piece for piece in self.pieces if piece.piece_id == piece_id), None)

    def open_pieces(self, tenant_id: int) -> list[Piece]:
        """The pieces in which a tenant's part is open, in order."""
        return [piece for piece in self.pieces if tenant_id in piece.tenants and piece.tenants[tenant_id].is_open]


def begin(
    last: Round,
    *,
    tenants: list[int],
    start_scn: int,
    create_date: int,
    destination: str,
    has_pieces: bool = False,
) -> Round:
    """The round after `last`, BEGINNING now; one without tenants is DOING. RoundTransitionError unless in STOP."""
    _check(last.status, RoundStatus.BEGINNING)
    piece_id = last.last_piece_id + 1 if has_pieces else 0
    return Round(
        round_id=last.round_id + 1,
        status=RoundStatus.BEGINNING if tenants else RoundStatus.DOING,
        start_scn=start_scn,
        create_date=create_date,
        destination=destination,
        tenants={tenant_id: TenantRound(tenant_id, start_scn=start_scn) for tenant_id in tenants},
        checkpoint_scn=0 if tenants else start_scn,
        last_piece_id=max(last.last_piece_id, piece_id),
        pieces=(pieces.begun(piece_id, create_date, start_scn, tenants),),
    )


def joined(now: Round, tenant_id: int, start_scn: int) -> Round:
    """A tenant has been created while the round archives; its log from `start_scn` on belongs to the last piece."""
    status = RoundStatus.BEGINNING if now.is_archiving else now.status
    tenant = TenantRound(tenant_id, status, start_scn=start_scn, comment=now.comment)
    last = pieces.tenant_begun(now.pieces[-1], tenant_id, start_scn)
    return replace(_with_tenant(now, tenant), pieces=(*now.pieces[:-1], last))


def left(now: Round, tenant_id: int) -> Round:
    """Remove a tenant: its pieces are complete as they are, and the others continue."""
    gone = now.tenants[tenant_id]
    tenants = {key: tenant for key, tenant in now.tenants.items() if key != tenant_id}
    now = replace(_frozen_for(now, tenant_id, gone.checkpoint_scn), tenants=tenants)
    if now.status is RoundStatus.STOPPING:
        return _stopped_if_all_are(now)
    return _advanced(now)


def ticked(now: Round, scn: int) -> Round:
    """Advance the checkpoint of a round without tenants to `scn`."""
    if now.tenants or now.status is not RoundStatus.DOING:
        return now
    return replace(now, checkpoint_scn=max(now.checkpoint_scn, scn))


def progressed(
    now: Round, tenant_id: int, checkpoint_scn: int, input_bytes: int, output_bytes: int, piece_id: int = 0
) -> Round:
    """A tenant's archive is durable up to `checkpoint_scn`; may turn the tenant and the cluster to DOING.

    The bytes are those of the piece.
    """
    now = _with_piece(
        now, piece_id, lambda piece: pieces.progressed(piece, tenant_id, checkpoint_scn, input_bytes, output_bytes)
    )
    parts = [piece.tenants[tenant_id] for piece in now.pieces if tenant_id in piece.tenants]
    tenant = now.tenants[tenant_id]
    tenant = replace(
        tenant,
        checkpoint_scn=max(tenant.checkpoint_scn, checkpoint_scn),
        input_bytes=sum(part.input_bytes for part in parts),
        output_bytes=sum(part.output_bytes for part in parts),
    )
    if tenant.status is RoundStatus.BEGINNING and tenant.checkpoint_scn >= _goal(now, tenant):
        tenant = replace(tenant, status=RoundStatus.DOING)
    return _advanced(_with_tenant(now, tenant))


def switched(now: Round, switch_scn: int, create_date: int) -> Round:
    """Switch to a new piece, to which log from `switch_scn` on belongs. See `may_switch`.

    An INTERRUPTED tenant stays where it is: nothing of it belongs to the new piece.
    """
    can_follow = now.status in {RoundStatus.DOING, RoundStatus.INTERRUPTED} and now.start_piece_id > 0
    if not (can_follow and _is_settled(now)):
        raise RoundTransitionError(f"round {now.round_id} in {now.status} cannot go on in a new piece now")
    last = pieces.freezing(now.pieces[-1], switch_scn)
    following = pieces.following(last, create_date, [each for each in now.tenants if now.is_archiving_of(each)])
    return replace(now, last_piece_id=following.piece_id, pieces=(*now.pieces[:-1], last, following))


def may_switch(now: Round) -> bool:
    """Whether the round can switch to a new piece: it is DOING, has pieces, and no older piece is FREEZING.

    The part of an INTERRUPTED tenant, which is FREEZING until the round is stopped, holds up nobody.
    """
    return now.status is RoundStatus.DOING and now.start_piece_id > 0 and _is_settled(now)


def piece_cut(now: Round, tenant_id: int, piece_id: int, scn: int) -> Round:
    """A tenant's part of a piece is durable to its end, at `scn`; its log goes on in the next piece."""
    old = now.piece(piece_id)
    if old is not None and tenant_id in old.tenants:
        part = old.tenants[tenant_id]
        now = progressed(now, tenant_id, scn, part.input_bytes, part.output_bytes, piece_id)
    return _with_piece(now, piece_id + 1, lambda piece: pieces.tenant_begun(piece, tenant_id, scn))


def piece_frozen(now: Round, tenant_id: int, piece_id: int) -> Round:
    """A tenant's part of a piece is complete."""
    now = _with_piece(now, piece_id, lambda piece: pieces.tenant_frozen(piece, tenant_id))
    return _joined_up(now)


def interrupted(now: Round, tenant_id: int, cause: str) -> Round:
    """Interrupt a tenant's part, because its log cannot be archived. A round that is stopping goes on stopping."""
    tenant = now.tenants[tenant_id]
    if not now.is_archiving:
        return replace(_with_tenant(now, replace(tenant, comment=cause)), comment=now.comment or cause)
    if tenant.status is RoundStatus.INTERRUPTED:
        return now
    return _advanced(_with_tenant(now, replace(tenant, status=RoundStatus.INTERRUPTED, comment=cause)))


def troubled(now: Round, tenant_id: int, cause: str) -> Round:
    """A tenant's archiving is delayed by `cause`, or goes on (empty). Keeps the cause of an interruption."""
    tenant = now.tenants[tenant_id]
    if tenant.status is RoundStatus.INTERRUPTED or (now.comment and not cause):
        return now
    return _with_tenant(now, replace(tenant, comment=cause))


def stopping(now: Round) -> Round:
    """Begin to stop the round and all its tenants. Raises RoundTransitionError in STOP and STOPPING.

    A round without tenants is in STOP at once.
    """
    if now.status is RoundStatus.STOPPING:
        raise RoundTransitionError("the round is already stopping")
    _check(now.status, RoundStatus.STOPPING)
    tenants = {i: replace(tenant, status=RoundStatus.STOPPING) for i, tenant in now.tenants.items()}
    frozen = tuple(pieces.freezing(piece) for piece in now.pieces)
    comment = now.comment or next((tenant.comment for tenant in now.broken), "")
    return _stopped_if_all_are(
        replace(now, status=RoundStatus.STOPPING, tenants=tenants, pieces=frozen, comment=comment)
    )


def tenant_stopped(now: Round, tenant_id: int, comment: str = "") -> Round:
    """A tenant of a stopping round has stopped; the round is in STOP when all have. Raises RoundTransitionError."""
    _check(now.status, RoundStatus.STOP)
    tenant = now.tenants[tenant_id]
    tenant = replace(tenant, status=RoundStatus.STOP, comment=comment or tenant.comment)
    now = replace(_with_tenant(now, tenant), comment=now.comment or comment)
    return _stopped_if_all_are(_frozen_for(now, tenant_id, tenant.checkpoint_scn))


def all_stopped(now: Round, comment: str) -> Round:
    """End a stopping round without waiting for its tenants. Raises RoundTransitionError."""
    for tenant_id, tenant in now.tenants.items():
        if tenant.status is not RoundStatus.STOP:
            now = tenant_stopped(now, tenant_id, comment)
    return now


def _is_settled(now: Round) -> bool:
    """Whether every piece but the last is FROZEN, but for the parts of INTERRUPTED tenants."""
    waiting = {tenant.tenant_id for tenant in now.broken}
    parts = (part for piece in now.pieces[:-1] for part in piece.tenants.values())
    return all(part.status is PieceStatus.FROZEN or part.tenant_id in waiting for part in parts)


def _goal(now: Round, tenant: TenantRound) -> int:
    """The SCN a BEGINNING tenant must reach: its start, or the others' checkpoint if it joined a round in DOING."""
    return max(tenant.start_scn, now.checkpoint_scn) if now.status is RoundStatus.DOING else tenant.start_scn


def _advanced(now: Round) -> Round:
    """Derive the cluster's checkpoint and status from its tenants."""
    statuses = {tenant.status for tenant in now.tenants.values()}
    if now.is_archiving and statuses == {RoundStatus.INTERRUPTED}:
        now = replace(now, status=RoundStatus.INTERRUPTED, comment=now.broken[0].comment)
    elif now.status is RoundStatus.BEGINNING and RoundStatus.BEGINNING not in statuses:
        now = replace(now, status=RoundStatus.DOING)
    ends = [tenant.checkpoint_scn for tenant in now.tenants.values()]
    return replace(now, checkpoint_scn=max(now.checkpoint_scn, min(ends, default=0)))


def _stopped_if_all_are(now: Round) -> Round:
    is_over = all(tenant.status is RoundStatus.STOP for tenant in now.tenants.values())
    return replace(now, status=RoundStatus.STOP) if is_over else now


def _frozen_for(now: Round, tenant_id: int, end_scn: int) -> Round:
    """Freeze a tenant's part of all pieces; parts that never began end at `end_scn`."""
    frozen = tuple(
        pieces.tenant_frozen(piece, tenant_id, end_scn) if tenant_id in piece.tenants else piece for piece in now.pieces
    )
    return _joined_up(replace(now, pieces=frozen))


def _joined_up(now: Round) -> Round:
    """Set the start of each piece to the end of the piece before, if that one is FROZEN."""
    before: Piece | None = None
    joined_up = []
    for piece in now.pieces:
        if before is not None and before.status is PieceStatus.FROZEN and before.tenants:
            piece = replace(piece, start_scn=before.checkpoint_scn)  # noqa: PLW2901 - the same piece, corrected
        joined_up.append(piece)
        before = piece
    return replace(now, pieces=tuple(joined_up))


def _check(now: RoundStatus, then: RoundStatus) -> None:
    if then not in ALLOWED[now]:
        raise RoundTransitionError(f"a round in {now} cannot go to {then}")


def _with_tenant(now: Round, tenant: TenantRound) -> Round:
    return replace(now, tenants=now.tenants | {tenant.tenant_id: tenant})


def _with_piece(now: Round, piece_id: int, change: Callable[[Piece], Piece]) -> Round:
    changed = tuple(change(piece) if piece.piece_id == piece_id else piece for piece in now.pieces)
    return replace(now, pieces=changed)
