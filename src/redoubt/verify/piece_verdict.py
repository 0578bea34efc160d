"""Judges a look at a piece: compares its info objects with each other, its place and its log. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from redoubt.archive.folder_keys import wrapped_key_in
from redoubt.archive.layout import ClusterPath, Interruption, PieceInfo
from redoubt.archive.manifest import Manifest
from redoubt.archive.segment import SegmentName
from redoubt.model.damage import Loss
from redoubt.model.log import LogPosition
from redoubt.model.recovery import LogRun
from redoubt.verify.findings import Finding, note
from redoubt.verify.piece_log import PieceLog, PieceOf, put_together, with_end
from redoubt.verify.piece_look import PieceLook

_EVERYTHING = 2**63 - 1
_MOST_NAMED = 1000
"""The most findings in a piece that are named one by one: the cost of each is computed from all log."""
NOT_OURS = "it belongs to another cluster"


@dataclass(frozen=True)
class Owner:
    """The owner of pieces and sets. `identity` is the cluster's own, None if unknown."""

    cluster: ClusterPath
    identity: str | None
    tenant_id: int


@dataclass(frozen=True)
class PieceVerdict:
    """The verdict on a piece. `links` is its log, as in `PieceLog`; `end` is the end of the log, None if unknown."""

    look: PieceLook
    findings: tuple[Finding, ...] = ()
    links: tuple[LogRun, ...] = ()
    first: LogPosition | None = None
    end: LogPosition | None = None


def judge(owner: Owner, look: PieceLook) -> PieceVerdict:
    """The verdict on a piece by itself; `piece_chain` checks how pieces continue each other."""
    if look.is_empty:
        return PieceVerdict(look, tuple(_strangers(look)))
    everything = (Loss(None, look.key, 0, _EVERYTHING),)
    findings = [*_unreadable(look, everything), *_claim(owner, look, everything), *_places(owner, look)]
    log, end = PieceLog(), None
    if look.is_deleted:
        findings += _deleted(look)
        end = look.manifest.piece.end if look.manifest else None
    else:
        log = _log(owner, look)
        end = log.end or (look.info.start if look.info and not log.links else None)
        findings += log.findings
        findings += [*_manifest(look, log), *_ends(look, end), *_gone(look)]
    findings += _strangers(look)
    first = LogPosition(log.first.start_lsn, log.first.min_scn) if log.first else None
    return PieceVerdict(look, tuple(_named(look, findings)), log.links, first, end)


def _named(look: PieceLook, findings: list[Finding]) -> list[Finding]:
    """The findings; beyond a number of them, the rest as one for damage and one for notes."""
    rest = findings[_MOST_NAMED:]
    damage = [each for each in rest if each.is_damage]
    more = list[Finding]()
    if damage:
        losses = tuple(loss for each in damage for loss in each.losses)
        is_known = all(each.is_cost_known for each in damage)
        text = f"{len(damage)} more problems, which are not named"
        more.append(Finding(look.path.folder, text, losses, is_cost_known=is_known))
    if len(rest) > len(damage):
        more.append(note(look.path.folder, f"{len(rest) - len(damage)} more remarks, which are not listed"))
    return [*findings[:_MOST_NAMED], *more]


def _log(owner: Owner, look: PieceLook) -> PieceLog:
    piece = look.manifest.piece if look.manifest else None
    listed = [entry.name for entry in look.manifest.segments] if look.manifest else list(look.before)
    expected = [name for text in listed if (name := SegmentName.parse(text)) and name not in look.segments]
    of = PieceOf(
        owner.cluster,
        owner.tenant_id,
        look.key,
        look.path.folder,
        look.info,
        piece.end_lsn if piece else None,
        piece.end_scn if piece else 0,
        tuple(expected),
    )
    log = put_together(of, look.segments)
    return with_end(log, look.interruption.cause) if look.interruption else log


def _unreadable(look: PieceLook, everything: tuple[Loss, ...]) -> Iterator[Finding]:
    """Damaged info objects. A restore does not use a piece whose claim, interruption or manifest is unreadable."""
    needed = {look.base(name) for name in (look.path.info, look.path.interruption, look.path.manifest)}
    for base, problem in look.unreadable.items():
        costs = everything if base in needed and not look.is_deleted else ()
        yield Finding(f"{look.path.folder}/{base}", problem, costs)


def _claim(owner: Owner, look: PieceLook, everything: tuple[Loss, ...]) -> Iterator[Finding]:
    info, path, key = look.info, look.path, look.key
    if info is None:
        if look.base(path.info) not in look.unreadable:
            yield Finding(path.info, "missing: the owner of this log is unknown", everything)
    elif (info.tenant_id, info.round, info.piece) != (owner.tenant_id, key.round, key.piece):
        yield Finding(
            path.info, f"it names piece {info.piece} of round {info.round} of tenant {info.tenant_id}", everything
        )
    elif owner.identity is not None and info.identity != owner.identity:
        yield Finding(path.info, NOT_OURS, everything)


