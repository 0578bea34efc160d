"""The engine's side of `redoubt.sql.effects`: what it takes for granted is tried on a real engine."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from redoubt.sql.effects import HARMLESS_BEFORE_PARENTHESIS, Effect, effect_of

from .test_sessions import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .engines import Engine

SCHEMA_TRY_AGAIN = 5627
BODY = "returns int deterministic modifies sql data begin insert into called values (1); return 1; end"


@pytest.fixture(scope="module")
def connection(engine: Engine) -> Iterator[Any]:
    """A connection past the gateway, with a table that stored functions write into."""
    with contextlib.closing(engine.connect()) as connection:
        for statement in ("create database effects", "use effects", "create table called (n int)"):
            connection.query(statement)
        connection.query("create table one (n int)")
        connection.query("insert into one values (1)")
        connection.query(f"create function writer() {BODY}")
        wait_until(lambda: takes(connection, "create view harmless as select n, writer() as x from one"))
        yield connection
        connection.query("drop database effects")


def takes(connection: Any, statement: str) -> bool:
    """Run a statement that builds on what has just been created; tell whether the engine does not say "try again"."""
    try:
        connection.query(statement)
    except pymysql.OperationalError as error:
        assert error.args[0] == SCHEMA_TRY_AGAIN  # noqa: PT017 - the other outcome is as good
        return False
    return True


def calls(connection: Any, *texts: str) -> int:
    """Run texts, whether the engine takes them or not, and return how often the stored function wrote."""
    with connection.cursor() as cursor:
        cursor.execute("delete from called")
        for text in texts:
            with contextlib.suppress(pymysql.Error):
                cursor.execute(text)
        cursor.execute("select count(*) from called")
        return int(cursor.fetchone()[0])


def test_no_stored_function_hides_behind_a_harmless_name(connection: Any) -> None:
    """Not one name of the list calls a stored function of that name, which can be created all the same."""
    found = set()
    for name in sorted(HARMLESS_BEFORE_PARENTHESIS):
        with connection.cursor() as cursor:
            cursor.execute(f"create function `{name}`() {BODY}")
        if calls(connection, f"select {name}()", f"select {name} ()", f"select 1 from one where {name}() = 1"):
            found.add(name)
        with connection.cursor() as cursor:
            cursor.execute(f"drop function `{name}`")

    assert found == set()


@pytest.mark.parametrize(
    "text",
    [
        "select writer()",
        "select writer ()",
        "select writer/* */()",
        "select `writer`()",
        "select effects.writer()",
        "values row(writer())",
        "set @a := (select writer())",
        "show tables where writer()",
        "with c as (select writer()) select * from c",
    ],
)
def test_a_text_that_calls_a_stored_function_writes(connection: Any, text: str) -> None:
    """The engine runs each of these, and none is taken for one that reads."""
    assert calls(connection, text) > 0
    assert effect_of(text.encode()) is Effect.WRITE


def test_a_version_comment_is_run(connection: Any) -> None:
    """That is why it counts with its content."""
    assert calls(connection, "/*!50000 insert into called values (1) */") == 1


def test_a_view_hides_what_it_calls(connection: Any) -> None:
    """Known and documented: the text of a query does not tell that its view writes."""
    text = "select * from harmless"

    assert calls(connection, text) > 0
    assert effect_of(text.encode()) is Effect.READ
