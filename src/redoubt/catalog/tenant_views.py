"""Views of the tenants: OceanBase 4.x's `DBA_OB_TENANTS`, as far as it applies here, and our own view."""

from __future__ import annotations

from redoubt.catalog.standbys import UNLIMITED
from redoubt.catalog.tables import STANDBY_TABLE, STATUS_TABLE, SYS_TENANT_ID, TENANT_TABLE

_IS_ARCHIVED = f"""EXISTS (SELECT 1 FROM {STATUS_TABLE} s
    WHERE s.tenant_id = t.tenant_id AND s.tenant_id <> {SYS_TENANT_ID}
      AND s.status IN ('BEGINNING', 'DOING', 'STOPPING'))"""


def _time(nanoseconds: str) -> str:
    return f"CASE WHEN {nanoseconds} = 0 THEN NULL ELSE usec_to_time({nanoseconds} DIV 1000) END"


def _scn(standbys: str, primarys: str = "NULL") -> str:
    """An SCN of a standby, NULL while it is unknown; `primarys` is that of a primary. Sys has none."""
    return f"""CAST(CASE WHEN t.tenant_id = {SYS_TENANT_ID} THEN NULL
    WHEN t.role = 'STANDBY' THEN NULLIF({standbys}, 0) ELSE {primarys} END AS UNSIGNED)"""


def _option(name: str, default: str) -> str:
    """The value of an option in CREATE TENANT, or OceanBase's default."""
    return f"COALESCE(JSON_UNQUOTE(JSON_EXTRACT(t.options, '$.{name}')), '{default}')"


TENANT_VIEWS = {
    "DBA_OB_TENANTS": f"""SELECT t.tenant_id AS TENANT_ID, t.tenant_name AS TENANT_NAME,
  CAST(CASE t.tenant_id WHEN {SYS_TENANT_ID} THEN 'SYS' ELSE 'USER' END AS CHAR(64)) AS TENANT_TYPE,
  {_time("t.created_at")} AS CREATE_TIME, {_time("t.modified_at")} AS MODIFY_TIME,
  CAST({_option("PRIMARY_ZONE", "RANDOM")} AS CHAR(128)) AS PRIMARY_ZONE,
  CAST({_option("LOCALITY", "FULL{1}@zone1")} AS CHAR(4096)) AS LOCALITY,
  CAST(NULL AS CHAR(4096)) AS PREVIOUS_LOCALITY, CAST('MYSQL' AS CHAR(6)) AS COMPATIBILITY_MODE,
  CAST(CASE WHEN t.status = 'NORMAL' AND t.trouble <> '' THEN 'UNAVAILABLE' ELSE t.status END AS CHAR(64)) AS STATUS,
  CAST('NO' AS CHAR(3)) AS IN_RECYCLEBIN, CAST('NO' AS CHAR(3)) AS LOCKED,
  CAST(CASE WHEN t.status = 'RESTORING' AND t.role = 'STANDBY' THEN 'RESTORE' ELSE t.role END AS CHAR(64))
    AS TENANT_ROLE,
  CAST(COALESCE(s.switchover_status, 'NORMAL') AS CHAR(64)) AS SWITCHOVER_STATUS,
  {_scn("s.sync_scn")} AS SYNC_SCN, {_scn("s.readable_scn")} AS REPLAYABLE_SCN,
  {_scn("s.readable_scn")} AS READABLE_SCN, {_scn("s.until_scn", str(UNLIMITED))} AS RECOVERY_UNTIL_SCN,
  CAST(CASE WHEN {_IS_ARCHIVED} THEN 'ARCHIVELOG' ELSE 'NOARCHIVELOG' END AS CHAR(64)) AS LOG_MODE
  FROM {TENANT_TABLE} t LEFT JOIN {STANDBY_TABLE} s ON s.tenant_id = t.tenant_id
  WHERE t.status <> 'DROPPED'""",
    "CDB_REDOUBT_TENANTS": f"""SELECT tenant_id AS TENANT_ID, tenant_name AS TENANT_NAME, kind AS KIND,
  status AS STATUS, engine_kind AS ENGINE_KIND, base_dir AS SOURCE, options AS OPTIONS, trouble AS TROUBLE,
  {_time("trouble_since")} AS TROUBLE_SINCE,
  {_time("created_at")} AS CREATED, {_time("modified_at")} AS MODIFIED
  FROM {TENANT_TABLE} WHERE tenant_id <> {SYS_TENANT_ID}""",
}
"""SELECT statements, by the name of the view in schema `oceanbase`."""
