"""Targets: what a client sends, before and after it is logged in. No socket: pieces go straight into a `Wire`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from redoubt.gateway import session as session_module
from redoubt.gateway.accounts import parse_account
from redoubt.gateway.faults import ClientGone, EngineGone, LoginRefused, SessionOver
from redoubt.gateway.handshake import (
    LoginRequest,
    announced_capabilities,
    decode_change_user,
    decode_login,
    encode_login,
)
from redoubt.gateway.kill import translate_kill_id, translate_kill_text
from redoubt.gateway.link import EngineLink
from redoubt.gateway.login import log_in
from redoubt.gateway.packets import frame
from redoubt.gateway.protocol import OFFERED, Capability, Command
from redoubt.gateway.session import _TEXT_LIMIT, Session
from redoubt.gateway.wire import Wire
from redoubt.sql.answers import Answer, Column, Ok, Rows
from redoubt.sql.bounds import LONGEST_TEXT
from redoubt.sql.errors import invalid_config
from redoubt.sql.statements import ArchiveLog, SetParameters, ShowParameters, Statement
from tests.gateway.fakes import OK
from tests.gateway.gates import Gate
from tests.gateway.raw import CAPABILITIES, login_packet

from . import stalls
from .palf import in_general
from .target import Target

NAMES = ("root@main", "root@sys#redoubt", "redoubt:main:root", "root@nowhere")
STATEMENTS = (
    "alter system archivelog",
    "select 1; alter system set a = 'b'; show parameters",
    "show parameters like '%log%'",
    "alter system minor freeze; KILL 5",
    "kill query 1073741825",
)
_MOST_WAITING = _TEXT_LIMIT + 512 * 1024
_PIECE = 64 * 1024
_FIRST_ID = 2**30
_NO_SUCH_SOCKET = Path("/nonexistent/redoubt-fuzz.sock")


class FakeTransport(asyncio.Transport):
    """Takes what is written, and tells it on."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.paused = False
        self.on_write: Callable[[bytes], None] = lambda _data: None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The socket is a unix one: it has no options to set."""
        return mock.Mock(family=1) if name == "socket" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Do nothing: what is written is gone at once."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes."""
        self.written += data
        self.on_write(bytes(data))

    def pause_reading(self) -> None:
        """The wire wants no more."""
        self.paused = True

    def resume_reading(self) -> None:
        """The wire wants more."""
        self.paused = False

    def close(self) -> None:
        """Nothing is left to send."""


def packets_of(data: bytes) -> list[tuple[int, bytes]]:
    """Sequence numbers and payloads of whole packets, and nothing behind them."""
    found, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 3], "little")
        found.append((data[at + 3], bytes(data[at + 4 : at + 4 + length])))
        at += 4 + length
    assert at == len(data), "a packet is not whole"
    return found


def wired() -> Wire:
    """A client's wire on a fake transport."""
    wire = Wire(ClientGone)
    wire.connection_made(FakeTransport())
    return wire


async def _after_pieces(wire: Wire, task: asyncio.Task[Any], data: bytes, size: int) -> str:
    """Let the bytes arrive in pieces, then the end; say how the task took it."""
    for at in range(0, len(data), size):
        wire.data_received(data[at : at + size])
        assert wire.waiting <= _MOST_WAITING
        await _settled(wire)
    wire.eof_received()
    try:
        await task
    except (SessionOver, LoginRefused) as over:
        return f"{type(over).__name__} {in_general(str(over))}"
    return "ended"


async def _settled(wire: Wire) -> None:
    before = -1
    while before != wire.waiting:
        before = wire.waiting
        for _ in range(4):
            await asyncio.sleep(0)


class _Gateway:
    """Where a client logs in."""

    def __init__(self) -> None:
        self.directory, self.tls = _Directory(), None

    def has_place_for(self, _: object) -> bool:
        return True


