"""What goes wrong: engines that die or misbehave, clients that send nonsense, too many of them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from redoubt.gateway.encoding import column_payload, end_payload, error_payload
from redoubt.gateway.faults import EngineGone
from redoubt.gateway.handshake import encode_auth_switch
from redoubt.gateway.packets import frame
from redoubt.gateway.places import Places
from redoubt.gateway.protocol import AUTH_PLUGIN, Capability
from redoubt.sql.answers import Answer, Column, Ok
from redoubt.sql.errors import SqlError
from redoubt.sql.statements import ArchiveLog

from .doors import Door, Handler, Tenants
from .engines import Engine
from .fakes import GREETING, OK, Peer, fake_engine
from .raw import RawClient, login_packet
from .test_sessions import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redoubt.gateway import EngineSession
    from redoubt.gateway.link import EngineLink
    from redoubt.gateway.session import Session

WENT_AWAY = b"\xff\x1d\x04#08S01the tenant's engine closed the connection; reconnect in a few seconds"
UNREACHABLE = b"\xff\x1d\x04#08S01the tenant's engine cannot be reached; connect again"
EOF = end_payload(2, deprecate_eof=False)


@contextlib.contextmanager
def behind(tmp_path: Path, script: Callable[[Peer], object], **options: Any) -> Iterator[Door]:
    """Open a door with a scripted engine behind it."""
    with fake_engine(tmp_path / "engine", script), Door(Tenants({"main": tmp_path / "engine"}), **options) as door:
        yield door


def only_session(door: Door) -> tuple[Session, EngineLink]:
    """Return the session of the one client that is logged in, or about to learn that it is."""
    session = next(iter(door.gateway._sessions.values()))
    wait_until(lambda: session.link)
    assert session.link
    return session, session.link


def test_an_engine_killed_in_the_middle_of_a_query(tmp_path: Path) -> None:
    """The client is told in an error packet, then disconnected; the next login is told to come back."""
    engine = Engine(tmp_path / "engine").wait()
    with Door(Tenants({"main": engine.socket})) as door, engine.connect() as watcher:
        connection, idle = door.connect("root@main"), door.connect("root@main")
        errors: list[BaseException] = []

        def run() -> None:
            try:
                connection.cursor().execute("select sleep(30)")
            except pymysql.Error as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        cursor = watcher.cursor()
        running = "select 1 from information_schema.processlist where info like 'select sleep%'"
        wait_until(lambda: cursor.execute(running))
        engine.kill()
        thread.join(20)
        wait_until(lambda: door.sessions == 0)
        with pytest.raises(pymysql.Error):
            idle.ping(reconnect=False)
        with pytest.raises(pymysql.OperationalError) as refusal:
            door.connect("root@main")
        connection._force_close()
        idle._force_close()

    assert [error.args[0] for error in errors] == [1053]
    assert refusal.value.args[0] == 1053
    engine.stop()


def test_an_engine_that_dies_between_packets(tmp_path: Path) -> None:
    """The error has the number that the client expects next."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        peer.send(b"\1", 1)
        peer.send(column_payload(Column("n")), 2)

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        client.send(b"\x03select 1")
        client.receive()
        client.receive()
        assert client.receive() == WENT_AWAY
        assert client.sequence == 3
        assert client.ended()


def test_an_engine_that_dies_when_it_is_asked_for_the_modes(tmp_path: Path) -> None:
    """The error stands in the place of the statement that the question was for."""

    def script(peer: Peer) -> None:
        peer.log_in()
        for _ in range(2):
            assert peer.receive() == b"\x0e"
            peer.send(OK, 1)
        assert peer.receive() == b"\x03select '\\_';"
        peer.send(OK, 1)
        assert peer.receive() == b"\x0e"

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        client.send(b"\x03select '\\_';alter system set a = '\\_'")
        client.receive()
        assert client.receive() == WENT_AWAY
        assert client.sequence == 2
        assert client.ended()


def test_an_engine_that_dies_within_a_packet(tmp_path: Path) -> None:
    """A packet that is half there can't be followed by an error: the connection just ends."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        packets = frame(b"\1", 1) + frame(column_payload(Column("n")), 2) + frame(EOF, 3) + frame(b"x" * 1000, 4)
        peer.socket.sendall(packets[:-500])

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        client.send(b"\x03select 1")
        for _ in range(3):
            client.receive()
        assert client.receive() == b"x" * 500
        assert client.ended()


def test_an_engine_that_dies_while_a_command_comes(tmp_path: Path) -> None:
    """What the engine still said reaches the client, although the command is not all there."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.socket.recv(100)
        peer.send(error_payload(SqlError(1153, "08S01", "too long")), 1)
        peer.socket.shutdown(socket.SHUT_WR)
        while peer.socket.recv(1 << 20):
            pass

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        client.socket.sendall(b"\xff\xff\xff\0\x03" + bytes(2 << 20))
        assert client.receive() == b"\xff\x81\x04#08S01too long"
        with contextlib.suppress(ConnectionError):
            client.socket.sendall(bytes(20 << 20))
        assert client.ended()


