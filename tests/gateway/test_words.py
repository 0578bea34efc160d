"""The engine's judgement: what a text does on the engine is what the tokenizer takes for granted.

The same text is run by the engine, and through the gateway with a handler that refuses `ALTER SYSTEM NOARCHIVELOG` with
the engine's own error. So the gateway cuts the text and looks for statements of its own, and all the same the results,
the rows written and the errors have to be those of the engine.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pymysql
import pytest
from hypothesis import HealthCheck, example, given, reject, settings
from hypothesis import strategies as st
from pymysql.constants import CLIENT, COMMAND

from redoubt.control.statements.settings import _quoted
from redoubt.sql.effects import Effect, effect_of
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import split
from redoubt.sql.statements import NoArchiveLog
from redoubt.sql.tokens import Kind, Modes, tokens
from tests.dose import dose

from .test_sessions import wait_until

if TYPE_CHECKING:
    from redoubt.gateway import EngineSession

    from .doors import Door, Handler
    from .engines import Engine

OURS = "alter system noarchivelog"
WRITES = "insert into words.written values ('x')"
NO_ESCAPES = "NO_BACKSLASH_ESCAPES"
SYNTAX_ERROR = 1064
INTERNAL_ERROR = 4016


OPTIONS: dict[str, Any] = {"client_flag": CLIENT.MULTI_STATEMENTS, "database": "words"}


class Outcome(NamedTuple):
    """The results of a text, each its rows or how many rows it changed; the code of the error; the rows written."""

    results: list[Any]
    error: int | None
    written: int


class EngineFailedError(Exception):
    """The engine has no judgement of that text: an internal error, or a column whose name is no text."""


class Side:
    """A connection, with or without the gateway between it and the engine; made anew when the engine closes it."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._connection = connect()

    def close(self) -> None:
        """Log out."""
        self._connection.close()

    def run(self, text: str, sql_mode: str = "") -> Outcome:
        """Run a text in a session of that mode. Raises EngineFailedError."""
        self._all(f"set sql_mode = '{sql_mode}'; delete from words.written")
        try:
            results, error = self._all(text)
        except UnicodeDecodeError:
            results, error = [], INTERNAL_ERROR
        if error == INTERNAL_ERROR:
            self.close()
            self._connection = self._connect()
            raise EngineFailedError
        self._all("set sql_mode = ''")
        ((written,),) = self._all("select count(*) from words.written")[0][0]
        return Outcome(results, error, written)

    def _all(self, text: str) -> tuple[list[Any], int | None]:
        results: list[Any] = []
        connection = self._connection
        try:
            connection._execute_command(COMMAND.COM_QUERY, text.encode("utf-8", "surrogateescape"))
            more = True
            while more:
                connection._read_query_result()
                result = connection._result
                results.append(result.rows if result.field_count else result.affected_rows)
                more = result.has_next
        except pymysql.Error as error:
            connection._result = None
            return results, int(error.args[0])
        return results, None


@pytest.fixture(scope="module")
def direct(engine: Engine) -> Iterator[Side]:
    """The engine, with a table and a stored function that writes into it."""
    with contextlib.closing(engine.connect()) as connection:
        for statement in ("create database words", "use words", "create table written (a varchar(2000))"):
            connection.query(statement)
        connection.query(
            f"create function words.writer() returns int deterministic modifies sql data begin {WRITES}; return 1; end"
        )
        wait_until(lambda: connection.query("select count(*) from words.written") == 1)
        with contextlib.closing(Side(lambda: engine.connect(**OPTIONS))) as side:
            yield side
        connection.query("drop database words")


@pytest.fixture(scope="module")
def through(running_door: Door, direct: Side) -> Iterator[Side]:
    """The same engine through the gateway."""
    with contextlib.closing(Side(lambda: running_door.connect("root@main", **OPTIONS))) as side:
        yield side


@pytest.fixture
def refusing(handler: Handler) -> Handler:
    """A handler that says what the engine says to a statement of ours."""

    async def refuse(_statement: NoArchiveLog, _session: EngineSession) -> None:
        raise SqlError(SYNTAX_ERROR, "42000", "You have an error in your SQL syntax")

    handler.answers[NoArchiveLog] = refuse
    return handler


