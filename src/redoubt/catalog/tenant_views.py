"""Views of the tenants: OceanBase 4.x's `DBA_OB_TENANTS`, as far as its columns can be true here, and one of our own."""

from __future__ import annotations

from redoubt.catalog.tables import STATUS_TABLE, TENANT_TABLE

_IS_ARCHIVED = f"""EXISTS (SELECT 1 FROM {STATUS_TABLE} s
    WHERE s.tenant_id = t.tenant_id AND s.status IN ('BEGINNING', 'DOING', 'STOPPING'))"""


def _time(nanoseconds: str) -> str:
    return f"CASE WHEN {nanoseconds} = 0 THEN NULL ELSE usec_to_time({nanoseconds} DIV 1000) END"


def _option(name: str, default: str) -> str:
    """What CREATE TENANT said of an option, or OceanBase's default."""
    return f"COALESCE(JSON_UNQUOTE(JSON_EXTRACT(t.options, '$.{name}')), '{default}')"


def _tenant(tenant_id: str, name: str, kind: str, created: str, modified: str, zone: str, locality: str) -> str:
    """The columns that the sys tenant and the others have alike, up to COMPATIBILITY_MODE."""
    return f"""CAST({tenant_id} AS SIGNED) AS TENANT_ID, CAST({name} AS CHAR(128)) AS TENANT_NAME,
  CAST('{kind}' AS CHAR(64)) AS TENANT_TYPE, {created} AS CREATE_TIME, {modified} AS MODIFY_TIME,
  CAST({zone} AS CHAR(128)) AS PRIMARY_ZONE, CAST({locality} AS CHAR(4096)) AS LOCALITY,
  CAST(NULL AS CHAR(4096)) AS PREVIOUS_LOCALITY, CAST('MYSQL' AS CHAR(6)) AS COMPATIBILITY_MODE"""


def _state(status: str, locked: str, log_mode: str) -> str:
    """The columns from STATUS on."""
    return f"""CAST({status} AS CHAR(64)) AS STATUS, CAST('NO' AS CHAR(3)) AS IN_RECYCLEBIN,
  CAST({locked} AS CHAR(3)) AS LOCKED, CAST('PRIMARY' AS CHAR(64)) AS TENANT_ROLE,
  CAST({log_mode} AS CHAR(64)) AS LOG_MODE"""


_CREATED = f"(SELECT MIN(created_at) FROM {TENANT_TABLE})"  # sys is as old as main, the first of the others
_SYS = f"""SELECT {_tenant("1", "'sys'", "SYS", _time(_CREATED), _time(_CREATED), "'RANDOM'", "'FULL{1}@zone1'")},
  {_state("'NORMAL'", "'NO'", "'NOARCHIVELOG'")}"""
_USERS = f"""SELECT {
    _tenant(
        "t.tenant_id",
        "t.tenant_name",
        "USER",
        _time("t.created_at"),
        _time("t.modified_at"),
        _option("PRIMARY_ZONE", "RANDOM"),
        _option("LOCALITY", "FULL{1}@zone1"),
    )
},
  {
    _state(
        "CASE WHEN t.status = 'NORMAL' AND t.trouble <> '' THEN 'UNAVAILABLE' ELSE t.status END",
        "'NO'",
        f"CASE WHEN {_IS_ARCHIVED} THEN 'ARCHIVELOG' ELSE 'NOARCHIVELOG' END",
    )
}
  FROM {TENANT_TABLE} t WHERE t.status <> 'DROPPED'"""

TENANT_VIEWS = {
    "DBA_OB_TENANTS": f"{_SYS} UNION ALL {_USERS}",
    "CDB_REDOUBT_TENANTS": f"""SELECT tenant_id AS TENANT_ID, tenant_name AS TENANT_NAME, kind AS KIND, status AS STATUS,
  base_dir AS SOURCE, options AS OPTIONS, trouble AS TROUBLE, {_time("trouble_since")} AS TROUBLE_SINCE,
  {_time("created_at")} AS CREATED, {_time("modified_at")} AS MODIFIED
  FROM {TENANT_TABLE}""",
}
"""SELECT statements, by the name of the view in schema `oceanbase`."""
