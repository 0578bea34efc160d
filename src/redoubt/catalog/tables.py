"""Tables of the catalog, as SQL for the sys engine's `oceanbase` schema.

Tables have OceanBase's inner-table names where OceanBase has the table; our own tables begin with `__redoubt_`. SCNs
and times are in ns since the epoch, 0 for none.
"""

from __future__ import annotations

from typing import Final

STATUS_TABLE: Final = "oceanbase.__all_backup_log_archive_status_v2"
HISTORY_TABLE: Final = "oceanbase.__all_backup_log_archive_status_history_v2"
PIECE_TABLE: Final = "oceanbase.__all_backup_piece_files"
PARAMETER_TABLE: Final = "oceanbase.__redoubt_parameter"
SERVER_TABLE: Final = "oceanbase.__redoubt_server"
STATE_TABLE: Final = "oceanbase.__redoubt_archivelog_state"
EVENT_TABLE: Final = "oceanbase.__redoubt_archivelog_event"
HOLE_TABLE: Final = "oceanbase.__redoubt_archivelog_hole"
TENANT_TABLE: Final = "oceanbase.__redoubt_tenant"
STANDBY_TABLE: Final = "oceanbase.__redoubt_standby"
SET_TABLE: Final = "oceanbase.__all_backup_set_files"
CLEAN_TABLE: Final = "oceanbase.__all_backup_clean_info_history"
DRILL_TABLE: Final = "oceanbase.__redoubt_drill"

SYS_TENANT_ID: Final = 1
"""The tenant whose rows stand for the whole cluster."""

MAX_SCN: Final = 2**63 - 1
"""An SCN that means "no end yet"; views show the text MAX."""

STATUS_COLUMNS: Final = (
    "tenant_id",
    "incarnation",
    "log_archive_round",
    "status",
    "start_piece_id",
    "backup_piece_id",
    "start_scn",
    "checkpoint_scn",
    "input_bytes",
    "output_bytes",
    "compatible",
    "create_date",
    "backup_dest",
    "comment",
)
PIECE_COLUMNS: Final = (
    "incarnation",
    "tenant_id",
    "round_id",
    "backup_piece_id",
    "copy_id",
    "create_date",
    "start_scn",
    "checkpoint_scn",
    "max_scn",
    "status",
    "file_status",
    "compatible",
    "start_piece_id",
    "backup_dest",
    "switch_scn",
    "input_bytes",
    "output_bytes",
)

SET_COLUMNS: Final = (
    *("incarnation", "tenant_id", "bs_key", "copy_id", "backup_type", "encryption_mode", "status", "file_status"),
    *("start_time", "completion_time", "snapshot_scn", "start_replay_scn", "input_bytes", "output_bytes"),
    *("log_archive_round", "backup_dest", "comment", "create_date", "total_bytes", "start_lsn", "snapshot_lsn"),
    *("pause_us", "passes", "method"),
)

_STATUS_COLUMN_TYPES = """
  tenant_id bigint(20) NOT NULL,
  incarnation bigint(20) NOT NULL,
  log_archive_round bigint(20) NOT NULL,
  status varchar(64) NOT NULL,
  start_piece_id bigint(20) NOT NULL,
  backup_piece_id bigint(20) NOT NULL,
  start_scn bigint(20) NOT NULL,
  checkpoint_scn bigint(20) NOT NULL,
  input_bytes bigint(20) NOT NULL,
  output_bytes bigint(20) NOT NULL,
  compatible bigint(20) NOT NULL,
  create_date bigint(20) NOT NULL,
  backup_dest varchar(2048) NOT NULL,
  comment varchar(4096) NOT NULL,
  table_id bigint(20) NOT NULL DEFAULT 1,
  partition_id bigint(20) NOT NULL DEFAULT 0
"""
# A tenant of this engine has one log stream, number 1; OceanBase's table and partition ids stand for it.

