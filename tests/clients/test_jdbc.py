"""MariaDB Connector/J where rows come a few at a time, or do not come at all."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from tests.clients.jdbc import through_jdbc
from tests.clients.suite import LONGLONG, SHOWN, VARCHAR, Session, Step, error, prepared, rows, text

if TYPE_CHECKING:
    from tests.clients.drivers import Request

FIVE = "SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5"
FIVE_ROWS = rows({"n": LONGLONG}, ("1",), ("2",), ("3",), ("4",), ("5",))
TENANT_COLUMNS = {"TENANT_ID": LONGLONG} | dict.fromkeys(("TENANT_NAME", "STATUS", "KIND", "CREATED"), VARCHAR)
NO_TENANT = rows(TENANT_COLUMNS)
NO_PARAMETER = rows(SHOWN)
STEPS: tuple[Step, ...] = (
    prepared(FIVE, FIVE_ROWS),
    prepared("SELECT 1 AS n FROM DUAL WHERE 1 = 0", rows({"n": LONGLONG})),
    prepared("SELECT name FROM DBA_OB_NOTHING", error(1146, "42S02", "Table 'oceanbase.dba_ob_nothing' doesn't exist")),
    prepared("SELECT TENANT_NAME FROM DBA_OB_TENANTS WHERE TENANT_ID < 0", rows({"TENANT_NAME": VARCHAR})),
    prepared("SHOW TENANTS LIKE 'no such'", NO_TENANT),
    prepared("SHOW PARAMETERS LIKE 'no such'", NO_PARAMETER),
    text(f"SHOW TENANTS LIKE 'no such'; {FIVE}; SHOW PARAMETERS LIKE 'no such'", NO_TENANT, FIVE_ROWS, NO_PARAMETER),
)


@pytest.mark.parametrize("matrix", ["plain"], indirect=True)
def test_few_rows_at_a_time_and_none(matrix: Request) -> None:
    """More rows than are fetched at once, and results without rows: the engine's and ours, prepared and as texts."""
    session = Session("root@sys", STEPS)

    (answers,) = through_jdbc(matrix | {"sessions": [asdict(session)]})

    assert answers == [list(step.results) for step in STEPS]
