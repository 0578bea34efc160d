"""TLS at the gateway: clients that encrypt, those that must, and what goes wrong in the handshake."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
import pytest

from redoubt.gateway.faults import ClientGone
from redoubt.gateway.packets import frame
from redoubt.gateway.protocol import Capability
from redoubt.gateway.tls import Tls, TlsError, load_tls
from redoubt.gateway.wire import Wire
from redoubt.sql.answers import Answer, Ok
from redoubt.sql.statements import ArchiveLog
from tests.certificates import Certificate, encrypt, make_certificate, make_expired

from .conftest import USER_PASSWORD
from .doors import Door, Handler, Tenants
from .raw import CAPABILITIES, RawClient, login_packet, native_answer
from .test_sessions import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redoubt.gateway import EngineSession

    from .engines import Engine

TLS_REQUEST = frame(login_packet(b"", capabilities=CAPABILITIES | Capability.SSL)[:32], 1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def tls(certificate: Certificate) -> Tls:
    """What a gateway offers with them."""
    return load_tls(certificate.certificate, certificate.key)


@pytest.fixture(scope="module")
def trusting(certificate: Certificate) -> ssl.SSLContext:
    """What a client needs that checks the certificate and the name in it."""
    return ssl.create_default_context(cafile=certificate.certificate)


async def _archive_log(statement: ArchiveLog, session: EngineSession) -> Answer:
    return Ok(3)


@pytest.fixture(scope="module")
def door(engines: dict[str, Engine], tls: Tls) -> Iterator[Door]:
    """A gateway that offers TLS."""
    sockets = {tenant: engine.socket for tenant, engine in engines.items()}
    with Door(Tenants(sockets), Handler({ArchiveLog: _archive_log}), tls=tls) as door:
        yield door


def hello(context: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.MemoryBIO, bytes]:
    """Begin a handshake in memory: the object, what it reads from, and the first bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    shake = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        shake.do_handshake()
    return shake, incoming, outgoing.read()


def descriptors() -> int:
    """How many this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def reset(client: socket.socket) -> None:
    """Close with a reset in place of an end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_in_tls_is_like_another(door: Door, certificate: Certificate, version: ssl.TLSVersion) -> None:
    """Certificate and name are checked; own statements and the engine's, small and large, come through."""
    context = ssl.create_default_context(cafile=certificate.certificate)
    context.minimum_version = context.maximum_version = version
    with (
        contextlib.closing(door.connect("alice@main", password=USER_PASSWORD, ssl=context)) as connection,
        connection.cursor() as cursor,
    ):
        assert connection._sock.version() == version.name.replace("_", ".")
        assert cursor.execute("alter system archivelog") == 3
        cursor.execute("select repeat('x', 1000000) from information_schema.columns limit 20")
        assert [len(row[0]) for row in cursor.fetchall()] == [1_000_000] * 20
        cursor.execute(f"select length('{'y' * 3_000_000}')")
        assert cursor.fetchall() == ((3_000_000,),)