def _places(owner: Owner, look: PieceLook) -> Iterator[Finding]:
    """Info objects that name another piece than their own, or another engine."""
    tenant, key, path = owner.tenant_id, look.key, look.path
    if (broken := look.interruption) and (broken.tenant_id, broken.round) != (tenant, key.round):
        yield Finding(path.interruption, f"it names round {broken.round} of tenant {broken.tenant_id}")
    elif broken and look.info and broken.source != look.info.source:
        yield Finding(
            path.interruption, f"it names engine {broken.source}, but the piece holds log of {look.info.source}"
        )
    if (hole := look.hole) and (hole.tenant_id, hole.round) != (tenant, key.round):
        yield Finding(path.hole, f"it names round {hole.round} of tenant {hole.tenant_id}")
    if (gone := look.deletion) and (gone.tenant_id, gone.round, gone.piece) != (tenant, key.round, key.piece):
        yield Finding(path.deletion, f"it names piece {gone.piece} of round {gone.round} of tenant {gone.tenant_id}")
    if (manifest := look.manifest) is None:
        return
    piece, cluster = manifest.piece, owner.cluster
    place = (cluster.cluster, cluster.cluster_id, tenant, key.round, key.piece)
    if (piece.cluster, piece.cluster_id, piece.tenant_id, piece.round, piece.piece) != place:
        yield Finding(
            path.manifest,
            f"it names piece {piece.piece} of round {piece.round} of tenant {piece.tenant_id} "
            f"of {piece.cluster}#{piece.cluster_id}",
        )
    elif look.info and _of_claim(manifest) != _claimed(look.info):
        yield Finding(path.manifest, f"its owner or start does not match {path.info}")


def _claimed(info: PieceInfo) -> tuple[object, ...]:
    return info.identity, info.source, info.tenant, info.start_lsn, info.start_scn


def _of_claim(manifest: Manifest) -> tuple[object, ...]:
    piece = manifest.piece
    return piece.identity, piece.source, piece.tenant, piece.start_lsn, piece.start_scn


def _manifest(look: PieceLook, log: PieceLog) -> Iterator[Finding]:
    """Compare the manifest with the segments."""
    if look.manifest is None:
        return
    path, listed = look.path, {entry.name: entry for entry in look.manifest.segments}
    for name, checked in look.segments.items():
        entry, loss = listed.get(str(name)), (Loss(None, look.key, name.start_lsn, name.end_lsn),)
        if checked.problem:
            continue
        if entry is None and name in log.held and not _is_late_merge(name, listed):
            yield Finding(path.segment(name), "the manifest does not list it, but a manifest is written last")
        elif entry and (entry.size, entry.sha256) != (checked.size, checked.sha256):
            yield Finding(path.segment(name), "its size or SHA-256 differs from the manifest", loss)
    piece, found = look.manifest.piece, log.end
    if found and piece.end != found:
        yield Finding(
            path.manifest, f"its end, LSN {piece.end_lsn}, does not match the end of the log, LSN {found.lsn}"
        )
    elif log.first and piece.chain_before != log.first.chain_before:
        yield Finding(path.manifest, "its starting checksum does not match the first segment")
    if piece.broken_by and not look.is_there(path.interruption):
        yield Finding(path.interruption, "missing: the manifest says that the round was interrupted")


def _is_late_merge(name: SegmentName, listed: Iterable[str]) -> bool:
    """Whether a former writer merged listed segments of its own after another writer's manifest; see `listing`."""
    if not (name.epoch and name.is_merged):
        return False
    parts = [each for text in listed if (each := SegmentName.parse(text)) and each.epoch == name.epoch]
    return {name.start_lsn, name.end_lsn} <= {lsn for each in parts for lsn in (each.start_lsn, each.end_lsn)}


def _ends(look: PieceLook, end: LogPosition | None) -> Iterator[Finding]:
    """Compare the record of an interruption with the end of the log."""
    broken: Interruption | None = look.interruption
    if broken and end and broken.end_lsn < end.lsn and any(name.epoch for name in look.segments):
        yield note(look.path.interruption, "it is a former writer's: a later writer continued the log")
    elif broken and end and broken.end_lsn != end.lsn:
        yield Finding(
            look.path.interruption, f"its end, LSN {broken.end_lsn}, does not match the end of the log, LSN {end.lsn}"
        )


def _deleted(look: PieceLook) -> Iterator[Finding]:
    if look.segments:
        yield note(look.path.deletion, f"{len(look.segments)} segments remain: the deletion has not finished")


def _gone(look: PieceLook) -> Iterator[Finding]:
    """Objects that were present at the last verification, and are missing without a recorded reason."""
    covers = [(name.start_lsn, name.end_lsn) for name in look.segments]
    data_keys = {ids[0] for ids in map(wrapped_key_in, look.others) if ids}
    for base, known in look.before.items():
        name = SegmentName.parse(base)
        full = f"{look.path.folder}/{base}"
        if (ids := wrapped_key_in(base)) is not None:  # a new master key may have replaced the one that wrapped it
            is_missed = ids[0] not in data_keys
        elif name is None:
            is_missed = not look.is_there(full) and full != look.path.info
        else:  # it may have been merged; what is missing inside the piece is found without this
            is_missed = not any(start <= name.start_lsn and name.end_lsn <= end for start, end in covers)
            is_missed = is_missed and name.start_lsn >= max((end for _, end in covers), default=0)
        if is_missed:
            loss = () if name is None else (Loss(None, look.key, name.start_lsn, name.end_lsn),)
            when = datetime.fromtimestamp(known.at // 10**9, UTC).isoformat()
            yield Finding(full, f"missing: it was present when last verified at {when}", loss, is_cost_known=not loss)


def _strangers(look: PieceLook) -> Iterator[Finding]:
    for name in look.strangers:
        yield note(name, "unrecognized object")
    for name in look.void:
        yield note(name, "does not count: it is a former writer's, and a later one had begun before its end")