class _Directory:
    """A cluster of tenants whose engines do not answer."""

    cluster_name = "redoubt"
    allows_empty_password = False

    def __init__(self, gate: Gate | None = None) -> None:
        self._gate = gate

    def socket_of(self, tenant: str) -> Path | None:
        return _NO_SUCH_SOCKET if tenant in {"sys", "main"} else None

    def gate_of(self, tenant: str) -> Gate | None:
        return self._gate


def check_login(data: bytes) -> str:
    """Who is not logged in gets an error packet or a closed connection, whatever it sends, in whatever pieces."""
    ends = {asyncio.run(_log_in(data, size)) for size in (len(data) + 1, 7)}
    assert len(ends) == 1, ends
    return ends.pop()


async def _log_in(data: bytes, size: int) -> str:
    wire = wired()
    task = asyncio.ensure_future(log_in(wire, _Gateway(), 5))
    end = await _after_pieces(wire, task, data, size)
    assert end != "ended", "logged in"
    packets_of(wire._transport.written)  # type: ignore[attr-defined]
    return end


def seeds_of_logins() -> Iterator[tuple[str, bytes]]:
    """Logins of each form with an answer to the salt; old clients; one that asks for TLS; one too long."""
    for number, name in enumerate(NAMES):
        yield f"name-{number}", bytes(frame(login_packet(name.encode()), 1) + frame(bytes(20), 3))
    full = CAPABILITIES | Capability.CONNECT_WITH_DB | Capability.CONNECT_ATTRS
    tail = b"test\0mysql_native_password\0\x08\3key\3val"
    yield "attributes", bytes(frame(login_packet(b"root@main", capabilities=full, tail=tail), 1) + frame(b"", 3))
    yield "old", bytes(frame(b"\5\0\0\0\0root\0", 1))
    yield "tls", bytes(frame(login_packet(b"", capabilities=CAPABILITIES | Capability.SSL)[:32], 1))
    yield "too-long", b"\1\0\4\1" + bytes(20)
    yield "continued", b"\xff\xff\xff\1" + bytes(20)


def check_login_packets(data: bytes) -> str:
    """A login's packets decode, or are a ProtocolError; what a client said of itself reaches the engine.

    Input: which packet (1), the payload.
    """
    if not data:
        return "too short"
    try:
        return (_login, _change_user, _account, _kill)[data[0] % 4](data[1:])
    except SessionOver as error:
        return f"{data[0] % 4} {type(error).__name__} {in_general(str(error))}"


def _login(payload: bytes) -> str:
    announced_capabilities(payload)
    request = decode_login(payload)
    assert request.capabilities & ~OFFERED == 0
    _reaches_the_engine(request)
    return f"login {bool(request.database)} {bool(request.attributes)}"


def _change_user(payload: bytes) -> str:
    request = decode_change_user(payload, CAPABILITIES | Capability.CONNECT_ATTRS)
    _reaches_the_engine(request)
    return f"change {bool(request.database)} {bool(request.attributes)}"


def _reaches_the_engine(request: LoginRequest) -> None:
    """The engine reads the same names, and nothing between them."""
    account = parse_account(request.name.decode("utf-8", "surrogateescape"))
    user = account.user.encode("utf-8", "surrogateescape")
    assert user in request.name
    said = decode_login(encode_login(request, user, b"answer", OFFERED))
    assert (said.name, said.database) == (user, request.database)
    assert said.attributes == (request.attributes if said.capabilities & Capability.CONNECT_ATTRS else b"")


def _account(name: bytes) -> str:
    text = name.decode("utf-8", "surrogateescape")
    account = parse_account(text)
    assert account.user in text
    assert (account.tenant, account.user) == ("sys", text) or account.tenant in text.lower()
    return f"account {account.cluster is None} {account.tenant == 'sys'} {account.is_in('redoubt')}"


