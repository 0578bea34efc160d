"""Applies events of the archive worker to a tenant's round."""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.control.modes.chronicle import Chronicle
from redoubt.control.modes.tenant_archive import TenantArchive
from redoubt.messages.archiving import (
    ALL_PIECES,
    Event,
    Flushed,
    HoleClosed,
    HoleOpened,
    PieceBroken,
    PieceCut,
    PieceFreezing,
    PieceFrozen,
    PieceProgress,
    PieceStopped,
    PieceTrouble,
)
from redoubt.model import rounds
from redoubt.model.rounds import Round, RoundStatus


@dataclass(frozen=True)
class Consequence:
    """The actions after an event: `broken_by` interrupts the round; `has_new_piece`: send the new piece to the worker.

    `is_quiet`: the round has not changed.
    """

    broken_by: str = ""
    has_new_piece: bool = False
    is_quiet: bool = False


def apply_event(event: Event, now: Round, archive: TenantArchive, chronicle: Chronicle) -> tuple[Round, Consequence]:
    """The round after an event of this round and of one of its tenants."""
    match event:
        case Flushed():
            archive.commits.flushed(event.number)
            return now, Consequence(is_quiet=True)
        case HoleOpened():
            chronicle.begin_hole_at(event.tenant_id, event.round, event.lsn, event.scn)
        case HoleClosed():
            start, end = (event.start_lsn, event.start_scn), (event.end_lsn, event.end_scn)
            chronicle.close_hole(event.tenant_id, event.after, start, end)
        case PieceBroken():
            return _broken(event, now, archive)
        case PieceStopped():
            if now.status is not RoundStatus.STOPPING and not archive.is_leaving:
                return now, Consequence(is_quiet=True)  # no statement asked for the stop
            now = _stopped(now, archive, event.piece, event.text)
        case PieceCut():
            return rounds.piece_cut(now, event.tenant_id, event.piece, event.scn), Consequence(has_new_piece=True)
        case PieceFrozen():
            now = _stopped(now, archive, event.piece, "")
        case _:
            now = _advanced(event, now, archive)
    return now, Consequence()


def _advanced(event: PieceProgress | PieceTrouble | PieceFreezing, now: Round, archive: TenantArchive) -> Round:
    """Apply the progress or trouble of a tenant's round."""
    piece = now.piece(event.piece)
    if piece is None or event.tenant_id not in piece.tenants:
        return now
    match event:
        case PieceProgress():
            archive.durable_lsn = max(archive.durable_lsn or 0, event.lsn)
            return rounds.progressed(
                now, event.tenant_id, event.scn, event.input_bytes, event.output_bytes, event.piece
            )
        case PieceTrouble():
            archive.troubles[event.piece] = event.text
            return rounds.troubled(now, event.tenant_id, archive.trouble)
        case _:  # PieceFreezing
            archive.troubles[event.piece] = f"freezing: {event.done} of {event.total} objects read"
            return now


def _broken(event: PieceBroken, now: Round, archive: TenantArchive) -> tuple[Round, Consequence]:
    if archive.is_leaving or now.status is RoundStatus.STOPPING:
        now = rounds.interrupted(now, event.tenant_id, event.text) if now.status is RoundStatus.STOPPING else now
        return _stopped(now, archive, event.piece, event.text), Consequence()
    return now, Consequence(broken_by=event.text)


def _stopped(now: Round, archive: TenantArchive, piece_id: int, text: str) -> Round:
    """End a tenant's piece, and a stopping tenant's round with its last open piece."""
    tenant_id = archive.tenant.tenant_id
    ended = archive.told if piece_id == ALL_PIECES else {piece_id}  # pieces not told yet are told later
    ended = ended & {piece.piece_id for piece in now.open_pieces(tenant_id)}
    for each in sorted(ended):
        archive.troubles.pop(each, None)
        archive.told.discard(each)
        now = rounds.piece_frozen(now, tenant_id, each)
    if ended and text and now.status is RoundStatus.STOPPING:
        now = rounds.interrupted(now, tenant_id, text)  # kept, even if a later piece ends without a problem
    if now.open_pieces(tenant_id):
        return now
    if archive.gone is not None and not archive.gone.done():
        archive.gone.set_result(None)
    return rounds.tenant_stopped(now, tenant_id, text) if now.status is RoundStatus.STOPPING else now
