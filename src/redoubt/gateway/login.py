"""The login. The gateway keeps no passwords: the client answers the engine's own salt, and the engine decides."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from redoubt.gateway.accounts import ROOT, SYS, Account, parse_account
from redoubt.gateway.admission import (
    WHITE_LIST,
    is_invited,
    may_be_root_without_password,
    not_invited,
    root_needs_password,
)
from redoubt.gateway.decoding import decode_error, decode_ok
from redoubt.gateway.faults import EngineGone, LoginRefused, ProtocolError
from redoubt.gateway.handshake import (
    NEEDED,
    Greeting,
    LoginRequest,
    announced_capabilities,
    decode_auth_switch,
    decode_greeting,
    decode_login,
    encode_auth_switch,
    encode_greeting,
    encode_login,
    is_tls_request,
)
from redoubt.gateway.link import EngineLink, engine_unreachable
from redoubt.gateway.packets import frame
from redoubt.gateway.protocol import AUTH_PLUGIN, OFFERED, SALT_BYTES, Capability, Command, Marker
from redoubt.gateway.socket_owner import uid_of_peer
from redoubt.gateway.wire import Wire
from redoubt.sql.answers import Rows
from redoubt.sql.errors import SqlError, access_denied, too_many_connections

if TYPE_CHECKING:
    from pathlib import Path

    from redoubt.gateway.seams import TenantDirectory
    from redoubt.gateway.tls import Tls

_PACKET_LIMIT = 256 * 1024
_ENGINE_PATIENCE = 5.0
_ACCESS_DENIED = 1045
_DEFAULT_DATABASE = b"oceanbase"
_SALT_ALPHABET = [byte for byte in range(1, 128) if byte != ord("$")]


def new_salt() -> bytes:
    """Return 20 random bytes, without NUL (an end of string) and `$` (which marks other plugins' answers)."""
    return bytes(secrets.choice(_SALT_ALPHABET) for _ in range(SALT_BYTES))


class Reception(Protocol):
    """The gateway, as a login sees it."""

    @property
    def directory(self) -> TenantDirectory:
        """The tenants."""

    @property
    def tls(self) -> Tls | None:
        """None without a certificate."""

    def has_place_for(self, account: Account) -> bool:
        """Whether one more session may begin."""


async def log_in(client: Wire, gateway: Reception, connection_id: int) -> EngineLink:
    """Greet a client and run the login; the OK has been sent when this returns."""
    tls = gateway.tls
    offered = OFFERED | Capability.SSL if tls else OFFERED
    client.send(frame(encode_greeting(Greeting(connection_id, new_salt(), offered)), 0))
    sequence, payload = await _packet(client, 1)
    if tls and is_tls_request(payload):
        await client.start_tls(tls.context)
        sequence, payload = await _packet(client, 2)
    elif tls and tls.required:
        with_sqlstate = bool(announced_capabilities(payload) & Capability.PROTOCOL_41)
        raise LoginRefused(_tls_required(), sequence + 1, with_sqlstate=with_sqlstate)
    announced = announced_capabilities(payload)
    if announced & NEEDED != NEEDED:
        raise LoginRefused(_client_too_old(), sequence + 1, with_sqlstate=bool(announced & Capability.PROTOCOL_41))
    return await authenticate(client, gateway, decode_login(payload), sequence)


async def authenticate(client: Wire, gateway: Reception, request: LoginRequest, sequence: int) -> EngineLink:
    """Pass a login request to the tenant's engine, and the engine's answer to the client.

    `sequence` is the number of the request's packet. The engine's connection is closed after an exception.
    """
    account = parse_account(request.name.decode("utf-8", "surrogateescape"))
    directory = gateway.directory
    if not gateway.has_place_for(account):
        raise LoginRefused(too_many_connections(), sequence + 1)
    may_enter = account.is_in(directory.cluster_name) and account.may_log_in
    socket = directory.socket_of(account.tenant) if may_enter else None
    # A login that cannot succeed takes as long as one with a wrong password: the engine of sys is asked for nobody.
    user = account.user if socket else secrets.token_hex(16)
    engine = await _dial(socket or directory.socket_of(SYS), sequence)
    try:
        login = await _judge(client, engine, request, user, sequence)
        _check(login, account, is_known=socket is not None)
        capabilities = request.capabilities & login.greeting.capabilities
        status = decode_ok(login.verdict)[1]
        link = EngineLink(engine, account.tenant, account.user, capabilities, login.greeting.connection_id, status)
        if not (login.answer or directory.allows_empty_password):
            await _check_owner(client, link, login.sequence)
        await _check_address(client, link, login.sequence)
        if account.tenant == SYS and not request.database:
            await _enter_default_database(link)
    except EngineGone as error:  # after its judgement
        engine.close()
        raise LoginRefused(engine_unreachable(), login.sequence + 1) from error
    except BaseException:
        engine.close()
        raise
    client.send(frame(login.verdict, login.sequence + 1))
    return link


@dataclass(frozen=True)
class _Login:
    """A login that an engine has judged. `sequence`: the number of the client's last packet."""

    greeting: Greeting
    answer: bytes
    verdict: bytes
    sequence: int


async def _packet(client: Wire, sequence: int) -> tuple[int, bytes]:
    """Read a client's packet, which must have that sequence number."""
    found, payload = await client.packet(_PACKET_LIMIT)
    if found != sequence:
        raise ProtocolError("the client's packet is out of order")
    return found, payload


async def _dial(socket: Path | None, sequence: int) -> Wire:
    try:
        async with asyncio.timeout(_ENGINE_PATIENCE):
            _, engine = await asyncio.get_running_loop().create_unix_connection(lambda: Wire(EngineGone), str(socket))
    except OSError as error:
        raise LoginRefused(engine_unreachable(), sequence + 1) from error
    return engine


async def _judge(client: Wire, engine: Wire, request: LoginRequest, user: str, sequence: int) -> _Login:
    try:
        greeting = await _greeting(engine, sequence)
        sequence, answer = await _answer(client, request, greeting.salt, sequence)
        engine.send(frame(encode_login(request, user.encode(), answer, greeting.capabilities), 1))
        sequence, verdict = await _verdict(client, engine, request, sequence)
    except (EngineGone, TimeoutError) as error:
        raise LoginRefused(engine_unreachable(), sequence + 1) from error
    return _Login(greeting, answer, verdict, sequence)


def _check(login: _Login, account: Account, *, is_known: bool) -> None:
    """Raise LoginRefused if the engine refused the login, or if the account's tenant is not known."""
    error = decode_error(login.verdict) if login.verdict[0] == Marker.ERROR else None
    if not is_known or (error and error.code == _ACCESS_DENIED):
        error = access_denied(account.user, password_given=bool(login.answer))
    if error:
        raise LoginRefused(error, login.sequence + 1)


async def _check_owner(client: Wire, link: EngineLink, sequence: int) -> None:
    """Refuse a client that is root without a password, unless its process is the service's user's. `link` is open."""
    if link.user == ROOT and not may_be_root_without_password(await asyncio.to_thread(uid_of_peer, *client.addresses)):
        raise LoginRefused(root_needs_password(), sequence + 1)


async def _check_address(client: Wire, link: EngineLink, sequence: int) -> None:
    """Refuse a client whose address is not in the tenant's white list."""
    host = client.addresses[1][0]
    try:
        answer = await link.query(f"SELECT @@global.{WHITE_LIST}")
    except SqlError as error:
        raise LoginRefused(error, sequence + 1) from error
    assert isinstance(answer, Rows)
    if not is_invited(str(answer.rows[0][0] or ""), host):
        raise LoginRefused(not_invited(host), sequence + 1)


async def _greeting(engine: Wire, sequence: int) -> Greeting:
    async with asyncio.timeout(_ENGINE_PATIENCE):
        _, payload = await engine.packet(_PACKET_LIMIT)
    if payload[:1] == bytes((Marker.ERROR,)):
        raise LoginRefused(decode_error(payload), sequence + 1)
    return decode_greeting(payload)


async def _verdict(client: Wire, engine: Wire, request: LoginRequest, sequence: int) -> tuple[int, bytes]:
    """Return the engine's OK or ERR, and the sequence number of the client's last packet.

    An engine may ask for an answer to another salt. No other request is relayed: `mysql_clear_password` would get the
    password itself, and other plugins want TLS or a password from before 4.1.
    """
    while True:
        engine_sequence, payload = await engine.packet(_PACKET_LIMIT)
        if not payload:
            raise ProtocolError("the engine's login answer is empty")
        if payload[0] in (Marker.OK, Marker.ERROR):
            return sequence, payload
        plugin, salt = decode_auth_switch(payload)
        if payload[0] != Marker.EOF or plugin != AUTH_PLUGIN:
            raise LoginRefused(_plugin_unknown(), sequence + 1)
        sequence, answer = await _answer(client, request, salt, sequence)
        engine.send(frame(answer, engine_sequence + 1))


async def _answer(client: Wire, request: LoginRequest, salt: bytes, sequence: int) -> tuple[int, bytes]:
    """Return the client's answer to a salt, and the sequence number of the client's last packet.

    npm's `mysql` announces no plugins, and answers all the same. A client that goes on with a command instead has taken
    the question for an OK.
    """
    if not request.needs_question:
        return sequence, b""
    client.send(frame(encode_auth_switch(salt), sequence + 1))
    found, answer = await client.packet(_PACKET_LIMIT)
    if found == 0 and not request.has_plugins:
        raise LoginRefused(_client_too_old(), 1)
    if found != sequence + 2:
        raise ProtocolError("the client's packet is out of order")
    return found, answer


async def _enter_default_database(link: EngineLink) -> None:
    """Enter `oceanbase`, as logins of the sys tenant do; a user without privilege gets no default database."""
    try:
        await link.command(Command.INIT_DB, _DEFAULT_DATABASE)
    except SqlError:
        return


def _client_too_old() -> SqlError:
    return SqlError(
        1251,
        "08004",
        "Client does not support authentication protocol requested by server; use a client of MySQL 5.6 or newer",
    )


def _tls_required() -> SqlError:
    return SqlError(
        3159,
        "HY000",
        "Connections using insecure transport are prohibited while --require_secure_transport=ON. (Redoubt's "
        "setting is require_tls; connect with TLS, for example with --ssl or --ssl-mode=REQUIRED)",
    )


def _plugin_unknown() -> SqlError:
    return SqlError(
        1251,
        "08004",
        "the gateway does not support the account's authentication plugin; identify the account with "
        "mysql_native_password: ALTER USER … IDENTIFIED WITH mysql_native_password BY '…'",
    )
