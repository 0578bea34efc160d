"""What OceanBase's views of 3.x and 4.x make of the catalog's rows, on a real sys engine."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pymysql
import pytest

from redoubt.catalog import tables
from redoubt.catalog.schema import VIEWS
from tests.catalog.rows import AT, SECOND, Rows

MB, GB, TB, PB = (1024**power for power in (2, 3, 4, 5))


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("+00:00", "2026-09-21 14:13:20.123456"),
        ("+08:00", "2026-09-21 22:13:20.123456"),
        ("-11:30", "2026-09-21 02:43:20.123456"),
        ("Asia/Kolkata", None),
    ],
)
def test_times_are_in_the_sessions_time_zone(rows: Rows, zone: str, text: str | None) -> None:
    """Cut to microseconds; the same moment in each view."""
    if text is None:
        with pytest.raises(pymysql.err.Error):  # as the engine has no names of zones
            rows.view("CDB_OB_BACKUP_ARCHIVELOG", zone)
        return
    rows.status(tenant_id=1)
    rows.status()
    rows.piece(tenant_id=1)
    rows.piece(max_scn=AT, status="FROZEN")
    rows.put(tables.SERVER_TABLE, {"svr_ip": "127.0.0.1", "svr_port": 2881})

    moment = datetime.fromisoformat(text)
    assert {row["MIN_FIRST_TIME"] for row in rows.view("CDB_OB_BACKUP_ARCHIVELOG", zone)} == {text}
    assert {row["START_TS"] for row in rows.view("CDB_OB_BACKUP_PIECE_FILES", zone)} == {text}
    assert [row["MAX_TS"] for row in rows.view("CDB_OB_BACKUP_PIECE_FILES", zone)] == ["MAX", text]
    assert [row["MIN_FIRST_TIME"] for row in rows.view("CDB_OB_BACKUP_ARCHIVELOG_PROGRESS", zone)] == [moment]
    assert [row["START_SCN_DISPLAY"] for row in rows.view("CDB_OB_ARCHIVELOG", zone)] == [moment]
    assert [row["END_SCN_DISPLAY"] for row in rows.view("CDB_OB_ARCHIVELOG_PIECE_FILES", zone)] == [moment]
    assert [row["START_TIME"] for row in rows.view("CDB_REDOUBT_RECOVERABLE_WINDOW", zone)] == [moment]


def test_a_fresh_cluster_has_the_clusters_row(rows: Rows) -> None:
    """Round 0 in STOP; what there is not yet is empty, NULL or MAX, as the view has it."""
    rows.status(tenant_id=1, log_archive_round=0, status="STOP", start_scn=0, checkpoint_scn=0, backup_dest="")
    assert rows.view("CDB_OB_BACKUP_ARCHIVELOG") == [
        {
            "INCARNATION": 1,
            "LOG_ARCHIVE_ROUND": 0,
            "TENANT_ID": 1,
            "STATUS": "STOP",
            "START_PIECE_ID": 0,
            "BACKUP_PIECE_ID": 0,
            "MIN_FIRST_TIME": "",
            "MAX_NEXT_TIME": "",
            "INPUT_BYTES": 0,
            "OUTPUT_BYTES": 0,
            "COMPRESSION_RATIO": None,
            "INPUT_BYTES_DISPLAY": "0.00MB",
            "OUTPUT_BYTES_DISPLAY": "0.00MB",
        }
    ]
    assert not any(
        rows.view(view) for view in VIEWS if view.startswith("CDB_OB_") and view != "CDB_OB_BACKUP_ARCHIVELOG"
    )
    rows.piece(start_scn=0, checkpoint_scn=0, max_scn=0)
    piece = rows.view("CDB_OB_BACKUP_PIECE_FILES")[0]
    assert [piece[column] for column in ("START_TS", "CHECKPOINT_TS", "MAX_TS")] == ["", "", ""]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (1, "0.00MB"),
        (MB // 100, "0.01MB"),
        (MB, "1.00MB"),
        (1536 * 1024, "1.50MB"),
        (GB - MB, "1023.00MB"),
        (GB - 1, "1024.00MB"),
        (GB, "1.00GB"),
        (TB - 1, "1024.00GB"),
        (TB, "1.00TB"),
        (PB - 1, "1024.00TB"),
        (PB, "1.00PB"),
        (2**63 - 1, "8192.00PB"),
    ],
)
def test_sizes_are_shown_in_the_unit_that_fits(rows: Rows, size: int, text: str) -> None:
    """By 1024, two decimals, up to the last BIGINT; a ratio of sizes that are equal is 1."""
    rows.status(tenant_id=1, input_bytes=size, output_bytes=size)
    rows.status(input_bytes=size, output_bytes=size)
    rows.piece(tenant_id=1, input_bytes=size, output_bytes=size)
    rows.piece(input_bytes=size, output_bytes=size, file_status="DELETED")

    for view in ("CDB_OB_BACKUP_ARCHIVELOG", "CDB_OB_ARCHIVELOG", "CDB_OB_ARCHIVELOG_SUMMARY"):
        row = rows.view(view)[0]
        assert (row["INPUT_BYTES"], row["COMPRESSION_RATIO"]) == (size, 1)
        assert (row["INPUT_BYTES_DISPLAY"], row["OUTPUT_BYTES_DISPLAY"]) == (text, text)
    assert (row["DELETED_INPUT_BYTES"], row["DELETED_OUTPUT_BYTES_DISPLAY"]) == (size, text)
    assert rows.view("CDB_OB_ARCHIVELOG_PIECE_FILES")[0]["OUTPUT_BYTES_DISPLAY"] == text


@pytest.mark.parametrize("status", ["BEGINNING", "DOING", "STOPPING", "INTERRUPTED"])
def test_a_round_is_in_both_spellings(rows: Rows, status: str) -> None:
    """3.x has the cluster's row too, 4.x has the tenants' alone; those that are over are in the summaries."""
    for tenant in (1, 1001):
        rows.history(tenant_id=tenant, log_archive_round=2, backup_dest="file:///a", comment="no medium")
        rows.piece(tenant_id=tenant, round_id=2, backup_dest="file:///a", status="FROZEN", max_scn=AT + SECOND)
        rows.status(tenant_id=tenant, status=status, input_bytes=300, output_bytes=100)
        rows.piece(tenant_id=tenant)

    assert [(row["TENANT_ID"], row["STATUS"]) for row in rows.view("CDB_OB_BACKUP_ARCHIVELOG")] == [
        (1, status),
        (1001, status),
    ]
    assert [
        (row["TENANT_ID"], row["LOG_ARCHIVE_ROUND"], row["STATUS"], row["COMPRESSION_RATIO"])
        for row in rows.view("CDB_OB_BACKUP_ARCHIVELOG_SUMMARY")
    ] == [
        (1, 2, "STOP", None),
        (1, 3, status, Decimal("0.33")),
        (1001, 2, "STOP", None),
        (1001, 3, status, Decimal("0.33")),
    ]
    now = rows.view("CDB_OB_ARCHIVELOG")
    assert now == [
        {
            "TENANT_ID": 1001,
            "DEST_ID": 1002,
            "ROUND_ID": 3,
            "INCARNATION": 1,
            "DEST_NO": 0,
            "STATUS": status,
            "START_SCN": AT,
            "START_SCN_DISPLAY": datetime.fromisoformat("2026-09-21 14:13:20.123456"),
            "CHECKPOINT_SCN": AT + SECOND,
            "CHECKPOINT_SCN_DISPLAY": datetime.fromisoformat("2026-09-21 14:13:21.123456"),
            "COMPATIBLE": 1,
            "BASE_PIECE_ID": 0,
            "USED_PIECE_ID": 0,
            "PIECE_SWITCH_INTERVAL": 0,
            "UNIT_SIZE": 1,
            "COMPRESSION": "lz4_1.0",
            "INPUT_BYTES": 300,
            "INPUT_BYTES_DISPLAY": "0.00MB",
            "OUTPUT_BYTES": 100,
            "OUTPUT_BYTES_DISPLAY": "0.00MB",
            "COMPRESSION_RATIO": Decimal("0.33"),
            "DELETED_INPUT_BYTES": 0,
            "DELETED_INPUT_BYTES_DISPLAY": "0.00MB",
            "DELETED_OUTPUT_BYTES": 0,
            "DELETED_OUTPUT_BYTES_DISPLAY": "0.00MB",
            "COMMENT": "",
            "PATH": "file:///b",
        }
    ]
    past, present = rows.view("CDB_OB_ARCHIVELOG_SUMMARY")
    assert present == now[0]
    assert [past[column] for column in ("DEST_ID", "ROUND_ID", "STATUS", "COMMENT", "PATH", "COMPRESSION_RATIO")] == [
        1001,
        2,
        "STOP",
        "no medium",
        "file:///a",
        0,
    ]
    assert (past["COMPRESSION"], past["PIECE_SWITCH_INTERVAL"]) == (None, None)


def test_a_round_that_is_over_stays_in_4_x(rows: Rows) -> None:
    """In STOP, until the next one begins; 3.x has the cluster's row alone."""
    rows.status(tenant_id=1, status="STOP")
    rows.piece(tenant_id=1)
    for number in (2, 3):
        rows.history(tenant_id=1, log_archive_round=number)
        rows.history(log_archive_round=number)

    assert [row["TENANT_ID"] for row in rows.view("CDB_OB_BACKUP_ARCHIVELOG")] == [1]
    assert [(row["ROUND_ID"], row["STATUS"]) for row in rows.view("CDB_OB_ARCHIVELOG")] == [(3, "STOP")]
    assert [row["ROUND_ID"] for row in rows.view("CDB_OB_ARCHIVELOG_SUMMARY")] == [2, 3]
    assert len(rows.view("CDB_OB_BACKUP_ARCHIVELOG_SUMMARY")) == 4


