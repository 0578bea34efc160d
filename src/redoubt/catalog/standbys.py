"""Typed reads and writes of the standbys, and their views. Methods block, may be called from any thread."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from redoubt.catalog.session import CatalogSession
from redoubt.catalog.tables import STANDBY_TABLE, TENANT_TABLE

UNLIMITED: Final = 4611686018427387903
"""RECOVERY_UNTIL_SCN of a standby that follows without end, and of a primary."""
_TROUBLE_LENGTH = 4000


class SwitchoverStatus(StrEnum):
    """OceanBase's words for what a tenant's role is changing to, as far as they apply here."""

    NORMAL = "NORMAL"
    PREPARE_FLASHBACK = "PREPARE FLASHBACK"
    SWITCHING_TO_PRIMARY = "SWITCHING TO PRIMARY"


@dataclass(frozen=True)
class StandbyRecord:
    """A standby. SCNs in ns since the epoch, 0 if unknown; `until_scn` is UNLIMITED without an end.

    The log is that of the engine `source` of tenant `source_tenant_id` of a cluster, in `destination`, a URI without
    keys. `source_type` is LOCATION, or empty while the standby has no source. `trouble`: why no log comes, empty if it
    comes.
    """

    tenant_id: int
    destination: str
    cluster: str
    cluster_id: int
    source_tenant_id: int
    source: str
    until_scn: int
    source_type: str = "LOCATION"
    switchover_status: SwitchoverStatus = SwitchoverStatus.NORMAL
    sync_lsn: int = 0
    sync_scn: int = 0
    readable_scn: int = 0
    trouble: str = ""


_COLUMNS = tuple(field.name for field in fields(StandbyRecord))


class StandbyTable:
    """The standbys of the cluster, and what they were after they have become primaries. Raises CatalogError."""

    def __init__(self, session: CatalogSession) -> None:
        self._session = session

    def load(self) -> list[StandbyRecord]:
        """Every record, in the order of the tenants' ids."""
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(_COLUMNS)} FROM {STANDBY_TABLE} ORDER BY tenant_id")
            rows = [dict(zip(_COLUMNS, row, strict=True)) for row in cursor.fetchall()]
        return [
            StandbyRecord(**row | {"switchover_status": SwitchoverStatus(row["switchover_status"])}) for row in rows
        ]

    def put(self, record: StandbyRecord) -> None:
        """Write a record."""
        places = ", ".join(["%s"] * len(_COLUMNS))
        with self._session.transaction() as cursor:
            cursor.execute(f"REPLACE INTO {STANDBY_TABLE} ({', '.join(_COLUMNS)}) VALUES ({places})", _values(record))


def _values(record: StandbyRecord) -> list[Any]:
    trouble = record.trouble[:_TROUBLE_LENGTH].encode(errors="replace").decode()  # it may name files
    values = vars(replace(record, trouble=trouble)) | {"switchover_status": str(record.switchover_status)}
    return [values[column] for column in _COLUMNS]


_TENANT = f"SELECT 1 FROM {TENANT_TABLE} t WHERE t.tenant_id = s.tenant_id AND"
_SOURCES = f"""SELECT tenant_id AS TENANT_ID, CAST(1 AS SIGNED) AS ID, source_type AS TYPE,
  destination AS VALUE, CAST(until_scn AS UNSIGNED) AS RECOVERY_UNTIL_SCN
  FROM {STANDBY_TABLE} s WHERE source_type <> '' AND EXISTS ({_TENANT} t.status <> 'DROPPED')"""

STANDBY_VIEWS = {
    "CDB_OB_LOG_RESTORE_SOURCE": _SOURCES,
    "DBA_OB_LOG_RESTORE_SOURCE": _SOURCES,
    "V$OB_LS_LOG_RESTORE_STATUS": f"""SELECT tenant_id AS TENANT_ID, CAST(1 AS SIGNED) AS LS_ID,
  CAST(sync_lsn AS UNSIGNED) AS SYNC_LSN, CAST(sync_scn AS UNSIGNED) AS SYNC_SCN,
  CAST(CASE WHEN sync_scn >= until_scn AND sync_scn > 0 THEN 'RESTORE SUSPEND' WHEN trouble <> '' THEN 'NOT AVAILABLE'
    ELSE 'NORMAL' END AS CHAR(128)) AS SYNC_STATUS,
  CAST(0 AS SIGNED) AS ERR_CODE, trouble AS COMMENT
  FROM {STANDBY_TABLE} s
  WHERE EXISTS ({_TENANT} t.role = 'STANDBY' AND t.status <> 'DROPPED')""",
}
"""SELECT statements, by the name of the view in schema `oceanbase`."""
