"""CREATE TENANT, DROP TENANT, SHOW TENANTS: options and names in all their spellings."""

from __future__ import annotations

import pytest

from redoubt.sql.parser import parse
from redoubt.sql.statements import CreateTenant, DropTenant, ShowTenants, Statement


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("", ()),
        ("charset=utf8mb4", (("CHARSET", "utf8mb4"),)),
        ("CHARACTER SET = 'utf8mb4'", (("CHARSET", "utf8mb4"),)),
        ("character set binary collate utf8_bin", (("CHARSET", "binary"), ("COLLATE", "utf8_bin"))),
        ("REPLICA_NUM = 1, LOGONLY_REPLICA_NUM 0", (("REPLICA_NUM", "1"), ("LOGONLY_REPLICA_NUM", "0"))),
        ("ZONE_LIST = ('z1', 'z2')", (("ZONE_LIST", "z1,z2"),)),
        ("zone_list(z1,`z2`)", (("ZONE_LIST", "z1,z2"),)),
        ("PRIMARY_ZONE = 'z1;z2,z3'", (("PRIMARY_ZONE", "z1;z2,z3"),)),
        ("PRIMARY_ZONE RANDOM", (("PRIMARY_ZONE", "RANDOM"),)),
        ("DEFAULT TABLEGROUP = NULL", (("TABLEGROUP", "NULL"),)),
        ("TABLEGROUP tg", (("TABLEGROUP", "tg"),)),
        ("RESOURCE_POOL_LIST = ('pool1')", (("RESOURCE_POOL_LIST", "pool1"),)),
        ("LOCALITY = 'F@z1,F@z2' FORCE", (("LOCALITY", "F@z1,F@z2"),)),
        ("COMMENT 'it''s'", (("COMMENT", "it's"),)),
        ("READ ONLY", (("READ", "ONLY"),)),
        ("read write, comment = ''", (("READ", "WRITE"), ("COMMENT", ""))),
        ("ENABLE_EXTENDED_ROWID = TRUE", (("ENABLE_EXTENDED_ROWID", "TRUE"),)),
        ("ENABLE_ARBITRATION_SERVICE 1", (("ENABLE_ARBITRATION_SERVICE", "1"),)),
        (
            "PROGRESSIVE_MERGE_NUM = 3 REWRITE_MERGE_VERSION 1",
            (("PROGRESSIVE_MERGE_NUM", "3"), ("REWRITE_MERGE_VERSION", "1")),
        ),
        ("replica_num 1 charset x replica_num 2", (("CHARSET", "x"), ("REPLICA_NUM", "2"))),
        (
            "SET ob_tcp_invited_nodes = '%', GLOBAL x = -1, `y` = on",
            (("SET OB_TCP_INVITED_NODES", "%"), ("SET X", "-1"), ("SET Y", "on")),
        ),
        ("charset utf8 VARIABLES a = 5", (("CHARSET", "utf8"), ("SET A", "5"))),
        ("SET VARIABLES a = 5", (("SET A", "5"),)),
    ],
)
def test_options(written: str, options: tuple[tuple[str, str], ...]) -> None:
    """Each option of OceanBase's, with = or without, kept with its name in upper case and its plain value."""
    assert parse(f"CREATE TENANT t {written}") == CreateTenant("t", options=options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("create tenant if not exists `t`", CreateTenant("t", if_not_exists=True)),
        ("CREATE TENANT 't 1'", CreateTenant("t 1")),
        ("CREATE TENANT `if`", CreateTenant("if")),
        ("CREATE TENANT t SOURCE = 'seekdb:///a'", CreateTenant("t", source="seekdb:///a")),
        (
            "CREATE TENANT t COMMENT 'c', SOURCE 'seekdb:///a;b' charset x;",
            CreateTenant("t", source="seekdb:///a;b", options=(("COMMENT", "c"), ("CHARSET", "x"))),
        ),
        ("DROP TENANT t", DropTenant("t")),
        ('/* x */ drop tenant if exists "t" force ;', DropTenant("t", if_exists=True, force=True)),
        ("DROP TENANT t FORCE", DropTenant("t", force=True)),
        ("SHOW TENANTS", ShowTenants()),
        ("show tenants like 't%';", ShowTenants("t%")),
    ],
)
def test_tenants(text: str, expected: Statement) -> None:
    """Names bare, in backticks and as strings; a source of ours beside OceanBase's options."""
    assert expected == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TENANT",
        "CREATE TENANT IF NOT EXISTS",
        "CREATE TENANT IF EXISTS t",
        "CREATE TENANT 1",
        "CREATE TENANT ?",
        "CREATE TENANT a.b",
        "CREATE TENANT t,",
        "CREATE TENANT t x = 1",
        "CREATE TENANT t SOURCE = seekdb",
        "CREATE TENANT t SOURCE",
        "CREATE TENANT t CHARSET",
        "CREATE TENANT t CHARACTER = utf8",
        "CREATE TENANT t DEFAULT CHARSET utf8",
        "CREATE TENANT t REPLICA_NUM = -1",
        "CREATE TENANT t REPLICA_NUM = a",
        "CREATE TENANT t ZONE_LIST = 'z'",
        "CREATE TENANT t ZONE_LIST = ()",
        "CREATE TENANT t ZONE_LIST = ('z'",
        "CREATE TENANT t READ NOTHING",
        "CREATE TENANT t READ = ONLY",
        "CREATE TENANT t COMMENT x",
        "CREATE TENANT t SET",
        "CREATE TENANT t SET a",
        "CREATE TENANT t SET a = - x",
        "CREATE TENANT t SET a = 1 + 1",
        "CREATE TENANT t SET a = 1,",
        "CREATE TENANT t SET a = 1 charset utf8",
        "CREATE TENANT t /*! charset utf8 */",
        "CREATE TENANTS t",
        "CREATE TABLE tenant (a int)",
        "CREATE RESOURCE POOL p",
        "DROP TENANT",
        "DROP TENANT IF NOT EXISTS t",
        "DROP TENANT a, b",
        "DROP TENANT t PURGE",
        "DROP TABLE tenant",
        "ALTER TENANT t LOCK",
        "SHOW TENANT",
        "SHOW TENANTS LIKE t",
        "SHOW TENANTS WHERE 1",
        "SHOW CREATE TENANT t",
        "DESCRIBE TENANTS",
    ],
)
def test_not_ours(text: str) -> None:
    """What is almost one of them is left to the engine."""
    assert parse(text) is None