def test_tls_before_1_2_is_refused(door: Door, capsys: pytest.CaptureFixture[str]) -> None:
    """What is broken is not spoken; the log says why."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(pymysql.OperationalError):
        door.connect("alice@main", password=USER_PASSWORD, ssl=context)
    wait_until(lambda: door.sessions == 0)
    assert "the TLS handshake failed: UNSUPPORTED_PROTOCOL" in capsys.readouterr().out


def test_a_client_may_do_without(door: Door) -> None:
    """TLS is offered and not required."""
    with contextlib.closing(door.connect("alice@main", password=USER_PASSWORD, ssl_disabled=True)) as connection:
        connection.ping()


def test_a_slow_client_in_tls_is_waited_for(door: Door, trusting: ssl.SSLContext) -> None:
    """What it does not take yet waits in the engine, not in memory."""
    with contextlib.closing(door.connect("root@main", ssl=trusting, cursorclass=pymysql.cursors.SSCursor)) as slow:
        cursor = slow.cursor()
        cursor.execute("select repeat('x', 1000000) from information_schema.columns limit 50")
        wire = next(iter(door.gateway._sessions.values()))._client
        wait_until(lambda: wire.congested)
        assert sum(1 for _ in cursor) == 50


def test_without_a_certificate_tls_is_not_offered(engine: Engine, trusting: ssl.SSLContext) -> None:
    """A client that insists gives up; one that asks all the same is sent away."""
    with Door(Tenants({"main": engine.socket})) as door:
        with pytest.raises(pymysql.OperationalError, match="2026"):
            door.connect("root@main", ssl=trusting)
        with RawClient(door) as client:
            client.receive()
            client.socket.sendall(TLS_REQUEST)
            assert client.ended()


@pytest.mark.parametrize("name", ["root@main", "root@nowhere"])
def test_who_does_not_encrypt_can_be_refused(engine: Engine, tls: Tls, trusting: ssl.SSLContext, name: str) -> None:
    """3159 in place of the question for the password; in TLS the login is as ever."""
    with Door(Tenants({"main": engine.socket}), tls=Tls(tls.context, required=True)) as door:
        with RawClient(door) as client:
            client.receive()
            client.send(login_packet(name.encode()), 1)
            assert client.receive().startswith(b"\xff\x57\x0c#HY000Connections using insecure transport are prohibited")
            assert client.sequence == 2
            assert client.ended()
        with RawClient(door) as client:
            client.receive()
            client.send(b"\x05\x00\xff\xff\xffroot\0", 1)
            assert client.receive().startswith(b"\xff\x57\x0cConnections using insecure transport")
        door.connect("root@main", ssl=trusting).close()


def test_a_handshake_may_begin_before_the_server_is_ready(door: Door, trusting: ssl.SSLContext) -> None:
    """The server says nothing in between, so a client need not wait: its first bytes may come with the request."""
    with RawClient(door) as client:
        greeting = client.receive()
        shake, incoming, first = hello(trusting)
        client.socket.sendall(TLS_REQUEST + first)
        incoming.write(client.socket.recv(65536))
        shake.do_handshake()
        assert shake.version()
    assert int.from_bytes(greeting[20:22], "little") & Capability.SSL


@pytest.mark.parametrize("size", [1, 300_000])
def test_nothing_in_plain_text_gets_into_the_session(door: Door, size: int) -> None:
    """A login and commands right behind the request are no TLS: the session is refused before it begins."""
    door.handler.seen.clear()
    login = frame(login_packet(b"root@main"), 2) + frame(native_answer(b"", b""), 4)
    with RawClient(door) as client:
        client.receive()
        with contextlib.suppress(ConnectionError):
            client.socket.sendall(TLS_REQUEST + login + frame(b"\x03alter system archivelog" + b" " * size, 0))
        answer = client.read(100)
        assert answer[:1] in (b"", b"\x15")  # nothing, or an alert of TLS
        assert client.ended()
    wait_until(lambda: door.sessions == 0)
    assert door.handler.seen == []


@pytest.mark.parametrize("after", [TLS_REQUEST, frame(login_packet(b"root@main"), 1), b"\xff" * 40])
def test_what_follows_the_handshake_is_a_login(door: Door, trusting: ssl.SSLContext, after: bytes) -> None:
    """Numbers run on over the handshake; a second request, or a packet that is out of order, ends the session."""
    with RawClient(door) as client:
        client.receive()
        client.socket.sendall(TLS_REQUEST)
        with trusting.wrap_socket(client.socket, server_hostname="localhost") as encrypted:
            encrypted.sendall(after)
            with contextlib.suppress(ConnectionError):
                assert encrypted.recv(1) == b""


def test_handshakes_that_fail_leave_nothing_behind(engine: Engine, tls: Tls, trusting: ssl.SSLContext) -> None:
    """Garbage, an end, a reset, half a hello: a hundred of them are a hundred sessions less and no descriptor more."""
    _, _, first = hello(trusting)
    with Door(Tenants({"main": engine.socket}), tls=tls) as door:
        door.connect("root@main", ssl=trusting).close()
        wait_until(lambda: door.sessions == 0)
        before = descriptors()
        for number in range(100):
            client = RawClient(door)
            client.receive()
            client.socket.sendall(TLS_REQUEST + (b"garbage", b"", first[:40], b"\x16\x03\x01")[number % 4])
            if number % 3 == 0:
                client.socket.shutdown(socket.SHUT_WR)
                client.ended()
            (reset if number % 3 == 1 else socket.socket.close)(client.socket)
        wait_until(lambda: door.sessions == 0 and not door.gateway._tasks)
        wait_until(lambda: descriptors() <= before)
        door.connect("root@main", ssl=trusting).close()


def test_a_handshake_that_hangs_is_ended(engine: Engine, tls: Tls) -> None:
    """The time for the login is the time for the handshake as well."""
    with Door(Tenants({"main": engine.socket}), tls=tls, login_patience=0.2) as door, RawClient(door) as client:
        client.receive()
        client.socket.sendall(TLS_REQUEST)
        assert client.ended()
        wait_until(lambda: door.sessions == 0)


def test_a_client_that_is_gone_is_not_waited_for(tls: Tls) -> None:
    """A request with the end of the connection right behind it begins no handshake."""
    wire = Wire(ClientGone)
    wire.eof_received()
    with pytest.raises(ClientGone):
        asyncio.run(wire.start_tls(tls.context))


def test_stopping_ends_a_handshake(
    engine: Engine, tls: Tls, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that has just begun, and a session that is idle in TLS and whose client does not say goodbye."""
    monkeypatch.setattr("redoubt.gateway.session._CLOSING_PATIENCE", 0.05)
    with Door(Tenants({"main": engine.socket}), tls=tls) as door:
        idle = door.connect("root@main", ssl=trusting)
        client = RawClient(door)
        client.receive()
        client.socket.sendall(TLS_REQUEST)
    assert client.ended()
    client.socket.close()
    idle._force_close()


