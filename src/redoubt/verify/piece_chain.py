"""Checks that a tenant's pieces continue each other, and that holes between rounds are recorded. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from redoubt.model.damage import Loss
from redoubt.model.recovery import LogRun
from redoubt.verify.findings import Finding, note
from redoubt.verify.piece_verdict import PieceVerdict

_EVERYTHING = 2**63 - 1


def judge_chain(verdicts: Sequence[PieceVerdict], *, is_copy: bool = False) -> tuple[list[Finding], list[LogRun]]:
    """The findings between pieces, given in the order of their keys; links for log missing at the end of a piece.

    With `is_copy`, pieces may be missing: those that were deleted, or not copied yet. That is no damage.
    """
    findings, links = list[Finding](), list[LogRun]()
    for number, now in enumerate(verdicts):
        if now.look.info is None:
            continue
        if now.look.info.start_chain is not None:
            before = verdicts[number - 1] if number and _is_same_round(verdicts[number - 1], now) else None
            for finding, link in _continues(before, now):
                findings.append(replace(finding, is_damage=not is_copy or bool(finding.losses)))
                links += link
        findings += [replace(each, is_damage=each.is_damage and not is_copy) for each in _holes(verdicts, number)]
    return findings, links


def _continues(before: PieceVerdict | None, now: PieceVerdict) -> Iterator[tuple[Finding, list[LogRun]]]:
    """Compare a piece's claim with the end of the previous piece."""
    info, key, path = now.look.info, now.look.key, now.look.path
    assert info is not None
    whole = (Loss(None, key, 0, _EVERYTHING),)
    if before is None or before.look.is_empty:
        yield Finding(path.folder, f"the previous piece, which should end at LSN {info.start_lsn}, is missing"), []
        return
    end = before.end
    if end is None or (end.lsn, end.scn, end.chain) == (info.start_lsn, info.start_scn, info.start_chain):
        return
    folder, last = before.look.path.folder, before.look.info
    if end.lsn < info.start_lsn and not before.look.is_deleted and last is not None:
        link = LogRun(before.look.key, last.source, end.lsn, info.start_lsn, end.scn, info.start_scn)
        loss = Loss(None, before.look.key, end.lsn, info.start_lsn)
        yield Finding(folder, f"the log from LSN {end.lsn} to {info.start_lsn} is missing at the end", (loss,)), [link]
    else:
        yield Finding(path.info, f"its start does not match the end of {folder}, LSN {end.lsn}", whole), []


def _holes(verdicts: Sequence[PieceVerdict], number: int) -> Iterator[Finding]:
    """Compare a round's record of the hole before it with the end of the previous round."""
    now = verdicts[number]
    hole, path, first = now.look.hole, now.look.path, now.first
    if hole is not None:
        if first and (hole.end_lsn, hole.end_scn) != (first.lsn, first.scn):
            yield Finding(path.hole, f"the hole ends at LSN {hole.end_lsn}, but the log continues at LSN {first.lsn}")
        earlier = [each for each in verdicts[:number] if each.look.key.round == hole.after]
        end = earlier[-1].end if earlier else None
        if end and end.lsn != hole.start_lsn:
            yield Finding(
                path.hole, f"the hole begins at LSN {hole.start_lsn}, but round {hole.after} ends at LSN {end.lsn}"
            )
        return
    if first is None or number == 0 or _is_same_round(verdicts[number - 1], now):
        return
    last = verdicts[number - 1]
    is_one_engine = last.look.info and now.look.info and last.look.info.source == now.look.info.source
    if is_one_engine and last.end and first.lsn > last.end.lsn and not now.look.is_there(path.hole):
        text = f"no round holds the log from LSN {last.end.lsn} to {first.lsn}, and no cause is recorded"
        is_over = now.look.manifest is not None or number + 1 < len(verdicts)
        yield Finding(path.hole, f"missing: {text}") if is_over else note(path.hole, text)


def _is_same_round(one: PieceVerdict, other: PieceVerdict) -> bool:
    return one.look.key.round == other.look.key.round
