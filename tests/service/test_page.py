"""The page "Initiate log backup", typed into the mariadb client, gives what the page says."""

from __future__ import annotations

import pytest

from tests.service.cluster import ServiceUnderTest, WriteLoad, assert_archive_equals_engine, wait_until

ARCHIVELOG_COLUMNS = [
    ("INCARNATION", "bigint(20)"),
    ("LOG_ARCHIVE_ROUND", "bigint(20)"),
    ("TENANT_ID", "bigint(20)"),
    ("STATUS", "varchar(64)"),
    ("START_PIECE_ID", "bigint(20)"),
    ("BACKUP_PIECE_ID", "bigint(20)"),
    ("MIN_FIRST_TIME", "varchar(26)"),
    ("MAX_NEXT_TIME", "varchar(26)"),
    ("INPUT_BYTES", "bigint(20)"),
    ("OUTPUT_BYTES", "bigint(20)"),
    ("COMPRESSION_RATIO", "decimal(23,2)"),
    ("INPUT_BYTES_DISPLAY", "varchar(27)"),
    ("OUTPUT_BYTES_DISPLAY", "varchar(27)"),
]
PROGRESS_COLUMNS = [
    ("INCARNATION", "bigint(20)"),
    ("TENANT_ID", "bigint(20)"),
    ("LOG_ARCHIVE_ROUND", "bigint(20)"),
    ("CUR_PIECE_ID", "bigint(20)"),
    ("SVR_IP", "varchar(32)"),
    ("SVR_PORT", "bigint(20)"),
    ("TABLE_ID", "bigint(20)"),
    ("PARTITION_ID", "bigint(20)"),
    ("MIN_FIRST_TIME", "timestamp(6)"),
    ("MAX_NEXT_TIME", "timestamp(6)"),
    ("STATUS", "varchar(11)"),
]
PIECE_COLUMNS = [
    ("INCARNATION", "bigint(20)"),
    ("TENANT_ID", "bigint(20)"),
    ("ROUND_ID", "bigint(20)"),
    ("BACKUP_PIECE_ID", "bigint(20)"),
    ("COPY_ID", "bigint(20)"),
    ("CREATE_DATE", "bigint(20)"),
    ("START_TS", "varchar(26)"),
    ("CHECKPOINT_TS", "varchar(26)"),
    ("MAX_TS", "varchar(26)"),
    ("STATUS", "varchar(64)"),
    ("FILE_STATUS", "varchar(64)"),
    ("COMPATIBLE", "bigint(20)"),
    ("START_PIECE_ID", "bigint(20)"),
]


@pytest.mark.new_engines
def test_the_page_can_be_followed_statement_by_statement(service: ServiceUnderTest) -> None:
    """Every statement of the page, in its order, from an empty cluster to a stopped round.

    Own service: a new one, as a user's.
    """
    service.keep_engine_log()

    fresh = service.run("SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG")
    assert [
        (row["TENANT_ID"], row["LOG_ARCHIVE_ROUND"], row["STATUS"], row["MIN_FIRST_TIME"], row["MAX_NEXT_TIME"])
        for row in fresh
    ] == [(1, 0, "STOP", "", "")]

    typed = service.mariadb(
        f"ALTER SYSTEM SET backup_dest='file://{service.backup}'",
        "ALTER SYSTEM SET backup_log_archive_option = 'optional compression= enable'",
        "ALTER SYSTEM SET backup_log_archive_option='optional compression= zstd_1.3.8'",
        "ALTER SYSTEM SET backup_log_archive_option='optional compression= lz4_1.0'",
        "ALTER SYSTEM SET backup_log_archive_option = 'compression= disable'",
        "ALTER SYSTEM SET backup_log_archive_option = 'mandatory compression= disable'",
        "ALTER SYSTEM SET backup_log_archive_option = 'optional compression= disable'",
        "ALTER SYSTEM SET backup_log_archive_option='optional compression= zstd_1.3.8'",
        "ALTER SYSTEM MINOR FREEZE",
        "ALTER SYSTEM ARCHIVELOG",
    )
    assert (typed.returncode, typed.stdout, typed.stderr) == (0, "", "")

    service.wait_for_status("DOING")
    with WriteLoad(service).running() as load:
        wait_until("commits", lambda: load.commits > 200)
    columns = "TENANT_ID, ROUND_ID, BACKUP_PIECE_ID, STATUS, FILE_STATUS, MAX_TS"
    shown = service.mariadb(
        "SELECT TENANT_ID, LOG_ARCHIVE_ROUND, STATUS FROM CDB_OB_BACKUP_ARCHIVELOG ORDER BY 1",
        f"SELECT {columns} FROM CDB_OB_BACKUP_PIECE_FILES ORDER BY 1",
    ).stdout.splitlines()
    assert shown[1:3] == ["1\t1\tDOING", "1001\t1\tDOING"]
    assert shown[4:6] == ["1\t1\t0\tACTIVE\tAVAILABLE\tMAX", "1001\t1\t0\tACTIVE\tAVAILABLE\tMAX"]

    assert service.mariadb("ALTER SYSTEM NOARCHIVELOG").stderr == ""
    service.wait_for_status("STOP")

    start, end = assert_archive_equals_engine(service)
    whole, main = service.run("SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG_SUMMARY ORDER BY TENANT_ID")
    assert (main["STATUS"], main["LOG_ARCHIVE_ROUND"], main["TENANT_ID"]) == ("STOP", 1, 1001)
    assert end - start == main["INPUT_BYTES"] == whole["INPUT_BYTES"]
    assert sum(segment.stat().st_size for segment in service.segments()) == main["OUTPUT_BYTES"]
    assert round(main["OUTPUT_BYTES"] / main["INPUT_BYTES"], 2) == float(main["COMPRESSION_RATIO"])
    assert f"{main['INPUT_BYTES'] / 2**20:.2f}MB" == main["INPUT_BYTES_DISPLAY"]
    pieces = service.run("SELECT STATUS, CHECKPOINT_TS, MAX_TS FROM CDB_OB_BACKUP_PIECE_FILES")
    assert [{"STATUS": "FROZEN", "CHECKPOINT_TS": main["MAX_NEXT_TIME"], "MAX_TS": main["MAX_NEXT_TIME"]}] * 2 == pieces
    assert main["MIN_FIRST_TIME"] < main["MAX_NEXT_TIME"]


