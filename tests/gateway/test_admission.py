"""Who comes in: no spelling of the service's name, no uninvited address, and only its owner into an open root."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redoubt.gateway import socket_owner
from redoubt.gateway.accounts import SERVICE, Account, parse_account
from redoubt.gateway.admission import is_invited, may_be_root_without_password
from redoubt.gateway.socket_owner import uid_of_peer
from tests.dose import dose

from .conftest import USER_PASSWORD
from .doors import Door, Tenants
from .fakes import Peer, fake_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .engines import Engine

NOBODY = 65534
CLIENT = """
import encodings.idna, os, sys, pymysql
os.setuid(int(sys.argv[3]))
try:
    options = {"password": sys.argv[5]} if len(sys.argv) > 5 else {}
    pymysql.connect(host=sys.argv[1], port=int(sys.argv[2]), user=sys.argv[4], ssl_disabled=True, **options).close()
    print("logged in")
except pymysql.err.OperationalError as error:
    print(*error.args)
"""


def log_in_as(uid: int, door: Door, *login: str) -> str:
    """What happens when a process of a user of this machine logs in."""
    command = [sys.executable, "-c", CLIENT, door.host, str(door.port), str(uid), *login]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return run.stdout.strip()


@pytest.fixture(scope="module")
def service_account(engines: dict[str, Engine]) -> Iterator[None]:
    """The service's account on both engines, with a password that everybody knows."""
    for engine in engines.values():
        engine.execute(f"create user {SERVICE} identified by '{USER_PASSWORD}'")
    yield
    for engine in engines.values():
        engine.execute(f"drop user {SERVICE}")


PIECES = st.sampled_from([*"'\"`@#:.%\\ \t\n\0\x7f", "sys", "main", "Stronghold", "@sys", "''", "\u00a0", "\u200b"])
NAMES = st.sampled_from([SERVICE, SERVICE.upper(), SERVICE.title(), "\uff52edoubt_service", "redoubt_serv\u0131ce"])
SPELLINGS = st.builds(
    lambda before, name, after, tenant: "".join([*before, name, *after, tenant]),
    st.lists(PIECES, max_size=4),
    NAMES,
    st.lists(PIECES, max_size=4),
    st.sampled_from(["", "@sys", "@main", "@sys#Stronghold"]),
)