TABLES = (
    f"CREATE TABLE IF NOT EXISTS {STATUS_TABLE} ({_STATUS_COLUMN_TYPES}, PRIMARY KEY (tenant_id))",
    f"""CREATE TABLE IF NOT EXISTS {HISTORY_TABLE} ({_STATUS_COLUMN_TYPES},
  PRIMARY KEY (incarnation, log_archive_round, tenant_id))""",
    f"""CREATE TABLE IF NOT EXISTS {PIECE_TABLE} (
  incarnation bigint(20) NOT NULL,
  tenant_id bigint(20) NOT NULL,
  round_id bigint(20) NOT NULL,
  backup_piece_id bigint(20) NOT NULL,
  copy_id bigint(20) NOT NULL,
  create_date bigint(20) NOT NULL,
  start_scn bigint(20) NOT NULL,
  checkpoint_scn bigint(20) NOT NULL,
  max_scn bigint(20) NOT NULL,
  status varchar(64) NOT NULL,
  file_status varchar(64) NOT NULL,
  compatible bigint(20) NOT NULL,
  start_piece_id bigint(20) NOT NULL,
  backup_dest varchar(2048) NOT NULL,
  switch_scn bigint(20) NOT NULL DEFAULT 0,
  input_bytes bigint(20) NOT NULL DEFAULT 0,
  output_bytes bigint(20) NOT NULL DEFAULT 0,
  PRIMARY KEY (incarnation, tenant_id, round_id, backup_piece_id, copy_id))""",
    f"CREATE TABLE IF NOT EXISTS {PARAMETER_TABLE} (name varchar(128) NOT NULL PRIMARY KEY, value longtext NOT NULL)",
    f"""CREATE TABLE IF NOT EXISTS {SERVER_TABLE} (
  svr_ip varchar(32) NOT NULL PRIMARY KEY,
  svr_port bigint(20) NOT NULL)""",
    f"""CREATE TABLE IF NOT EXISTS {STATE_TABLE} (
  tenant_id bigint(20) NOT NULL PRIMARY KEY,
  tenant_name varchar(128) NOT NULL,
  log_archive_round bigint(20) NOT NULL,
  status varchar(64) NOT NULL,
  mode varchar(64) NOT NULL,
  sync_commit varchar(64) NOT NULL,
  gate varchar(64) NOT NULL,
  health varchar(64) NOT NULL,
  since bigint(20) NOT NULL,
  cause varchar(4096) NOT NULL,
  backlog_bytes bigint(20) NOT NULL,
  spool_limit bigint(20) NOT NULL,
  waiting_since bigint(20) NOT NULL,
  checkpoint_scn bigint(20) NOT NULL,
  lag_target_us bigint(20) NOT NULL,
  compression varchar(128) NOT NULL DEFAULT '',
  status_since bigint(20) NOT NULL DEFAULT 0,
  status_cause varchar(4096) NOT NULL DEFAULT '')""",
    f"""CREATE TABLE IF NOT EXISTS {EVENT_TABLE} (
  event_id bigint(20) NOT NULL AUTO_INCREMENT PRIMARY KEY,
  happened_at bigint(20) NOT NULL,
  tenant_id bigint(20) NOT NULL,
  log_archive_round bigint(20) NOT NULL,
  what varchar(64) NOT NULL,
  state_before varchar(64) NOT NULL,
  state_after varchar(64) NOT NULL,
  cause varchar(4096) NOT NULL)""",
    f"""CREATE TABLE IF NOT EXISTS {HOLE_TABLE} (
  tenant_id bigint(20) NOT NULL,
  `after` bigint(20) NOT NULL,
  start_lsn bigint(20) NOT NULL,
  start_scn bigint(20) NOT NULL,
  cause varchar(4096) NOT NULL,
  opened_at bigint(20) NOT NULL,
  end_lsn bigint(20) NOT NULL,
  end_scn bigint(20) NOT NULL,
  closed_at bigint(20) NOT NULL,
  PRIMARY KEY (tenant_id, `after`))""",
    f"""CREATE TABLE IF NOT EXISTS {TENANT_TABLE} (
  tenant_id bigint(20) NOT NULL PRIMARY KEY,
  tenant_name varchar(128) NOT NULL,
  kind varchar(64) NOT NULL,
  base_dir varchar(2048) NOT NULL,
  status varchar(64) NOT NULL,
  created_at bigint(20) NOT NULL,
  modified_at bigint(20) NOT NULL,
  options longtext NOT NULL,
  trouble varchar(4096) NOT NULL,
  trouble_since bigint(20) NOT NULL,
  engine_kind varchar(64) NOT NULL DEFAULT 'seekdb',
  role varchar(64) NOT NULL DEFAULT 'PRIMARY')""",
    f"""CREATE TABLE IF NOT EXISTS {STANDBY_TABLE} (
  tenant_id bigint(20) NOT NULL PRIMARY KEY,
  destination varchar(2048) NOT NULL,
  cluster varchar(128) NOT NULL,
  cluster_id bigint(20) NOT NULL,
  source_tenant_id bigint(20) NOT NULL,
  source varchar(128) NOT NULL,
  until_scn bigint(20) NOT NULL,
  source_type varchar(32) NOT NULL,
  switchover_status varchar(64) NOT NULL,
  sync_lsn bigint(20) NOT NULL,
  sync_scn bigint(20) NOT NULL,
  readable_scn bigint(20) NOT NULL,
  trouble varchar(4096) NOT NULL)""",
    f"""CREATE TABLE IF NOT EXISTS {SET_TABLE} (
  incarnation bigint(20) NOT NULL,
  tenant_id bigint(20) NOT NULL,
  bs_key bigint(20) NOT NULL,
  copy_id bigint(20) NOT NULL,
  backup_type varchar(1) NOT NULL,
  encryption_mode varchar(64) NOT NULL,
  status varchar(64) NOT NULL,
  file_status varchar(64) NOT NULL,
  start_time bigint(20) NOT NULL,
  completion_time bigint(20) NOT NULL,
  snapshot_scn bigint(20) NOT NULL,
  start_replay_scn bigint(20) NOT NULL,
  input_bytes bigint(20) NOT NULL,
  output_bytes bigint(20) NOT NULL,
  log_archive_round bigint(20) NOT NULL,
  backup_dest varchar(2048) NOT NULL,
  comment varchar(4096) NOT NULL,
  create_date bigint(20) NOT NULL DEFAULT 0,
  total_bytes bigint(20) NOT NULL DEFAULT 0,
  start_lsn bigint(20) NOT NULL DEFAULT 0,
  snapshot_lsn bigint(20) NOT NULL DEFAULT 0,
  pause_us bigint(20) NOT NULL DEFAULT 0,
  passes bigint(20) NOT NULL DEFAULT 0,
  method varchar(64) NOT NULL DEFAULT '',
  keep_until bigint(20) NOT NULL DEFAULT 0,
  PRIMARY KEY (incarnation, tenant_id, bs_key, copy_id))""",
    f"""CREATE TABLE IF NOT EXISTS {CLEAN_TABLE} (
  job_id bigint(20) NOT NULL,
  tenant_id bigint(20) NOT NULL,
  incarnation bigint(20) NOT NULL,
  copy_id bigint(20) NOT NULL,
  start_time bigint(20) NOT NULL,
  end_time bigint(20) NOT NULL,
  type varchar(64) NOT NULL,
  status varchar(64) NOT NULL,
  parameter varchar(256) NOT NULL,
  error_msg varchar(4096) NOT NULL,
  comment varchar(4096) NOT NULL,
  PRIMARY KEY (job_id, tenant_id))""",
    f"""CREATE TABLE IF NOT EXISTS {DRILL_TABLE} (
  tenant_id bigint(20) NOT NULL,
  bs_key bigint(20) NOT NULL,
  started bigint(20) NOT NULL,
  host varchar(256) NOT NULL,
  verdict varchar(64) NOT NULL,
  end_scn bigint(20) NOT NULL,
  checked varchar(4096) NOT NULL,
  cause varchar(4096) NOT NULL,
  laying_us bigint(20) NOT NULL,
  opening_us bigint(20) NOT NULL,
  checking_us bigint(20) NOT NULL,
  PRIMARY KEY (tenant_id, bs_key, started))""",
)