def test_a_second_round_follows_in_the_same_destination(shared_service: ServiceUnderTest) -> None:
    """The number goes up, the first round stays in the summary and in the destination."""
    shared_service.keep_engine_log()
    shared_service.archive()
    shared_service.stop_archiving()
    first = shared_service.segments(1)
    shared_service.archive()
    shared_service.stop_archiving()

    assert first == shared_service.segments(1)
    assert_archive_equals_engine(shared_service, 2)
    rows = shared_service.run("SELECT LOG_ARCHIVE_ROUND, TENANT_ID, STATUS FROM CDB_OB_BACKUP_ARCHIVELOG_SUMMARY")
    both = {(shared_service.round_number(each), tenant_id) for each in (1, 2) for tenant_id in (1, 1001)}
    assert both <= {(row["LOG_ARCHIVE_ROUND"], row["TENANT_ID"]) for row in rows}
    (now,) = shared_service.run("SELECT LOG_ARCHIVE_ROUND FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")
    assert now["LOG_ARCHIVE_ROUND"] == shared_service.round_number(2)


def test_the_views_have_oceanbases_columns_and_types(shared_service: ServiceUnderTest) -> None:
    """Names, order and types are those of OceanBase 3.1."""

    def columns(view: str) -> list[tuple[str, str]]:
        return [(row["Field"], row["Type"]) for row in shared_service.run(f"SHOW COLUMNS FROM {view}")]

    assert columns("CDB_OB_BACKUP_ARCHIVELOG") == ARCHIVELOG_COLUMNS
    assert columns("CDB_OB_BACKUP_ARCHIVELOG_SUMMARY") == ARCHIVELOG_COLUMNS
    assert columns("CDB_OB_BACKUP_ARCHIVELOG_PROGRESS") == PROGRESS_COLUMNS
    assert columns("CDB_OB_BACKUP_PIECE_FILES") == PIECE_COLUMNS


def test_the_progress_view_has_a_row_for_each_tenants_log(shared_service: ServiceUnderTest) -> None:
    """One log stream a tenant, at the address where the service listens, while the round lives."""
    shared_service.archive()
    row = shared_service.run("SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG_PROGRESS")[0]

    assert (1001, shared_service.round_number(), "127.0.0.1", shared_service.port) == (
        row["TENANT_ID"],
        row["LOG_ARCHIVE_ROUND"],
        row["SVR_IP"],
        row["SVR_PORT"],
    )
    assert row["STATUS"] == "DOING"
    assert row["MAX_NEXT_TIME"] >= row["MIN_FIRST_TIME"]

    shared_service.stop_archiving()
    assert shared_service.run("SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG_PROGRESS") == []
