"""Repairs a lost or outdated catalog from a destination: rounds, pieces, data backups and holes.

The repair adds rows, and corrects rows that are not final. Final rows stay unchanged, and so do all rows of a running
round. Methods block, and raise CatalogError.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from redoubt.catalog import tables
from redoubt.catalog.catalog import INCARNATION, Catalog, piece_rows, status_row
from redoubt.catalog.session import CatalogSession
from redoubt.model.history import History, TenantSet
from redoubt.model.pieces import PieceStatus
from redoubt.model.retention import FileStatus, SetStatus
from redoubt.model.rounds import Round, RoundStatus, TenantRound

Row = dict[str, Any]

_KEYS = {
    tables.HISTORY_TABLE: ("incarnation", "log_archive_round", "tenant_id"),
    tables.PIECE_TABLE: ("incarnation", "tenant_id", "round_id", "backup_piece_id", "copy_id"),
    tables.SET_TABLE: ("incarnation", "tenant_id", "bs_key", "copy_id"),
    tables.HOLE_TABLE: ("tenant_id", "after"),
    tables.STATUS_TABLE: ("tenant_id",),
}
_BACKUP_DEST = "backup_dest"
_GONE = {str(FileStatus.DELETED), str(FileStatus.DELETING)}


@dataclass(frozen=True)
class Change:
    """A row to write; `old` are the current values of the columns that change, None for a new row."""

    table: str
    row: Row
    old: Row | None

    def __str__(self) -> str:
        """A line for the user."""
        key = ", ".join(
            f"{name} {self.row[name]}" for name in _KEYS[self.table] if name not in {"incarnation", "copy_id"}
        )
        what = f"{self.table.partition('.')[2]}: {key}"
        if self.old is None:
            return f"add     {what}"
        return f"correct {what}: " + ", ".join(f"{name} {old} -> {self.row[name]}" for name, old in self.old.items())


@dataclass(frozen=True)
class Repair:
    """The repair to carry out. `backup_dest` is the new value, empty for no change; `held_up` says what must wait."""

    changes: tuple[Change, ...]
    backup_dest: str = ""
    held_up: str = ""


def plan(session: CatalogSession, history: History, uri: str) -> Repair:
    """The changes that bring the catalog to a history. Writes nothing."""
    catalog = Catalog(session)
    now = catalog.load_round() or Round()
    is_under_way = now.status is not RoundStatus.STOP
    ended = [each for each in history.rounds if not (is_under_way and each.round_id >= now.round_id)]
    changes = [change for each in ended for change in _of_round(session, each, history)]
    changes += set_changes(session, history.sets, uri)
    for hole in history.holes:
        if not (is_under_way and hole.after >= now.round_id):
            changes += _change(session, tables.HOLE_TABLE, vars(hole), lambda old: old["closed_at"] == 0)
    held_up = ""
    if history.last_round > now.round_id and is_under_way:
        held_up = (
            f"round {now.round_id} is {now.status} in the catalog, but the destination has rounds up to "
            f"{history.last_round}: start the service, run ALTER SYSTEM NOARCHIVELOG, stop the service, repair again"
        )
    elif history.rounds and history.last_round >= now.round_id:
        last = replace(history.rounds[-1], last_piece_id=max(history.last_piece, now.last_piece_id))
        row = status_row(last, _whole(last))
        changes += _change(session, tables.STATUS_TABLE, row, lambda old: _number(old) < _number(row))
    backup_dest = "" if _BACKUP_DEST in catalog.parameters() else uri
    return Repair(tuple(changes), backup_dest, held_up)


def set_changes(session: CatalogSession, sets: tuple[TenantSet, ...], uri: str) -> tuple[Change, ...]:
    """The changes that add a destination's data backups to the catalog; allowed while the service runs."""
    return tuple(change for group in _grouped(sets) for change in _of_set(session, group, uri))


def carry_out(session: CatalogSession, repair: Repair) -> None:
    """Carry out a repair: all rows or none, then the parameter."""
    with session.transaction() as cursor:
        for change in repair.changes:
            names = ", ".join(f"`{name}`" for name in change.row)
            places = ", ".join(["%s"] * len(change.row))
            kept = ", ".join(f"`{name}` = VALUES(`{name}`)" for name in change.row)
            cursor.execute(
                f"INSERT INTO {change.table} ({names}) VALUES ({places}) ON DUPLICATE KEY UPDATE {kept}",
                tuple(change.row.values()),
            )
    if repair.backup_dest:
        Catalog(session).set_parameters({_BACKUP_DEST: repair.backup_dest})


def _number(row: Row) -> tuple[int, int]:
    return row["log_archive_round"], row["backup_piece_id"]


