"""What passes between clients and engines unchanged."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import mysql.connector
import pymysql
import pytest
from pymysql.constants import CLIENT, COMMAND

from redoubt.gateway.packets import frame

from .conftest import USER_PASSWORD
from .raw import RawClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .doors import Door
    from .engines import Engine

ROWS = 100_000
COM_RESET_CONNECTION = 0x1F


@pytest.fixture
def connection(door: Door) -> Iterator[Any]:
    """A session of root's in `main`."""
    with contextlib.closing(
        door.connect(
            "root@main", database="main_data", client_flag=CLIENT.MULTI_STATEMENTS, local_infile=True, charset="utf8mb4"
        )
    ) as connection:
        yield connection


@pytest.fixture(scope="module")
def table(engine: Engine) -> str:
    """The name of a table of a hundred thousand rows."""
    engine.execute(
        "create table main_data.digit (d int)",
        "insert into main_data.digit values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
        "create table main_data.many (id int primary key, text varchar(80), nothing int)",
        "insert into main_data.many select a.d + b.d * 10 + c.d * 100 + d.d * 1000 + e.d * 10000, "
        "repeat('x', a.d * 8), if(a.d = 5, null, 1) from main_data.digit a, main_data.digit b, main_data.digit c, "
        "main_data.digit d, main_data.digit e",
    )
    return "main_data.many"


