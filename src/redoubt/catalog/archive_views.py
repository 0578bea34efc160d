"""OceanBase 4.x's views of log archiving (`CDB_OB_ARCHIVE…`): a second spelling of the same rounds and pieces.

They have the user tenants' rows only. A cluster has one destination at a time, number 0; each path that it ever
archived to has an id, from 1001 in the order of use. What a round that is over cannot tell any more (its interval and
its codec, which may have changed while it ran) is NULL.
"""

from __future__ import annotations

from redoubt.catalog.tables import HISTORY_TABLE, MAX_SCN, PARAMETER_TABLE, PIECE_TABLE, STATE_TABLE, STATUS_TABLE
from redoubt.catalog.view_terms import ratio, scn_display, size_text

_FIRST_DEST_ID = 1001


def _bigint(number: str) -> str:
    """A number as bigint(20): the engine takes a column's width from the text's."""
    return f"CAST(CAST({number} AS CHAR(20)) AS SIGNED)"


_DEST_IDS = f"""(SELECT backup_dest AS path,
  {_bigint(f"{_FIRST_DEST_ID - 1} + RANK() OVER (ORDER BY MIN(round_id))")} AS dest_id
  FROM {PIECE_TABLE} WHERE incarnation = 1 AND tenant_id = 1 GROUP BY backup_dest)"""
"""Every path that was archived to, with its id."""

_OPTION = "_effective_backup_log_archive_option"
_INTERVAL_KEY = "log_archive_piece_switch_interval="
_SETTING = f"""(SELECT
  COALESCE(MAX(CASE WHEN name = 'backup_dest' THEN CAST(value AS CHAR(2048)) END), '') AS path,
  COALESCE(MAX(CASE WHEN name = '{_OPTION}' THEN SUBSTRING_INDEX(value, ' ', 1) END), 'OPTIONAL') AS binding,
  COALESCE(MAX(CASE WHEN name = 'backup_dest_option' AND LOCATE('{_INTERVAL_KEY}', value) > 0
    THEN SUBSTRING_INDEX(SUBSTRING_INDEX(value, '{_INTERVAL_KEY}', -1), '&', 1) END), '0') AS piece_interval,
  CAST(REPLACE(COALESCE(MAX(CASE WHEN name = '{_OPTION}' THEN SUBSTRING_INDEX(value, '=', -1) END), 'lz4_1.0'),
    'disable', 'none') AS CHAR(128)) AS compression
  FROM {PARAMETER_TABLE})"""
"""What is set now, as one row of texts; of a key that a value has several times the last counts."""