@settings(max_examples=dose(300, 5000), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(spelling=SPELLINGS)
def test_no_spelling_logs_in_as_the_service(door: Door, service_account: None, spelling: str) -> None:
    """The engine takes some other names for the service's, among them `'name'` and `name@sys`."""
    with contextlib.suppress(pymysql.err.OperationalError):
        connection = door.connect(spelling.replace("\0", ""), password=USER_PASSWORD)
        pytest.fail(f"{spelling!r} logged in as {connection.user}")


@pytest.mark.parametrize("spelling", [f"'{SERVICE}'@sys", f"{SERVICE}@sys@sys"])
def test_the_engine_does_take_these_for_the_service(
    engines: dict[str, Engine], door: Door, service_account: None, spelling: str
) -> None:
    """Which is why the gateway does not pass them on."""
    user = parse_account(spelling).user
    with contextlib.closing(engines["sys"].connect(user=user, password=USER_PASSWORD)) as past_the_gateway:
        assert past_the_gateway
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        door.connect(spelling, password=USER_PASSWORD)


@pytest.mark.parametrize("name", ["alice", "用户", "a.b-c$d_9", "x" * 64])
def test_a_canonical_name_may_log_in(name: str) -> None:
    """Letters of any language."""
    assert Account(name).may_log_in


@pytest.mark.parametrize("name", ["", "a b", "a@b", "a'b", '"a"', "`a`", "a\n", "x" * 65, SERVICE, SERVICE.title()])
def test_another_name_may_not(name: str) -> None:
    """Whatever an engine would make of it."""
    assert not Account(name).may_log_in


def test_whom_no_engine_knows_is_judged_by_one_all_the_same(tmp_path: Path) -> None:
    """By sys, under a name that nobody has; even an engine that lets it in does not let the client in."""
    path = tmp_path / "socket"
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        seen.append(peer.log_in())

    with (
        fake_engine(path, script),
        Door(Tenants({"sys": path})) as door,
        pytest.raises(pymysql.err.OperationalError) as refused,
    ):
        door.connect("alice@nowhere", password="secret")

    assert refused.value.args == (1045, "Access denied for user 'alice'@'%' (using password: YES)")
    assert seen
    assert b"alice" not in seen[0]


@pytest.mark.parametrize("root", ["root", "root@main"])
def test_an_open_root_is_its_owners_alone(door: Door, root: str) -> None:
    """Another user of the machine is told what to do."""
    refused = log_in_as(NOBODY, door, root)

    assert log_in_as(0, door, root) == "logged in"
    assert refused.startswith("1045 Access denied for user 'root'@'%' (using password: NO): root has no password yet")
    assert "ALTER USER root IDENTIFIED BY" in refused
    assert log_in_as(NOBODY, door, "nobody") == "logged in"
    assert log_in_as(NOBODY, door, "alice@main", USER_PASSWORD) == "logged in"


def test_an_open_root_is_everybodys_if_the_configuration_says_so(engines: dict[str, Engine]) -> None:
    """With `allow_empty_password`."""
    with Door(Tenants({"sys": engines["sys"].socket}, allows_empty_password=True)) as door:
        assert log_in_as(NOBODY, door, "root") == "logged in"


@pytest.fixture(params=["diagnosis", "table"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's diagnosis of one socket, without its table of all; or the table, where no diagnosis can be had."""
    if request.param == "diagnosis":
        monkeypatch.setattr(socket_owner, "_SOCKET_TABLES", ())
    else:
        monkeypatch.setattr(socket_owner, "_NETLINK_SOCK_DIAG", 31)  # a protocol that no kernel has


@pytest.mark.usefixtures("_way")
def test_the_kernel_tells_who_is_at_the_other_end() -> None:
    """Of IPv4 and IPv6, mapped or not; of a client that has closed its end, nothing; nor of one that listens."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.create_server((host, 0), family=family) as server:
            client = socket.create_connection(server.getsockname()[:2])
            peer, _ = server.accept()
            with peer:
                own, other = peer.getsockname()[:2], peer.getpeername()[:2]
                assert uid_of_peer(own, other) == 0
                assert uid_of_peer(other, own) == 0
                assert uid_of_peer(own, (other[0], other[1] ^ 1)) is None
                assert uid_of_peer((other[0], other[1] ^ 1), own) is None
                client.close()
                assert uid_of_peer(own, other) is None
    assert uid_of_peer(("", 0), ("", 0)) is None
    assert uid_of_peer(("127.0.0.1", 1), ("fe80::1%lo", 2)) is None


@pytest.mark.usefixtures("_way")
def test_a_mapped_address_is_found() -> None:
    """A socket for both families sees IPv4 clients under IPv6 addresses; a client may use such a socket as well."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        for host in ("127.0.0.1", "::ffff:127.0.0.1"):
            with socket.create_connection((host, server.getsockname()[1])), server.accept()[0] as peer:
                own, other = peer.getsockname()[:2], peer.getpeername()[:2]
                assert uid_of_peer(own, other) == 0
                assert uid_of_peer(other, own) == 0


def test_the_services_user_and_root_may_enter_an_open_root() -> None:
    """And nobody else."""
    assert [may_be_root_without_password(uid) for uid in (0, NOBODY, None)] == [True, False, False]


@pytest.mark.parametrize(
    ("white_list", "host", "expected"),
    [
        ("%", "192.168.1.1", True),
        ("", "127.0.0.1", False),
        ("127.0.0.1,::1", "::1", True),
        ("127.0.0.1,::1", "10.0.0.1", False),
        ("10.10.10.0/24", "10.10.10.77", True),
        ("10.10.10.5/255.255.255.0", "10.10.10.77", True),
        ("10.10.10.0/24", "10.10.11.1", False),
        (" 10.10.10.% , 10.1.1._ ", "10.1.1.7", True),
        ("10.1.1._", "10.1.1.77", False),
        ("10.1.%", "110.1.1.1", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::/32", "2001:db8::7", True),
        ("2001:db8::/32", "10.0.0.1", False),
        ("fe80::1", "fe80::1%eth0", True),
        ("nonsense,[,10.0.0.1", "10.0.0.1", True),
        ("nonsense", "10.0.0.1", False),
        ("*", "10.0.0.1", False),
        ("[0-9]%", "10.0.0.1", False),
        ("%1" * 40, "1" * 39, False),
    ],
)
def test_a_white_list_has_addresses_networks_and_patterns(white_list: str, host: str, *, expected: bool) -> None:
    """As OceanBase documents them."""
    assert is_invited(white_list, host) is expected


def test_an_address_that_is_not_invited_is_refused(door: Door, engines: dict[str, Engine]) -> None:
    """With the right password, and OceanBase's number; the other tenant does not care."""
    engines["main"].execute("set global ob_tcp_invited_nodes = '10.0.0.0/8'")
    try:
        with pytest.raises(pymysql.err.OperationalError) as refused:
            door.connect("alice@main", password=USER_PASSWORD)
        with pytest.raises(pymysql.err.OperationalError) as wrong:
            door.connect("alice@main", password="wrong")
        door.connect("alice", password=USER_PASSWORD).close()
        engines["main"].execute("set global ob_tcp_invited_nodes = '10.0.0.0/8,127.0.0.%'")
        door.connect("alice@main", password=USER_PASSWORD).close()
    finally:
        engines["main"].execute("set global ob_tcp_invited_nodes = '%'")

    assert refused.value.args == (
        1227,
        "Access denied; the address 127.0.0.1 is not in the tenant's ob_tcp_invited_nodes",
    )
    assert wrong.value.args[0] == 1045


def test_an_account_with_a_host_part_cannot_log_in(door: Door, engines: dict[str, Engine]) -> None:
    """The engine does not know a client's address, and takes no other host part than %."""
    names = ("u@'127.0.0.1'", "v@localhost", "w@'127.%'", "x@'%'")
    engines["main"].execute(*(f"create user {name} identified by '{USER_PASSWORD}'" for name in names))
    try:
        for user in "uvw":
            with pytest.raises(pymysql.err.OperationalError) as refused:
                door.connect(f"{user}@main", password=USER_PASSWORD)
            assert refused.value.args[0] == 1045
        door.connect("x@main", password=USER_PASSWORD).close()
    finally:
        engines["main"].execute(*(f"drop user {name}" for name in names))


def test_a_change_of_user_is_judged_as_a_login(door: Door, engines: dict[str, Engine]) -> None:
    """The address as well."""
    engines["main"].execute("set global ob_tcp_invited_nodes = '10.0.0.1'")
    try:
        with contextlib.closing(door.connect("alice", password=USER_PASSWORD)) as connection:
            connection.user, connection.password = b"alice@main", USER_PASSWORD.encode()
            connection._execute_command(0x11, b"alice@main\0\0\0\x2d\0mysql_native_password\0")
            with pytest.raises(pymysql.err.Error):
                connection._read_ok_packet()
    finally:
        engines["main"].execute("set global ob_tcp_invited_nodes = '%'")
