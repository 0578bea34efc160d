"""A service that requires TLS, and what keeps one from starting."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pymysql
import pytest

from redoubt.config import ConfigError, load_config
from tests.certificates import make_certificate

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.drivers import Request
    from tests.service.cluster import ServiceUnderTest


@pytest.mark.parametrize("matrix", ["tls"], indirect=True)
def test_who_does_not_encrypt_is_refused(matrix: Request) -> None:
    """With MySQL's code and text, and a word on what to do."""
    with pytest.raises(pymysql.OperationalError) as refusal:
        pymysql.connect(host=matrix["host"], port=matrix["port"], user="root@sys", ssl_disabled=True)

    code, text = refusal.value.args
    assert code == 3159
    assert text.startswith("Connections using insecure transport are prohibited while --require_secure_transport=ON.")
    assert "connect with TLS" in text


@pytest.mark.parametrize("matrix", ["tls"], indirect=True)
def test_the_command_line_checks_the_certificate(matrix: Request) -> None:
    """`redoubt sql --host`: whoever shows another certificate gets no password and no statement."""
    asked = [sys.executable, "-m", "redoubt", "sql", "--host", matrix["host"], "--port", str(matrix["port"])]
    trusting, distrusting, plain = (
        subprocess.run([*asked, *options, "SELECT 'through'"], capture_output=True, text=True, check=False, timeout=60)
        for options in (["--ssl-ca", matrix["ca"]], ["--ssl-mode", "verify_identity"], ["--ssl-mode", "disabled"])
    )

    assert (trusting.returncode, trusting.stderr) == (0, "")
    assert "through" in trusting.stdout
    assert (distrusting.returncode, distrusting.stdout) == (1, "")
    assert "self-signed certificate; name the certificates to trust" in " ".join(distrusting.stderr.split())
    assert plain.returncode == 1
    assert "ERROR 3159" in plain.stderr


@pytest.mark.parametrize("matrix", ["tls"], indirect=True)
def test_the_command_line_encrypts(matrix: Request) -> None:
    """`redoubt sql` and `redoubt status` go through the same door."""
    for command in (["sql", "SELECT 'through'"], ["status"]):
        asked = [sys.executable, "-m", "redoubt", *command, "--home", matrix["home"]]
        told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
        assert (told.returncode, told.stderr) == (0, "")


def test_a_service_does_not_start_without_what_it_is_to_use(stopped_service: ServiceUnderTest, tmp_path: Path) -> None:
    """The file and the cause are named, before any engine starts.

    Own service: it must not start.
    """
    made = make_certificate(tmp_path)
    configuration = tmp_path / "redoubt.toml"
    configuration.write_text(f"[gateway]\ntls_certificate = '{tmp_path}/none.pem'\ntls_key = '{made.key}'\n")
    ended = stopped_service.mistaken("--config", str(configuration))

    assert ended.returncode == 1
    told = ended.stderr.replace("\n", "")
    assert "none.pem: No such file or directory" in told, told
    assert not (stopped_service.home / "sys" / "store").exists()


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("require_tls = true", "require_tls needs tls_certificate and tls_key"),
        ("tls_key = '/k.pem'", "tls_certificate and tls_key belong together: set both or neither"),
        ("tls_certificate = '/c.pem'", "tls_certificate and tls_key belong together: set both or neither"),
        ("tls_certificate = 'c.pem'\ntls_key = '/k.pem'", "gateway.tls_certificate: String should match pattern"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, text: str, cause: str) -> None:
    """Half of what it takes, and a path that would depend on where the service is started."""
    configuration = tmp_path / "redoubt.toml"
    configuration.write_text(f"[gateway]\n{text}\n")
    with pytest.raises(ConfigError, match=cause):
        load_config(configuration)
