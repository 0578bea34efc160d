"""Own statements prepared as text, and what SHOW WARNINGS tells of them, on a real engine."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from unittest import mock

import pymysql
import pytest
from pymysql.constants import CLIENT

from redoubt.gateway.session_grammar import Execute, Prepare
from redoubt.gateway.session_texts import SessionTexts
from redoubt.sql.answers import Answer, Ok
from redoubt.sql.bounds import LONGEST_TEXT
from redoubt.sql.errors import SqlError, log_archive_already_disabled
from redoubt.sql.statements import ArchiveLog, NoArchiveLog, SetParameters
from redoubt.sql.tokens import DEFAULT_MODES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redoubt.gateway import EngineSession

    from .doors import Door, Handler

LEFT = ("Error", 9024, "log archive backup is already disabled")


async def _archive_log(statement: ArchiveLog, session: EngineSession) -> Answer:
    with contextlib.suppress(Exception):
        await session.query("ALTER SYSTEM SET no_such_thing = 1")
    return Ok(3)


async def _refuse(statement: NoArchiveLog, session: EngineSession) -> Answer:
    raise log_archive_already_disabled()


@pytest.fixture
def cursor(door: Door, handler: Handler) -> Iterator[Any]:
    """A session in sys."""
    handler.answers.update({ArchiveLog: _archive_log, NoArchiveLog: _refuse})
    with (
        contextlib.closing(door.connect(client_flag=CLIENT.MULTI_STATEMENTS)) as connection,
        connection.cursor() as cursor,
    ):
        yield cursor


def code(cursor: Any, sql: str) -> int:
    """Return the code of the error that a text gives."""
    with pytest.raises(pymysql.Error) as error:
        cursor.execute(sql)
    return int(error.value.args[0])


def rows(cursor: Any, sql: str) -> list[Any]:
    """Return a text's rows."""
    cursor.execute(sql)
    return list(cursor.fetchall())


def test_a_text_of_ours_is_prepared_executed_and_dropped(cursor: Any, handler: Handler) -> None:
    """As often as one likes, in any case; then the name is nobody's."""
    assert cursor.execute("PREPARE go FROM 'alter system archivelog'") == 0
    assert cursor.execute("EXECUTE Go") == 3
    assert cursor.execute("EXECUTE `GO`;") == 3
    assert code(cursor, "EXECUTE go USING @a") == 1210
    assert cursor.execute("DEALLOCATE PREPARE go") == 0
    assert code(cursor, "EXECUTE go") == 1243
    assert code(cursor, "DROP PREPARE go") == 1243
    assert len(handler.seen) == 2


def test_the_text_may_be_in_a_variable(cursor: Any) -> None:
    """A script that builds its statement does it so."""
    cursor.execute("set @how = 'alter system archive', @what = 'select 5'")
    cursor.execute("set @how = concat(@how, 'log')")
    cursor.execute("prepare go from @how")
    assert cursor.execute("execute go") == 3
    cursor.execute("prepare go from @what")
    assert rows(cursor, "execute go") == [(5,)]
    assert code(cursor, "prepare go from @nothing") == 1149  # the engine's own


def test_a_name_is_ours_or_the_engines(cursor: Any) -> None:
    """Who prepares it last has it; nothing comes to light again when that is dropped."""
    cursor.execute("prepare s from 'select 1'")
    cursor.execute("prepare s from 'alter system archivelog'")
    assert cursor.execute("execute s") == 3
    cursor.execute("deallocate prepare s")
    assert code(cursor, "execute s") == 1243
    cursor.execute("prepare s from 'alter system archivelog'")
    cursor.execute("prepare s from 'select 2'")
    assert rows(cursor, "execute s") == [(2,)]
    cursor.execute("prepare s from 'alter system archivelog'")
    assert code(cursor, "prepare s from 'selec'") == 1064
    assert code(cursor, "execute s") == 1243


def test_what_the_handler_leaves_runs_in_the_engine(cursor: Any) -> None:
    """With the engine's answer, and its diagnostics."""
    cursor.execute("prepare s from 'alter system set syslog_level = \\'WARN\\''")
    cursor.execute("execute s")
    cursor.execute("prepare s from 'alter system set no_such_thing = 1'")
    assert code(cursor, "execute s") == 5099
    assert rows(cursor, "show warnings") == [("Error", 5099, "System config unknown")]


def test_all_of_it_in_one_text(cursor: Any) -> None:
    """The name is known to the statements behind it."""
    cursor.execute("select 1; prepare s from 'alter system archivelog'; execute s; drop prepare s; select 2")
    found = [cursor.rowcount]
    while cursor.nextset():
        found.append(cursor.rowcount)
    assert found == [1, 0, 3, 0, 1]


def test_names_are_forgotten_with_the_connections_state(cursor: Any) -> None:
    """COM_RESET_CONNECTION drops them, as the engine drops its own."""
    cursor.execute("prepare s from 'alter system archivelog'")
    cursor.connection._execute_command(0x1F, b"")
    cursor.connection._read_packet()
    assert code(cursor, "execute s") == 1243


