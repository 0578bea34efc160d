"""Reads a cluster's history from a destination: its rounds, pieces, data backups and holes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from redoubt.archive.bounded import read_record
from redoubt.archive.deletion import SetDeletion
from redoubt.archive.encryption import KeyLostError
from redoubt.archive.inventory import Inventory, PieceHeld, TenantPath, clusters, take_inventory, tenants
from redoubt.archive.layout import ClusterInfo, ClusterPath, HoleInfo
from redoubt.archive.record import RecordError
from redoubt.archive.set_layout import SetPath, data_folder
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError
from redoubt.errors import RedoubtError
from redoubt.model.bases import SetKey
from redoubt.model.data_backups import EncryptionMode
from redoubt.model.history import History, TenantSet
from redoubt.model.holes import Hole
from redoubt.model.pieces import Piece, PieceKey, PieceStatus, TenantPiece
from redoubt.model.retention import FileStatus, SetStatus
from redoubt.model.rounds import Round, RoundStatus, TenantRound
from redoubt.model.seams import Destination, DestinationError, ObjectMissingError

_UNFROZEN = "the catalog was rebuilt; the end of this round was read from the destination"


class ForeignDestinationError(RedoubtError):
    """The destination holds no archive of this cluster; the text names the clusters that it holds."""


def cluster_of(destination: Destination, identity: str) -> ClusterPath:
    """The cluster with that identity in a destination. Raises ForeignDestinationError, DestinationError."""
    others = []
    for path in clusters(destination):
        try:
            if read_record(ClusterInfo, destination, path.info).identity == identity:
                return path
            others.append(f"{path.cluster}#{path.cluster_id} (another cluster)")
        except RecordError as error:
            raise DestinationError(f"{path.info} is damaged ({error}); run redoubt verify") from error
        except ObjectMissingError:
            others.append(f"{path.cluster}#{path.cluster_id} (identity unknown: {path.info} is missing)")
    raise ForeignDestinationError(f"the destination holds {'; '.join(others) or 'no archive'}")


def history(destination: Destination, path: ClusterPath, uri: str) -> History:
    """A cluster's history in a destination. `uri` is the destination's URI. Raises DestinationError."""
    parts: dict[PieceKey, dict[int, TenantPiece]] = defaultdict(dict)
    causes: dict[tuple[int, int], str] = {}
    deleted, sets, holes, left_out = set[PieceKey](), list[TenantSet](), list[Hole](), list[str]()
    for tenant in tenants(destination, path):
        inventory = take_inventory(destination, tenant)
        left_out += inventory.damage
        for held in inventory.pieces:
            try:
                parts[held.key][tenant.tenant_id] = _part(tenant, held)
                causes[held.key.round, tenant.tenant_id] = _cause(held)
                holes += _hole(held)
            except ArchiveError as error:
                left_out.append(str(error))
            if held.store.is_deleted():
                deleted.add(held.key)
        for key in sorted(_set_keys(destination, tenant)):
            try:
                sets.append(set_of(destination, tenant, key, inventory))
            except (ArchiveError, ObjectMissingError) as error:
                left_out.append(str(error))
    return History(
        tuple(_rounds(parts, causes, uri)),
        frozenset(deleted),
        tuple(sets),
        tuple(holes),
        tuple(dict.fromkeys(left_out)),
    )


def set_of(destination: Destination, tenant: TenantPath, key: SetKey, inventory: Inventory) -> TenantSet:
    """A tenant's part of a data backup.

    Raises ArchiveError and DestinationError; ObjectMissingError if the set has no claim.
    """
    store = SetStore(destination, SetPath(f"{data_folder(tenant.cluster, tenant.tenant_id)}/{key}"))
    info, manifest = store.info(), store.manifest()
    there = {each.name for each in destination.list(store.path.folder)}
    if store.path.deletion in there:
        status = SetStatus.FAILED if _is_of_failed_part(store) else SetStatus.SUCCESS
        return TenantSet(key, tenant.tenant_id, status, FileStatus.DELETED, info.began_at)
    if manifest is None:
        return TenantSet(key, tenant.tenant_id, SetStatus.FAILED, FileStatus.INCOMPLETE, info.began_at)
    now = manifest.summary
    rounds = [
        run.key.round
        for run in inventory.runs
        if run.source == now.of.source and run.start_lsn <= now.start_lsn < run.end_lsn
    ]
    return TenantSet(
        key=key,
        tenant_id=tenant.tenant_id,
        status=SetStatus.SUCCESS,
        file_status=FileStatus.AVAILABLE,
        start_time=now.began_at,
        completion_time=now.completed_at,
        start_scn=now.start_scn,
        snapshot_scn=now.snapshot_scn,
        start_lsn=now.start_lsn,
        snapshot_lsn=now.snapshot_lsn,
        input_bytes=now.input_bytes,
        output_bytes=now.output_bytes,
        pause_us=now.pause_us,
        passes=now.passes,
        method=now.method,
        round_id=max(rounds, default=0),
        encryption=_encryption(store, now.data_key),
    )


def _encryption(store: SetStore, data_key: str) -> EncryptionMode:
    """How a set is encrypted; TRANSPARENT also if its keys are damaged."""
    if not data_key:
        return EncryptionMode.NONE
    try:
        return EncryptionMode.PASSWORD if store.keys.is_of_password(data_key) else EncryptionMode.TRANSPARENT
    except KeyLostError:
        return EncryptionMode.TRANSPARENT


def _is_of_failed_part(store: SetStore) -> bool:
    """Whether the record of a deletion says that the files of a failed part were removed, not those of a good one."""
    try:
        return read_record(SetDeletion, store.destination, store.path.deletion).job == 0
    except (ObjectMissingError, RecordError):
        return False


def _part(tenant: TenantPath, held: PieceHeld) -> TenantPiece:
    """A tenant's part of a piece; only its manifest may remain. Raises ArchiveError."""
    manifest = held.store.manifest()
    start_lsn, end_lsn, end_scn, output = held.info.start_lsn, held.info.start_lsn, held.info.start_scn, 0
    if manifest is not None:
        end_lsn, end_scn, output = manifest.piece.end_lsn, manifest.piece.end_scn, manifest.output_bytes
    elif held.run is not None:
        end_lsn, end_scn = held.run.end_lsn, held.run.end_scn
        output = sum(each.size for each in held.store.listing().objects)
    checkpoint = max(end_scn, held.info.start_scn)
    return TenantPiece(
        tenant.tenant_id, held.info.start_scn, PieceStatus.FROZEN, checkpoint, end_lsn - start_lsn, output
    )