def test_an_engine_that_dies_while_a_file_comes(tmp_path: Path) -> None:
    """A client that sends a file to an engine that is gone is told so."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        peer.send(b"\xfbany", 1)
        peer.socket.shutdown(socket.SHUT_RDWR)

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        client.send(b"\x03load data local infile 'any' into table t")
        assert client.receive() == b"\xfbany"
        _, link = only_session(door)
        wait_until(lambda: link.wire.lost)
        client.send(b"line", 2)
        assert client.receive() == WENT_AWAY
        assert client.ended()


def test_a_file_of_16_mb_in_one_packet(tmp_path: Path) -> None:
    """An empty part that only ends a packet of 16 MB does not end the file."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        peer.send(b"\xfbany", 1)
        assert peer.receive() == b"x" * 0xFFFFFF
        assert [peer.receive(), peer.receive(), peer.receive()] == [b"", b"y", b""]
        peer.send(OK, 6)
        peer.receive()

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        client.send(b"\x03load data local infile 'any' into table t")
        client.receive()
        client.send(b"x" * 0xFFFFFF, 2)
        client.send(b"y", 4)
        client.send(b"", 5)
        assert client.receive() == OK


@pytest.mark.parametrize("size", [1 << 20, 12 << 20], ids=["a text", "a long command"])
def test_an_engine_that_takes_its_time_to_read(tmp_path: Path, size: int) -> None:
    """A command waits in the client, not in the gateway, until the engine takes it."""
    read_on = threading.Event()

    def script(peer: Peer) -> None:
        peer.log_in()
        assert read_on.wait(20)
        assert len(peer.receive()) == size
        peer.send(OK, 1)
        peer.receive()

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        session, link = only_session(door)
        sender = threading.Thread(target=client.send, args=(b"\x03" + bytes(size - 1),))
        sender.start()
        wait_until(lambda: link.wire.congested)
        if size > 1 << 20:
            wait_until(lambda: session._client._paused)
        assert session._client.waiting < 2 << 20
        read_on.set()
        sender.join(20)
        assert client.receive() == OK


def test_an_engine_that_sends_byte_by_byte(tmp_path: Path) -> None:
    """A reply is put together from whatever pieces it comes in."""
    packets = frame(b"\1", 1) + frame(column_payload(Column("n")), 2) + frame(EOF, 3) + frame(b"\1x", 4) + frame(EOF, 5)

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        for position in range(len(packets)):
            peer.socket.sendall(packets[position : position + 1])
            time.sleep(0.0005)  # so that most of them travel alone
        peer.receive()

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        client.send(b"\x03select 'x'")
        assert client.read(len(packets)) == packets


def test_an_engine_that_speaks_unasked(tmp_path: Path) -> None:
    """Bytes that nobody asked for would be taken for the next reply: the session ends instead."""
    spoken = threading.Event()

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.send(OK, 0)
        spoken.set()
        peer.receive()

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        assert spoken.wait(20)
        _, link = only_session(door)
        wait_until(lambda: link.wire.waiting)
        client.send(b"\x0e")
        assert client.ended()


def test_an_engine_that_replies_with_nonsense(tmp_path: Path) -> None:
    """The session ends; the gateway stays."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        peer.send(b"", 1)
        peer.receive()

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in()
        client.send(b"\x0e")
        assert client.ended()


def test_an_engine_whose_connections_are_used_up(tmp_path: Path) -> None:
    """An error instead of a greeting is handed on."""

    def script(peer: Peer) -> None:
        peer.send(error_payload(SqlError(1040, "08004", "Too many connections")), 0)

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root@main"), 1)
        assert client.receive() == b"\xff\x10\x04#08004Too many connections"
        assert client.sequence == 2
        assert client.ended()


@pytest.mark.parametrize("greeting", [b"", b"\x00", frame(b"\x09", 0)])
def test_an_engine_that_does_not_greet(tmp_path: Path, greeting: bytes) -> None:
    """An engine that closes at once is one that is starting; one that speaks another protocol is a fault."""

    def script(peer: Peer) -> None:
        peer.socket.sendall(greeting)

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root@main"), 1)
        assert client.receive().startswith(b"" if len(greeting) > 1 else UNREACHABLE)
        assert client.ended()


def test_an_engine_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that accepts but does not greet, because it is starting, is waited for only so long."""
    monkeypatch.setattr("redoubt.gateway.login._ENGINE_PATIENCE", 0.05)

    with behind(tmp_path, lambda peer: peer.receive()) as door, RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root@main"), 1)
        assert client.receive().startswith(UNREACHABLE)


