"""Logins, with real clients and real engines."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING, Any

import mysql.connector
import pymysql
import pytest

from redoubt.engines.seekdb.account import NAME
from redoubt.gateway.accounts import SERVICE
from redoubt.gateway.packets import frame
from redoubt.gateway.protocol import AUTH_PLUGIN, Capability

from .conftest import USER_PASSWORD
from .doors import Door, Tenants
from .raw import CAPABILITIES, RawClient, login_packet

if TYPE_CHECKING:
    from pathlib import Path

    from .engines import Engine

TOO_OLD = b"\xff\xe3\x04#08004Client does not support authentication protocol requested by server; use a client of"
WITHOUT_PLUGINS = CAPABILITIES & ~Capability.PLUGIN_AUTH
ACCESS_DENIED = "Access denied for user 'alice'@'%' (using password: {})"


def one(connection: Any, sql: str) -> Any:
    """Return the first value of a statement's result."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
        assert row
        return row[0]


def mariadb(door: Door, *arguments: str, sql: str) -> subprocess.CompletedProcess[str]:
    """Run the mariadb command line."""
    command = ["mariadb", "--no-defaults", "-h", door.host, "-P", str(door.port), "-N", "-B", *arguments, "-e", sql]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("name", "database"),
    [
        ("alice", "sys_data"),
        ("alice@sys", "sys_data"),
        ("alice@SYS#stronghold", "sys_data"),
        ("alice@main", "main_data"),
        ("alice@Main", "main_data"),
        ("alice@main#Stronghold", "main_data"),
        ("STRONGHOLD:main:alice", "main_data"),
    ],
)
def test_every_form_of_a_name_reaches_its_tenant(door: Door, name: str, database: str) -> None:
    """Names decide on the engine; tenant and cluster in any case."""
    with contextlib.closing(door.connect(name, password=USER_PASSWORD)) as connection:
        assert one(connection, f"select count(*) from information_schema.schemata where schema_name = '{database}'")
        assert one(connection, "select current_user()") == "alice@%"


@pytest.mark.parametrize(
    "name", ["alice@main#elsewhere", "elsewhere:main:alice", "alice@unknown", "alice@", "alice@main"]
)
@pytest.mark.parametrize(("password", "used"), [("wrong", "YES"), ("", "NO")])
def test_what_is_wrong_with_a_login_is_not_told(door: Door, name: str, password: str, used: str) -> None:
    """Unknown tenant, wrong cluster, wrong password: one error, which says whether a password was used."""
    with pytest.raises(pymysql.OperationalError) as refusal:
        door.connect(name, password=password)

    assert refusal.value.args == (1045, ACCESS_DENIED.format(used))


@pytest.mark.parametrize("name", ["redoubt_service", "Redoubt_Service@main", "Stronghold:main:redoubt_service "])
def test_nobody_comes_in_as_the_service(door: Door, name: str) -> None:
    """Whoever knows its password: a restored engine has the account of the one that it was restored from."""
    assert SERVICE == NAME
    with pytest.raises(pymysql.err.OperationalError, match="Access denied") as refused:
        pymysql.connect(host=door.host, port=door.port, user=name, password=USER_PASSWORD)

    assert refused.value.args[0] == 1045


def test_a_name_with_bytes_that_are_no_text_is_refused_like_another(door: Door) -> None:
    """The name comes back in the error as it came, and the log can print it."""
    with RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"\xff\xfe@nowhere"), 1)
        verdict = client.answer_switch(b"", client.receive(), 3)

    assert verdict == b"\xff\x15\x04#28000Access denied for user '\xff\xfe'@'%' (using password: NO)"


def test_the_command_line_logs_in(door: Door) -> None:
    """The client that most people have."""
    run = mariadb(door, "-ualice@main", f"-p{USER_PASSWORD}", "main_data", sql="select database(), 1")

    assert (run.stdout, run.stderr) == ("main_data\t1\n", "")