def _cause(held: PieceHeld) -> str:
    """The recorded cause why a round ended with this piece. Raises ArchiveError."""
    if broken := held.store.interruption():
        return broken.cause
    return "" if held.store.manifest() is not None else _UNFROZEN


def _hole(held: PieceHeld) -> Iterator[Hole]:
    hole = held.store.recorded(HoleInfo, held.store.path.hole)
    if hole is not None:
        start, end = (hole.start_lsn, hole.start_scn), (hole.end_lsn, hole.end_scn)
        yield Hole(hole.tenant_id, hole.after, *start, hole.cause, hole.since, *end, closed_at=hole.end_scn)


def _rounds(
    parts: dict[PieceKey, dict[int, TenantPiece]], causes: dict[tuple[int, int], str], uri: str
) -> Iterator[Round]:
    last_piece = 0
    for number in sorted({key.round for key in parts}):
        pieces = [_piece(key, parts[key]) for key in sorted(key for key in parts if key.round == number)]
        last_piece = max(last_piece, *(piece.piece_id for piece in pieces))
        mine = sorted({tenant_id for piece in pieces for tenant_id in piece.tenants})
        members = {
            tenant_id: _tenant_round(tenant_id, pieces, causes.get((number, tenant_id), "")) for tenant_id in mine
        }
        yield Round(
            round_id=number,
            status=RoundStatus.STOP,
            start_scn=min(each.start_scn for each in members.values()),
            create_date=pieces[0].create_date,
            destination=uri,
            comment=next((each.comment for each in members.values() if each.comment), ""),
            tenants=members,
            checkpoint_scn=min(each.checkpoint_scn for each in members.values()),
            last_piece_id=last_piece,
            pieces=tuple(pieces),
        )


def _piece(key: PieceKey, tenants_in: dict[int, TenantPiece]) -> Piece:
    start = min(part.start_scn for part in tenants_in.values())
    date = key.create_date or int(datetime.fromtimestamp(start // 10**9).astimezone().strftime("%Y%m%d"))
    return Piece(key.piece, date, start, PieceStatus.FROZEN, 0, dict(tenants_in))


def _tenant_round(tenant_id: int, pieces: list[Piece], cause: str) -> TenantRound:
    mine = [piece.tenants[tenant_id] for piece in pieces if tenant_id in piece.tenants]
    return TenantRound(
        tenant_id,
        RoundStatus.STOP,
        max(part.checkpoint_scn for part in mine),
        sum(part.input_bytes for part in mine),
        sum(part.output_bytes for part in mine),
        cause,
        mine[0].start_scn,
    )


def _set_keys(destination: Destination, tenant: TenantPath) -> set[SetKey]:
    names = destination.folders(data_folder(tenant.cluster, tenant.tenant_id))
    return {key for name in names if (key := SetKey.parse(name)) is not None}