def _of_round(session: CatalogSession, each: Round, history: History) -> list[Change]:
    """The changes of an ended round's history and pieces."""
    changes = list[Change]()
    for part in (_whole(each), *each.tenants.values()):
        changes += _change(session, tables.HISTORY_TABLE, status_row(each, part), _never)
    for piece in each.pieces:
        is_deleted = piece.key(each.round_id) in history.deleted
        for row in piece_rows(each, piece):
            row["file_status"] = str(FileStatus.DELETED if is_deleted else FileStatus.AVAILABLE)
            changes += _change(session, tables.PIECE_TABLE, row, _is_deleted_piece if is_deleted else _is_open_piece)
    return changes


def _never(_: Row) -> bool:
    return False


def _is_open_piece(old: Row) -> bool:
    return bool(old["status"] != str(PieceStatus.FROZEN))


def _is_deleted_piece(old: Row) -> bool:
    return _is_open_piece(old) or _is_there(old)


def _is_there(old: Row) -> bool:
    return old["file_status"] not in _GONE


def _whole(each: Round) -> TenantRound:
    """The cluster's row."""
    return TenantRound(
        tables.SYS_TENANT_ID,
        each.status,
        each.checkpoint_scn,
        each.input_bytes,
        each.output_bytes,
        each.comment,
        each.start_scn,
    )


def _grouped(sets: tuple[TenantSet, ...]) -> list[list[TenantSet]]:
    return [[each for each in sets if each.key == key] for key in sorted({each.key for each in sets})]


def _of_set(session: CatalogSession, parts: list[TenantSet], uri: str) -> list[Change]:
    """The changes of a data backup's rows: the cluster's, with the least advanced status, and the tenants'."""
    least = next((part for part in parts if part.status is not SetStatus.SUCCESS), parts[0])
    good = [part for part in parts if (part.status, part.file_status) == (SetStatus.SUCCESS, FileStatus.AVAILABLE)]
    gone = any((part.status, part.file_status) == (SetStatus.SUCCESS, FileStatus.DELETED) for part in parts)
    counting = good or parts
    whole = replace(
        least,
        tenant_id=tables.SYS_TENANT_ID,
        file_status=(FileStatus.DELETING if gone else FileStatus.AVAILABLE) if good else least.file_status,
        start_time=min(part.start_time for part in parts),
        completion_time=max(part.completion_time for part in parts),
        start_scn=min(part.start_scn for part in counting),
        snapshot_scn=max(part.snapshot_scn for part in counting),
        start_lsn=0,
        snapshot_lsn=0,
        input_bytes=sum(part.input_bytes for part in parts),
        output_bytes=sum(part.output_bytes for part in parts),
        pause_us=max(part.pause_us for part in parts),
    )
    rows = [_set_row(part, uri) for part in (whole, *parts)]
    return [
        change
        for row in rows
        for change in _change(session, tables.SET_TABLE, row, _never if _is_there(row) else _is_there)
    ]


def _set_row(part: TenantSet, uri: str) -> Row:
    return {
        "incarnation": INCARNATION,
        "tenant_id": part.tenant_id,
        "bs_key": part.key.set_id,
        "copy_id": 0,
        "backup_type": "D",
        "encryption_mode": str(part.encryption),
        "status": str(part.status),
        "file_status": str(part.file_status),
        "start_time": part.start_time,
        "completion_time": part.completion_time,
        "snapshot_scn": part.snapshot_scn,
        "start_replay_scn": part.start_scn,
        "input_bytes": part.input_bytes,
        "output_bytes": part.output_bytes,
        "log_archive_round": part.round_id,
        "backup_dest": uri,
        "comment": "",
        "create_date": part.key.create_date,
        "total_bytes": part.input_bytes,
        "start_lsn": part.start_lsn,
        "snapshot_lsn": part.snapshot_lsn,
        "pause_us": part.pause_us,
        "passes": part.passes,
        "method": part.method,
    }


def _change(session: CatalogSession, table: str, row: Row, is_open: Callable[[Row], bool]) -> list[Change]:
    """The change that writes a row; none if the row exists, and may not be changed (`is_open`).

    A piece or a data backup that the catalog knows in another destination stays as it is: this one holds a copy.
    """
    keys = _KEYS[table]
    with session.cursor() as cursor:
        where = " AND ".join(f"`{key}` = %s" for key in keys)
        cursor.execute(f"SELECT * FROM {table} WHERE {where}", tuple(row[key] for key in keys))
        names = [column[0] for column in cursor.description or ()]
        found = cursor.fetchone()
    row = {name: value for name, value in row.items() if name in names}
    if found is None:
        return [Change(table, row, None)]
    old = dict(zip(names, found, strict=True))
    other = {name: old[name] for name, value in row.items() if old[name] != value and name != _BACKUP_DEST}
    is_copy = table in {tables.PIECE_TABLE, tables.SET_TABLE} and _place(old) != _place(row)
    if is_copy:
        return []
    return [Change(table, row, other)] if other and is_open(old) else []


def _place(row: Row) -> str:
    return str(row[_BACKUP_DEST]).rstrip("/")
