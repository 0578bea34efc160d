"""Statements that the gateway takes out, in all the ways in which clients send them."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, Any

import mysql.connector
import pymysql
import pytest
from pymysql.constants import CLIENT

from redoubt.gateway.packets import frame
from redoubt.gateway.protocol import Capability
from redoubt.sql.answers import Answer, Column, ColumnType, Ok, Rows
from redoubt.sql.errors import SqlError, misspelled_secret
from redoubt.sql.statements import (
    ArchiveLog,
    MinorFreeze,
    MisspelledSecret,
    NoArchiveLog,
    SetParameters,
    ShowParameters,
)

from .raw import CAPABILITIES, RawClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redoubt.gateway import EngineSession

    from .doors import Door, Handler
    from .engines import Engine

SHOWN = Rows(
    (Column("name"), Column("edit_level", ColumnType.LONGLONG, 20), Column("更多")),
    [("backup_log_archive_option", 1, "OPTIONAL"), ("größe", -(2**63), None), ("", None, "x" * 300), (None, "7", "备")],
)
SHOWN_VALUES = [
    ("backup_log_archive_option", 1, "OPTIONAL"),
    ("größe", -(2**63), None),
    ("", None, "x" * 300),
    (None, 7, "备"),
]


async def archive_log(statement: ArchiveLog, session: EngineSession) -> Answer:
    """Answer an OK."""
    return Ok(affected_rows=3)


async def refuse(statement: NoArchiveLog, session: EngineSession) -> Answer:
    """Answer an error."""
    raise SqlError(9024, "HY000", "log archive backup is already disabled")


async def fail(statement: MinorFreeze, session: EngineSession) -> Answer:
    """Have a bug."""
    raise ZeroDivisionError


async def show(statement: ShowParameters, session: EngineSession) -> Answer:
    """Answer rows."""
    return SHOWN


@pytest.fixture(autouse=True)
def answers(handler: Handler) -> None:
    """Let the handler answer each kind of statement, except SET, in a way of its own."""
    handler.answers |= {ArchiveLog: archive_log, NoArchiveLog: refuse, MinorFreeze: fail, ShowParameters: show}


@pytest.fixture
def connection(door: Door) -> Iterator[Any]:
    """A session of root's in `sys`."""
    flags = CLIENT.MULTI_STATEMENTS
    with contextlib.closing(door.connect(charset="utf8mb4", client_flag=flags, local_infile=True)) as connection:
        yield connection


