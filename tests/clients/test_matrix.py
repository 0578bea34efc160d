"""Every client gives the same answers, in plain text and in TLS, and behind HAProxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.drivers import (
    Answers,
    Request,
    through_asyncmy,
    through_connector,
    through_pymysql,
    through_sqlalchemy,
)
from tests.clients.haproxy import proxy
from tests.clients.jdbc import through_jdbc
from tests.clients.mariadb import through_mariadb
from tests.clients.suite import FEW_ROWS, SESSIONS, Session

ROOT = Path(__file__).parents[2]
NODE = Path(__file__).parent / "node"


def program(*command: str) -> Callable[[Request], Answers]:
    """A driver in a process of its own."""

    def run(request: Request) -> Answers:
        # Not under coverage: that loads Python's OpenSSL before the connector's own, which is a newer one.
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        given = json.dumps(request)
        ran = subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT, env=plain
        )
        assert ran.returncode == 0, ran.stderr
        answers: Answers = json.loads(ran.stdout)
        return answers

    return run


@dataclass(frozen=True)
class Client:
    """A client, and what it does not tell of a result; all else it tells as the others do."""

    name: str
    run: Callable[[Request], Answers]
    silent: frozenset[str] = frozenset()


# Here, and only here, stands in what clients differ. Numbers come as numbers or as texts, and are compared as texts.
CLIENTS = (
    Client("mariadb", through_mariadb, frozenset({"types"})),  # prints none
    Client("pymysql", through_pymysql, frozenset({"sqlstate"})),  # reads over it
    Client("connector", through_connector),
    Client("connector_cext", program(sys.executable, "-m", "tests.clients.connector_cext")),
    Client("asyncmy", through_asyncmy),
    Client("sqlalchemy", through_sqlalchemy, frozenset({"sqlstate"})),  # PyMySQL's
    Client("mysql2", program("node", str(NODE / "mysql2.js"))),
    Client("mysql", program("node", str(NODE / "mysql.js"))),
    Client("oceanbase", program("node", str(NODE / "oceanbase.js"))),
    Client("jdbc", through_jdbc),
)
ROW_WARNINGS_UNTOLD = ("mysql", "mysql2", "oceanbase")  # the number of warnings of a result set
ERROR_ALONE = ("jdbc",)  # of several results, those before an error
OK_WARNINGS_UNTOLD = ("sqlalchemy",)  # that of a statement without rows, whose cursor it has closed


def _shown(client: Client, results: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """What a client tells of a text's results."""
    if client.name in ERROR_ALONE and "code" in results[-1]:
        results = results[-1:]
    return [_told(client, result) for result in results]


def _told(client: Client, result: dict[str, Any]) -> dict[str, Any]:
    """What a client tells of a result."""
    untold = ROW_WARNINGS_UNTOLD if "rows" in result else OK_WARNINGS_UNTOLD
    silent = client.silent | ({"warnings"} if client.name in untold else set())
    return {key: value for key, value in result.items() if key not in silent}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_every_client_shows_the_same(matrix: Request, client: Client) -> None:
    """Columns, types, rows, affected rows, warnings, codes and SQLSTATEs: all that a client tells."""
    answers = client.run(matrix)

    expected, found = [], []
    for session, shown in zip(SESSIONS, answers, strict=True):
        for step, results in zip(session.steps, shown, strict=True):
            expected.append((session.user, step.sql, _shown(client, step.results)))
            found.append((session.user, step.sql, [_told(client, result) for result in results]))
    assert found == expected


@pytest.mark.parametrize("matrix", ["plain"], indirect=True)
def test_few_rows_at_a_time_and_none(matrix: Request) -> None:
    """More rows than are fetched at once, and results without rows: the engine's and ours, prepared and as texts."""
    session = Session("root@sys", FEW_ROWS)

    (answers,) = through_jdbc(matrix | {"sessions": [asdict(session)]})

    assert answers == [list(step.results) for step in FEW_ROWS]


@pytest.mark.parametrize("matrix", ["plain"], indirect=True)
def test_clients_behind_haproxy(matrix: Request, tmp_path: Path) -> None:
    """The check succeeds, so queries pass: a client sees the same as without the proxy."""
    with proxy(tmp_path, matrix, "checker@sys") as haproxy:
        assert haproxy.checked() == ("UP", "L7OK")
        behind = matrix | {"port": haproxy.port}
        assert through_connector(behind) == [[list(step.results) for step in session.steps] for session in SESSIONS]
        assert haproxy.checked() == ("UP", "L7OK")


@pytest.mark.parametrize("matrix", ["plain"], indirect=True)
def test_haproxy_sees_a_login_that_is_refused(matrix: Request, tmp_path: Path) -> None:
    """A check with an account that has a password fails, as with MySQL."""
    with proxy(tmp_path, matrix, "operator@sys") as haproxy:
        assert haproxy.checked() == ("DOWN", "L7STS")