def test_an_engine_that_dies_instead_of_a_verdict(tmp_path: Path) -> None:
    """The client is told to come back, with the number that it expects."""

    def script(peer: Peer) -> None:
        peer.socket.sendall(GREETING)
        peer.receive()

    with behind(tmp_path, script) as door, RawClient(door) as client:
        assert client.log_in("root@main").startswith(UNREACHABLE)
        assert client.ended()


def test_an_engine_that_wants_an_answer_to_another_salt(tmp_path: Path) -> None:
    """Its request and the client's answer are handed on, with the right numbers on both sides."""
    another = encode_auth_switch(b"t" * 20)

    def script(peer: Peer) -> None:
        peer.socket.sendall(GREETING)
        request = peer.receive()
        peer.send(another, 2)
        assert peer.receive() == b"another answer"
        peer.send(OK, 4)
        peer.invite(request)
        assert peer.receive() == b"\x0e"
        peer.send(OK, 1)
        peer.receive()

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root@main"), 1)
        client.receive()
        client.send(b"", 3)
        assert client.receive() == another
        assert client.sequence == 4
        client.send(b"another answer", 5)
        assert client.receive() == OK
        assert client.sequence == 6
        client.send(b"\x0e")
        assert client.receive() == OK


@pytest.mark.parametrize(
    "question",
    [
        b"\x01\x04",
        b"\xfe",
        b"\xfemysql_clear_password\0",
        b"\xfemysql_clear_password",
        b"\xfemysql_old_password\0salt\0",
        b"\xfecaching_sha2_password\0" + b"s" * 20 + b"\0",
        b"\x02mysql_native_password\0" + b"s" * 20 + b"\0",
    ],
)
def test_an_engine_that_wants_another_plugin(tmp_path: Path, question: bytes) -> None:
    """The client is not asked: it might send its password in clear, or something that shows the password."""

    def script(peer: Peer) -> None:
        peer.socket.sendall(GREETING)
        peer.receive()
        peer.send(question, 2)
        peer.receive()

    with behind(tmp_path, script) as door, RawClient(door) as client:
        assert client.log_in("root@main").startswith(b"\xff\xe3\x04#08004the gateway does not support")
        assert client.ended()


def test_an_engine_with_an_empty_verdict(tmp_path: Path) -> None:
    """Nonsense during the login ends it."""

    def script(peer: Peer) -> None:
        peer.socket.sendall(GREETING)
        peer.receive()
        peer.send(b"", 2)
        peer.receive()

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root@main"), 1)
        client.receive()
        client.send(b"", 3)
        assert client.ended()


def test_what_the_engine_is_told_of_the_client(tmp_path: Path) -> None:
    """Bare name, the client's answer to the engine's salt, and no capability that the engine does not have."""
    told: list[bytes] = []

    def script(peer: Peer) -> None:
        told.append(peer.log_in())
        peer.receive()

    with behind(tmp_path, script) as door, RawClient(door) as client:
        client.log_in("alice@main", b"secret")

    assert told[0][32:].startswith(b"alice\0\x14")
    assert told[0].endswith(AUTH_PLUGIN + b"\0")
    assert not int.from_bytes(told[0][:4], "little") & (Capability.SSL | Capability.COMPRESS | Capability.DEPRECATE_EOF)


def test_an_engine_that_ends_rows_with_ok(tmp_path: Path) -> None:
    """A link that agreed on it reads results without EOFs, though the gateway never offers that to clients."""
    results: list[Any] = []

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        peer.send(b"\1", 1)
        peer.send(column_payload(Column("n")), 2)
        peer.send(b"\1x", 3)
        peer.send(end_payload(2, deprecate_eof=True), 4)
        peer.receive()

    async def look(statement: ArchiveLog, session: EngineSession) -> Answer:
        session.capabilities |= Capability.DEPRECATE_EOF  # type: ignore[attr-defined]
        results.append(await session.query("select 1"))
        return Ok()

    with behind(tmp_path, script, handler=Handler({ArchiveLog: look})) as door, RawClient(door) as client:
        client.log_in()
        client.send(b"\x03alter system archivelog")
        assert client.receive()[0] == 0
    assert results[0].rows == [("x",)]


