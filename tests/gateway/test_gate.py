"""Writing statements at a closed write gate, on a real engine."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import mysql.connector
import pymysql
import pytest
from pymysql.constants import CLIENT

from redoubt.gateway.packets import frame
from redoubt.sql.answers import Answer, Ok
from redoubt.sql.statements import ArchiveLog

from .conftest import USER_PASSWORD
from .doors import Door, Tenants
from .gates import REFUSED, Gate
from .raw import RawClient
from .test_sessions import connector, fetch, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from redoubt.gateway import EngineSession

    from .doors import Handler
    from .engines import Engine

INTERRUPTED = 1317


@pytest.fixture(scope="module")
def _tables(engine: Engine) -> None:
    engine.execute(
        "create table main_data.gated (id int primary key, text varchar(20))",
        "create table main_data.loose (id int)",
        "create table main_data.large (id int primary key, text longtext)",
        "create function main_data.writer() returns int deterministic modifies sql data "
        "begin insert into main_data.loose values (1); return 1; end",
        "create procedure main_data.writes() begin insert into main_data.loose values (2); end",
    )


@pytest.fixture
def connection(door: Door, gate: Gate, engine: Engine, _tables: None) -> Iterator[Any]:
    """A session of root's in `main`, and an empty table `gated`."""
    engine.execute("delete from main_data.gated", "delete from main_data.large")
    with contextlib.closing(session(door)) as connection:
        yield connection


def session(door: Door, **options: Any) -> Any:
    """Log in with PyMySQL."""
    defaults: dict[str, Any] = {"user": "root@main", "database": "main_data", "client_flag": CLIENT.MULTI_STATEMENTS}
    return door.connect(**(defaults | options))


def run(connection: Any, sql: str) -> int:
    """Run a text to the end of all its results."""
    with connection.cursor() as cursor:
        count = int(cursor.execute(sql))
        while cursor.nextset():
            pass
    return count


def error_of(future: Future[Any]) -> int:
    """Return the error's number that a statement ended with."""
    error = future.exception(20)
    assert isinstance(error, pymysql.Error)
    return int(error.args[0])


def waiting(gate: Gate, pool: ThreadPoolExecutor, connection: Any, sql: str) -> Future[int]:
    """Start a text that waits at the gate, and return once it does."""
    future = pool.submit(run, connection, sql)
    wait_until(lambda: gate.waiting == 1 or future.done())
    assert gate.waiting == 1, future.exception()
    return future


@pytest.mark.parametrize(
    "sql",
    [
        "insert into gated values (1, 'x')",
        "/* c */ update gated set text = 'y'",
        "delete from gated",
        "replace into gated values (1, 'x;y')",
        "select * from gated for update",
        "select * from gated lock in share mode",
        "call writes()",
        "select writer()",
        "do writer()",
        "/*!50000 insert into gated values (1, 'x') */",
        "select 1; insert into gated values (1, 'x'); select 2",
        "begin; insert into gated values (1, 'x'); commit",
        "insert into gated values (1, 'x'); commit",
        "create table if not exists made (a int)",
        "analyze table gated",
        "prepare s from 'insert into gated values (1, 1)'; execute s",
    ],
)
def test_what_writes_waits(gate: Gate, connection: Any, pool: ThreadPoolExecutor, sql: str) -> None:
    """Until the gate opens; then it runs, and the gate knows of it."""
    gate.close()
    future = waiting(gate, pool, connection, sql)
    assert gate.written == 0
    gate.open()
    future.result(60)

    assert (gate.waits, gate.written, gate.writing_now) == (1, 1, 0)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from gated",
        "select count(*) from gated where text in ('a;', \"b\")",
        "show tables",
        "explain update gated set text = 1",
        "desc gated",
        "use main_data",
        "set @a = 1",
        "rollback",
        "begin",
        "commit",
        "begin; select * from gated; commit",
        "set autocommit = 1",
        "prepare s from 'insert into gated values (1, 1)'",
        "unlock tables",
        "select 1; select 2",
    ],
)
def test_what_reads_passes(gate: Gate, connection: Any, sql: str) -> None:
    """So does what would commit, were there something to commit."""
    gate.close()
    run(connection, sql)

    assert (gate.waits, gate.written) == (0, 0)


