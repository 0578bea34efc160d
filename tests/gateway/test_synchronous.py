"""The synchronous commit: which replies wait for the archive, and what the client gets when it fails."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from redoubt.gateway.packets import frame
from redoubt.sql.answers import Answer, Ok
from redoubt.sql.statements import ArchiveLog

from .doors import Door, Tenants
from .gates import NOT_DURABLE, Gate, not_durable
from .raw import RawClient
from .test_gate import error_of, run, session
from .test_sessions import connector, fetch, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from redoubt.gateway import EngineSession

    from .doors import Handler
    from .engines import Engine

SIGNALLED = 1644


@pytest.fixture(scope="module")
def _tables(engine: Engine) -> None:
    engine.execute(
        "create table main_data.told (id int primary key)",
        "create table main_data.bulk (id int primary key, text varchar(100))",
        "insert into main_data.bulk select a.n * 1000 + b.n, repeat('x', 100) from "
        "(with recursive c (n) as (select 0 union all select n + 1 from c where n < 99) select * from c) a, "
        "(with recursive c (n) as (select 0 union all select n + 1 from c where n < 199) select * from c) b",
        "create function main_data.tell() returns int deterministic modifies sql data "
        "begin insert into main_data.told values (100); return 1; end",
        "create procedure main_data.tells() begin insert into main_data.told values (200); end",
        "create procedure main_data.fails() begin insert into main_data.told values (300); "
        "signal sqlstate '45000' set message_text = 'no'; end",
        "create procedure main_data.lists() begin insert into main_data.told values (400); "
        "select * from main_data.bulk; end",
    )


@pytest.fixture
def connection(door: Door, gate: Gate, engine: Engine, _tables: None) -> Iterator[Any]:
    """A session of root's in `main`, and an empty table `told`."""
    engine.execute("delete from main_data.told")
    with contextlib.closing(session(door, local_infile=True)) as connection:
        yield connection


@pytest.mark.parametrize(
    ("before", "sql"),
    [
        ([], "insert into told values (1)"),
        ([], "create table if not exists made_here (id int)"),
        ([], "call tells()"),
        ([], "select tell()"),
        ([], "begin; insert into told values (1); commit"),
        (["begin", "insert into told values (1)"], "commit"),
        (["begin", "insert into told values (1)"], "begin"),
        (["begin", "insert into told values (1)"], "create table if not exists made_here (id int)"),
        (["set autocommit = 0", "insert into told values (1)"], "set autocommit = 1"),
        (["set autocommit = 0", "select tell()"], "commit"),
        (["begin", "prepare s from 'commit'"], "execute s"),
    ],
)
def test_what_may_have_committed_is_held(
    gate: Gate, connection: Any, pool: ThreadPoolExecutor, before: list[str], sql: str
) -> None:
    """Its reply comes when the archive has it; closing the gate does not wait for that."""
    for statement in before:
        run(connection, statement)
    gate.synchronous(stands=True)
    future = pool.submit(run, connection, sql)
    wait_until(lambda: gate.held == 1)
    assert not future.done()
    if ";" not in sql:  # the engine may send several results one by one
        assert gate.writing_now == 0
    gate.relent()
    future.result(20)
    assert gate.writing_now == 0


@pytest.mark.parametrize(
    ("before", "sql"),
    [
        ([], "select * from bulk"),
        ([], "rollback"),
        ([], "begin"),
        ([], "commit"),
        ([], "set @a = 1"),
        (["begin"], "insert into told values (1)"),
        (["begin"], "insert into told values (1); delete from told"),
        (["begin"], "select * from bulk for update"),
        (["begin", "insert into told values (1)"], "select count(*) from told"),
        (["begin", "insert into told values (1)"], "rollback"),
        (["set autocommit = 0"], "insert into told values (1)"),
    ],
)
def test_what_has_not_committed_is_not_held(gate: Gate, connection: Any, before: list[str], sql: str) -> None:
    """It is told at once."""
    for statement in before:
        run(connection, statement)
    gate.synchronous(not_durable())
    run(connection, sql)

    assert gate.asked == 0


def test_an_error_of_plain_dml_is_not_held(gate: Gate, connection: Any) -> None:
    """Nothing is committed then; but what came before it in the same text is."""
    gate.synchronous()
    run(connection, "insert into told values (1)")
    assert gate.asked == 1
    with pytest.raises(pymysql.IntegrityError):
        run(connection, "insert into told values (1)")
    assert gate.asked == 1
    with pytest.raises(pymysql.IntegrityError):
        run(connection, "insert into told values (2); insert into told values (1)")
    assert gate.asked > 1


def test_an_error_of_a_procedure_is_held(gate: Gate, connection: Any) -> None:
    """What it committed before is durable when the client learns that it failed."""
    gate.synchronous()
    with pytest.raises(pymysql.Error) as error:
        run(connection, "call fails()")
    assert error.value.args[0] == SIGNALLED
    assert gate.asked == 1


def test_an_archive_that_fails(gate: Gate, connection: Any, door: Door) -> None:
    """The client gets that error; what was committed stays, and so does the session with its right state."""
    for sql in ("insert into told values (1)", "call tells()", "create table told (id int)"):
        gate.synchronous(not_durable())
        with pytest.raises(pymysql.Error) as error:
            run(connection, sql)
        assert error.value.args == (NOT_DURABLE, "committed, but not durable in the archive")
    gate.synchronous(not_durable())
    run(connection, "rollback")
    run(connection, "begin")
    run(connection, "insert into told values (4)")
    with pytest.raises(pymysql.Error) as error:
        run(connection, "commit")
    assert error.value.args[0] == NOT_DURABLE
    connection.ping(reconnect=False)
    assert connection.server_status & 1 == 0
    assert (1,) in fetch(connection, "select id from told")
    assert (4,) in fetch(connection, "select id from told")