def _kill(text: bytes) -> str:
    """A KILL becomes one of a whole id, in the same words; all else stays."""
    asked: list[int] = []

    def engine_id(number: int) -> int:
        asked.append(number)
        return 77

    changed = translate_kill_text(text, engine_id)
    assert changed == text or (len(asked) == 1 and b"77" in changed)
    assert translate_kill_text(text, lambda _number: None) == text
    assert len(translate_kill_id(text, lambda _number: 77)) == 4
    return f"kill {len(asked)}"


def seeds_of_login_packets() -> Iterator[tuple[str, bytes]]:
    """One of each."""
    full = CAPABILITIES | Capability.CONNECT_WITH_DB | Capability.CONNECT_ATTRS
    tail = b"test\0mysql_native_password\0\x08\3key\3val"
    yield "login", b"\0" + login_packet(b"root@main", capabilities=full, tail=tail)
    yield "login-short", b"\0" + login_packet(b"root@main", tail=b"")
    yield "change", b"\1\x11root@sys\0\0db\0\x2d\0mysql_native_password\0\x08\3key\3val"
    yield "change-short", b"\1\x11root\0\0\0"
    for number, name in enumerate((*NAMES, "a@b@c#d#e", "a:b:c:d", "\u0130@\u0130")):
        yield f"account-{number}", b"\2" + name.encode()
    for number, text in enumerate((b"KILL 5", b" kill\tquery 1073741825 ; ", b"KILL CONNECTION 99999999999")):
        yield f"kill-{number}", b"\3" + text