@pytest.mark.parametrize(
    "file_status", ["AVAILABLE", "COPYING", "INCOMPLETE", "DELETING", "EXPIRED", "BROKEN", "DELETED"]
)
def test_pieces_are_in_both_spellings(rows: Rows, file_status: str) -> None:
    """A piece ends where it was frozen, or is going to be; one that is ACTIVE has no end."""
    for tenant in (1, 1001):
        ends = {4: (AT + 2 * SECOND, 0, "FROZEN"), 5: (tables.MAX_SCN, AT + 3 * SECOND, "FREEZING")}
        for number, (end, switch, status) in {**ends, 6: (tables.MAX_SCN, 0, "ACTIVE")}.items():
            rows.piece(
                tenant_id=tenant,
                backup_piece_id=number,
                start_piece_id=4,
                max_scn=end,
                switch_scn=switch,
                status=status,
                file_status=file_status,
            )

    old, new = rows.view("CDB_OB_BACKUP_PIECE_FILES"), rows.view("CDB_OB_ARCHIVELOG_PIECE_FILES")
    assert [(row["TENANT_ID"], row["STATUS"]) for row in old] == [
        (tenant, status) for tenant in (1, 1001) for status in ("FROZEN", "FREEZING", "ACTIVE")
    ]
    assert [row["MAX_TS"] for row in old[:3]] == ["2026-09-21 14:13:22.123456", "MAX", "MAX"]
    assert {row["FILE_STATUS"] for row in [*old, *new]} == {file_status}
    assert [(row["TENANT_ID"], row["PIECE_ID"], row["STATUS"], row["COMPRESSION"]) for row in new] == [
        (1001, 4, "FROZEN", None),
        (1001, 5, "FREEZING", "lz4_1.0"),
        (1001, 6, "ACTIVE", "lz4_1.0"),
    ]
    assert [(row["MAX_SCN"], row["END_SCN"]) for row in new] == [
        (AT + 2 * SECOND, AT + 2 * SECOND),
        (AT + SECOND, AT + 3 * SECOND),
        (AT + SECOND, tables.MAX_SCN),
    ]
    assert [row["END_SCN_DISPLAY"] is None for row in new] == [False, False, True]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        ("86400", "1d"),
        ("604800", "7d"),
        ("90000", "25h"),
        ("5400", "90m"),
        ("10", "10s"),
        ("1.5", "1500000us"),
        ("0", "0"),
    ],
)
def test_the_destination_is_shown_for_each_tenant(rows: Rows, seconds: str, text: str) -> None:
    """As LOG_ARCHIVE_DEST of 4.x would have set it; tenants that were dropped have none, nor has sys."""
    tenant = {"kind": "EMBEDDED", "base_dir": "", "status": "NORMAL", "created_at": 1, "options": "{}"}
    with rows._session.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            f"WHERE CONCAT(table_schema, '.', table_name) = '{tables.TENANT_TABLE}'"
        )
        tenant = {name: 0 if kind == "bigint" else "" for name, kind in cursor.fetchall()} | tenant
    for number, status in ((1, "NORMAL"), (1001, "NORMAL"), (1002, "DROPPED")):
        rows.put(tables.TENANT_TABLE, tenant | {"tenant_id": number, "tenant_name": str(number), "status": status})
    assert rows.view("CDB_OB_ARCHIVE_DEST") == []
    rows.piece(tenant_id=1)
    rows.piece()
    rows.status(start_piece_id=4)
    rows.set(
        backup_dest="file:///c",
        _effective_backup_log_archive_option="MANDATORY COMPRESSION=disable",
        _effective_piece_switch_interval=seconds,
        log_archive_dest_state="DEFER",
    )

    shown = rows.view("CDB_OB_ARCHIVE_DEST")
    assert {(row["TENANT_ID"], row["DEST_NO"]) for row in shown} == {(1001, 0)}
    assert [(row["NAME"], row["VALUE"]) for row in shown] == [
        ("binding", "MANDATORY"),
        ("dest_id", "1002"),
        ("path", "file:///c"),
        ("piece_switch_interval", text),
        ("state", "DEFER"),
    ]
    assert rows.view("CDB_OB_ARCHIVELOG_PIECE_FILES")[0]["COMPRESSION"] == "none"
    assert rows.view("CDB_OB_ARCHIVELOG")[0]["PIECE_SWITCH_INTERVAL"] == Decimal(seconds) * 10**6
    rows.set(backup_dest="file:///b")
    assert rows.view("CDB_OB_ARCHIVE_DEST")[1]["VALUE"] == "1001"


