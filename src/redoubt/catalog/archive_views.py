"""OceanBase 4.x's views of log archiving (`CDB_OB_ARCHIVE…`): a second spelling of the same rounds and pieces.

The views have the user tenants' rows only. A cluster has one destination at a time, number 0. Each path that was ever
archived to has an id, from 1001 in the order of use. The interval and the codec of an ended round are NULL, because
they may have changed during the round.
"""

from __future__ import annotations

from redoubt.catalog.tables import HISTORY_TABLE, MAX_SCN, PARAMETER_TABLE, PIECE_TABLE, STATUS_TABLE, TENANT_TABLE
from redoubt.catalog.view_terms import bigint, scn_display, size_text

_FIRST_DEST_ID = 1001


def _ratio(digits: int) -> str:
    """The compression ratio; in 4.x 0 without input."""
    value = "CASE WHEN input_bytes = 0 THEN 0 ELSE ROUND(output_bytes / input_bytes, 2) END"
    return f"CAST({value} AS DECIMAL({digits},2))"


_DEST_IDS = f"""(SELECT backup_dest AS path,
  {bigint(f"{_FIRST_DEST_ID - 1} + RANK() OVER (ORDER BY MIN(round_id))")} AS dest_id
  FROM {PIECE_TABLE} WHERE incarnation = 1 AND tenant_id = 1 AND copy_id = 0 GROUP BY backup_dest)"""
"""Every path that was archived to, with its id."""

_OPTION = "_effective_backup_log_archive_option"
_COMPRESSION = "SUBSTRING_INDEX(SUBSTRING_INDEX(value, 'COMPRESSION=', -1), ' ', 1)"
_INTERVAL = "_effective_piece_switch_interval"


def _set(name: str, what: str, default: str) -> str:
    return f"COALESCE(MAX(CASE WHEN name = '{name}' THEN {what} END), '{default}')"


_SETTING = f"""(SELECT {_set("backup_dest", "value", "")} AS path,
  {_set(_OPTION, "SUBSTRING_INDEX(value, ' ', 1)", "OPTIONAL")} AS binding,
  CAST(REPLACE({_set(_OPTION, _COMPRESSION, "lz4_1.0")}, 'disable', 'none') AS CHAR(128)) AS compression,
  CAST({_set(_INTERVAL, "value", "0")} AS DECIMAL(20,6)) AS seconds,
  {_set("log_archive_dest_state", "value", "ENABLE")} AS state
  FROM {PARAMETER_TABLE})"""
"""The current settings as one row; `seconds` is the piece interval."""

_INTERVAL_TEXT = """CASE WHEN seconds = 0 THEN '0'
    WHEN MOD(seconds, 86400) = 0 THEN CONCAT(seconds DIV 86400, 'd')
    WHEN MOD(seconds, 3600) = 0 THEN CONCAT(seconds DIV 3600, 'h')
    WHEN MOD(seconds, 60) = 0 THEN CONCAT(seconds DIV 60, 'm')
    WHEN MOD(seconds, 1) = 0 THEN CONCAT(seconds DIV 1, 's')
    ELSE CONCAT(CAST(seconds * 1000000 AS SIGNED), 'us') END"""


def _deleted(size: str) -> str:
    """The size of a round's deleted pieces."""
    return bigint(f"""(SELECT COALESCE(SUM(p.{size}), 0) FROM {PIECE_TABLE} p
    WHERE p.incarnation = 1 AND p.tenant_id = r.tenant_id AND p.round_id = r.log_archive_round
      AND p.copy_id = 0 AND p.file_status = 'DELETED')""")


def _rounds(table: str, status: str, where: str) -> str:
    """Rounds of user tenants, with interval and codec of rounds that have not ended."""
    is_over = f"{status} = 'STOP'"
    return f"""SELECT r.*, CAST({status} AS CHAR(64)) AS state,
  CASE WHEN {is_over} THEN NULL WHEN start_piece_id = 0 THEN 0
    ELSE {bigint("CAST(seconds * 1000000 AS SIGNED)")} END AS switch_interval,
  CASE WHEN {is_over} THEN NULL ELSE s.compression END AS codec
  FROM {table} r, {_SETTING} s WHERE r.incarnation = 1 AND r.tenant_id <> 1 AND {where}"""


_LIVE = _rounds(STATUS_TABLE, "r.status", "r.status <> 'STOP'")
_PAST = _rounds(HISTORY_TABLE, "'STOP'", "1 = 1")
_LAST = _rounds(
    HISTORY_TABLE,
    "'STOP'",
    f"r.log_archive_round = (SELECT log_archive_round FROM {STATUS_TABLE} WHERE tenant_id = 1 AND status = 'STOP')",
)