def test_the_command_line_is_refused(door: Door) -> None:
    """It shows the error as it would a server's."""
    run = mariadb(door, "-ualice@main", "-pwrong", sql="select 1")

    assert run.returncode == 1
    assert run.stderr == f"ERROR 1045 (28000): {ACCESS_DENIED.format('YES')}\n"


def test_connector_python_logs_in(door: Door) -> None:
    """A client with another implementation of the protocol."""
    connection = mysql.connector.connect(
        host=door.host, port=door.port, user="alice@main", password=USER_PASSWORD, ssl_disabled=True
    )
    with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("select 1")
        assert cursor.fetchall() == [(1,)]


def test_sessions_have_different_ids_and_salts(door: Door) -> None:
    """An id tells sessions apart for KILL; a salt that repeats could be replayed."""
    with RawClient(door) as first, RawClient(door) as second:
        greetings = [first.receive(), second.receive()]

    assert len({greeting[8:12] for greeting in greetings}) == 2
    assert len({greeting[12:20] for greeting in greetings}) == 2


def test_sys_begins_in_oceanbase(door: Door) -> None:
    """As in OceanBase, where the views are."""
    with contextlib.closing(door.connect("root")) as connection:
        assert one(connection, "select database()") == "oceanbase"


def test_sys_begins_where_the_client_says(door: Door) -> None:
    """A database that the client names is not overruled."""
    with contextlib.closing(door.connect("root", database="sys_data")) as connection:
        assert one(connection, "select database()") == "sys_data"


def test_who_has_no_right_to_oceanbase_begins_nowhere(door: Door) -> None:
    """The default database is a courtesy: a refusal of it is no refusal of the login."""
    with contextlib.closing(door.connect("nobody")) as connection:
        assert one(connection, "select database()") is None


def test_a_tenant_has_no_default_database(door: Door) -> None:
    """Nothing is entered that nobody asked for."""
    with contextlib.closing(door.connect("root@main")) as connection:
        assert one(connection, "select database()") is None


def test_an_unknown_database_is_the_engines_error(door: Door) -> None:
    """The engine checks it, in the login itself."""
    with pytest.raises(pymysql.OperationalError) as refusal:
        door.connect("root@main", database="nowhere")

    assert refusal.value.args[0] == 1049


def test_an_engine_that_is_down_asks_to_come_back(tmp_path: Path) -> None:
    """A restart of an engine is not an outage to give up on."""
    with Door(Tenants({"main": tmp_path / "nobody.sock"})) as door, pytest.raises(pymysql.OperationalError) as refusal:
        door.connect("root@main")

    assert refusal.value.args[0] == 1053
    assert "in a few seconds" in refusal.value.args[1]


@pytest.mark.parametrize("name", ["root@main", "root@unknown"])
def test_commands_after_a_refused_login_get_nothing(door: Door, name: str) -> None:
    """A refused client has no session: what it sends is read by nobody."""
    with RawClient(door) as client:
        assert client.log_in(name, b"wrong")[:3] == b"\xff\x15\x04"
        with contextlib.suppress(ConnectionError):
            client.send(b"\x03select 1")
        assert client.ended()


def test_a_client_with_passwords_from_before_4_1_is_turned_away(door: Door) -> None:
    """The capability that the login needs is asked for politely."""
    with RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root", capabilities=CAPABILITIES & ~Capability.SECURE_CONNECTION), 1)

        assert client.receive().startswith(TOO_OLD)
        assert client.sequence == 2
        assert client.ended()


def test_a_client_without_plugins_that_answers(door: Door) -> None:
    """As npm's `mysql`: it announces no plugins, and answers another salt all the same; also to change its user."""
    with RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"alice@main", capabilities=WITHOUT_PLUGINS, answer=bytes(20), tail=b""), 1)
        verdict = client.answer_switch(USER_PASSWORD.encode(), client.receive(), 3)
        assert (verdict[0], client.sequence) == (0, 4)
        client.send(b"\x11alice@sys\0\x14" + bytes(20) + b"\0\x2d\0")

        assert client.answer_switch(USER_PASSWORD.encode(), client.receive(), 2)[0] == 0


