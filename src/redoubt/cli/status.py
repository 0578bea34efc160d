"""`redoubt status`: the round, its tenants and pieces, health, holes, and how far the archive is behind."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
from rich.console import Console

from redoubt.catalog.second_backups import JOB_TABLE
from redoubt.catalog.tables import HOLE_TABLE, MAX_SCN, PIECE_TABLE, SET_TABLE, STATE_TABLE, STATUS_TABLE
from redoubt.cli.connecting import NoServiceError, connect_as_service
from redoubt.cli.printing import complain, console, print_rows
from redoubt.home import Home

_SYS_TENANT_ID = 1
_EXIT_INTERRUPTED = 2
_EXIT_ALARM = 3
_ALARMS = frozenset({"STALE", "GATED", "UNAVAILABLE"})


def show_status(home: Path, *, as_json: bool) -> int:
    """Print the status of a home's service; returns the exit status.

    0: fine, or no round runs; 1: no service; 2: the round is INTERRUPTED; 3: a tenant is STALE, GATED or UNAVAILABLE,
    or a part of the service fails.
    """
    try:
        status = _status(home)
    except (NoServiceError, pymysql.err.MySQLError) as error:
        if as_json:
            print(json.dumps({"service": None, "error": str(error)}))  # noqa: T201 - plain, for programs
        else:
            complain(error)
        return 1
    if as_json:
        print(json.dumps(status, indent=2))  # noqa: T201 - plain, for programs
    else:
        _print(status)
    if status["round"]["status"] == "INTERRUPTED":
        return _EXIT_INTERRUPTED
    is_alarm = any(entry["health"] in _ALARMS for entry in status["health"])
    return _EXIT_ALARM if is_alarm or (status["service"] and status["service"]["troubles"]) else 0


def _status(home: Path) -> dict[str, Any]:
    with connect_as_service(home) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute(f"SELECT * FROM {STATUS_TABLE} ORDER BY tenant_id")
        rounds = [_round(row) for row in cursor.fetchall()]
        cursor.execute(
            f"SELECT * FROM {PIECE_TABLE} WHERE tenant_id <> 1 AND copy_id = 0 "
            "ORDER BY round_id, backup_piece_id, tenant_id"
        )
        pieces = [_piece(row) for row in cursor.fetchall()]
        cursor.execute(f"SELECT * FROM {STATE_TABLE} ORDER BY tenant_id")
        health = [_health(row) for row in cursor.fetchall()]
        cursor.execute(f"SELECT * FROM {HOLE_TABLE} ORDER BY tenant_id, start_scn")
        holes = [_hole(row) for row in cursor.fetchall()]
        cursor.execute(f"SELECT * FROM {SET_TABLE} WHERE tenant_id = 1 AND copy_id = 0 ORDER BY bs_key DESC LIMIT 1")
        sets = [_set(row) for row in cursor.fetchall()]
        cursor.execute(f"SELECT * FROM {JOB_TABLE} ORDER BY job_id DESC LIMIT 1")
        copies = [_second_backup(row) for row in cursor.fetchall()]
    running = Home(home).running()
    return {
        "service": asdict(running) if running else None,
        "round": next(entry for entry in rounds if entry["tenant_id"] == _SYS_TENANT_ID),
        "tenants": [entry for entry in rounds if entry["tenant_id"] != _SYS_TENANT_ID],
        "pieces": pieces,
        "health": health,
        "holes": holes,
        "last_backup_set": sets[0] if sets else None,
        "last_second_backup": copies[0] if copies else None,
    }


def _round(row: dict[str, Any]) -> dict[str, Any]:
    live = row["status"] in {"BEGINNING", "DOING", "STOPPING", "INTERRUPTED"}
    # An engine's SCNs may be some seconds ahead of the clock after its restart.
    behind = max(0, time.time_ns() - row["checkpoint_scn"]) / 1e9 if live and row["checkpoint_scn"] else None
    return {
        "tenant_id": row["tenant_id"],
        "round_id": row["log_archive_round"],
        "status": row["status"],
        "min_first_time": _utc(row["start_scn"]),
        "max_next_time": _utc(row["checkpoint_scn"]),
        "lag_seconds": None if behind is None else round(behind, 3),
        "input_bytes": row["input_bytes"],
        "output_bytes": row["output_bytes"],
        "backup_dest": row["backup_dest"],
        "comment": row["comment"],
    }


def _piece(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "tenant_id": row["tenant_id"],
        "round_id": row["round_id"],
        "piece_id": row["backup_piece_id"],
        "status": row["status"],
        "file_status": row["file_status"],
        "start_time": _utc(row["start_scn"]),
        "checkpoint_time": _utc(row["checkpoint_scn"]),
        "max_time": None if row["max_scn"] == MAX_SCN else _utc(row["max_scn"]),
    }


def _health(row: dict[str, Any]) -> dict[str, Any]:
    names = (
        "tenant_id",
        "tenant_name",
        "health",
        "cause",
        "mode",
        "sync_commit",
        "gate",
        "backlog_bytes",
        "spool_limit",
    )
    return {name: row[name] for name in names} | {"since": _utc(row["since"])}


def _hole(row: dict[str, Any]) -> dict[str, Any]:
    is_open = row["closed_at"] == 0
    return {
        "tenant_id": row["tenant_id"],
        "after_round": row["after"],
        "status": "OPEN" if is_open else "CLOSED",
        "start_lsn": row["start_lsn"],
        "start_time": _utc(row["start_scn"]),
        "end_lsn": None if is_open else row["end_lsn"],
        "end_time": _utc(row["end_scn"]),
        "cause": row["cause"],
    }


def _set(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "set_id": row["bs_key"],
        "status": row["status"],
        "file_status": row["file_status"],
        "start_time": _utc(row["start_time"]),
        "completion_time": _utc(row["completion_time"]),
        "snapshot_time": _utc(row["snapshot_scn"]),
        "input_bytes": row["input_bytes"],
        "output_bytes": row["output_bytes"],
        "pause_seconds": row["pause_us"] / 1e6,
        "backup_dest": row["backup_dest"],
        "comment": row["comment"],
    }


def _second_backup(row: dict[str, Any]) -> dict[str, Any]:
    names = ("job_id", "kind", "status", "result", "backup_dest", "comment")
    times = {name: _utc(row[name]) for name in ("start_time", "end_time")}
    return {name: row[name] for name in names} | times


def _utc(scn: int) -> str | None:
    """An SCN as text in UTC with microseconds; None for SCN 0."""
    if not scn:
        return None
    return (
        datetime.fromtimestamp(scn // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{scn // 1000 % 10**6:06d}Z"
    )


def _print(status: dict[str, Any]) -> None:
    out, service, now = console(), status["service"], status["round"]
    if service:
        _print_service(out, service)
    where = f" into {now['backup_dest']}" if now["backup_dest"] else ""
    out.print(f"round {now['round_id']}: {now['status']}{where}")
    if now["comment"] and all(entry["cause"] != now["comment"] for entry in status["health"]):
        out.print(now["comment"], markup=False, style="red")
    for entry in status["health"]:
        out.print(
            f"tenant {entry['tenant_name']}: {entry['health']} since {entry['since']}{_details(entry)}", markup=False
        )
        if entry["cause"]:
            out.print(f"  {entry['cause']}", markup=False, style="red")
    names = ["tenant_id", "status", "min_first_time", "max_next_time", "lag_seconds", "input_bytes", "output_bytes"]
    if status["tenants"]:
        print_rows(out, names, [tuple(entry[name] for name in names) for entry in status["tenants"]])
    _print_pieces(out, now["round_id"], status["pieces"])
    _print_backups(out, status)
    for hole in status["holes"]:
        end = f"LSN {hole['end_lsn']} ({hole['end_time']})" if hole["status"] == "CLOSED" else "the next round"
        out.print(
            f"hole: tenant {hole['tenant_id']}, after round {hole['after_round']}, LSN {hole['start_lsn']} "
            f"({hole['start_time']}) to {end}: {hole['cause']}",
            markup=False,
        )


def _print_backups(out: Console, status: dict[str, Any]) -> None:
    """The last data backup and the last second backup."""
    if (last := status["last_backup_set"]) is not None:
        snapshot = f", snapshot {last['snapshot_time']}" if last["snapshot_time"] else ""
        out.print(
            f"data backup {last['set_id']}: {last['status']}, files {last['file_status']}, started "
            f"{last['start_time']}{snapshot}, {last['output_bytes']} bytes, pause {last['pause_seconds']:.3f} s",
            markup=False,
        )
        if last["comment"]:
            out.print(f"  {last['comment']}", markup=False, style="red")
    if (copy := status["last_second_backup"]) is not None:
        out.print(
            f"second backup {copy['job_id']} ({copy['kind']}): {copy['status']}, result {copy['result']}, started "
            f"{copy['start_time']}, into {copy['backup_dest']}",
            markup=False,
        )
        if copy["comment"]:
            out.print(f"  {copy['comment']}", markup=False, style="red")


def _print_service(out: Console, service: dict[str, Any]) -> None:
    out.print(f"service {service['pid']} on {service['host']}:{service['port']}")
    if not service["confinement"]:
        out.print("engines are not confined: read docs/SECURITY.md, and give nobody FILE", style="red")
    for part, cause in service["troubles"].items():
        out.print(f"{part}: fails, and is begun again: {cause}", markup=False, style="red")


def _print_pieces(out: Console, round_id: int, pieces: list[dict[str, Any]]) -> None:
    """Those of the present round; a cluster has hundreds after a year."""
    names = ["tenant_id", "round_id", "piece_id", "status", "file_status", "start_time", "checkpoint_time"]
    present = [entry for entry in pieces if entry["round_id"] == round_id]
    if present:
        print_rows(out, names, [tuple(entry[name] for name in names) for entry in present])
    if earlier := len(pieces) - len(present):
        out.print(f"and {earlier} pieces of earlier rounds (--json lists them, with all fields)", style="dim")


def _details(entry: dict[str, Any]) -> str:
    gate = ", the write gate is CLOSED" if entry["gate"] == "CLOSED" else ""
    sync = f", commits are {entry['sync_commit']}" if entry["sync_commit"] != "OFF" else ""
    return f" ({entry['mode']}{sync}{gate}; backlog {entry['backlog_bytes']} bytes)"