def test_other_users_wait_as_well(gate: Gate, connection: Any, door: Door, pool: ThreadPoolExecutor) -> None:
    """Rights make no difference."""
    gate.close()
    with contextlib.closing(session(door, user="alice@main", password=USER_PASSWORD)) as alice:
        future = waiting(gate, pool, alice, "insert into gated values (1, 'x')")
        assert fetch(connection, "select * from gated") == []
        gate.open()
        assert future.result(20) == 1


def test_the_system_tenant_has_no_gate(gate: Gate, door: Door, engines: dict[str, Engine]) -> None:
    """It writes always, by text and prepared."""
    gate.close()
    engines["sys"].execute("create table if not exists sys_data.free (id int)")
    with contextlib.closing(door.connect("root@sys", database="sys_data")) as connection:
        assert run(connection, "insert into free values (1)") == 1
    with (
        contextlib.closing(connector(door, user="root@sys")) as connection,
        contextlib.closing(connection.cursor(prepared=True)) as cursor,
    ):
        cursor.execute("insert into sys_data.free values (%s)", (2,))
        connection.cmd_reset_connection()


@pytest.mark.parametrize(
    ("before", "waits"),
    [
        (["begin", "select * from gated"], False),
        (["begin", "insert into gated values (1, 'x')"], True),
        (["begin", "insert into gated values (1, 'x')", "select 1", "savepoint a"], True),
        (["begin", "insert into gated values (1, 'x')", "rollback", "begin", "select 1"], False),
        (["begin", "insert into gated values (1, 'x')", "commit", "begin", "select 1"], False),
        (["set autocommit = 0", "select * from gated"], False),
        (["set autocommit = 0", "insert into gated values (1, 'x')"], True),
        (["set autocommit = 0", "select writer()"], True),
        # Without a row to lock, the engine leaves a transaction open or does not, as it likes.
        (["insert into gated values (1, 'x')", "set autocommit = 0", "select * from gated for update"], True),
        (["set autocommit = 0", "insert into gated values (1, 'x')", "rollback", "select 1"], False),
        (["insert into gated values (1, 'x')", "begin", "select 1"], False),
        (["insert into gated values (1, 'x')", "select * from gated"], False),
    ],
)
@pytest.mark.parametrize("commit", ["commit", "begin", "set autocommit = 1"])
def test_a_commit_waits_if_there_is_something_to_commit(
    gate: Gate,
    connection: Any,
    pool: ThreadPoolExecutor,
    before: list[str],
    waits: bool,  # noqa: FBT001 - a table's column
    commit: str,
) -> None:
    """That is, if the open transaction has written."""
    for sql in before:
        run(connection, sql)
    gate.close()
    if waits:
        future = waiting(gate, pool, connection, commit)
        gate.open()
        future.result(20)
    else:
        run(connection, commit)
    assert gate.waits == waits


def test_an_error_does_not_end_a_transaction(gate: Gate, connection: Any, pool: ThreadPoolExecutor) -> None:
    """What was written before it is still to be committed."""
    run(connection, "begin; insert into gated values (1, 'x')")
    with pytest.raises(pymysql.IntegrityError):
        run(connection, "insert into gated values (1, 'x')")
    gate.close()
    future = waiting(gate, pool, connection, "commit")
    gate.open()
    future.result(20)


def test_a_transaction_is_rolled_back_at_a_closed_gate(gate: Gate, connection: Any) -> None:
    """Giving up is always possible."""
    run(connection, "begin; insert into gated values (1, 'x')")
    gate.close()
    run(connection, "rollback")
    assert fetch(connection, "select * from gated") == []


