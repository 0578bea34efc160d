"""Which of the client's files an engine may ask for: real engines ask as they do, scripted ones as they should not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.constants import CLIENT

from redoubt.gateway.local_files import LocalFiles
from redoubt.sql.bounds import LONGEST_TEXT

from .fakes import OK, Peer
from .raw import RawClient
from .test_faults import behind
from .test_sessions import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .doors import Door
    from .engines import Engine

SECRET = b"\xfb/home/user/.ssh/id_rsa"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of the client's, with three lines."""
    file = tmp_path / "three"
    file.write_text("1\n2\n3\n")
    return file


@pytest.fixture
def connection(door: Door, engine: Engine) -> Iterator[Any]:
    """A session of root's in `main`, with an empty table to load into."""
    engine.execute("drop table if exists main_data.taken", "create table main_data.taken (id int)")
    options = {"database": "main_data", "client_flag": CLIENT.MULTI_STATEMENTS, "local_infile": True}
    with contextlib.closing(door.connect("root@main", **options)) as connection:
        yield connection


@pytest.fixture(scope="module")
def loader(running_door: Door, engine: Engine) -> Iterator[RawClient]:
    """A session of packets, and a table."""
    engine.execute("create table if not exists main_data.taken (id int)")
    with RawClient(running_door) as client:
        client.log_in()
        yield client


def run(connection: Any, sql: str) -> None:
    """Run a text to its last result."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        while cursor.nextset():
            pass


def loaded(connection: Any) -> int:
    """Return how many rows were loaded."""
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from taken")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize(
    "sql",
    [
        "load data local infile '{file}' into table taken",
        'LOAD /* c */ DATA\n# c\nLOCAL INFILE "{file}" INTO TABLE taken',
        "load data local infile '{folder}' '/three' into table taken",
        "/*!40000 load data local infile '{file}' into table taken */",
        "load data local /*! infile '{file}' */ into table taken",
        "select 1; load data local infile '{file}' into table taken; select 2",
        "prepare p from \"load data local infile '{file}' into table taken\"; execute p",
    ],
)
def test_a_file_that_the_statement_names_is_sent(connection: Any, file: Path, sql: str) -> None:
    """However the statement is written."""
    run(connection, sql.format(file=file, folder=file.parent))

    assert loaded(connection) == 3


@pytest.mark.parametrize("source", ["{load}", "@load"])
def test_a_file_of_a_statement_prepared_as_text_is_sent(connection: Any, file: Path, source: str) -> None:
    """Not only in the text that prepares the statement, or sets the variable that holds it: in later ones, too."""
    load = f"'load data local infile ''{file}'' into table taken'"
    run(connection, f"set @load = {load}")
    run(connection, f"prepare p from {source.format(load=load)}")
    run(connection, "execute p")
    run(connection, "select 1; execute p")

    assert loaded(connection) == 6


@pytest.mark.parametrize(("mode", "backslash"), [("", "\\\\"), ("NO_BACKSLASH_ESCAPES", "\\")])
def test_backslashes_mean_what_the_session_says(connection: Any, tmp_path: Path, mode: str, backslash: str) -> None:
    """A name is compared as the engine reads it."""
    (tmp_path / "back\\slash").write_text("1\n")
    run(connection, f"set sql_mode = '{mode}'")
    run(connection, f"load data local infile '{tmp_path}/back{backslash}slash' into table taken")

    assert loaded(connection) == 1


def test_a_file_of_a_prepared_statement_is_sent(door: Door, connection: Any, file: Path) -> None:
    """In the binary protocol, each time that the statement runs."""
    with RawClient(door) as client:
        client.log_in()
        client.send(b"\x16load data local infile '%b' into table main_data.taken" % str(file).encode())
        number = client.receive()[1:5]
        for _ in range(2):
            client.send(b"\x17" + number + b"\0\1\0\0\0")
            assert client.receive() == b"\xfb" + str(file).encode()
            client.send(b"7\n", 2)
            client.send(b"", 3)
            assert client.receive()[0] == 0
        client.send(b"\x19" + number)
        client.send(b"\x0e")
        assert client.receive()[0] == 0

    assert loaded(connection) == 2


@given(literal=st.text("ab'\"\\%_\n水 ", max_size=8))
def test_no_statement_of_a_clients_own_ends_the_session(loader: RawClient, literal: str) -> None:
    """The engine asks for the name that we read in the statement, or refuses the statement."""
    loader.send(f"\x03load data local infile '{literal}' into table main_data.taken".encode())
    if loader.receive()[:1] == b"\xfb":
        loader.send(b"", 2)
        assert loader.receive()


@pytest.mark.parametrize(
    "command",
    [
        b"\x03select 1",
        b"\x03load data infile '/home/user/.ssh/id_rsa' into table t",
        b"\x03load data local infile '/home/user/data' into table t",
        b"\x03select 'load data local infile ''/home/user/.ssh/id_rsa'''",
        b"\x03execute p",
        b"\x03kill 5",
        b"\x03" + b" " * (64 << 10) + b"load data local infile '/home/user/.ssh/id_rsa' into table t",
        b"\x03" + b" " * (2 << 20),
        b"\x17\1\0\0\0\0\1\0\0\0",
        b"\x02database",
        b"\x09",
        b"\x0a",
        b"\x0e",
        b"\x16select 1",
        b"\x1a\1\0\0\0",
        b"\x1b\0\0",
        b"\x1f",
    ],
    ids=lambda command: repr(command[:40]),
)
def test_a_file_that_nobody_named_is_not_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: bytes
) -> None:
    """An engine that has been taken over asks for it: the client does not hear of that, and the session ends."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        peer.send(SECRET, 1)
        assert peer.receive() == b""

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        client.send(command)
        assert client.ended()
        wait_until(lambda: door.sessions == 0)

    log = capsys.readouterr().out
    assert log.count("protocol error") == 1
    assert "the engine asks for a file of the client's" in log or command[0] == 0x16


def test_a_file_of_a_reset_session_is_not_sent(tmp_path: Path) -> None:
    """The engine has forgotten the statement, and so has the gateway."""

    def script(peer: Peer) -> None:
        peer.log_in()
        for _ in range(2):
            peer.receive()
            peer.send(OK, 1)
        peer.receive()
        peer.send(b"\xfbdata", 1)
        assert peer.receive() == b""

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        client.send(b"\x03prepare p from 'load data local infile ''data'' into table t'")
        assert client.receive() == OK
        client.send(b"\x1f")
        assert client.receive() == OK
        client.send(b"\x03execute p")
        assert client.ended()


def test_prepared_statements_are_bounded() -> None:
    """A session cannot fill the memory: the oldest is forgotten. Statements without a file take no room."""
    files = LocalFiles()
    for number in range(1025):
        files.remember(number, b"load data local infile 'f%d' into table t" % number)
        files.remember(f"p{number}", b"select 1")

    assert files.of_prepared(0)() == frozenset()
    assert files.of_prepared(1)() == {b"f1"}
    assert files.of_prepared(1024)() == {b"f1024"}
    files.forget(1024)
    assert files.of_prepared(1024)() == frozenset()


@pytest.mark.parametrize("text", [b"execute p", b"select 1; EXECUTE `P` using @x"])
def test_a_long_text_executes_nothing_that_names_a_file(text: bytes) -> None:
    """Reading a long text would keep other sessions waiting."""
    files = LocalFiles()
    files.remember("p", b"load data local infile 'f' into table t")

    assert files.of_text(text)() == {b"f"}
    assert files.of_text(text + b" " * LONGEST_TEXT)() == frozenset()
