"""Typed reads and writes of the catalog. Methods block, may be called from any thread, and are each one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pymysql

from redoubt.catalog import schema, tables
from redoubt.catalog.session import CatalogSession
from redoubt.model.pieces import Piece, PieceStatus, TenantPiece
from redoubt.model.rounds import Round, RoundStatus, TenantRound

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

INCARNATION = 1
_COMPATIBLE = 1
_COMMENT_LENGTH = 4000
_OF_DELETION = "file_status"
"""A column that only a deletion changes, see `Cleaning`: a late save of a round must not revive a deleted piece."""
_SCHEMA_VERSION = "_schema_version"


class Catalog:
    """The catalog of the cluster: parameters, rounds, pieces."""

    def __init__(self, session: CatalogSession) -> None:
        self._session = session

    def prepare(self) -> None:
        """Create the tables and views, unless the schema has this version: DDL is slow while an engine recovers."""
        if self._schema_version() == schema.version():
            return
        with self._session.cursor() as cursor:
            for statement in schema.tables():
                cursor.execute(statement)
            cursor.execute(
                "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'oceanbase'"
            )
            for statement in [*schema.missing_columns(set(cursor.fetchall())), *schema.views()]:
                cursor.execute(statement)
        if self.load_round() is None:
            self.save_round(Round())
        self.set_parameters({_SCHEMA_VERSION: schema.version()})

    def set_server(self, host: str, port: int) -> None:
        """Store the address at which the service listens."""
        with self._session.transaction() as cursor:
            cursor.execute(f"DELETE FROM {tables.SERVER_TABLE}")
            cursor.execute(f"INSERT INTO {tables.SERVER_TABLE} VALUES (%s, %s)", (host, port))

    def knows_destination(self, uri: str) -> bool:
        """Whether a round, a data backup or a copy was ever stored there; a slash at the end makes no difference."""
        place = uri.rstrip("/")
        with self._session.cursor() as cursor:
            for table in (tables.STATUS_TABLE, tables.HISTORY_TABLE, tables.SET_TABLE, tables.PIECE_TABLE):
                sql = f"SELECT 1 FROM {table} WHERE TRIM(TRAILING '/' FROM backup_dest) = %s LIMIT 1"
                if cursor.execute(sql, (place,)):
                    return True
        return False

    def parameters(self) -> dict[str, str]:
        """The parameters that were set, by name, as typed."""
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT name, value FROM {tables.PARAMETER_TABLE} WHERE name <> %s", (_SCHEMA_VERSION,))
            return dict(cursor.fetchall())

    def set_parameters(self, values: dict[str, str]) -> None:
        """Store parameters, all or none."""
        with self._session.transaction() as cursor:
            cursor.executemany(f"REPLACE INTO {tables.PARAMETER_TABLE} VALUES (%s, %s)", list(values.items()))

    def load_round(self) -> Round | None:
        """The current or last round, None in a new catalog."""
        with self._session.cursor() as cursor:
            rows = _rows(cursor, tables.STATUS_TABLE, tables.STATUS_COLUMNS)
            whole = next((row for row in rows if row["tenant_id"] == tables.SYS_TENANT_ID), None)
            if whole is None:
                return None
            number = whole["log_archive_round"]
            parts = _rows(
                cursor, tables.PIECE_TABLE, tables.PIECE_COLUMNS, "WHERE round_id = %s AND copy_id = 0", number
            )
        tenants = {row["tenant_id"]: _tenant_round(row) for row in rows if row is not whole}
        status = _own_status(RoundStatus(whole["status"]), tenants)
        return Round(
            round_id=number,
            status=status,
            start_scn=whole["start_scn"],
            create_date=whole["create_date"],
            destination=whole["backup_dest"],
            comment="" if status in _ARCHIVING else whole["comment"],  # what is shown then is a tenant's
            tenants=tenants,
            checkpoint_scn=whole["checkpoint_scn"],
            last_piece_id=whole["backup_piece_id"],
            pieces=_pieces(parts),
        )

    def save_round(self, now: Round, before: Round | None = None) -> None:
        """Save the round `now`: status rows, piece rows, and in STOP the history.

        `before` is the last saved round: unchanged pieces are not written again.
        """
        sums = TenantRound(
            tables.SYS_TENANT_ID,
            now.shown_status,
            now.checkpoint_scn,
            now.input_bytes,
            now.output_bytes,
            now.shown_comment,
            now.start_scn,
        )
        rows = [status_row(now, part) for part in (sums, *now.tenants.values())]
        stopped = now.status is RoundStatus.STOP and now.round_id > 0
        known = before.pieces if before is not None and before.round_id == now.round_id else ()
        pieces = [row for piece in now.pieces if piece not in known for row in piece_rows(now, piece)]
        with self._session.transaction() as cursor:
            cursor.execute(f"DELETE FROM {tables.STATUS_TABLE} WHERE tenant_id <> %s", (tables.SYS_TENANT_ID,))
            _replace(cursor, tables.STATUS_TABLE, tables.STATUS_COLUMNS, rows[:1] if stopped else rows)
            _replace(cursor, tables.PIECE_TABLE, tables.PIECE_COLUMNS, pieces)
            if stopped:
                _replace(cursor, tables.HISTORY_TABLE, tables.STATUS_COLUMNS, rows)

    def save_departure(self, now: Round, tenant: TenantRound) -> None:
        """Write a leaving tenant's part of the round to the history."""
        gone = replace(tenant, status=RoundStatus.STOP)
        with self._session.transaction() as cursor:
            _replace(cursor, tables.HISTORY_TABLE, tables.STATUS_COLUMNS, [status_row(now, gone)])

    def round_before(self, round_id: int, destination: str) -> int | None:
        """The last round before `round_id` in a destination, None without one."""
        with self._session.cursor() as cursor:
            cursor.execute(
                f"SELECT MAX(log_archive_round) FROM {tables.HISTORY_TABLE} "
                "WHERE backup_dest = %s AND log_archive_round < %s",
                (destination, round_id),
            )
            row = cursor.fetchone()
            return row[0] if row else None

    def _schema_version(self) -> str | None:
        with self._session.cursor() as cursor:
            try:
                cursor.execute(f"SELECT value FROM {tables.PARAMETER_TABLE} WHERE name = %s", (_SCHEMA_VERSION,))
            except pymysql.err.ProgrammingError:
                return None  # the table does not exist: the catalog is new
            row = cursor.fetchone()
            return row[0] if row else None