def check_session(data: bytes) -> str:
    """A logged-in client that sends anything ends in one of the known ways, and gets only whole packets.

    And it stops the event loop for no longer than it may, also when it sends the same over and over, as much as a
    gateway reads of one text: its first command up to a place, and then its rest, repeated.
    """
    ends = {asyncio.run(_serve(data, size)) for size in (len(data) + 1, 11)}
    assert len(ends) == 1, ends
    end, written = ends.pop()
    middle = 5 + len(data) % 32
    for size in (LONGEST_TEXT, _TEXT_LIMIT):
        if rest := data[middle:]:
            command = b"\3" + (data[5:middle] + rest * (size // len(rest) + 1))[: size - 1]
            stall = longest_stall(command)
            assert stall < stalls.LONGEST, f"the event loop stood still for {stall * 1e3:.0f} ms"
    return f"{end} {sorted({payload[:1] for _, payload in packets_of(written)})}"


STALLS: list[float] = [0.0]
"""The longest that an event loop has stood still in this process, in seconds."""


def longest_stall(command: bytes) -> float:
    """How long the event loop stands still at most while a client sends a command, in seconds."""

    def measure() -> float:
        with stalls.timed_turns() as turns:
            asyncio.run(_serve(bytes(frame(command, 0)), _PIECE, gate=Gate()))
        return turns.longest

    stall = stalls.least(measure)
    STALLS[0] = max(STALLS[0], stall)
    return stall


def _longest_so_far() -> str:
    return f"the event loop stood still for {STALLS[0] * 1e3:.1f} ms at most"


async def _serve(data: bytes, size: int, gate: Gate | None = None) -> tuple[str, bytes]:
    engine = _engine()
    link = EngineLink(engine, "main", "root", OFFERED, 9, 2)
    client = wired()
    gateway = mock.Mock(directory=_Directory(gate), handler=_Handler(), login_patience=60.0)
    gateway.engine_id = lambda _tenant, number: 9 if number >> 4 == _FIRST_ID >> 4 else None
    gateway.writes_of = lambda _tenant, _number: []

    async def logged_in(*_: object) -> EngineLink:
        return link

    with mock.patch.object(session_module, "log_in", logged_in):
        session = Session(client, 5, gateway)
        serving: Coroutine[Any, Any, None] = session._serve()
        end = await _after_pieces(client, asyncio.ensure_future(serving), data, size)
    written = bytes(client._transport.written)  # type: ignore[attr-defined]
    packets = packets_of(written)
    is_random = any(payload[:1] == b"\xfe" and b"mysql_native" in payload for _, payload in packets)
    return end, b"" if is_random else written


def _engine() -> Wire:
    """The engine's side, which answers everything."""
    transport = FakeTransport()
    wire = Wire(EngineGone)
    wire.connection_made(transport)
    transport.on_write = _Replies(wire)
    return wire


class _Replies:
    """An engine that says OK to every command; as its kind wants it said."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._pending = bytearray()

    def __call__(self, sent: bytes) -> None:
        self._pending += sent
        while len(self._pending) >= 4:
            length = int.from_bytes(self._pending[:3], "little")
            if len(self._pending) < 4 + length:
                return
            payload = bytes(self._pending[4 : 4 + length])
            sequence = self._pending[3] + 1 & 0xFF
            del self._pending[: 4 + length]
            if reply := self._reply(payload):
                self._wire.data_received(bytes(frame(reply, sequence)))

    def _reply(self, payload: bytes) -> bytes:
        if payload[0] in (Command.STMT_CLOSE, Command.STMT_SEND_LONG_DATA, Command.QUIT):
            return b""
        if payload[0] in (Command.FIELD_LIST, Command.STMT_FETCH):
            return b"\xfe\0\0\2\0\0\0"
        if payload[0] == Command.STMT_PREPARE:
            return bytes((0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
        return OK


_COLUMNS = (Column("a"), Column("b"))


class _Handler:
    """Answers each statement in another way."""

    async def handle(self, statement: Statement, session: object) -> Answer | None:
        """See `StatementHandler`."""
        if isinstance(statement, ArchiveLog):
            return Ok()
        if isinstance(statement, SetParameters):
            raise invalid_config("no")
        if isinstance(statement, ShowParameters):
            return Rows(_COLUMNS, [("1", None)])
        return None

    def columns(self, statement: Statement, _tenant: str) -> tuple[Column, ...]:
        """See `StatementHandler`."""
        return _COLUMNS if isinstance(statement, ShowParameters) else ()


def seeds_of_sessions() -> Iterator[tuple[str, bytes]]:
    """Every command, statements of ours among them, prepared and several in one text."""
    for number, text in enumerate(STATEMENTS):
        yield f"query-{number}", bytes(frame(b"\3" + text.encode(), 0)) * 2
        prepared = frame(b"\x16" + text.encode(), 0)
        for command in (0x17, 0x18, 0x1C, 0x1A, 0x19, 0x17):
            prepared += frame(bytes((command, 1, 0, 0, 0x80, 0, 1, 0, 0, 0)), 0)
        yield f"prepared-{number}", bytes(prepared)
    yield (
        "commands",
        b"".join(bytes(frame(bytes((command,)) + b"\0\0", 0)) for command in range(2, 0x20) if command != 17),
    )
    yield "kill", bytes(frame(b"\x0c" + (2**30).to_bytes(4, "little"), 0) + frame(b"\x0c" + b"\xff" * 9, 0))
    yield "change-user", bytes(frame(b"\x11root@main\0\0\0\x2d\0", 0) + frame(b"", 2))
    yield "change-user-nowhere", bytes(frame(b"\x11root@nowhere\0\0\0", 0) + frame(b"x" * 20, 2))
    yield "quit", bytes(frame(b"\1", 0) + frame(b"\3select 1", 0))
    yield "empty", bytes(frame(b"", 0))
    yield "long", b"\0\0\x20\0\3" + b"x" * 400
    yield "out-of-order", bytes(frame(b"\3select 1", 1))


_WORDS = (*(text.encode() for text in STATEMENTS), b"\0", b"@", b"#", b":", b"\xff\xff\xff\0", bytes(frame(b"\x0e", 0)))
TARGETS = (
    Target("gateway-login", check_login, seeds_of_logins, _WORDS, longest=2048, executions=150),
    Target("gateway-login-packets", check_login_packets, seeds_of_login_packets, _WORDS, longest=2048, executions=500),
    Target("session", check_session, seeds_of_sessions, _WORDS, longest=2048, executions=60, report=_longest_so_far),
)