@pytest.mark.parametrize("reply", [None, b""])
def test_an_engine_that_fails_a_handler(tmp_path: Path, reply: bytes | None) -> None:
    """When the engine dies or sends nonsense under a handler, the session ends as under any statement."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        if reply is not None:
            peer.send(reply, 1)

    async def look(statement: ArchiveLog, session: EngineSession) -> Answer:
        return await session.query("select 1")

    with behind(tmp_path, script, handler=Handler({ArchiveLog: look})) as door, RawClient(door) as client:
        client.log_in()
        client.send(b"\x03alter system archivelog")
        assert client.receive() == (b"" if reply is not None else WENT_AWAY)
        assert client.ended()


def test_an_engine_that_dies_under_a_handler_that_does_not_ask_it(tmp_path: Path) -> None:
    """The statement is answered; the session ends with the next one at the latest."""
    leave = threading.Event()

    def script(peer: Peer) -> None:
        peer.log_in()
        assert leave.wait(20)
        peer.socket.shutdown(socket.SHUT_RDWR)

    async def look(statement: ArchiveLog, session: EngineSession) -> Answer:
        leave.set()
        wire = session.wire  # type: ignore[attr-defined]
        with contextlib.suppress(EngineGone):
            await wire.peek(1)
        return Ok()

    with behind(tmp_path, script, handler=Handler({ArchiveLog: look})) as door, RawClient(door) as client:
        client.log_in()
        client.socket.sendall(frame(b"\x03alter system archivelog", 0) + frame(b"\x03select 1", 0))
        assert client.receive()[0] == 0
        assert client.ended()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"\0" * 100,
        b"\xff" * 100_000,
    ],
)
def test_garbage_on_the_port(door: Door, garbage: bytes) -> None:
    """Whatever else knocks is sent away, and the gateway goes on."""
    with RawClient(door) as client:
        client.socket.sendall(garbage)
        client.receive()
        with contextlib.suppress(ConnectionError):
            client.socket.shutdown(socket.SHUT_WR)
        assert client.ended()
    door.connect("root@main").close()


@pytest.mark.parametrize("packet", [b"\0\0\0\0", b"\1\0\0\1\x0e"])
def test_commands_that_are_none(door: Door, packet: bytes) -> None:
    """An empty command, and one that is out of order, end the session."""
    with RawClient(door) as client:
        client.log_in()
        client.socket.sendall(packet)
        assert client.ended()


def test_a_half_open_socket(door: Door) -> None:
    """A client that sends no more is gone, even if it still listens."""
    with RawClient(door) as client:
        client.log_in()
        client.socket.shutdown(socket.SHUT_WR)
        assert client.ended()


def test_a_thousand_quick_connections(door: Door) -> None:
    """Connections that come and go, at every stage of the login, leave nothing behind."""
    for stage in range(1000):
        with socket.create_connection((door.host, door.port), timeout=20) as client:
            if stage % 3:
                client.recv(1)
            if stage % 3 == 2:
                client.sendall(frame(login_packet(b"root@main"), 1))
    wait_until(lambda: door.sessions == 0)
    door.connect("root@main").close()


TOO_MANY = b"\xff\x10\x04#08004Too many connections"


def test_more_sessions_than_there_may_be(engine: Engine) -> None:
    """The one too many is told so, but root@sys comes in; when another leaves, there is room again."""
    with Door(Tenants({"main": engine.socket, "sys": engine.socket}), places=Places(sessions=2)) as door:
        first, second = door.connect("root@main"), door.connect("root@main")
        for user in ("root@main", "alice", "nobody@sys"):
            with pytest.raises(pymysql.err.OperationalError) as refused:
                door.connect(user)
            assert refused.value.args == (1040, "Too many connections")
        door.connect("root").close()
        first.close()
        wait_until(lambda: door.sessions == 1)
        door.connect("root@main").close()
        second.close()


def test_more_logins_than_there_may_be(engine: Engine) -> None:
    """The oldest client that says nothing leaves for another."""
    with Door(Tenants({"main": engine.socket}), places=Places(logins=4)) as door:
        with contextlib.ExitStack() as clients:
            silent = [clients.enter_context(RawClient(door)) for _ in range(2)]
            for client in silent:
                assert client.receive()[0] == 10
            since = {session.since for session in door.gateway._sessions.values()}
            wait_until(lambda: door.loop.time() - min(since) > 0.1)
            door.connect("root@main").close()
            assert silent[0].ended()
            assert not silent[1].has_ended_yet()
        wait_until(lambda: door.sessions == 0)


def test_the_bounds_come_from_the_descriptors() -> None:
    """All clients together leave 256 of them to the service, wherever there are that many."""
    for descriptors in (600, 1024, 4096, 16384, 10**6):
        places = Places.of(descriptors)
        assert 2 * (places.sessions + 4 + places.logins) <= descriptors - 256
    assert Places.of(1024) == Places(sessions=252, logins=128)
    assert Places.of(16384) == Places(sessions=1000, logins=256)
    assert Places.of(10) == Places(sessions=8, logins=8)


def test_one_address_has_half_of_the_logins() -> None:
    """Another address comes in all the same, until all are taken; only who is overdue leaves, the silent soon."""
    places, ended = Places(logins=4), list[str]()

    @dataclass
    class Waiting:
        name: str
        since: float = 0
        has_spoken: bool = False

        @property
        def host(self) -> str:
            return self.name[0]

        def end(self) -> None:
            ended.append(self.name)

    two = [Waiting("a1", has_spoken=True), Waiting("a2")]
    four = [Waiting("b1", has_spoken=True), *two, Waiting("c1", 5)]

    assert places.make_room("b", two, 0)
    assert not places.make_room("a", two, 0.05)
    assert places.make_room("a", two, 0.5)
    assert places.make_room("a", two, 1.5)
    assert not places.make_room("d", four, 0.05)
    assert places.make_room("d", four, 0.5)
    assert places.make_room("d", four, 1.5)
    assert ended == ["a2", "a1", "a2", "b1"]


def test_stopping_ends_every_session(engine: Engine) -> None:
    """Sessions in a query, idle, and half logged in: all end with the gateway, and nothing is left."""
    with Door(Tenants({"main": engine.socket})) as door:
        idle, busy, early = RawClient(door), RawClient(door), RawClient(door)
        idle.log_in()
        busy.log_in()
        busy.send(b"\x03select sleep(30)")
        early.receive()
    for client in (idle, busy, early):
        assert client.ended()
        client.socket.close()


def test_stopping_does_not_wait_for_a_client_that_does_not_read(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client does not take in time is dropped."""
    monkeypatch.setattr("redoubt.gateway.session._CLOSING_PATIENCE", 0.05)
    with Door(Tenants({"main": engine.socket})) as door:
        client = RawClient(door)
        client.log_in()
        client.send(b"\x03select repeat('x', 1000000) from information_schema.columns limit 100")
        wire = next(iter(door.gateway._sessions.values()))._client
        wait_until(lambda: wire.congested)
    client.socket.close()


