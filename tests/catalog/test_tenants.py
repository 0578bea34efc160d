"""The tenants' rows on a real engine, and the views over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pymysql
import pytest

from redoubt.catalog import tables
from redoubt.catalog.session import CatalogSession
from redoubt.catalog.tenants import TenantKind, TenantRecord, TenantStatus, TenantTable
from redoubt.engines.seekdb.account import connect
from tests.seekdb.running import Seekdb

MADE = 1_700_000_000_123_456_789
RECORD = TenantRecord(
    *(1002, "t", TenantKind.EXTERNAL, "/data", TenantStatus.NORMAL, MADE, MADE),
    {"LOCALITY": "F@z'1\"", "CHARSET": "utf8"},
    "double",
)


@pytest.fixture
def table(session: CatalogSession) -> Iterator[TenantTable]:
    """A table without tenants."""
    yield TenantTable(session)
    with session.cursor() as cursor:
        cursor.execute(f"DELETE FROM {tables.TENANT_TABLE}")


def _view(seekdb: Seekdb, name: str) -> list[dict[str, Any]]:
    with connect(seekdb.base) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute(f"SELECT * FROM oceanbase.{name} ORDER BY TENANT_ID")
        return list(cursor.fetchall())


def test_a_tenant_is_loaded_as_it_was_put(table: TenantTable) -> None:
    """Also one that was changed; one that never came to be is not there."""
    table.put(RECORD)
    table.put(replace(RECORD, tenant_id=1003))
    table.put(replace(RECORD, status=TenantStatus.DROPPED))
    table.remove(1003)

    assert table.load() == [replace(RECORD, status=TenantStatus.DROPPED)]


def test_tenants_are_shown_with_what_ails_them(sys_engine: Seekdb, table: TenantTable) -> None:
    """OceanBase's view has the options of CREATE TENANT, or defaults; ours has the cause."""
    table.put(replace(RECORD, tenant_id=1, name="sys", options={}))
    table.put(RECORD)
    table.put(replace(RECORD, tenant_id=1003, status=TenantStatus.DROPPED))
    table.set_trouble(1002, "no application: \udcff", MADE)
    sys, tenant = _view(sys_engine, "DBA_OB_TENANTS")
    ours = _view(sys_engine, "CDB_REDOUBT_TENANTS")
    table.set_trouble(1002, "", 0)
    again = _view(sys_engine, "DBA_OB_TENANTS")[1]

    assert (sys["TENANT_TYPE"], sys["STATUS"], sys["LOCALITY"]) == ("SYS", "NORMAL", "FULL{1}@zone1")
    assert (tenant["TENANT_TYPE"], tenant["STATUS"], tenant["LOCALITY"]) == ("USER", "UNAVAILABLE", "F@z'1\"")
    assert tenant["CREATE_TIME"].microsecond == 123456
    assert tenant["LOG_MODE"] == "NOARCHIVELOG"
    assert [(row["TENANT_ID"], row["ENGINE_KIND"], row["SOURCE"], row["TROUBLE"]) for row in ours] == [
        (1002, "double", "/data", "no application: ?"),
        (1003, "double", "/data", ""),
    ]
    assert again["STATUS"] == "NORMAL"