_UNITS = {"us": 1, "ms": 10**3, "s": 10**6, "": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_INTERVAL_US = (
    "REGEXP_REPLACE(piece_interval, '[^0-9]', '') * CASE LOWER(REGEXP_REPLACE(piece_interval, '[0-9]', ''))"
    + "".join(f" WHEN '{unit}' THEN {size}" for unit, size in _UNITS.items())
    + " END"
)

_DELETED_BYTES = f"""(SELECT tenant_id AS of_tenant, round_id AS of_round,
  {_bigint("SUM(input_bytes)")} AS deleted_input, {_bigint("SUM(output_bytes)")} AS deleted_output
  FROM {PIECE_TABLE} WHERE file_status = 'DELETED' GROUP BY tenant_id, round_id)"""


def _rounds(table: str, status: str, where: str) -> str:
    """Rounds of user tenants; interval and codec of those that go on."""
    is_over = f"{status} = 'STOP'"
    return f"""SELECT r.*, CAST({status} AS CHAR(64)) AS state,
  CASE WHEN {is_over} THEN NULL WHEN start_piece_id = 0 THEN 0 ELSE {_bigint(_INTERVAL_US)} END AS switch_interval,
  CASE WHEN {is_over} THEN NULL ELSE s.compression END AS codec
  FROM {table} r, {_SETTING} s WHERE r.tenant_id <> 1 AND {where}"""


_LIVE = _rounds(STATUS_TABLE, "r.status", "r.status <> 'STOP'")
_PAST = _rounds(HISTORY_TABLE, "'STOP'", "1 = 1")
_LAST = _rounds(
    HISTORY_TABLE,
    "'STOP'",
    f"r.log_archive_round = (SELECT log_archive_round FROM {STATUS_TABLE} WHERE tenant_id = 1 AND status = 'STOP')",
)


def _archivelog(rounds: str, sizes: tuple[str, int], last: str) -> str:
    """`sizes` are what is added to a size, and how much wider that makes what is shown of it."""
    plus, wider = sizes
    of_input, of_output = f"input_bytes{plus}", f"output_bytes{plus}"
    deleted_input, deleted_output = "COALESCE(deleted_input, 0)", "COALESCE(deleted_output, 0)"
    return f"""SELECT tenant_id AS TENANT_ID, dest_id AS DEST_ID, log_archive_round AS ROUND_ID,
  incarnation AS INCARNATION, {_bigint("0")} AS DEST_NO, state AS STATUS, CAST(start_scn AS UNSIGNED) AS START_SCN,
  {scn_display("start_scn")} AS START_SCN_DISPLAY, CAST(checkpoint_scn AS UNSIGNED) AS CHECKPOINT_SCN,
  {scn_display("checkpoint_scn")} AS CHECKPOINT_SCN_DISPLAY, compatible AS COMPATIBLE,
  start_piece_id AS BASE_PIECE_ID, backup_piece_id AS USED_PIECE_ID, switch_interval AS PIECE_SWITCH_INTERVAL,
  {_bigint("1")} AS UNIT_SIZE, codec AS COMPRESSION,
  {of_input} AS INPUT_BYTES, {size_text("input_bytes", 27 + wider)} AS INPUT_BYTES_DISPLAY,
  {of_output} AS OUTPUT_BYTES, {size_text("output_bytes", 27 + wider)} AS OUTPUT_BYTES_DISPLAY,
  {ratio("output_bytes", "input_bytes", 23 + wider)} AS COMPRESSION_RATIO,
  {deleted_input} AS DELETED_INPUT_BYTES, {size_text(deleted_input)} AS DELETED_INPUT_BYTES_DISPLAY,
  {deleted_output} AS DELETED_OUTPUT_BYTES, {size_text(deleted_output)} AS DELETED_OUTPUT_BYTES_DISPLAY,
  {last}
  FROM ({rounds}) r JOIN {_DEST_IDS} d ON d.path = r.backup_dest
  LEFT JOIN {_DELETED_BYTES} x ON of_tenant = tenant_id AND of_round = log_archive_round"""


def _dest(name: str, value: str) -> str:
    return f"""SELECT tenant_id AS TENANT_ID, {_bigint("0")} AS DEST_NO, CAST('{name}' AS CHAR(1024)) AS NAME,
  CONCAT(CAST({value} AS CHAR(2048)), CAST('' AS CHAR(2048))) AS VALUE
  FROM {STATE_TABLE}, {_SETTING} s WHERE path <> ''"""


_DEST_ID = f"""COALESCE((SELECT dest_id FROM {_DEST_IDS} d WHERE d.path = s.path),
  {_FIRST_DEST_ID} + (SELECT COUNT(*) FROM {_DEST_IDS} d))"""

ARCHIVE_VIEWS = {
    "CDB_OB_ARCHIVELOG": _archivelog(
        f"{_LIVE} UNION ALL {_LAST}", (" + 0", 1), "comment AS COMMENT, backup_dest AS PATH"
    ),
    "CDB_OB_ARCHIVELOG_SUMMARY": _archivelog(
        f"{_LIVE} UNION ALL {_PAST}", ("", 0), "backup_dest AS PATH, comment AS COMMENT"
    ),
    "CDB_OB_ARCHIVELOG_PIECE_FILES": f"""SELECT tenant_id AS TENANT_ID, dest_id AS DEST_ID, round_id AS ROUND_ID,
  backup_piece_id AS PIECE_ID, incarnation AS INCARNATION, {_bigint("0")} AS DEST_NO, status AS STATUS,
  CAST(start_scn AS UNSIGNED) AS START_SCN, {scn_display("start_scn")} AS START_SCN_DISPLAY,
  CAST(checkpoint_scn AS UNSIGNED) AS CHECKPOINT_SCN, {scn_display("checkpoint_scn")} AS CHECKPOINT_SCN_DISPLAY,
  CAST(CASE WHEN max_scn = {MAX_SCN} THEN checkpoint_scn ELSE max_scn END AS UNSIGNED) AS MAX_SCN,
  CAST(max_scn AS UNSIGNED) AS END_SCN, {scn_display("max_scn")} AS END_SCN_DISPLAY, compatible AS COMPATIBLE,
  {_bigint("1")} AS UNIT_SIZE,
  CASE WHEN status = 'FROZEN' THEN NULL ELSE s.compression END AS COMPRESSION,
  input_bytes AS INPUT_BYTES, {size_text("input_bytes")} AS INPUT_BYTES_DISPLAY,
  output_bytes AS OUTPUT_BYTES, {size_text("output_bytes")} AS OUTPUT_BYTES_DISPLAY,
  {ratio("output_bytes", "input_bytes")} AS COMPRESSION_RATIO, file_status AS FILE_STATUS, backup_dest AS PATH
  FROM {PIECE_TABLE} p JOIN {_DEST_IDS} d ON d.path = p.backup_dest, {_SETTING} s
  WHERE tenant_id <> 1 AND copy_id = 0""",
    "CDB_OB_ARCHIVE_DEST": " UNION ALL ".join(
        _dest(name, value)
        for name, value in (
            ("binding", "binding"),
            ("dest_id", _DEST_ID),
            ("path", "path"),
            ("piece_switch_interval", "piece_interval"),
            ("state", "'ENABLE'"),
        )
    ),
}
"""SELECT statements, by the name of the view."""