def test_a_client_that_leaves_in_tls(door: Door, trusting: ssl.SSLContext) -> None:
    """With a word of TLS, without one, and with a reset, in the middle of a query: no session stays."""
    wait_until(lambda: door.sessions == 0)
    for leave in (socket.socket.close, reset, lambda plain: plain.shutdown(socket.SHUT_WR)):
        connection = door.connect("root@main", ssl=trusting)
        connection._execute_command(3, "select sleep(0.05)")
        leave(connection._sock)
        connection._force_close()
    wait_until(lambda: door.sessions == 0)


def test_files_that_cannot_be_used_are_named(tmp_path: Path, certificate: Certificate) -> None:
    """Missing, no PEM, not the other's key, encrypted: each with its cause."""
    other = make_certificate(tmp_path)
    encrypted, empty = tmp_path / "encrypted.pem", tmp_path / "empty.pem"
    encrypt(certificate.key, encrypted)
    empty.touch()

    def refusal(public: Path, key: Path) -> str:
        with pytest.raises(TlsError) as error:
            load_tls(public, key)
        return str(error.value)

    public, key = certificate.certificate, certificate.key
    assert refusal(tmp_path / "no.pem", key) == f"tls_certificate {tmp_path}/no.pem: No such file or directory"
    assert refusal(public, tmp_path / "no.pem") == f"tls_key {tmp_path}/no.pem: No such file or directory"
    assert refusal(tmp_path, key) == f"tls_certificate {tmp_path}: Is a directory"
    assert refusal(empty, key).startswith(f"tls_certificate {empty}: not a certificate in PEM form")
    assert refusal(public, empty).endswith(": not a private key in PEM form")
    assert refusal(public, other.key) == f"tls_key {other.key}: the key does not belong to the certificate {public}"
    assert "encrypted with a password" in refusal(public, encrypted)


def test_an_expired_certificate_is_warned_of(
    tmp_path: Path, certificate: Certificate, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clients that check nothing still connect, so it is no reason not to start."""
    load_tls(certificate.certificate, certificate.key)
    assert capsys.readouterr().out == ""
    load_tls(make_expired(tmp_path, certificate.key), certificate.key)
    assert "certificate has expired" in capsys.readouterr().out