def test_a_slow_client_that_leaves(engine: Engine) -> None:
    """A reply that waits for a client that goes away waits no longer."""
    with Door(Tenants({"main": engine.socket})) as door:
        with RawClient(door) as client:
            client.log_in()
            client.send(b"\x03select repeat('x', 1000000) from information_schema.columns limit 100")
            wire = next(iter(door.gateway._sessions.values()))._client
            wait_until(lambda: wire.congested)
        wait_until(lambda: door.sessions == 0)


def test_a_gateway_that_never_started_stops() -> None:
    """Stopping is always possible."""
    asyncio.run(Door(Tenants({})).gateway.stop())


def test_a_connection_that_comes_while_the_gateway_stops(engine: Engine) -> None:
    """One that the system accepted just before the listener closed is closed at once."""
    with Door(Tenants({"main": engine.socket})) as door:
        door.gateway._stopping = True
        with RawClient(door) as client:
            assert client.ended()


def test_a_bug_in_the_directory_ends_only_the_session(capsys: pytest.CaptureFixture[str]) -> None:
    """Even what must not happen is logged, and the gateway goes on."""

    class Broken(Tenants):
        def socket_of(self, tenant: str) -> Path | None:
            raise ZeroDivisionError

    with Door(Broken({})) as door, RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root@main"), 1)
        assert client.ended()
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_the_log_has_no_secrets(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused login leaves one event, without the password, its answer, or the salt."""
    with RawClient(door) as client:
        greeting = client.receive()
        client.send(login_packet(b"alice@main"), 1)
        switch = client.receive()
        client.answer_switch(b"open sesame", switch, 3)
        assert client.ended()
    wait_until(lambda: door.sessions == 0)

    log = capsys.readouterr().out
    assert log.count("login refused") == 1
    for secret in ("sesame", repr(greeting[-40:])[2:-1], repr(switch[-20:])[2:-1]):
        assert secret not in log