def test_the_waiting_ends_with_the_query_timeout(
    gate: Gate, connection: Any, pool: ThreadPoolExecutor, door: Door
) -> None:
    """As the session has set it; the session goes on, and its transaction stays open."""
    run(connection, "set ob_query_timeout = 300000")
    run(connection, "begin; insert into gated values (1, 'x')")
    gate.close()
    for sql in ("insert into gated values (2, 'y')", "select 1; delete from gated", "commit"):
        with pytest.raises(pymysql.Error) as error:
            run(connection, sql)
        assert error.value.args == (REFUSED, "the gate is closed")
    assert all(0.3 <= waited < 20 for waited in gate.refused_after)
    assert len(gate.refused_after) == 3
    assert fetch(connection, "select id from gated") == [(1,)]
    gate.open()
    run(connection, "commit")
    with contextlib.closing(session(door)) as other:
        assert fetch(other, "select id from gated") == [(1,)]


def test_the_waiting_goes_on_if_the_gate_closes_again_at_once(
    gate: Gate, connection: Any, pool: ThreadPoolExecutor
) -> None:
    """A statement is sent only while the gate is open."""
    gate.close()
    future = waiting(gate, pool, connection, "insert into gated values (1, 'x')")
    gate.flicker()
    wait_until(lambda: gate.waits == 2)
    assert gate.written == 0
    gate.open()
    assert future.result(20) == 1


