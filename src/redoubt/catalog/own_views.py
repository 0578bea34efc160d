"""Redoubt's own views (`CDB_REDOUBT_…`): status, events and holes of archiving, and recoverable windows.

Times are timestamp(6) in the session's time zone, NULL without a time.
"""

from __future__ import annotations

from redoubt.catalog.tables import EVENT_TABLE, HOLE_TABLE, PIECE_TABLE, STATE_TABLE, STATUS_TABLE, TENANT_TABLE
from redoubt.catalog.view_terms import NOW, time

_RUNS = f"""SELECT tenant_id, round_id, MIN(backup_piece_id) AS first_piece, MAX(backup_piece_id) AS last_piece,
  MIN(start_piece_id) AS start_piece,
  MIN(start_scn) AS start_scn, MAX(checkpoint_scn) AS end_scn, backup_dest, file_status,
  MAX(CASE WHEN status = 'FROZEN' THEN 0 ELSE 1 END) AS goes_on
  FROM (SELECT p.*,
    backup_piece_id
      - CAST(ROW_NUMBER() OVER (PARTITION BY tenant_id, round_id ORDER BY backup_piece_id) AS SIGNED) AS run
    FROM {PIECE_TABLE} p
    WHERE incarnation = 1 AND tenant_id <> 1 AND copy_id = 0 AND start_scn > 0 AND file_status = 'AVAILABLE') p
  GROUP BY tenant_id, round_id, run, backup_dest, file_status"""
"""Runs of consecutive pieces of a round, found by their numbers."""

WINDOWS = f"""SELECT r.tenant_id, r.round_id, first_piece, last_piece, start_piece, goes_on, backup_dest, file_status,
  GREATEST(r.start_scn, COALESCE((SELECT h.end_scn FROM {HOLE_TABLE} h
    WHERE h.tenant_id = r.tenant_id AND h.`after` < r.round_id AND h.closed_at > 0
    ORDER BY h.`after` DESC LIMIT 1), 0)) AS start_scn,
  CASE WHEN COALESCE(after_it.start_scn, 0) > 0 THEN LEAST(r.end_scn, after_it.start_scn) ELSE r.end_scn END AS end_scn
  FROM ({_RUNS}) r
  LEFT JOIN {HOLE_TABLE} after_it ON after_it.tenant_id = r.tenant_id AND after_it.`after` = r.round_id"""
"""Runs, shortened by the holes before and after their round."""

OWN_VIEWS = {
    "CDB_REDOUBT_ARCHIVELOG_STATUS": f"""SELECT tenant_id AS TENANT_ID, tenant_name AS TENANT_NAME,
  log_archive_round AS LOG_ARCHIVE_ROUND, status AS STATUS, {time("status_since")} AS STATUS_SINCE,
  status_cause AS STATUS_CAUSE, mode AS MODE, compression AS COMPRESSION, sync_commit AS SYNC_COMMIT, gate AS GATE,
  health AS HEALTH, {time("since")} AS SINCE, cause AS CAUSE, backlog_bytes AS BACKLOG_BYTES,
  spool_limit AS SPOOL_LIMIT, {time("checkpoint_scn")} AS ARCHIVED_UP_TO,
  CAST(CASE WHEN waiting_since = 0 THEN 0 ELSE
    GREATEST(0, {NOW} - waiting_since DIV 1000) END / 1000000 AS DECIMAL(20,3))
    AS LAG_SECONDS,
  CAST(lag_target_us / 1000000 AS DECIMAL(20,3)) AS LAG_TARGET_SECONDS
  FROM {STATE_TABLE}
  WHERE tenant_id NOT IN (SELECT tenant_id FROM {TENANT_TABLE} WHERE status = 'DROPPED')""",
    "CDB_REDOUBT_ARCHIVELOG_EVENTS": f"""SELECT event_id AS EVENT_ID, {time("happened_at")} AS HAPPENED_AT,
  tenant_id AS TENANT_ID, log_archive_round AS LOG_ARCHIVE_ROUND, what AS WHAT, state_before AS STATE_BEFORE,
  state_after AS STATE_AFTER, cause AS CAUSE FROM {EVENT_TABLE}""",
    "CDB_REDOUBT_ARCHIVELOG_HOLES": f"""SELECT tenant_id AS TENANT_ID, `after` AS AFTER_ROUND,
  CASE WHEN closed_at = 0 THEN 'OPEN' ELSE 'CLOSED' END AS STATUS,
  start_lsn AS START_LSN, {time("start_scn")} AS START_TIME, start_scn AS START_SCN,
  CASE WHEN closed_at = 0 THEN NULL ELSE end_lsn END AS END_LSN, {time("end_scn")} AS END_TIME,
  CASE WHEN closed_at = 0 THEN NULL ELSE end_scn END AS END_SCN,
  {time("opened_at")} AS OPENED_AT, {time("closed_at")} AS CLOSED_AT, cause AS CAUSE FROM {HOLE_TABLE}""",
    "CDB_REDOUBT_RECOVERABLE_WINDOW": f"""SELECT tenant_id AS TENANT_ID, round_id AS ROUND_ID,
  first_piece AS FIRST_PIECE_ID, last_piece AS LAST_PIECE_ID,
  {time("start_scn")} AS START_TIME, start_scn AS START_SCN, {time("end_scn")} AS END_TIME, end_scn AS END_SCN,
  CASE WHEN goes_on = 1 AND EXISTS (SELECT 1 FROM {STATUS_TABLE} s
    WHERE s.tenant_id = w.tenant_id AND s.log_archive_round = round_id AND s.status NOT IN ('INTERRUPTED', 'STOP'))
    THEN 'YES' ELSE 'NO' END AS GROWS, file_status AS FILE_STATUS, backup_dest AS PATH
  FROM ({WINDOWS}) w WHERE end_scn >= start_scn""",
}
"""SELECT statements, by the name of the view."""