@pytest.mark.parametrize(("name", "first"), [("nobody@main", 0), ("alice@main", 0xFF), ("nobody@unknown", 0xFF)])
def test_a_client_without_plugins_and_password_is_not_asked(door: Door, name: str, first: int) -> None:
    """As HAProxy's check: it sends login and COM_QUIT at once, and expects the verdict."""
    with RawClient(door) as client:
        client.receive()
        login = login_packet(name.encode(), capabilities=WITHOUT_PLUGINS, tail=b"")
        client.socket.sendall(frame(login, 1) + frame(b"\x01", 0))
        verdict = client.receive()

        assert (verdict[0], client.sequence) == (first, 2)
        assert first == 0 or verdict.endswith(b"(using password: NO)")
        assert client.ended()


def test_a_client_without_plugins_changes_to_a_user_without_password(door: Door) -> None:
    """There is nothing to ask for either."""
    with RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"nobody@main", capabilities=WITHOUT_PLUGINS, tail=b""), 1)
        assert client.receive()[0] == 0
        client.send(b"\x11nobody@sys\0\0\0\x2d\0")

        assert (client.receive()[0], client.sequence) == (0, 1)


def test_a_client_without_plugins_that_does_not_answer_is_turned_away(door: Door) -> None:
    """As libmysql 5.1: it takes the question for an OK, and goes on with a command; the reply says what is wrong."""
    with RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"alice@main", capabilities=WITHOUT_PLUGINS, answer=bytes(20), tail=b""), 1)
        client.receive()
        client.send(b"\x03select 1")

        assert client.receive().startswith(TOO_OLD)
        assert client.sequence == 1
        assert client.ended()


def test_a_client_from_before_4_1_is_turned_away_in_its_own_words(door: Door) -> None:
    """Its error packet has no SQLSTATE, which such a client would show as text."""
    with RawClient(door) as client:
        client.receive()
        client.send(b"\x05\x00\xff\xff\xffroot\0", 1)

        assert client.receive().startswith(b"\xff\xe3\x04Client does not support")
        assert client.ended()


@pytest.mark.parametrize(
    ("packet", "sequence"),
    [
        (b"", 1),
        (b"\0", 1),
        (login_packet(b"root")[:30], 1),
        (login_packet(b"root")[:34], 1),
        (CAPABILITIES.to_bytes(4, "little") + bytes(28), 1),
        (login_packet(b"root", capabilities=CAPABILITIES | Capability.CONNECT_ATTRS, tail=b"x\0\xff"), 1),
        (login_packet(b"root"), 2),
    ],
)
def test_a_malformed_login_ends_the_connection(door: Door, packet: bytes, sequence: int) -> None:
    """Cut off, overlong or with lengths that lie: nothing of it is believed."""
    with RawClient(door) as client:
        client.receive()
        client.send(packet, sequence)

        assert client.ended()


def test_an_answer_out_of_order_ends_the_connection(door: Door) -> None:
    """A sequence number that is wrong means that the sides disagree on where they are."""
    with RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root"), 1)
        client.receive()
        client.send(b"", 7)

        assert client.ended()


def test_an_answer_that_is_too_long_ends_the_connection(door: Door) -> None:
    """The field that it would go into has one byte of length."""
    with RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root"), 1)
        client.receive()
        client.send(bytes(256), 3)

        assert client.ended()


def test_a_first_packet_that_is_too_long_ends_the_connection(door: Door) -> None:
    """A login needs no more than a few hundred bytes, so none are waited for."""
    with RawClient(door) as client:
        client.receive()
        client.socket.sendall(b"\xff\xff\xff\x01")

        assert client.ended()