ADDED_COLUMNS = (
    (PIECE_TABLE, "switch_scn", "bigint(20) NOT NULL DEFAULT 0"),
    (PIECE_TABLE, "input_bytes", "bigint(20) NOT NULL DEFAULT 0"),
    (PIECE_TABLE, "output_bytes", "bigint(20) NOT NULL DEFAULT 0"),
    (STATE_TABLE, "compression", "varchar(128) NOT NULL DEFAULT ''"),
    (STATE_TABLE, "status_since", "bigint(20) NOT NULL DEFAULT 0"),
    (STATE_TABLE, "status_cause", "varchar(4096) NOT NULL DEFAULT ''"),
    *(
        (SET_TABLE, column, "bigint(20) NOT NULL DEFAULT 0")
        for column in ("create_date", "total_bytes", "start_lsn", "snapshot_lsn", "pause_us", "passes")
    ),
    (SET_TABLE, "method", "varchar(64) NOT NULL DEFAULT ''"),
    (SET_TABLE, "keep_until", "bigint(20) NOT NULL DEFAULT 0"),
    (TENANT_TABLE, "engine_kind", "varchar(64) NOT NULL DEFAULT 'seekdb'"),
    (TENANT_TABLE, "role", "varchar(64) NOT NULL DEFAULT 'PRIMARY'"),
)
"""Columns that catalogs of earlier versions lack: table, column, definition."""
