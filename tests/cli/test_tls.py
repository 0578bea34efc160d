"""What `redoubt sql` demands of TLS, with gateways that show one certificate or another, or none.

There are no tenants: who gets past the certificate is refused as an unknown tenant's user.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from redoubt.gateway.tls import load_tls
from tests.certificates import Certificate, make_certificate
from tests.gateway.doors import Door, Tenants
from tests.gateway.fakes import GREETING, Peer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAST = "ERROR 1053: the tenant's engine cannot be reached"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for another host than the one that is dialled."""
    return make_certificate(tmp_path_factory.mktemp("elsewhere"), names="DNS:elsewhere")


@pytest.fixture(scope="module")
def door(elsewhere: Certificate) -> Iterator[Door]:
    """A gateway that shows that certificate."""
    with Door(Tenants({}), tls=load_tls(elsewhere.certificate, elsewhere.key)) as door:
        yield door


@pytest.fixture(scope="module")
def plain_door() -> Iterator[Door]:
    """A gateway without TLS."""
    with Door(Tenants({})) as door:
        yield door


def told(door: Door | SimpleNamespace, *options: str | Path) -> str:
    """Return what the command says on the standard error, which is all that it says."""
    command = [sys.executable, "-m", "redoubt", "sql", "--host", door.host, "--port", str(door.port), "-p", "secret"]
    ran = subprocess.run([*command, *options, "SELECT 1"], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout) == (1, "")
    return " ".join(ran.stderr.split())


@pytest.mark.parametrize("mode", ["DISABLED", "preferred", "REQUIRED", "VERIFY_CA"])
def test_a_certificate_of_another_host_is_enough(door: Door, elsewhere: Certificate, mode: str) -> None:
    """For each mode that does not ask for more."""
    trusted = ["--ssl-ca", str(elsewhere.certificate)] if mode == "VERIFY_CA" else []

    assert PAST in told(door, "--ssl-mode", mode, *trusted)


@pytest.mark.parametrize("mode", [[], ["--ssl-mode", "VERIFY_IDENTITY"]])
def test_a_certificate_of_another_host_is_not_enough(door: Door, elsewhere: Certificate, mode: list[str]) -> None:
    """The name is checked if nothing else is said."""
    shown = told(door, "--ssl-ca", elsewhere.certificate, *mode)

    assert f"the certificate of 127.0.0.1:{door.port} is not trusted: IP address mismatch" in shown


def test_a_certificate_that_nobody_trusts(door: Door, tmp_path: Path) -> None:
    """Neither by the system nor by the file that is named."""
    other = make_certificate(tmp_path)

    assert "is not trusted: self-signed certificate" in told(door, "--ssl-mode", "VERIFY_CA")
    assert "is not trusted: self-signed certificate" in told(door, "--ssl-ca", other.certificate)


def test_a_service_without_tls(plain_door: Door) -> None:
    """What demands TLS sends no login, and what only prefers TLS does."""
    assert PAST in told(plain_door)
    assert "does not offer TLS; set tls_certificate" in told(plain_door, "--ssl-mode", "REQUIRED")


@pytest.mark.parametrize("plugin", [b"mysql_clear_password", b"sha256_password", b"caching_sha2_password", b"dialog"])
def test_a_server_that_asks_for_the_password(plugin: bytes) -> None:
    """It is no Redoubt service, and gets nothing but an answer to a salt."""

    def script(peer: Peer) -> None:
        peer.socket.sendall(GREETING)
        peer.receive()
        peer.send(b"\xfe" + plugin + b"\0" + b"s" * 20 + b"\0", 2)
        assert peer.receive() == b""

    with socket.create_server(("127.0.0.1", 0)) as listener, serving(listener, script):
        host, port = listener.getsockname()
        shown = told(SimpleNamespace(host=host, port=port))

    assert "the server asks for the password itself" in shown


def test_options_that_cannot_be_meant(plain_door: Door, tmp_path: Path) -> None:
    """Each is refused with what to do, before anything is dialled."""
    empty = tmp_path / "empty.pem"
    empty.touch()

    assert "--ssl-mode REQUIRED does not check" in told(plain_door, "--ssl-mode", "required", "--ssl-ca", empty)
    assert "none.pem: No such file or directory" in told(plain_door, "--ssl-ca", tmp_path / "none.pem")
    assert "empty.pem: not certificates in PEM form" in told(plain_door, "--ssl-ca", empty)
