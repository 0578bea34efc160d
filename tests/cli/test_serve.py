"""`redoubt serve`: where it listens, whom it lets in, and what it says of mistakes."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from redoubt.cli.serve import ServeOptions, serve
from tests.certificates import make_certificate
from tests.restore.small import ordinary

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")


@pytest.fixture
def options(tmp_path: Path) -> ServeOptions:
    """A small archive in a directory, on loopback, at a free port."""
    (tmp_path / "backup").mkdir()
    uri = ordinary().to_files(tmp_path / "backup")
    return ServeOptions(
        uri, None, None, None, utc=False, listen="127.0.0.1:0", interval=1.0, certificate=None, key=None, authority=None
    )


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"listen": "localhost"}, "write an IP address and a port"),
        ({"listen": "localhost:1"}, "write an IP address and a port"),
        ({"listen": "127.0.0.1:65536"}, "write an IP address and a port"),
        ({"listen": "0.0.0.0:0"}, "can be reached by others"),
        ({"listen": "[::]:0"}, "can be reached by others"),
        ({"certificate": Path("/nowhere")}, "give all of"),
        (
            {"certificate": Path("/nowhere"), "key": Path("/no"), "authority": Path("/no")},
            "cannot use the certificates",
        ),
        ({"tenant": "other"}, "no backup of tenant 'other' found"),
        ({"until": "yesterday"}, "yesterday"),
        ({"uri": "nonsense"}, "write the destination as"),
        ({"scn": -1}, "has no log from before that moment"),
    ],
)
def test_mistakes_are_named(
    options: ServeOptions, changes: dict[str, object], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is served then."""
    assert serve(replace(options, **changes)) == 1  # type: ignore[arg-type]
    assert error in " ".join(capsys.readouterr().err.split())


@contextlib.contextmanager
def _serving(options: ServeOptions, *words: str | Path) -> Iterator[int]:
    command = [sys.executable, "-m", "redoubt", "serve", options.uri, "--listen", "127.0.0.1:0", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        match = re.fullmatch(r"serving the log of tenant main .* log_restore_source = '127\.0\.0\.1:(\d+)'\n", line)
        assert match is not None, line
        assert re.fullmatch(r"the log goes up to .* \(LSN \d+\)\n", run.stdout.readline())
        try:
            yield int(match[1])
        finally:
            run.send_signal(signal.SIGINT)
            assert run.wait(20) == 0


def _first_frames(talk: socket.socket) -> bytes:
    """What the source says first."""
    talk.settimeout(20)
    talk.sendall(_PREFACE)
    return talk.recv(9)


def test_it_serves_until_it_is_told_to_end(options: ServeOptions) -> None:
    """It says where, and how far the log goes; anything that speaks HTTP/2 is answered."""
    with _serving(options) as port, socket.create_connection(("127.0.0.1", port)) as talk:
        assert _first_frames(talk)[3] == 4, "a frame of settings"


def test_with_certificates_only_who_has_one_gets_in(options: ServeOptions, tmp_path: Path) -> None:
    """One of the named authority; without one, or with another's, nothing is said."""
    own, others = tmp_path / "own", tmp_path / "others"
    own.mkdir()
    others.mkdir()
    made, other = make_certificate(own), make_certificate(others)
    words = ("--tls-cert", made.certificate, "--tls-key", made.key, "--tls-ca", made.certificate)
    with _serving(options, *words) as port:
        for shown, is_let_in in ((made, True), (other, False), (None, False)):
            context = ssl.create_default_context(cafile=str(made.certificate))
            context.set_alpn_protocols(["h2"])
            if shown is not None:
                context.load_cert_chain(shown.certificate, shown.key)
            with (
                socket.create_connection(("127.0.0.1", port)) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as talk,
            ):
                if is_let_in:
                    assert talk.selected_alpn_protocol() == "h2"
                    assert _first_frames(talk)[3] == 4
                else:
                    with contextlib.suppress(ssl.SSLError, ConnectionError):
                        assert _first_frames(talk) == b""
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.settimeout(20)
            plain.sendall(_PREFACE)
            with contextlib.suppress(ConnectionError):
                assert b"\x00\x00\x00\x04" not in plain.recv(99), "no settings without TLS"