def test_a_gate_that_opens_before_it_is_waited_for(
    gate: Gate, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the engine was asked for the time-out, that is: nobody waits then."""
    patience = "redoubt.gateway.writes.Writes._patience"

    async def open_meanwhile(writes: Any) -> float:
        gate.is_closed = False
        return 0.0

    monkeypatch.setattr(patience, open_meanwhile)
    gate.close()
    assert run(connection, "insert into gated values (1, 'x')") == 1
    assert (gate.waits, gate.written) == (0, 1)


def test_prepared_statements_of_a_connector(gate: Gate, door: Door, connection: Any, pool: ThreadPoolExecutor) -> None:
    """Each execution waits if its statement writes; preparing does not."""
    gate.close()
    with (
        contextlib.closing(connector(door, database="main_data", autocommit=True)) as other,
        contextlib.closing(other.cursor(prepared=True)) as cursor,
    ):
        cursor.execute("select * from gated where id = %s", (1,))
        assert cursor.fetchall() == []
        assert gate.waits == 0
        future = pool.submit(cursor.execute, "insert into gated values (%s, %s)", (1, "x"))
        wait_until(lambda: gate.waiting == 1)
        gate.open()
        future.result(20)
        other.cmd_query("set ob_query_timeout = 300000")
        gate.close()
        with pytest.raises(mysql.connector.Error) as error:
            cursor.execute("insert into gated values (%s, %s)", (2, "x"))
        assert error.value.errno == REFUSED
    assert fetch(connection, "select id from gated") == [(1,)]


def execute(client: RawClient, identity: bytes) -> None:
    """Send COM_STMT_EXECUTE without parameters."""
    client.send(b"\x17" + identity + b"\0\1\0\0\0")


def rows(client: RawClient) -> bool:
    """Receive one column and one row; tell whether that is what came."""
    packets = [client.receive() for _ in range(5)]
    return packets[0] == b"\1"


def prepare(client: RawClient, sql: bytes) -> bytes:
    """Prepare a statement of one column, and return its id."""
    client.send(b"\x16" + sql)
    identity = client.receive()[1:5]
    for _ in range(2):
        client.receive()
    return identity


def test_prepared_statements_of_packets(gate: Gate, door: Door, connection: Any) -> None:
    """What a statement does is known until it is closed, or the connection is reset; then it may be anything."""
    unknown = b"\xff\xdb\x04"
    with RawClient(door) as client:
        client.log_in()
        client.send(b"\x03set ob_query_timeout = 300000")
        client.receive()
        first, second = prepare(client, b"select 1"), prepare(client, b"select 2")
        gate.close()
        for identity in (first, second):
            execute(client, identity)
            assert rows(client)
        client.send(b"\x19" + first)
        execute(client, first)
        assert client.receive()[1:3] == REFUSED.to_bytes(2, "little")
        execute(client, second)
        assert rows(client)
        client.send(b"\x1f")
        assert client.receive()[0] == 0
        assert gate.waits == 1
        gate.open()
        execute(client, second)
        assert client.receive()[:3] == unknown
        client.send(b"\x16selec 1")
        assert client.receive()[0] == 0xFF


@pytest.mark.parametrize("setting", ["", ", @a = (select 1 union select 2)"])
def test_no_backslash_escapes(gate: Gate, connection: Any, pool: ThreadPoolExecutor, setting: str) -> None:
    """With this mode a string ends sooner than it looks.

    The engine says so with an OK only: not at the end of rows, and not with the error of a SET that went half through.
    """
    sql = "select '\\'; insert into gated values (1, 1) -- '"
    gate.close()
    assert fetch(connection, sql) == [("'; insert into gated values (1, 1) -- ",)]
    with contextlib.suppress(pymysql.Error):
        run(connection, f"set sql_mode = 'NO_BACKSLASH_ESCAPES'{setting}")
    assert fetch(connection, "select 1") == [(1,)]
    future = waiting(gate, pool, connection, sql)
    gate.open()
    future.result(20)
    assert fetch(connection, "select id from gated") == [(1,)]


def test_two_megabytes(gate: Gate, connection: Any, engine: Engine, pool: ThreadPoolExecutor) -> None:
    """A long command waits in the client and in the connection; refused, it is read and forgotten."""
    engine.execute("set global max_allowed_packet = 64 * 1024 * 1024")
    sql = "insert into large values (%d, '" + "x" * (2 << 20) + "')"
    run(connection, "set ob_query_timeout = 300000")
    gate.close()
    with pytest.raises(pymysql.Error) as error:
        run(connection, sql % 1)
    assert error.value.args[0] == REFUSED
    run(connection, "set ob_query_timeout = 100000000")
    future = waiting(gate, pool, connection, sql % 2)
    gate.open()
    assert future.result(20) == 1
    assert fetch(connection, "select id, length(text) from large") == [(2, 2 << 20)]


def test_more_than_one_packet_is_refused(gate: Gate, connection: Any, engine: Engine) -> None:
    """The error's number follows the command's last."""
    engine.execute("set global max_allowed_packet = 64 * 1024 * 1024")
    run(connection, "set ob_query_timeout = 300000")
    gate.close()
    with pytest.raises(pymysql.Error) as error:
        run(connection, "insert into large values (1, '" + "x" * (17 << 20) + "')")
    assert error.value.args[0] == REFUSED
    assert fetch(connection, "select 1") == [(1,)]


def test_a_client_that_leaves_while_it_waits(gate: Gate, door: Door, connection: Any) -> None:
    """Its statement is never sent."""
    before = door.sessions
    gate.close()
    with RawClient(door) as client:
        client.log_in()
        client.send(b"\x03insert into main_data.gated values (1, 'x')")
        wait_until(lambda: gate.waiting == 1)
    wait_until(lambda: gate.waiting == 0)
    wait_until(lambda: door.sessions == before)
    gate.open()
    assert fetch(connection, "select * from gated") == []


def test_pipelined_commands_keep_their_order(gate: Gate, door: Door, connection: Any) -> None:
    """What comes after a statement that waits waits with it."""
    gate.close()
    with RawClient(door) as client:
        client.log_in()
        packets = [b"\x03insert into main_data.gated values (1, 'x')", b"\x0e", b"\x03commit"]
        client.socket.sendall(b"".join(frame(packet, 0) for packet in packets))
        wait_until(lambda: gate.waiting == 1)
        gate.open()
        assert [client.receive()[:2] for _ in packets] == [b"\0\1", b"\0\0", b"\0\0"]


@pytest.mark.parametrize("how", ["text", "the engine's id", "command"])
def test_a_waiting_statement_is_killed(
    gate: Gate, door: Door, connection: Any, pool: ThreadPoolExecutor, how: str
) -> None:
    """By the id of the greeting or the engine's: it ends as any query that is killed, and the session goes on."""
    engines_id = fetch(connection, "select connection_id()")[0][0]
    gate.close()
    future = waiting(gate, pool, connection, "insert into gated values (1, 'x')")
    with contextlib.closing(session(door)) as killer:
        with contextlib.closing(session(door)) as idle:
            run(killer, f"kill query {idle.thread_id()}")
        assert not future.done()
        if how == "command":
            killer.kill(connection.thread_id())
        else:
            run(killer, f"KILL QUERY {connection.thread_id() if how == 'text' else engines_id};")
    assert error_of(future) == INTERRUPTED
    if how != "command":
        assert fetch(connection, "select 1") == [(1,)]


def test_a_kill_that_is_refused_ends_no_waiting(
    gate: Gate, door: Door, connection: Any, pool: ThreadPoolExecutor
) -> None:
    """Another tenant's session is nobody's to kill."""
    gate.close()
    future = waiting(gate, pool, connection, "insert into gated values (1, 'x')")
    with (
        contextlib.closing(door.connect("root@sys")) as other,
        pytest.raises(pymysql.Error, match="Unknown thread id"),
    ):
        run(other, f"kill query {connection.thread_id()}")
    gate.open()
    assert future.result(20) == 1


def test_redoubts_own_statements_pass(
    gate: Gate, door: Door, connection: Any, handler: Handler, pool: ThreadPoolExecutor
) -> None:
    """What stands beside them in one text waits, and ends the text if it is refused."""

    async def answer(statement: ArchiveLog, session: EngineSession) -> Answer:
        return Ok(affected_rows=7)

    handler.answers[ArchiveLog] = answer
    gate.close()
    assert run(connection, "alter system archivelog") == 7
    assert gate.waits == 0
    future = waiting(gate, pool, connection, "alter system archivelog; insert into gated values (1, 'x'); select 1")
    gate.open()
    future.result(20)
    run(connection, "set ob_query_timeout = 300000")
    gate.close()
    handler.seen.clear()
    with pytest.raises(pymysql.Error, match="the gate is closed"):
        run(connection, "select 1; delete from gated; alter system archivelog")
    assert handler.seen == []
    assert fetch(connection, "select id from gated") == [(1,)]


def test_a_change_of_user_begins_anew(gate: Gate, door: Door, connection: Any) -> None:
    """The transaction is gone, and so is what was known of it."""
    with contextlib.closing(connector(door, database="main_data")) as other:
        other.cmd_query("begin")
        other.cmd_query("insert into gated values (1, 'x')")
        gate.close()
        other.cmd_change_user("root@main", "", "main_data")
        other.cmd_query("commit")
    assert gate.waits == 0
    assert fetch(connection, "select * from gated") == []


def test_stopping_ends_the_waiting(engine: Engine) -> None:
    """A gateway that stops waits for no gate."""
    gate = Gate()
    with Door(Tenants({"main": engine.socket}, gates={"main": gate})) as door, RawClient(door) as client:
        client.log_in()
        gate.close()
        client.send(b"\x03create table main_data.never (id int)")
        wait_until(lambda: gate.waiting == 1)
    assert gate.waiting == 0


def test_the_normal_path_is_quick(gate: Gate, connection: Any) -> None:
    """An open gate is entered and left around each writing statement, and no other."""
    began = time.monotonic()
    for number in range(20):
        run(connection, f"insert into gated values ({number}, 'x')")
        fetch(connection, "select 1")
    assert (gate.written, gate.writing_now, gate.waits, gate.asked) == (20, 0, 0, 0)
    assert time.monotonic() - began < 60


@pytest.mark.usefixtures("_tables")
def test_a_session_that_is_older_than_its_gate_waits_at_it(engines: dict[str, Engine]) -> None:
    """A tenant can be logged in to just before a round takes the tenant in."""
    gate = Gate()
    with Door(tenants := Tenants({"main": engines["main"].socket})) as door, ThreadPoolExecutor() as threads:
        gate.loop = door.loop
        with contextlib.closing(session(door)) as connection, connection.cursor() as cursor:
            cursor.execute("insert into main_data.loose values (7)")
            gate.close()
            tenants.gates["main"] = gate
            waiting = threads.submit(cursor.execute, "insert into main_data.loose values (8)")
            wait_until(lambda: gate.waiting == 1)
            gate.open()
            assert waiting.result(20) == 1
    assert gate.written == 1