def fetch(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    """Return a statement's rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def test_a_hundred_thousand_rows_are_the_same(connection: Any, engine: Engine, table: str) -> None:
    """A large result is the same as without the gateway."""
    sql = f"select * from {table} order by id"
    with contextlib.closing(engine.connect()) as direct:
        assert fetch(connection, sql) == fetch(direct, sql)


def test_a_slow_client_holds_the_engine_back(door: Door, table: str) -> None:
    """What the client does not take stays in the engine: the gateway's memory is bounded."""
    with RawClient(door) as client:
        client.log_in()
        before = resident_bytes()
        client.send(f"\x03select a.id, b.* from {table} a, {table} b limit 5000000".encode())
        client.read(1)
        session = next(iter(door.gateway._sessions.values()))
        wire = session._client
        wait_until(lambda: wire.congested)
        assert session.link
        link = session.link
        wait_until(lambda: link.wire._paused)

        assert link.wire.waiting < 2_000_000
        assert wire._transport.get_write_buffer_size() < 2_000_000
        assert resident_bytes() - before < 64_000_000


def resident_bytes() -> int:
    """Return this process's memory."""
    with open("/proc/self/statm") as file:  # noqa: PTH123 - not a file to speak of
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wait_until(condition: Any) -> None:
    """Wait until a condition holds that nothing can announce."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_slow_client_gets_every_row(door: Door, table: str) -> None:
    """Waiting costs no row."""
    with RawClient(door) as client:
        client.log_in()
        client.send(f"\x03select * from {table}".encode())
        assert client.receive() == b"\x03"
        for _ in range(4):
            client.receive()
        wire = next(iter(door.gateway._sessions.values()))._client
        wait_until(lambda: wire.congested)
        rows = 0
        while not (row := client.receive()).startswith(b"\xfe"):
            rows += 1
            assert row

    assert rows == ROWS


def test_several_results(connection: Any) -> None:
    """Through all results of a text, with and without rows."""
    with connection.cursor() as cursor:
        cursor.execute("select 1; do 2; select 3, 4")
        assert cursor.fetchall() == ((1,),)
        assert cursor.nextset()
        assert cursor.nextset()
        assert cursor.fetchall() == ((3, 4),)
        assert not cursor.nextset()


def test_an_error_leaves_the_session_usable(connection: Any) -> None:
    """An engine's error is the statement's, not the session's."""
    with pytest.raises(pymysql.ProgrammingError, match="1064"):
        fetch(connection, "selec 1")

    assert fetch(connection, "select 1") == [(1,)]


def test_more_than_16_mb_in_one_command(engine: Engine, door: Door) -> None:
    """Commands and rows that continue over several packets."""
    engine.execute("set global max_allowed_packet = 64 * 1024 * 1024")
    size = 17 * 1024 * 1024
    with contextlib.closing(door.connect("root@main", max_allowed_packet=64 << 20)) as connection:
        assert fetch(connection, f"select length('{'x' * size}') as size") == [(size,)]
        assert fetch(connection, f"select '{'y' * size}' as size") == [("y" * size,)]
        assert fetch(connection, "select 1") == [(1,)]


def test_a_command_of_exactly_16_mb(engine: Engine, door: Door) -> None:
    """The length at which a packet ends with an empty part."""
    engine.execute("set global max_allowed_packet = 64 * 1024 * 1024")
    sql = b"select length('%b') as size"
    filling = 0xFFFFFF - 1 - len(sql % b"")
    with contextlib.closing(door.connect("root@main")) as connection, connection.cursor() as cursor:
        cursor.execute((sql % (b"x" * filling)).decode())
        assert cursor.fetchall() == ((filling,),)


def test_a_command_that_is_too_long_for_the_engine(engine: Engine, door: Door) -> None:
    """The engine's error arrives, with its number, and the engine goes on."""
    engine.execute("set global max_allowed_packet = 2 * 1024 * 1024")
    with RawClient(door) as client:
        client.log_in()
        client.send(b"\x03select '" + b"x" * (40 << 20) + b"'")
        assert client.receive().startswith(b"\xff" + ask_error(1153))
        assert client.sequence == 3
    engine.execute("set global max_allowed_packet = 64 * 1024 * 1024")
    with contextlib.closing(door.connect("root@main")) as connection:
        assert fetch(connection, "select 1") == [(1,)]


def test_a_client_that_leaves_in_the_middle_of_a_long_command(door: Door) -> None:
    """Half a command is nobody's; both connections end."""
    before = door.sessions
    with RawClient(door) as client:
        client.log_in()
        client.socket.sendall(b"\xff\xff\xff\0\x03select '" + b"x" * 2_000_000)

    wait_until(lambda: door.sessions <= before)


def test_a_long_command_out_of_order_ends_the_session(door: Door) -> None:
    """Parts whose numbers do not follow are not one command."""
    with RawClient(door) as client:
        client.log_in()
        packet = frame(b"\x03" + b"x" * 0xFFFFFF, 0)
        packet[4 + 0xFFFFFF + 3] = 9
        client.socket.sendall(packet)

        assert client.ended()


def test_a_long_command_that_is_none_ends_the_session(door: Door) -> None:
    """Only statements can be that long."""
    with RawClient(door) as client:
        client.log_in()
        with contextlib.suppress(ConnectionError):
            client.send(b"\x11" + bytes(2 << 20))

        assert client.ended()


@pytest.mark.parametrize(
    ("sql", "counts"),
    [(b"select 1 union all select 2 union all select 3", [2, 1, 0]), (b"select 1 from dual where 1 = 0", [0, 0])],
)
def test_rows_are_fetched_with_a_cursor(door: Door, sql: bytes, counts: list[int]) -> None:
    """Two at a time, as MySQL Connector/J does with `useCursorFetch`; the last row may be followed by nothing."""
    with RawClient(door) as client:
        client.log_in()

        def rows() -> list[bytes]:
            packets = [client.receive()]
            while packets[-1][0] != 0xFE:
                packets.append(client.receive())
            return packets[:-1]

        client.send(b"\x16" + sql)
        number = client.receive()[1:5]
        assert len(rows()) == 1
        client.send(b"\x17" + number + b"\1\1\0\0\0")
        assert len(rows()) == 2
        for count in counts:
            client.send(b"\x1c" + number + b"\2\0\0\0")
            assert len(rows()) == count
        client.send(b"\x0e")
        assert client.receive()[0] == 0


def test_a_local_file(connection: Any, tmp_path: Path) -> None:
    """As PyMySQL sends it."""
    file = tmp_path / "rows"
    file.write_text("".join(f"{number}\n" for number in range(30_000)))
    with connection.cursor() as cursor:
        cursor.execute("drop table if exists loaded")
        cursor.execute("create table loaded (id int)")
        assert cursor.execute(f"load data local infile '{file}' into table loaded") == 30_000
    assert fetch(connection, "select count(*), max(id) from loaded") == [(30_000, 29_999)]


def test_a_local_file_in_more_packets_than_there_are_sequence_numbers(door: Door, engine: Engine) -> None:
    """Numbers wrap on the way."""
    engine.execute("drop table if exists main_data.lines", "create table main_data.lines (id int)")
    with RawClient(door) as client:
        client.log_in()
        client.send(b"\x03load data local infile 'any' into table main_data.lines")
        assert client.receive() == b"\xfbany"
        for number in range(400):
            client.send(b"%d\n" % number, 2 + number)
        client.send(b"", 402)

        assert client.receive()[:4] == b"\0\xfc\x90\x01"
        assert client.sequence == 403 & 0xFF


def test_a_client_that_leaves_in_the_middle_of_a_local_file(door: Door, engine: Engine) -> None:
    """The engine is not left waiting for the rest."""
    engine.execute("drop table if exists main_data.lines", "create table main_data.lines (id int)")
    with RawClient(door) as client:
        client.log_in()
        client.send(b"\x03load data local infile 'any' into table main_data.lines")
        client.receive()
        client.socket.sendall(b"\4\0\0\2x")
    wait_until(lambda: door.sessions == 0)


def test_pipelined_commands_are_answered_in_order(door: Door) -> None:
    """Many commands in one write, and each has its own reply."""
    with RawClient(door) as client:
        client.log_in()
        client.socket.sendall(b"".join(frame(b"\x03select %d" % number, 0) for number in range(100)))
        for number in range(100):
            packets = [client.receive() for _ in range(5)]
            assert packets[3] == bytes((len(str(number)),)) + str(number).encode()


def test_transactions_and_their_flags(connection: Any) -> None:
    """The flags that clients decide by are the engine's."""

    def status() -> int:
        connection.ping(reconnect=False)
        return int(connection.server_status & 3)

    with connection.cursor() as cursor:
        cursor.execute("drop table if exists account")
        cursor.execute("create table account (id int primary key)")
        assert status() == 2
        cursor.execute("begin")
        assert status() == 3
        cursor.execute("insert into account values (1)")
        cursor.execute("rollback")
        cursor.execute("set autocommit = 0")
        assert status() == 0
        cursor.execute("insert into account values (2)")
        assert status() == 1
        cursor.execute("commit")
    assert fetch(connection, "select * from account") == [(2,)]


def connector(door: Door, **options: Any) -> Any:
    """Log in with mysql-connector-python."""
    return mysql.connector.connect(
        **{"host": door.host, "port": door.port, "user": "root@main", "ssl_disabled": True, **options}
    )


def test_prepared_statements(door: Door, table: str) -> None:
    """The binary protocol, parameters and NULLs and errors included."""
    with (
        contextlib.closing(connector(door)) as connection,
        contextlib.closing(connection.cursor(prepared=True)) as cursor,
    ):
        for number in (7, 70_000, 15):
            cursor.execute(f"select id, text, nothing from {table} where id = %s", (number,))
            assert cursor.fetchall() == [(number, "x" * (number % 10 * 8), None if number % 10 == 5 else 1)]
        cursor.execute(f"select * from {table} limit 20000")
        assert len(cursor.fetchall()) == 20_000
        cursor.execute("do 1")
        with pytest.raises(mysql.connector.Error):
            cursor.execute("selec 1")


def test_prepared_statements_with_long_data_reset_and_a_cursor(door: Door) -> None:
    """The commands that have no reply, and the reply that ends before its rows."""
    with RawClient(door) as client:
        client.log_in()
        client.send(b"\x16select ?")
        identity = client.receive()[1:5]
        for _ in range(4):
            client.receive()
        client.send(b"\x18" + identity + b"\0\0" + b"a" * 10)
        client.send(b"\x18" + identity + b"\0\0" + b"b" * (2 << 20))
        client.send(b"\x1a" + identity)
        assert client.receive()[0] == 0
        client.send(b"\x18" + identity + b"\0\0" + b"c")
        client.send(b"\x17" + identity + b"\0\1\0\0\0\0\1\xfc\0")
        replies = [client.receive() for _ in range(5)]
        assert replies[3] == b"\0\0\x01c"

        client.send(b"\x17" + identity + b"\1\1\0\0\0\0\1\xfd\0\1d")
        replies = [client.receive() for _ in range(3)]
        assert replies[2][3] & 0x40
        client.send(b"\x1c" + identity + b"\1\0\0\0")
        assert client.receive() == b"\0\0\x01d"
        assert client.receive()[0] == 0xFE
        client.send(b"\x19" + identity)
        client.send(b"\x0e")
        assert client.receive()[0] == 0


def test_the_other_commands(door: Door, engine: Engine) -> None:
    """Each has the reply that it has without the gateway; unknown ones are refused here."""
    engine.execute("create table if not exists main_data.listed (one int, two int)")
    with RawClient(door) as client:
        client.log_in()

        def ask(command: int, argument: bytes = b"") -> bytes:
            client.send(bytes((command,)) + argument)
            return client.receive()

        assert ask(COMMAND.COM_PING)[0] == 0
        assert ask(COMMAND.COM_INIT_DB, b"main_data")[0] == 0
        assert ask(COMMAND.COM_INIT_DB, b"nowhere")[:3] == b"\xff\x19\x04"
        assert ask(COMMAND.COM_STATISTICS) == b"Active threads not support"
        assert ask(COMMAND.COM_DEBUG)[0] == 0xFE
        assert ask(COMMAND.COM_FIELD_LIST, b"listed\0")[:1] == b"\x03"
        assert client.receive()[:1] == b"\x03"
        assert client.receive()[:1] == b"\xfe"
        assert ask(COMMAND.COM_PROCESS_INFO) == b"\x08"
        ends = 0
        while ends < 2:
            ends += client.receive()[:1] == b"\xfe"
        assert ask(COMMAND.COM_PROCESS_KILL, (12345).to_bytes(4, "little")).startswith(b"\xff\x46\x04")
        assert ask(COMMAND.COM_SET_OPTION, b"\1\0")[0] in (0, 0xFE)
        assert ask(COMMAND.COM_QUERY, b"do 1; do 2")[:3] == b"\xff" + ask_error(1149)
        assert ask(COM_RESET_CONNECTION)[0] == 0
        for unknown in (0, 5, 6, 7, 8, 0x0B, 0x12, 0x15, 0x1E, 0x20, 0xA1, 0xFE):
            assert ask(unknown) == b"\xff\x17\x04#08S01Unknown command"
        assert ask(COMMAND.COM_PING)[0] == 0


def ask_error(code: int) -> bytes:
    """Return an error's number as it stands in a packet."""
    return code.to_bytes(2, "little")


def test_quit_ends_the_session(door: Door) -> None:
    """The connection ends without another word."""
    with RawClient(door) as client:
        client.log_in()
        client.send(b"\x01")

        assert client.ended()


@pytest.mark.parametrize("by_command", [True, False])
def test_a_query_is_killed_by_the_id_of_the_greeting(door: Door, by_command: bool) -> None:  # noqa: FBT001
    """That id is all that the client knows; the gateway knows the engine's."""
    with (
        contextlib.closing(door.connect("root@main")) as victim,
        contextlib.closing(door.connect("root@main")) as killer,
    ):
        outcome: list[BaseException] = []

        def sleep() -> None:
            try:
                fetch(victim, "select sleep(30)")
            except pymysql.Error as error:
                outcome.append(error)

        thread = threading.Thread(target=sleep)
        thread.start()
        running = "select count(*) from information_schema.processlist where info like 'select sleep%'"
        wait_until(lambda: fetch(killer, running)[0][0] == 1)
        if by_command:
            killer.kill(victim.thread_id())
        else:
            fetch(killer, f"KILL QUERY {victim.thread_id()};")
        thread.join(20)

    assert outcome


def test_control_c_of_the_command_line_ends_the_query(door: Door) -> None:
    """It logs in a second time and kills the first."""
    command = [
        "mariadb",
        "--no-defaults",
        "-h",
        door.host,
        "-P",
        str(door.port),
        "-uroot@main",
        "-e",
        "select sleep(30)",
    ]
    with contextlib.closing(door.connect("root@main")) as watcher:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            running = "select count(*) from information_schema.processlist where info like 'select sleep%'"
            wait_until(lambda: fetch(watcher, running)[0][0] == 1)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=15)
        assert fetch(watcher, running)[0][0] == 0


