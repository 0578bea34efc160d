"""The engine's own tables that describe databases, tables, columns, indexes, users and grants.

Measured: `AS OF SNAPSHOT` reads these tables as of an SCN, in the engine itself and in an engine that was restored from
its files and log. It reaches back half an hour (`undo_retention`), and further for rows that were not compacted since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

_TABLES = (
    "__all_database",
    "__all_table",
    "__all_column",
    "__all_constraint",
    "__all_constraint_column",
    "__all_foreign_key",
    "__all_foreign_key_column",
    "__all_part",
    "__all_sub_part",
    "__all_def_sub_part",
    "__all_tablet_to_table",
    "__all_dependency",
    "__all_package",
    "__all_routine",
    "__all_routine_param",
    "__all_trigger",
    "__all_user",
    "__all_role_grantee_map",
    "__all_sysauth",
    "__all_objauth",
    "__all_objauth_mysql",
    "__all_database_privilege",
    "__all_table_privilege",
    "__all_column_privilege",
    "__all_routine_privilege",
    "__all_sys_variable",
    "__all_recyclebin",
    "__all_ori_schema_version",
)

Rows = tuple[tuple[Any, ...], ...]


def read_catalog(run: Callable[[str], Rows], scn: int | None) -> Iterator[tuple[str, Rows]]:
    """Name and rows of each table, as of an SCN (ns since the epoch), or now. `run` runs a statement, in UTC."""
    moment = "" if scn is None else f" AS OF SNAPSHOT {scn}"
    for table in _TABLES:
        yield table, run(f"SELECT * FROM oceanbase.{table}{moment}")