QUOTES = ("'", '"', "`")
HOSTILE = st.lists(
    st.sampled_from(
        (
            *(
                "'",
                "''",
                "\\'",
                "\\",
                "\\\\",
                '"',
                '\\"',
                '""',
                "`",
                ";",
                ";;",
                "--",
                "-- ",
                "#",
                "/*",
                "*/",
                "/*!",
                "/*+ ",
            ),
            *("\n", "\r", "\v", "\0", " ", "a", "1", ", 2", f"; {OURS};", f"; {WRITES};", f"\n; {OURS}", "é", "\u3000"),
        )
    ),
    max_size=6,
).map("".join)
HARMLESS = st.sampled_from(["", "a", "a;b", "it''s", f"; {OURS};", f"; {WRITES}; -- ", "#", "/*", "*/", "\\\\", "\\n"])
STRINGS = st.builds(
    lambda quote, content: quote + content + quote, st.sampled_from(["'", "'", '"']), HARMLESS | HOSTILE
)
ENDS = st.sampled_from(["\n", "\r", "\r\n", ""])
COMMENTS = st.one_of(
    st.builds("/*{}*/".format, HARMLESS | HOSTILE),
    st.builds("/*+{}*/".format, HARMLESS | HOSTILE),
    st.builds("{}{}{}".format, st.sampled_from(["-- ", "--\t", "--\v", "--", "#", "--\n"]), HARMLESS | HOSTILE, ENDS),
    st.builds(
        "/*!{}{}*/".format,
        st.sampled_from(["", " ", "50000 ", "99999 ", "50000", "1", "123456 "]),
        st.sampled_from([", 2", " ", "sql_no_cache", ", 'a'", ", 'a;b'", f"; {WRITES}", ", words.writer()", "("])
        | HOSTILE,
    ),
)
PARTS = st.one_of(STRINGS.map(", {}".format), COMMENTS, COMMENTS.map("{}, 3".format), HOSTILE)
STATEMENTS = st.one_of(
    st.builds(lambda parts: "select 1" + "".join(parts), st.lists(PARTS, max_size=3)),
    st.builds(lambda comment, part: f"{comment} select {comment} 1 {part}", COMMENTS, PARTS),
    STRINGS.map("insert into words.written values ({})".format),
    st.builds("{}{}".format, COMMENTS, st.sampled_from([OURS, WRITES, "select words.writer()"])),
    st.sampled_from(["", OURS, WRITES, "select words.writer()", "set @a = 1", "select f /*! , */ (1)"]),
    st.sampled_from(["", "ANSI_QUOTES", NO_ESCAPES]).map("set sql_mode = '{}'".format),
    HOSTILE,
)
TEXTS = st.lists(STATEMENTS, min_size=1, max_size=4).map("; ".join)
SQL_MODES = st.sampled_from(["", "", NO_ESCAPES, "ANSI_QUOTES", f"ANSI_QUOTES,{NO_ESCAPES}"])


@settings(max_examples=dose(150, 5000), suppress_health_check=list(HealthCheck))
@given(TEXTS, SQL_MODES)
@example(f"insert into words.written values (concat('a\\', '; {OURS}; '))", NO_ESCAPES)
@example(f"set sql_mode = '{NO_ESCAPES}'; select 'a\\'; {WRITES}; select 'b' '; {OURS}", "")
@example(f"-- a\r{OURS}; select 1", "")
@example(f"# a; {WRITES}", "")
@example(f"{WRITES}; select 'a\\'; {OURS}; select 'b'", NO_ESCAPES)
@example(f"{WRITES}; select 'a\\'; {OURS}; select 'b'", "")
@example(f"insert into words.written values ('; {OURS};\\')", NO_ESCAPES)
@example(f"set sql_mode = '{NO_ESCAPES}'; select 'a\\'; {OURS}; select 'b'", "")
@example(f"select 'a\\'; set sql_mode = ''; select 'a\\'; {OURS}; b'", NO_ESCAPES)
@example(f"select 1 # it's \r; {OURS}", "")
@example(f"select 1 -- it's \r; {WRITES}; -- '", "")
@example(f'select 1 as "a\\"; {OURS}; select 1 as "b"', "ANSI_QUOTES")
@example(f"select 1 /*!99999 ; */; {OURS}", "")
@example(f"select 1 /*! , 2 */; {OURS}", "")
@example(f"select 1;; {OURS}", "")
@example(f"select 1 --\v'\n; {OURS}; -- '", "")
def test_the_gateway_does_what_the_engine_does(
    direct: Side, through: Side, refusing: Handler, text: str, sql_mode: str
) -> None:
    """Whatever the text hides where, and in whatever mode."""
    try:
        alone = direct.run(text, sql_mode)
        refusing.seen.clear()
        between = through.run(text, sql_mode)
    except EngineFailedError:
        reject()

    assert between == alone
    assert len(refusing.seen) <= 1
    modes = Modes(backslash_escapes=NO_ESCAPES not in sql_mode)
    pieces = split(text, modes)
    is_clear = all(token.kind is not Kind.ERROR for token in tokens(text, modes))
    if is_clear and alone.error is None:
        assert len(alone.results) == len(pieces)
    assert effect_of(text.encode(), modes) >= Effect.DML or not alone.written


@pytest.mark.parametrize("sql_mode", ["", NO_ESCAPES, "ANSI_QUOTES"])
@pytest.mark.parametrize("text", ["", "it's", "a\\_b", "'\\'", "\\", "é\\\\n"])
def test_our_literals_are_the_same_in_all_modes(direct: Side, sql_mode: str, text: str) -> None:
    """SHOW PARAMETERS makes its query for any session."""
    assert direct.run(f"select {_quoted(text)}", sql_mode).results == [((text,),)]