def test_another_tenants_session_is_not_killed(door: Door) -> None:
    """Ids are looked up within the killer's tenant only."""
    with (
        contextlib.closing(door.connect("root@sys")) as other,
        contextlib.closing(door.connect("root@main")) as killer,
    ):
        with pytest.raises(pymysql.Error, match="Unknown thread id"):
            fetch(killer, f"KILL {other.thread_id()}")
        assert fetch(other, "select 1") == [(1,)]


def test_a_user_without_rights_has_none_through_the_gateway_either(door: Door, table: str) -> None:
    """The engine judges by the user who logged in."""
    with contextlib.closing(door.connect("nobody@main")) as connection, pytest.raises(pymysql.Error) as error:
        fetch(connection, f"select * from {table}")
    assert error.value.args[0] == 1142


def test_the_client_goes_in_the_middle_of_a_query_and_the_engine_is_freed(door: Door) -> None:
    """As when a client of the engine's own goes."""
    with contextlib.closing(door.connect("root@main")) as watcher:
        with RawClient(door) as client:
            client.log_in("alice@main", USER_PASSWORD.encode())
            client.send(b"\x03select sleep(30)")
            running = "select count(*) from information_schema.processlist where user = 'alice'"
            wait_until(lambda: fetch(watcher, running)[0][0] == 1)
        wait_until(lambda: fetch(watcher, running)[0][0] == 0)