def _tenant_round(row: dict[str, Any]) -> TenantRound:
    return TenantRound(
        tenant_id=row["tenant_id"],
        status=RoundStatus(row["status"]),
        checkpoint_scn=row["checkpoint_scn"],
        input_bytes=row["input_bytes"],
        output_bytes=row["output_bytes"],
        comment=row["comment"],
        start_scn=row["start_scn"],
    )


def _pieces(rows: list[dict[str, Any]]) -> tuple[Piece, ...]:
    """The pieces of a round from their rows, in order."""
    found = {}
    for row in sorted(rows, key=lambda row: (row["backup_piece_id"], row["tenant_id"])):
        if row["tenant_id"] == tables.SYS_TENANT_ID:
            found[row["backup_piece_id"]] = Piece(
                piece_id=row["backup_piece_id"],
                create_date=row["create_date"],
                start_scn=row["start_scn"],
                status=PieceStatus(row["status"]),
                switch_scn=row["switch_scn"],
                tenants={},
            )
        else:
            found[row["backup_piece_id"]].tenants[row["tenant_id"]] = TenantPiece(
                tenant_id=row["tenant_id"],
                start_scn=row["start_scn"],
                status=PieceStatus(row["status"]),
                checkpoint_scn=row["checkpoint_scn"],
                input_bytes=row["input_bytes"],
                output_bytes=row["output_bytes"],
            )
    return tuple(found.values())


_ARCHIVING = frozenset({RoundStatus.BEGINNING, RoundStatus.DOING})


def _own_status(shown: RoundStatus, tenants: dict[int, TenantRound]) -> RoundStatus:
    """The round's own status, from the one that is shown: INTERRUPTED also while other tenants go on."""
    going_on = {tenant.status for tenant in tenants.values()} & _ARCHIVING
    if shown is not RoundStatus.INTERRUPTED or not going_on:
        return shown
    return RoundStatus.DOING if RoundStatus.DOING in going_on else RoundStatus.BEGINNING


def status_row(now: Round, part: TenantRound) -> dict[str, Any]:
    """The row of STATUS_TABLE and HISTORY_TABLE for a tenant's part of a round."""
    return {
        "tenant_id": part.tenant_id,
        "incarnation": INCARNATION,
        "log_archive_round": now.round_id,
        "status": str(part.status),
        "start_piece_id": now.start_piece_id,
        "backup_piece_id": now.last_piece_id,
        "start_scn": part.start_scn,
        "checkpoint_scn": part.checkpoint_scn,
        "input_bytes": part.input_bytes,
        "output_bytes": part.output_bytes,
        "compatible": _COMPATIBLE,
        "create_date": now.create_date,
        "backup_dest": now.destination,
        "comment": part.comment[:_COMMENT_LENGTH].encode(errors="replace").decode(),  # it may name files
    }


def piece_rows(now: Round, piece: Piece) -> list[dict[str, Any]]:
    """A row for the cluster, and one for each tenant."""
    whole = TenantPiece(
        tables.SYS_TENANT_ID, piece.start_scn, piece.status, piece.checkpoint_scn, piece.input_bytes, piece.output_bytes
    )
    return [_piece_row(now, piece, part) for part in (whole, *piece.tenants.values())]


def _piece_row(now: Round, piece: Piece, part: TenantPiece) -> dict[str, Any]:
    return {
        "incarnation": INCARNATION,
        "tenant_id": part.tenant_id,
        "round_id": now.round_id,
        "backup_piece_id": piece.piece_id,
        "copy_id": 0,
        "create_date": piece.create_date,
        "start_scn": part.start_scn,
        "checkpoint_scn": part.checkpoint_scn,
        "max_scn": part.checkpoint_scn if part.status is PieceStatus.FROZEN else tables.MAX_SCN,
        "status": str(part.status),
        "file_status": "AVAILABLE",
        "compatible": _COMPATIBLE,
        "start_piece_id": now.start_piece_id,
        "backup_dest": now.destination,
        "switch_scn": piece.switch_scn,
        "input_bytes": part.input_bytes,
        "output_bytes": part.output_bytes,
    }


def _rows(cursor: Cursor, table: str, columns: tuple[str, ...], where: str = "", *values: Any) -> list[dict[str, Any]]:
    cursor.execute(f"SELECT {', '.join(columns)} FROM {table} {where}", values)
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _replace(cursor: Cursor, table: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    places = ", ".join(["%s"] * len(columns))
    values = [tuple(row[column] for column in columns) for row in rows]
    kept = ", ".join(f"{column} = VALUES({column})" for column in columns if column != _OF_DELETION)
    cursor.executemany(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) ON DUPLICATE KEY UPDATE {kept}", values
    )