def test_names_are_bounded(cursor: Any) -> None:
    """A session cannot fill the memory with them."""
    for number in range(1024):
        cursor.execute(f"prepare s{number} from 'alter system archivelog'")
    assert code(cursor, "prepare more from 'alter system archivelog'") == 1461
    cursor.execute("prepare s7 from 'alter system archivelog'")


def test_an_engine_that_does_not_let_go_of_a_name() -> None:
    """The name would be ours and the engine's: so it becomes nobody's, with the engine's error."""
    modes_for = mock.AsyncMock(return_value=DEFAULT_MODES)
    link = mock.Mock(query=mock.AsyncMock(side_effect=log_archive_already_disabled()), modes_for=modes_for)
    texts = SessionTexts(link)
    with pytest.raises(SqlError):
        asyncio.run(texts.answer(Prepare("s", "alter system archivelog")))
    assert texts.executed(Execute("s")) is None


def test_a_text_that_is_too_long_is_the_engines(cursor: Any) -> None:
    """Also if it is in a variable. It may have given our names to the engine."""
    long = "alter system archivelog" + " " * LONGEST_TEXT
    cursor.execute("set @long = concat('alter system archivelog', repeat(' ', %s))", (LONGEST_TEXT,))

    assert code(cursor, "prepare go from @long") == 1064
    cursor.execute("prepare go from 'alter system archivelog'")
    assert code(cursor, long) == 1064
    assert cursor.execute("execute go") == 3
    cursor.execute(f"select 1; /* {long} */; prepare go from 'select 4'")
    while cursor.nextset():
        pass
    assert rows(cursor, "execute go") == [(4,)]
    cursor.execute("deallocate prepare go")


@pytest.mark.parametrize(
    ("mode", "text", "value"),
    [
        ("", r"""'alter system set a = "b\\n"'""", "b\n"),
        ("NO_BACKSLASH_ESCAPES", r"""'alter system set a = "b\n"'""", r"b\n"),
    ],
)
def test_a_text_is_prepared_in_the_sessions_mode(
    cursor: Any, handler: Handler, mode: str, text: str, value: str
) -> None:
    """The string that holds the text, and the strings in the text."""
    handler.answers[SetParameters] = _archive_log
    cursor.execute(f"set sql_mode = '{mode}'")
    cursor.execute(f"prepare go from {text}")
    assert cursor.execute("execute go") == 3
    statement, *_ = handler.seen[-1]
    assert isinstance(statement, SetParameters)
    assert [item.value for item in statement.assignments] == [value]


def test_show_warnings_tells_of_our_statement(cursor: Any) -> None:
    """Of the one right before, and again; not of what we asked the engine meanwhile; of the engine's after the next."""
    assert code(cursor, "alter system noarchivelog") == 9024
    assert rows(cursor, "show warnings") == [LEFT]
    assert [column[:2] for column in cursor.description] == [("Level", 253), ("Code", 8), ("Message", 253)]
    assert rows(cursor, "SHOW ERRORS LIMIT 1") == [LEFT]
    assert rows(cursor, "show errors limit 1, 1") == []
    cursor.connection.ping()
    assert rows(cursor, "show count(*) errors") == [(1,)]
    assert cursor.description[0][:2] == ("@@session.error_count", 8)
    cursor.execute("alter system archivelog")
    assert rows(cursor, "show warnings") == []
    assert rows(cursor, "show count(*) warnings") == [(0,)]
    assert code(cursor, "selec 1") == 1064
    assert [row[1] for row in rows(cursor, "show warnings")] == [1064]
    assert code(cursor, "alter system noarchivelog") == 9024
    cursor.execute("do 1")
    assert rows(cursor, "show warnings") == []


def test_show_warnings_tells_of_a_note(cursor: Any, handler: Handler) -> None:
    """A statement that found nothing to do says so, and that is no error."""

    async def note(_statement: NoArchiveLog, _session: EngineSession) -> Answer:
        return Ok.noted(log_archive_already_disabled())

    handler.answers[NoArchiveLog] = note
    cursor.execute("alter system noarchivelog")
    assert rows(cursor, "show warnings") == [("Note", *LEFT[1:])]
    assert rows(cursor, "show errors") == []
    assert rows(cursor, "show count(*) warnings") == [(1,)]


def test_show_warnings_tells_of_our_prepared_statement(cursor: Any) -> None:
    """The mistake is the statement's, however it came; a long text of the engine's ends that as any other does."""
    cursor.execute("prepare s from 'alter system noarchivelog'")
    assert rows(cursor, "show warnings") == []
    assert code(cursor, "execute s") == 9024
    assert rows(cursor, "show warnings") == [LEFT]
    cursor.execute(f"do length('{'x' * (1 << 20)}')")
    assert rows(cursor, "show warnings") == []