def test_a_login_that_takes_too_long_is_ended(engine: Engine) -> None:
    """A connection that stays silent does not keep its place."""
    with Door(Tenants({"main": engine.socket}), login_patience=0.1) as door, RawClient(door) as client:
        client.receive()

        assert client.ended()


def test_a_login_without_plugin_name_and_attributes_is_complete(door: Door) -> None:
    """Both are optional for a client, even one that announced attributes."""
    with RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root", capabilities=CAPABILITIES | Capability.CONNECT_ATTRS, tail=b""), 1)

        assert client.answer_switch(b"", client.receive(), 3)[0] == 0


@pytest.mark.parametrize(
    ("capabilities", "tail"),
    [
        (CAPABILITIES, AUTH_PLUGIN),
        (CAPABILITIES | Capability.CONNECT_ATTRS, AUTH_PLUGIN),
        (CAPABILITIES | Capability.CONNECT_WITH_DB, b"main_data"),
    ],
    ids=["plugin", "plugin, no attributes", "database, no plugin"],
)
def test_a_login_whose_last_name_is_not_terminated(door: Door, capabilities: int, tail: bytes) -> None:
    """Some clients leave out the NUL at the end of the packet."""
    with RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root@main", capabilities=capabilities, tail=tail), 1)

        assert client.answer_switch(b"", client.receive(), 3)[0] == 0


def change_user(user: bytes, tail: bytes = b"") -> bytes:
    """Return a COM_CHANGE_USER without password, with what `tail` has after the user's name and answer."""
    return b"\x11" + user + b"\0\0" + (tail or b"\0\x2d\0" + AUTH_PLUGIN + b"\0")


@pytest.mark.parametrize(
    "tail",
    [b"\0", b"\0\x2d\0", b"\0\x40\x01" + AUTH_PLUGIN + b"\0", b"\0\x2d\0" + AUTH_PLUGIN, b"main_data"],
    ids=["no character set", "no plugin", "a collation above 255", "no NUL", "no NUL after the database"],
)
def test_change_user_moves_to_another_tenant(door: Door, tail: bytes) -> None:
    """The new login is judged by the new tenant's engine; the packet's tail is optional."""
    with RawClient(door) as client:
        assert client.log_in("root@sys")[0] == 0
        client.send(change_user(b"alice@main", tail))
        verdict = client.answer_switch(USER_PASSWORD.encode(), client.receive(), 2)

        assert (verdict[0], client.sequence) == (0, 3)
        client.send(b"\x03use main_data")
        assert client.receive()[0] == 0


def test_change_user_with_attributes_and_database(door: Door) -> None:
    """Attributes and database go to the new engine as they would at a login."""
    capabilities = CAPABILITIES | Capability.CONNECT_ATTRS
    with RawClient(door) as client:
        client.receive()
        client.send(login_packet(b"root", capabilities=capabilities, tail=AUTH_PLUGIN + b"\0\4\1a\1b"), 1)
        assert client.answer_switch(b"", client.receive(), 3)[0] == 0
        client.send(change_user(b"root@main", b"main_data\0\x2d\0" + AUTH_PLUGIN + b"\0\4\1a\1b"))
        assert client.answer_switch(b"", client.receive(), 2)[0] == 0
        client.send(b"\x03select database()")
        replies = [client.receive() for _ in range(5)]

        assert replies[3] == b"\x09main_data"


def test_a_refused_change_of_user_ends_the_session(door: Door) -> None:
    """The session that was there is over as well."""
    with RawClient(door) as client:
        client.log_in("root@sys")
        client.send(change_user(b"alice@main"))
        verdict = client.answer_switch(b"wrong", client.receive(), 2)

        assert verdict.endswith(b"Access denied for user 'alice'@'%' (using password: YES)")
        assert client.ended()


def test_a_malformed_change_of_user_ends_the_session(door: Door) -> None:
    """As a malformed login."""
    with RawClient(door) as client:
        client.log_in("root@sys")
        client.send(b"\x11root")

        assert client.ended()