def mariadb(door: Door, sql: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the mariadb command line."""
    command = ["mariadb", "--no-defaults", "-h", door.host, "-P", str(door.port), "-uroot", "-B", *arguments, "-e", sql]
    command.append("--default-character-set=utf8mb4")
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_statement_goes_to_the_handler(connection: Any, handler: Handler) -> None:
    """With comments, white space and a semicolon; the handler learns who asks and where."""
    with connection.cursor() as cursor:
        assert cursor.execute("/* a comment */ alter  system\n archivelog ;") == 3

    assert handler.seen == [(ArchiveLog(), "sys", "root")]


def test_an_error_is_the_clients(connection: Any) -> None:
    """Number, SQLSTATE and text are the handler's, and the session goes on."""
    with connection.cursor() as cursor:
        with pytest.raises(pymysql.OperationalError) as error:
            cursor.execute("ALTER SYSTEM NOARCHIVELOG")
        assert error.value.args == (9024, "log archive backup is already disabled")
        assert cursor.execute("ALTER SYSTEM ARCHIVELOG") == 3


def test_a_bug_is_logged_and_the_session_goes_on(connection: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The client learns that it is not to blame; the log has the traceback."""
    with connection.cursor() as cursor:
        with pytest.raises(pymysql.Error) as error:
            cursor.execute("ALTER SYSTEM MINOR FREEZE")
        assert error.value.args == (1105, "internal error: ZeroDivisionError; see the service's log")
        assert "Traceback" in capsys.readouterr().out
        assert cursor.execute("ALTER SYSTEM ARCHIVELOG") == 3


def test_an_answer_that_cannot_be_encoded_is_a_bug(connection: Any, handler: Handler) -> None:
    """Values that fit no packet are noticed before anything is sent."""

    async def huge(statement: ArchiveLog, session: EngineSession) -> Answer:
        return Ok(affected_rows=2**64)

    handler.answers[ArchiveLog] = huge
    with connection.cursor() as cursor, pytest.raises(pymysql.Error, match="OverflowError"):
        cursor.execute("ALTER SYSTEM ARCHIVELOG")


def test_rows(connection: Any) -> None:
    """Names, numbers, texts and NULLs, in any script."""
    with connection.cursor() as cursor:
        cursor.execute("show parameters")

        assert [column[0] for column in cursor.description or ()] == ["name", "edit_level", "更多"]
        assert list(cursor.fetchall()) == SHOWN_VALUES


def test_rows_on_the_command_line(door: Door) -> None:
    """Columns and NULLs are shown as an engine's."""
    run = mariadb(door, "SHOW PARAMETERS LIKE '%备%'")

    assert run.stderr == ""
    assert run.stdout.splitlines()[:3] == [
        "name\tedit_level\t更多",
        "backup_log_archive_option\t1\tOPTIONAL",
        "größe\t-9223372036854775808\tNULL",
    ]


def test_what_the_handler_leaves_goes_to_the_engine_as_it_came(connection: Any, handler: Handler) -> None:
    """The engine's answer is the client's, be it good or bad."""
    with connection.cursor() as cursor:
        cursor.execute("alter system set syslog_level = 'WARN'")
        assert [type(statement) for statement, _, _ in handler.seen] == [SetParameters]
        with pytest.raises(pymysql.Error) as error:
            cursor.execute("alter system set no_such_thing = 1")
        assert error.value.args[0] == 5099


def test_what_only_looks_like_ours_goes_to_the_engine(connection: Any, handler: Handler) -> None:
    """A string with our words in it is a string."""
    with connection.cursor() as cursor:
        cursor.execute("select 'alter system archivelog'")
        assert cursor.fetchall() == (("alter system archivelog",),)
    assert handler.seen == []


def test_the_handler_has_the_session(door: Door, handler: Handler, engines: dict[str, Engine]) -> None:
    """Its queries run on the session's own connection, whose results are all read whatever happens."""
    seen: list[Any] = []

    async def look(statement: ArchiveLog, session: EngineSession) -> Answer:
        seen.append(await session.query("select 1 + 1 as two, null, 'größe', cast(18446744073709551615 as unsigned)"))
        seen.append(await session.query("do 1"))
        seen.append(await session.query("select 5; select 6"))
        with pytest.raises(SqlError) as error:
            await session.query("select * from nowhere.nothing")
        seen.append(error.value.code)
        with pytest.raises(SqlError):
            await session.query("load data local infile '/etc/passwd' into table nowhere.nothing")
        await session.query("create table if not exists sys_data.taken (line varchar(200))")
        seen.append(await session.query("load data local infile '/etc/passwd' into table sys_data.taken"))
        with pytest.raises(SqlError):
            await session.query("do 1; selec 2")
        seen.append(await session.query("select 1 from dual where false"))
        seen.append(await session.query("select repeat('y', 17 * 1024 * 1024)"))
        return Ok()

    handler.answers[ArchiveLog] = look
    engines["sys"].execute("set global max_allowed_packet = 64 * 1024 * 1024")
    with (
        contextlib.closing(
            door.connect(charset="utf8mb4", client_flag=CLIENT.MULTI_STATEMENTS, local_infile=True)
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("alter system archivelog")
        cursor.execute("select 1")
        assert cursor.fetchall() == ((1,),)
    rows, ok, first, code, loaded, empty, long = seen
    assert rows.rows == [("2", None, "größe", "18446744073709551615")]
    assert [column.type for column in rows.columns] == [
        ColumnType.LONGLONG,
        ColumnType.VAR_STRING,
        ColumnType.VAR_STRING,
        ColumnType.VAR_STRING,
    ]
    assert rows.columns[0].name == "two"
    assert isinstance(ok, Ok)
    assert first.rows == [("5",)]
    assert code in (1146, 1049)
    assert loaded == Ok()
    assert empty.rows == []
    assert long.rows == [("y" * 17 * 1024 * 1024,)]


def test_status_flags_are_carried_over(connection: Any) -> None:
    """What a client believes of its transaction stays true through our answers."""
    with connection.cursor() as cursor:
        cursor.execute("alter system archivelog")
        assert connection.server_status == 2
        cursor.execute("begin")
        cursor.execute("alter system archivelog")
        assert connection.server_status == 3
        cursor.execute("rollback")
        cursor.execute("set autocommit = 0")
        cursor.execute("alter system archivelog")
        assert connection.server_status == 0


def results(cursor: Any) -> list[Any]:
    """Return the rows of every result."""
    found = [list(cursor.fetchall())]
    while cursor.nextset():
        found.append(list(cursor.fetchall()))
    return found


def test_several_statements_in_one_text(connection: Any, handler: Handler) -> None:
    """Each runs in its place, the results make up one reply, and the connection is in step afterwards."""
    with connection.cursor() as cursor:
        cursor.execute("select 1; alter system archivelog; show parameters; select 'ö;', 3; do 1; show parameters;")

        assert results(cursor) == [[(1,)], [], SHOWN_VALUES, [("ö;", 3)], [], SHOWN_VALUES]
        cursor.execute("select 4")
        assert cursor.fetchall() == ((4,),)
    assert len(handler.seen) == 3


def test_many_rows_between_own_statements(connection: Any) -> None:
    """Sequence numbers run on over an engine's large result and wrap."""
    numbers = "select a.n * 100 + b.n from ({0}) a, ({0}) b order by 1".format(
        " union ".join(f"select {number} as n" for number in range(100))
    )
    with connection.cursor() as cursor:
        cursor.execute(f"alter system archivelog; {numbers}; show parameters")

        assert results(cursor) == [[], [(number,) for number in range(10_000)], SHOWN_VALUES]


@pytest.mark.parametrize(("broken", "code"), [("alter system noarchivelog", 9024), ("selec 2", 1064)])
def test_the_first_error_ends_the_text(connection: Any, handler: Handler, broken: str, code: int) -> None:
    """As in MySQL: nothing after it runs, and what came before it stays."""
    with connection.cursor() as cursor:
        cursor.execute(f"select 1; {broken}; alter system archivelog")
        with pytest.raises(pymysql.Error) as error:
            cursor.nextset()
        assert error.value.args[0] == code
        assert ArchiveLog() not in [statement for statement, _, _ in handler.seen]
        cursor.execute("select 1")
        assert cursor.fetchall() == ((1,),)


def test_several_statements_that_the_handler_leaves(connection: Any, handler: Handler) -> None:
    """Those of ours that are the engine's after all keep their place too."""
    with connection.cursor() as cursor:
        cursor.execute("select 1; alter system set syslog_level = 'WARN'; select 2")

        assert results(cursor) == [[(1,)], [], [(2,)]]
    assert len(handler.seen) == 1


def test_several_statements_without_leave_to_send_them(door: Door, handler: Handler) -> None:
    """The option decides, as it does in the engine; without it the engine refuses the text."""
    with contextlib.closing(door.connect(client_flag=0)) as connection, connection.cursor() as cursor:
        connection._execute_command(0x1B, b"\1\0")
        connection._read_packet()
        with pytest.raises(pymysql.Error):
            cursor.execute("select 1; alter system archivelog")
        assert handler.seen == []
        connection._execute_command(0x1B, b"\0\0")
        connection._read_packet()
        cursor.execute("select 1; alter system archivelog")
        assert results(cursor) == [[(1,)], []]
    assert len(handler.seen) == 1


def test_several_statements_with_a_local_file(door: Door) -> None:
    """The client's packets in the middle of the reply are numbered for the engine, and back."""
    with RawClient(door) as client:
        client.log_in("root")
        client.send(b"\x03drop table if exists sys_data.several")
        client.receive()
        client.send(b"\x03create table sys_data.several (id int)")
        client.receive()
        client.send(b"\x03show parameters; load data local infile 'any' into table sys_data.several; do 1")
        count = 1 + 3 + 1 + 4 + 1
        for _ in range(count):
            client.receive()
        assert client.receive() == b"\xfbany"
        assert client.sequence == count + 1
        client.send(b"1\n2\n", count + 2)
        client.send(b"", count + 3)
        ok = client.receive()
        assert (ok[:2], client.sequence) == (b"\0\2", count + 4)
        assert ok[3] & 8
        ok = client.receive()
        assert (ok[0], client.sequence) == (0, count + 5)
        assert not ok[3] & 8


def test_pipelined_own_statements_do_not_overtake(door: Door) -> None:
    """A quick answer of ours waits for a slow one of the engine's."""
    with RawClient(door) as client:
        client.log_in("root")
        texts = (
            b"\x03select sleep(0.2)",
            b"\x03alter system archivelog",
            b"\x03select 2",
            b"\x03alter system noarchivelog",
        )
        client.socket.sendall(b"".join(frame(text, 0) for text in texts))
        packets = [client.receive() for _ in range(5 + 1 + 5 + 1)]

        assert packets[3] == b"\x010"
        assert packets[5] == b"\0\3\0\2\0\0\0"
        assert packets[9] == b"\x012"
        assert packets[11].startswith(b"\xff\x40\x23#HY000")


def test_the_command_line_with_several_statements(door: Door) -> None:
    """The client that sends several statements without being asked twice."""
    run = mariadb(door, "select 1; alter system archivelog; show parameters; alter system noarchivelog", "-N")

    assert run.stdout.startswith("1\nbackup_log_archive_option\t1")
    assert "ERROR 9024 (HY000)" in run.stderr


def test_a_text_beyond_the_limit_is_the_engines(connection: Any, handler: Handler) -> None:
    """So long a statement is not held in memory to see whether it might be ours."""
    with connection.cursor() as cursor, pytest.raises(pymysql.Error):
        cursor.execute(f"alter system archivelog /* {'x' * (1 << 20)} */")
    assert handler.seen == []


def connector(door: Door) -> Any:
    """Log in with mysql-connector-python."""
    return mysql.connector.connect(host=door.host, port=door.port, user="root", ssl_disabled=True)


def test_prepared_with_connector_python(door: Door, handler: Handler) -> None:
    """Rows and counts in the binary protocol, again and again, next to the engine's."""
    with (
        contextlib.closing(connector(door)) as connection,
        contextlib.closing(connection.cursor(prepared=True)) as cursor,
    ):
        cursor.execute("show parameters")
        assert cursor.fetchall() == SHOWN_VALUES
        cursor.execute("show parameters")
        assert cursor.fetchall() == SHOWN_VALUES
        cursor.execute("alter system archivelog")
        assert cursor.rowcount == 3
        with pytest.raises(mysql.connector.Error) as error:
            cursor.execute("alter system noarchivelog")
        assert error.value.errno == 9024
        cursor.execute("select 1")
        assert cursor.fetchall() == [(1,)]
    assert len(handler.seen) == 4


def test_prepared_and_left_by_the_handler(door: Door) -> None:
    """The engine has not prepared it, so it runs as text there."""
    with (
        contextlib.closing(connector(door)) as connection,
        contextlib.closing(connection.cursor(prepared=True)) as cursor,
    ):
        cursor.execute("alter system set syslog_level = 'WARN'")
        with pytest.raises(mysql.connector.Error) as error:
            cursor.execute("alter system set no_such_thing = 1")
        assert error.value.errno == 5099


def test_prepared_in_packets(door: Door, handler: Handler) -> None:
    """Every command on a prepared statement, to the byte; closed ids are the engine's to refuse."""
    with RawClient(door) as client:
        client.log_in("root")
        client.send(b"\x16alter system archivelog")
        assert client.receive() == b"\0\x01\0\0\x80" + bytes(7)
        identity = b"\x01\0\0\x80"
        client.send(b"\x17" + identity + b"\0\1\0\0\0")
        assert client.receive() == b"\0\3\0\2\0\0\0"
        client.send(b"\x18" + identity + b"\0\0x")
        client.send(b"\x1a" + identity)
        assert client.receive() == b"\0\0\0\2\0\0\0"
        client.send(b"\x1c" + identity + b"\1\0\0\0")
        assert client.receive().startswith(b"\xff\x8d\x05#HY000")
        client.send(b"\x19" + identity)
        client.send(b"\x17" + identity + b"\0\1\0\0\0")
        assert client.receive()[0] == 0xFF
        client.send(b"\x16alter system arch")
        assert client.receive()[0] == 0xFF
    assert len(handler.seen) == 1


def test_the_columns_are_told_when_a_statement_is_prepared(door: Door, handler: Handler) -> None:
    """As many as will come, and their definitions, without the statement being run; they are those that come then."""
    handler.shown[ShowParameters] = SHOWN.columns
    with RawClient(door) as client:
        client.log_in("root")
        client.send(b"\x16show parameters")
        assert client.receive() == b"\0\x01\0\0\x80" + bytes((len(SHOWN.columns),)) + bytes(6)
        told = [client.receive() for _ in range(len(SHOWN.columns) + 1)]
        assert handler.seen == []
        client.send(b"\x17\x01\0\0\x80\0\1\0\0\0")
        client.receive()

        assert [client.receive() for _ in told] == told
        assert told[-1] == b"\xfe\0\0\2\0"


def test_prepared_statements_are_forgotten_with_the_connections_state(door: Door) -> None:
    """COM_RESET_CONNECTION drops them, as the engine drops its own."""
    with RawClient(door) as client:
        client.log_in("root")
        client.send(b"\x16alter system archivelog")
        client.receive()
        client.send(b"\x1f")
        assert client.receive()[0] == 0
        client.send(b"\x17\x01\0\0\x80\0\1\0\0\0")
        assert client.receive()[0] == 0xFF


def test_what_statements_left_is_forgotten_with_the_connections_state(door: Door, handler: Handler) -> None:
    """By COM_RESET_CONNECTION; a session of its own has its own."""
    left: list[int] = []

    async def leave(_: object, session: EngineSession) -> Ok:
        left.append(len(session.kept))
        session.kept["this"] = True
        return Ok()

    handler.answers[ArchiveLog] = leave
    for _ in range(2):
        with RawClient(door) as client:
            client.log_in("root")
            for command in (b"\x03alter system archivelog", b"\x03alter system archivelog", b"\x1f"):
                client.send(command)
                assert client.receive()[0] == 0
            client.send(b"\x03alter system archivelog")
            assert client.receive()[0] == 0

    assert left == [0, 1, 0] * 2


def test_prepared_statements_are_bounded(door: Door) -> None:
    """A client that never closes any is stopped."""
    with RawClient(door) as client:
        client.log_in("root")
        client.socket.sendall(frame(b"\x16show parameters", 0) * 1025)
        replies = [client.receive() for _ in range(1025)]

    assert {reply[0] for reply in replies[:-1]} == {0}
    assert replies[-1].startswith(b"\xff\xb5\x05#42000")


def test_a_client_without_multi_statements_at_login(door: Door, handler: Handler) -> None:
    """Without the capability, a text of several is the engine's to refuse."""
    with RawClient(door) as client:
        client.log_in("root", capabilities=CAPABILITIES & ~Capability.MULTI_STATEMENTS)
        client.send(b"\x03alter system archivelog; select 1")
        assert client.receive()[0] == 0xFF
    assert handler.seen == []


@pytest.mark.parametrize(
    "text", ["SET ENCRYPTION ON IDENTIFIED BY 'pw' ONLY; select 1", ";SET DECRYPTION IDENTIFIED BY 'pw'"]
)
def test_a_secret_among_several_texts_reaches_no_engine(door: Door, handler: Handler, text: str) -> None:
    """Without the capability the engine would refuse the text, and quote it."""

    async def refuse(_statement: object, _session: object) -> None:
        raise misspelled_secret()

    handler.answers[MisspelledSecret] = refuse
    with RawClient(door) as client:
        client.log_in("root", capabilities=CAPABILITIES & ~Capability.MULTI_STATEMENTS)
        client.send(b"\x03" + text.encode())
        assert client.receive()[0] == 0xFF
    assert [seen[0] for seen in handler.seen] == [MisspelledSecret()]


def test_the_log_says_who_did_what(connection: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Also what was refused; without the keys of a destination, and without what only shows something."""
    with connection.cursor() as cursor:
        cursor.execute("alter system archivelog")
        for refused in ("alter system noarchivelog", "alter system backup database"):
            with contextlib.suppress(pymysql.err.MySQLError):
                cursor.execute(refused)
        cursor.execute("show parameters")
        for secret in (
            "add restore source 's3://bucket/path?access_key=secret&x=y'",
            "restore s from 's3://bucket/path?access_id=secret&access_key=secret,file:///b'",
            "set log_restore_source = 'SERVICE=10.0.0.1:2881 USER=u@t PASSWORD=secret' tenant = s",
        ):
            with contextlib.suppress(pymysql.err.MySQLError):
                cursor.execute(f"alter system {secret}")
    told = [line for line in capsys.readouterr().out.splitlines() if "statement=" in line and "outcome=" in line]

    assert ["ArchiveLog(" in told[0], "outcome=done" in told[0], "user=root" in told[0]] == [True] * 3
    assert "tenant=sys" in told[0]
    assert "127.0.0.1" in told[0]
    assert "NoArchiveLog(" in told[1]
    assert "ShowParameters" not in "".join(told)
    assert "secret" not in "".join(told)