def _archivelog(rounds: str, sizes: tuple[str, int], last: str) -> str:
    """`sizes` are an addend of a size, and the width that the addend adds to the displayed size."""
    plus, wider = sizes
    of_input, of_output = f"input_bytes{plus}", f"output_bytes{plus}"
    return f"""SELECT tenant_id AS TENANT_ID, dest_id AS DEST_ID, log_archive_round AS ROUND_ID,
  incarnation AS INCARNATION, {bigint("0")} AS DEST_NO, state AS STATUS, CAST(start_scn AS UNSIGNED) AS START_SCN,
  {scn_display("start_scn")} AS START_SCN_DISPLAY, CAST(checkpoint_scn AS UNSIGNED) AS CHECKPOINT_SCN,
  {scn_display("checkpoint_scn")} AS CHECKPOINT_SCN_DISPLAY, compatible AS COMPATIBLE,
  start_piece_id AS BASE_PIECE_ID, backup_piece_id AS USED_PIECE_ID, switch_interval AS PIECE_SWITCH_INTERVAL,
  {bigint("1")} AS UNIT_SIZE, codec AS COMPRESSION,
  {of_input} AS INPUT_BYTES, {size_text("input_bytes", 27 + wider)} AS INPUT_BYTES_DISPLAY,
  {of_output} AS OUTPUT_BYTES, {size_text("output_bytes", 27 + wider)} AS OUTPUT_BYTES_DISPLAY,
  {_ratio(23 + wider)} AS COMPRESSION_RATIO,
  deleted_input AS DELETED_INPUT_BYTES, {size_text("deleted_input")} AS DELETED_INPUT_BYTES_DISPLAY,
  deleted_output AS DELETED_OUTPUT_BYTES, {size_text("deleted_output")} AS DELETED_OUTPUT_BYTES_DISPLAY,
  {last}
  FROM (SELECT r.*, {_deleted("input_bytes")} AS deleted_input, {_deleted("output_bytes")} AS deleted_output
    FROM ({rounds}) r) r JOIN {_DEST_IDS} d ON d.path = r.backup_dest"""


def _varchar(text: str, width: int) -> str:
    """A text as varchar: the engine would give a text of more than 512 characters another type."""
    parts = (f"CAST(SUBSTR({text}, {start}, 512) AS CHAR(512))" for start in range(1, width, 512))
    return f"CONCAT({', '.join(parts)})"


def _dest(name: str, value: str) -> str:
    return f"""SELECT tenant_id AS TENANT_ID, {bigint("0")} AS DEST_NO, {_varchar(f"'{name}'", 1024)} AS NAME,
  {_varchar("value", 4096)} AS VALUE
  FROM (SELECT tenant_id, {value} AS value FROM {TENANT_TABLE} t, {_SETTING} s
    WHERE path <> '' AND t.tenant_id <> 1 AND t.status <> 'DROPPED') v"""


_DEST_ID = f"""COALESCE((SELECT dest_id FROM {_DEST_IDS} d WHERE d.path = s.path),
  {_FIRST_DEST_ID} + (SELECT COUNT(*) FROM {_DEST_IDS} d))"""

_END = f"(CASE WHEN max_scn = {MAX_SCN} AND switch_scn > 0 THEN switch_scn ELSE max_scn END)"

ARCHIVE_VIEWS = {
    "CDB_OB_ARCHIVELOG": _archivelog(
        f"{_LIVE} UNION ALL {_LAST}", (" + 0", 1), "comment AS COMMENT, backup_dest AS PATH"
    ),
    "CDB_OB_ARCHIVELOG_SUMMARY": _archivelog(
        f"{_LIVE} UNION ALL {_PAST}", ("", 0), "backup_dest AS PATH, comment AS COMMENT"
    ),
    "CDB_OB_ARCHIVELOG_PIECE_FILES": f"""SELECT tenant_id AS TENANT_ID, dest_id AS DEST_ID, round_id AS ROUND_ID,
  backup_piece_id AS PIECE_ID, incarnation AS INCARNATION, {bigint("0")} AS DEST_NO, status AS STATUS,
  CAST(start_scn AS UNSIGNED) AS START_SCN, {scn_display("start_scn")} AS START_SCN_DISPLAY,
  CAST(checkpoint_scn AS UNSIGNED) AS CHECKPOINT_SCN, {scn_display("checkpoint_scn")} AS CHECKPOINT_SCN_DISPLAY,
  CAST(CASE WHEN max_scn = {MAX_SCN} THEN checkpoint_scn ELSE max_scn END AS UNSIGNED) AS MAX_SCN,
  CAST({_END} AS UNSIGNED) AS END_SCN, {scn_display(_END)} AS END_SCN_DISPLAY, compatible AS COMPATIBLE,
  {bigint("1")} AS UNIT_SIZE,
  CASE WHEN status = 'FROZEN' THEN NULL ELSE s.compression END AS COMPRESSION,
  input_bytes AS INPUT_BYTES, {size_text("input_bytes")} AS INPUT_BYTES_DISPLAY,
  output_bytes AS OUTPUT_BYTES, {size_text("output_bytes")} AS OUTPUT_BYTES_DISPLAY,
  {_ratio(23)} AS COMPRESSION_RATIO, file_status AS FILE_STATUS, backup_dest AS PATH
  FROM {PIECE_TABLE} p JOIN {_DEST_IDS} d ON d.path = p.backup_dest, {_SETTING} s
  WHERE incarnation = 1 AND tenant_id <> 1 AND copy_id = 0""",
    "CDB_OB_ARCHIVE_DEST": " UNION ALL ".join(
        _dest(name, value)
        for name, value in (
            ("binding", "binding"),
            ("dest_id", _DEST_ID),
            ("path", "path"),
            ("piece_switch_interval", _INTERVAL_TEXT),
            ("state", "s.state"),
        )
    ),
}
"""SELECT statements, by the name of the view."""