def test_prepared_statements_are_held(gate: Gate, connection: Any, door: Door) -> None:
    """As texts are."""
    with (
        contextlib.closing(connector(door, database="main_data", autocommit=True)) as other,
        contextlib.closing(other.cursor(prepared=True)) as cursor,
    ):
        gate.synchronous()
        cursor.execute("select * from told where id = %s", (1,))
        cursor.fetchall()
        assert gate.asked == 0
        cursor.execute("insert into told values (%s)", (1,))
        assert gate.asked == 1
        other.start_transaction()
        cursor.execute("insert into told values (%s)", (2,))
        assert gate.asked == 1
        other.commit()
        assert gate.asked == 2


def test_beside_statements_of_ours(gate: Gate, connection: Any, handler: Handler) -> None:
    """Each part of a text is held for itself; an error ends the text, with the number that the client expects."""

    async def answer(statement: ArchiveLog, session: EngineSession) -> Answer:
        return Ok()

    handler.answers[ArchiveLog] = answer
    gate.synchronous(None, not_durable())
    sql = "insert into told values (1); alter system archivelog; insert into told values (2); alter system archivelog"
    with pytest.raises(pymysql.Error) as error:
        run(connection, sql)
    assert error.value.args[0] == NOT_DURABLE
    assert len(handler.seen) == 1
    assert fetch(connection, "select id from told") == [(1,), (2,)]


def test_a_large_result_whose_beginning_is_refused(gate: Gate, connection: Any) -> None:
    """Nothing of it is passed on, and the session goes on behind it."""
    gate.synchronous(not_durable())
    with pytest.raises(pymysql.Error) as error:
        run(connection, "call lists()")
    assert error.value.args[0] == NOT_DURABLE
    assert gate.asked == 1
    assert fetch(connection, "select count(*) from bulk") == [(20_000,)]


def test_a_large_result_whose_end_is_refused(gate: Gate, connection: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With its beginning at the client, the session can only end."""
    gate.synchronous(None, not_durable())
    with pytest.raises(pymysql.OperationalError) as error:
        run(connection, "call lists()")
    assert error.value.args[0] == 2013
    assert "session ended in the middle of a reply" in capsys.readouterr().out
    assert gate.writing_now == 0


def test_a_local_file(gate: Gate, connection: Any, tmp_path: Path) -> None:
    """The request for it is no reply yet; what comes after it is held, and may be refused."""
    file = tmp_path / "rows"
    file.write_text("1\n2\n")
    load = f"load data local infile '{file}' into table told"
    gate.synchronous()
    assert run(connection, load) == 2
    assert gate.asked == 1
    gate.synchronous(not_durable())
    file.write_text("3\n")
    with pytest.raises(pymysql.Error) as error:
        run(connection, load)
    assert error.value.args[0] == NOT_DURABLE
    assert fetch(connection, "select count(*) from told") == [(3,)]


def test_a_client_that_leaves_while_it_is_held(gate: Gate, connection: Any, door: Door) -> None:
    """Its session ends when the archive has answered."""
    before = door.sessions
    gate.synchronous(stands=True)
    with RawClient(door) as client:
        client.log_in()
        client.send(b"\x03insert into main_data.told values (1)")
        wait_until(lambda: gate.held == 1)
    gate.release()
    wait_until(lambda: door.sessions == before)
    assert (gate.held, gate.writing_now) == (0, 0)


def test_pipelined_commands_keep_their_order(gate: Gate, connection: Any, door: Door) -> None:
    """What comes after a reply that is held is held with it."""
    gate.synchronous(stands=True)
    with RawClient(door) as client:
        client.log_in()
        packets = [b"\x03insert into main_data.told values (1), (2)", b"\x0e"]
        client.socket.sendall(b"".join(frame(packet, 0) for packet in packets))
        wait_until(lambda: gate.held == 1)
        gate.release()
        assert [client.receive()[:2] for _ in packets] == [b"\0\2", b"\0\0"]


@pytest.mark.usefixtures("_tables")
def test_stopping_ends_the_holding(engine: Engine) -> None:
    """A gateway that stops waits for no archive."""
    gate = Gate()
    with Door(Tenants({"main": engine.socket}, gates={"main": gate})) as door, RawClient(door) as client:
        client.log_in()
        gate.synchronous(stands=True)
        client.send(b"\x03delete from main_data.told")
        wait_until(lambda: gate.held == 1)
    assert (gate.held, gate.writing_now) == (0, 0)


def test_two_megabytes_are_held(gate: Gate, connection: Any, engine: Engine, pool: ThreadPoolExecutor) -> None:
    """A long command may have committed anything."""
    engine.execute("set global max_allowed_packet = 64 * 1024 * 1024")
    gate.synchronous(not_durable())
    future = pool.submit(run, connection, "insert into told values (length('" + "x" * (2 << 20) + "'))")
    assert error_of(future) == NOT_DURABLE
    assert fetch(connection, "select id from told") == [(2 << 20,)]
