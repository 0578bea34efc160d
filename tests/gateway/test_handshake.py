"""The packets of a login, and the names in them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.gateway.accounts import Account, parse_account
from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.handshake import (
    Greeting,
    LoginRequest,
    announced_capabilities,
    decode_auth_switch,
    decode_change_user,
    decode_greeting,
    decode_login,
    encode_greeting,
    encode_login,
)
from redoubt.gateway.kill import translate_kill_id, translate_kill_text
from redoubt.gateway.login import new_salt
from redoubt.gateway.protocol import OFFERED, Capability

names = st.binary(max_size=40).filter(lambda name: b"\0" not in name)

# As the engine sent it, but for the salt.
RECORDED_GREETING = (
    b'\n5.7.25\0c\0\0\0k^w[As?"\0\xff\xf7.\2\0\x9f\0\x15' + bytes(10) + b'(D\\"2snO"WqT\0mysql_native_password\0'
)


def test_the_engines_greeting() -> None:
    """A recorded greeting is read to the last field."""
    assert decode_greeting(RECORDED_GREETING) == Greeting(99, b'k^w[As?"(D\\"2snO"WqT', 0x9FF7FF)


def test_our_greeting_is_like_the_engines() -> None:
    """Clients see the same greeting, byte for byte, but for salt, id and the capabilities withheld."""
    ours = encode_greeting(Greeting(99, b'k^w[As?"(D\\"2snO"WqT', 0x9FF7FF))

    assert ours == RECORDED_GREETING


def test_nothing_is_offered_that_hides_packets() -> None:
    """TLS and compression would leave nothing to read."""
    assert not OFFERED & (Capability.SSL | Capability.COMPRESS | Capability.ZSTD)


@given(st.integers(0, 2**32 - 1), st.binary(min_size=20, max_size=20), st.integers(0, 2**32 - 1))
def test_a_greeting_comes_back(connection_id: int, salt: bytes, capabilities: int) -> None:
    """Id, salt and capabilities survive."""
    greeting = Greeting(connection_id, salt, capabilities)

    assert decode_greeting(encode_greeting(greeting)) == greeting


@given(names, st.integers(0, 2**32 - 1), st.integers(0, 255), names, st.binary(max_size=400), st.binary(max_size=255))
def test_a_login_comes_back(
    user: bytes, capabilities: int, charset: int, database: bytes, attributes: bytes, answer: bytes
) -> None:
    """What one side encodes the other understands; only what was agreed on is in it."""
    request = LoginRequest(b"ignored", capabilities, charset, database, attributes)

    decoded = decode_login(encode_login(request, user, answer, OFFERED))

    expected = capabilities & OFFERED & ~Capability.CONNECT_WITH_DB | (Capability.CONNECT_WITH_DB if database else 0)
    expected |= Capability.PLUGIN_AUTH
    wanted = attributes if capabilities & Capability.CONNECT_ATTRS else b""
    assert decoded == LoginRequest(user, expected, charset, database, wanted, password_given=bool(answer))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_login_or_refused(data: bytes) -> None:
    """A malformed login raises nothing but a ProtocolError."""
    decoders = (
        decode_greeting,
        decode_login,
        decode_auth_switch,
        announced_capabilities,
        lambda payload: decode_change_user(payload, OFFERED),
    )
    for decode in decoders:
        with contextlib.suppress(ProtocolError):
            decode(data)


def test_an_unknown_protocol() -> None:
    """An engine that is none is refused before its bytes are interpreted."""
    with pytest.raises(ProtocolError):
        decode_greeting(b"\x09" + RECORDED_GREETING[1:])


def test_salts_have_no_end_inside() -> None:
    """Clients cut a salt at a NUL, and take `$` for the mark of another plugin's."""
    for _ in range(100):
        salt = new_salt()
        assert len(salt) == 20
        assert b"\0" not in salt
        assert b"$" not in salt


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("root", Account("root", "sys")),
        ("", Account("", "sys")),
        ("root@sys", Account("root", "sys")),
        ("root@Main", Account("root", "main")),
        ("root@main#C", Account("root", "main", "C")),
        ("root@main#", Account("root", "main", "")),
        ("a@b@main", Account("a@b", "main")),
        ("C:Main:root", Account("root", "main", "C")),
        ("C:main:a:b", Account("a:b", "main", "C")),
        ("a:b", Account("a:b", "sys")),
        ("C:main:root@sys", Account("C:main:root", "sys")),
        ("@", Account("", "")),
    ],
)
def test_names(name: str, account: Account) -> None:
    """All forms, and what is none of them, which is a plain user's name."""
    assert parse_account(name) == account


@given(st.text())
def test_any_text_is_a_name(name: str) -> None:
    """There is no name that the gateway stumbles over."""
    assert parse_account(name).tenant == parse_account(name).tenant.lower()


@pytest.mark.parametrize(
    ("cluster", "inside"), [(None, True), ("Stronghold", True), ("stronghold", True), ("", False), ("other", False)]
)
def test_clusters(cluster: str | None, inside: bool) -> None:  # noqa: FBT001
    """No cluster is any cluster; a named one is compared without regard to case."""
    assert Account("root", "sys", cluster).is_in("Stronghold") is inside


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        (b"KILL 5", b"KILL 7"),
        (b"kill query 5 ;", b"kill query 7 ;"),
        (b"KILL CONNECTION 5", b"KILL CONNECTION 7"),
        (b"KILL /* it's\xff */ QUERY 5 -- x", b"KILL /* it's\xff */ QUERY 7 -- x"),
        (b"KILL 6", b"KILL 6"),
        (b"KILL 0x5", b"KILL 0x5"),
        (b"KILL 00000000005", b"KILL 00000000005"),
        (b"KILL /*! 5 */ 5", b"KILL /*! 5 */ 5"),
        (b"KILL 5, 5", b"KILL 5, 5"),
        (b"KILLING", b"KILLING"),
    ],
)
def test_kill(text: bytes, translated: bytes) -> None:
    """Only a lone KILL with an id of ours is changed."""
    assert translate_kill_text(text, {5: 7}.get) == translated


def test_the_kill_command() -> None:
    """The binary form is changed likewise."""
    assert translate_kill_id(b"\5\0\0\0", {5: 7}.get) == b"\7\0\0\0"
    assert translate_kill_id(b"\6\0\0\0", {5: 7}.get) == b"\6\0\0\0"