def test_the_progress_of_each_tenants_log(rows: Rows) -> None:
    """A log stream a tenant; the cluster has none."""
    rows.status(tenant_id=1)
    rows.status(backup_piece_id=7, checkpoint_scn=0, status="INTERRUPTED")
    rows.put(tables.SERVER_TABLE, {"svr_ip": "127.0.0.1", "svr_port": 2881})

    assert rows.view("CDB_OB_BACKUP_ARCHIVELOG_PROGRESS") == [
        {
            "INCARNATION": 1,
            "TENANT_ID": 1001,
            "LOG_ARCHIVE_ROUND": 3,
            "CUR_PIECE_ID": 7,
            "SVR_IP": "127.0.0.1",
            "SVR_PORT": 2881,
            "TABLE_ID": 1,
            "PARTITION_ID": 0,
            "MIN_FIRST_TIME": datetime.fromisoformat("2026-09-21 14:13:20.123456"),
            "MAX_NEXT_TIME": None,
            "STATUS": "INTERRUPTED",
        }
    ]


@pytest.mark.parametrize(("size", "rate"), [(20 * MB, "2.00MB/S"), (10 * GB, "1.00GB/S")])
def test_sets_and_what_was_deleted_are_shown(rows: Rows, size: int, rate: str) -> None:
    """While a backup or a deletion goes on, it has neither end nor rate."""
    backup = {
        "incarnation": 1,
        "tenant_id": 1001,
        "bs_key": 1,
        "copy_id": 0,
        "backup_type": "D",
        "encryption_mode": "None",
        "status": "SUCCESS",
        "file_status": "AVAILABLE",
        "start_time": AT,
        "completion_time": AT + 10 * SECOND,
        "snapshot_scn": AT,
        "start_replay_scn": AT,
        "input_bytes": 2 * size,
        "output_bytes": size,
        "log_archive_round": 3,
        "backup_dest": "file:///b",
        "comment": "",
    }
    job = {
        "job_id": 1,
        "tenant_id": 1,
        "incarnation": 1,
        "copy_id": 0,
        "start_time": AT,
        "end_time": 0,
        "type": "DELETE BACKUP PIECE",
        "status": "DOING",
        "parameter": "4",
        "error_msg": "x" * 600,
        "comment": "",
    }
    rows.put(tables.SET_TABLE, backup, backup | {"tenant_id": 1002, "completion_time": 0, "status": "DOING"})
    rows.put(tables.CLEAN_TABLE, job)

    done, going_on = rows.view("CDB_OB_BACKUP_SET_FILES")
    assert [done[name] for name in ("ELAPSED_SECONDES", "KEEP", "KEEP_UNTIL", "COMPRESSED", "COMPRESSION_RATIO")] == [
        10,
        "NO",
        "",
        "YES",
        Decimal("0.5"),
    ]
    assert (done["OUTPUT_RATE_BYTES"], done["OUTPUT_RATE_BYTES_DISPLAY"]) == (size // 10, rate)
    assert done["TIME_TAKEN_DISPLAY"] == timedelta(seconds=10)
    unknown = (
        "COMPLETION_TIME",
        "ELAPSED_SECONDES",
        "OUTPUT_RATE_BYTES",
        "OUTPUT_RATE_BYTES_DISPLAY",
        "TIME_TAKEN_DISPLAY",
    )
    assert {going_on[name] for name in unknown} == {None}
    deleted = rows.view("CDB_OB_BACKUP_CLEAN_HISTORY")[0]
    assert (deleted["BS_KEY"], deleted["END_TIME"], deleted["ERROR_MSG"]) == (1, None, "x" * 512)
