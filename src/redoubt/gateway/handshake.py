"""The packets of a login, encoded and decoded."""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.packets import Payload, lenenc_bytes
from redoubt.gateway.protocol import (
    AUTH_PLUGIN,
    ENGINE_VERSION,
    OFFERED,
    SALT_BYTES,
    UTF8MB4,
    Capability,
    Marker,
    Status,
)

_PROTOCOL_VERSION = 10
_FIRST_SALT_BYTES = 8
_MAX_PACKET = 1 << 30
_GREETING_CHARSET = 46
_OLD_RESPONSE_BYTES = 4
_LAST_CHARSET = 255  # the field has one byte; the character sets above are all collations of utf8mb4
_LONGEST_ANSWER = 255
_TLS_REQUEST_BYTES = 32

NEEDED = Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION
"""The capabilities that a client must have; every MySQL client since 4.1 has them."""


@dataclass(frozen=True)
class Greeting:
    """The fields of a server's first packet that the gateway uses."""

    connection_id: int
    salt: bytes
    capabilities: int


@dataclass(frozen=True)
class LoginRequest:
    """A client's login data in its first packet or in COM_CHANGE_USER; names as bytes, as sent.

    `password_given`: the client has answered the salt in our greeting with something.
    """

    name: bytes
    capabilities: int
    charset: int = UTF8MB4
    database: bytes = b""
    attributes: bytes = b""
    password_given: bool = False

    @property
    def needs_question(self) -> bool:
        """Whether the client must be asked to answer the engine's salt.

        A client without plugins and without a password has nothing to answer, and may not understand the question:
        HAProxy's `option mysql-check` sends COM_QUIT at once.
        """
        return self.password_given or self.has_plugins

    @property
    def has_plugins(self) -> bool:
        """Whether the client says that it understands a question for another answer."""
        return bool(self.capabilities & Capability.PLUGIN_AUTH)


def encode_greeting(greeting: Greeting) -> bytes:
    """Encode the greeting that a client gets; version and character set are like the engine's."""
    return b"".join(
        (
            bytes((_PROTOCOL_VERSION,)),
            ENGINE_VERSION,
            b"\0",
            greeting.connection_id.to_bytes(4, "little"),
            greeting.salt[:_FIRST_SALT_BYTES],
            b"\0",
            (greeting.capabilities & 0xFFFF).to_bytes(2, "little"),
            bytes((_GREETING_CHARSET,)),
            Status.AUTOCOMMIT.to_bytes(2, "little"),
            (greeting.capabilities >> 16).to_bytes(2, "little"),
            bytes((SALT_BYTES + 1,)),
            bytes(10),
            greeting.salt[_FIRST_SALT_BYTES:],
            b"\0",
            AUTH_PLUGIN,
            b"\0",
        )
    )


def decode_greeting(data: bytes) -> Greeting:
    """Decode an engine's greeting."""
    payload = Payload(data)
    if payload.integer(1) != _PROTOCOL_VERSION:
        raise ProtocolError("the engine's greeting has an unknown protocol version")
    payload.until_nul()
    connection_id = payload.integer(4)
    salt = payload.take(_FIRST_SALT_BYTES)
    payload.take(1)
    capabilities = payload.integer(2)
    payload.take(3)
    capabilities |= payload.integer(2) << 16
    payload.take(11)
    salt += payload.take(SALT_BYTES - _FIRST_SALT_BYTES)
    return Greeting(connection_id, salt, capabilities)


def announced_capabilities(data: bytes) -> int:
    """Return the capabilities in a client's first packet, the only part of an old client's packet that is read."""
    if len(data) < _OLD_RESPONSE_BYTES:
        raise ProtocolError("the packet is too short")
    low = int.from_bytes(data[:2], "little")
    return int.from_bytes(data[:4], "little") if low & Capability.PROTOCOL_41 else low


def is_tls_request(data: bytes) -> bool:
    """Tell whether a client's first packet only requests TLS."""
    wishes = Capability.PROTOCOL_41 | Capability.SSL
    return len(data) == _TLS_REQUEST_BYTES and announced_capabilities(data) & wishes == wishes


def decode_login(data: bytes) -> LoginRequest:
    """Decode a HandshakeResponse41. The answer to our salt is dropped, because the engine has another salt."""
    payload = Payload(data)
    capabilities = payload.integer(4) & OFFERED
    payload.take(4)
    charset = payload.integer(1)
    payload.take(23)
    name = payload.until_nul()
    answer = payload.take(payload.integer(1))
    database = payload.until_nul(or_end=True) if capabilities & Capability.CONNECT_WITH_DB else b""
    return LoginRequest(name, capabilities, charset, database, _attributes(payload, capabilities), bool(answer))


def encode_login(request: LoginRequest, user: bytes, answer: bytes, offered: int) -> bytes:
    """Encode the HandshakeResponse41 that an engine gets, with the client's `answer` to the engine's salt.

    `offered` are the engine's capabilities; no others are used.
    """
    if len(answer) > _LONGEST_ANSWER:
        raise ProtocolError("the password answer is longer than 255 bytes")
    capabilities = (request.capabilities | Capability.PLUGIN_AUTH) & offered & ~Capability.CONNECT_WITH_DB
    if request.database:
        capabilities |= Capability.CONNECT_WITH_DB
    parts = [
        capabilities.to_bytes(4, "little"),
        _MAX_PACKET.to_bytes(4, "little"),
        bytes((request.charset if request.charset <= _LAST_CHARSET else UTF8MB4,)),
        bytes(23),
        user,
        b"\0",
        bytes((len(answer),)),
        answer,
    ]
    if request.database:
        parts += [request.database, b"\0"]
    parts += [AUTH_PLUGIN, b"\0"]
    if capabilities & Capability.CONNECT_ATTRS:
        parts.append(lenenc_bytes(request.attributes))
    return b"".join(parts)


def decode_change_user(data: bytes, capabilities: int) -> LoginRequest:
    """Decode COM_CHANGE_USER of a client that agreed on `capabilities` when it logged in."""
    payload = Payload(data)
    payload.take(1)
    name = payload.until_nul()
    answer = payload.take(payload.integer(1))
    database = payload.until_nul(or_end=True)
    charset = payload.integer(2) if payload.remaining else UTF8MB4
    return LoginRequest(name, capabilities, charset, database, _attributes(payload, capabilities), bool(answer))


def _attributes(payload: Payload, capabilities: int) -> bytes:
    """Read the end of a login: over the plugin's name, which some clients do not terminate, and the attributes."""
    if capabilities & Capability.PLUGIN_AUTH and payload.remaining:
        payload.until_nul(or_end=True)
    if capabilities & Capability.CONNECT_ATTRS and payload.remaining:
        return payload.lenenc_bytes()
    return b""


def encode_auth_switch(salt: bytes) -> bytes:
    """Encode the request to answer another salt."""
    return bytes((Marker.EOF,)) + AUTH_PLUGIN + b"\0" + salt + b"\0"


def decode_auth_switch(data: bytes) -> tuple[bytes, bytes]:
    """Decode an engine's request to answer another salt into the plugin's name and the salt."""
    payload = Payload(data)
    payload.take(1)
    return payload.until_nul(or_end=True), payload.rest()[:SALT_BYTES]
