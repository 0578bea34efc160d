"""The services that all clients use: one that offers nothing but plain text, one that requires TLS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.certificates import Certificate, make_certificate
from tests.clients.drivers import Request
from tests.clients.suite import SESSIONS
from tests.dose import dose
from tests.service.cluster import ServiceUnderTest


@pytest.fixture(scope="package")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """What the service with TLS shows."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="package", params=dose(["plain"], ["plain", "tls"]))
def matrix(
    request: pytest.FixtureRequest, certificate: Certificate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Request]:
    """All sessions, for a service that has their users.

    Own service: configured for TLS or not, for all clients.
    """
    folder = tmp_path_factory.mktemp("clients")
    service = ServiceUnderTest(folder)
    configuration, ca = folder / "redoubt.toml", None
    configuration.touch()
    if request.param == "tls":
        ca = str(certificate.certificate)
        configuration.write_text(
            f"[gateway]\nrequire_tls = true\ntls_certificate = '{ca}'\ntls_key = '{certificate.key}'\n"
        )
    service.encrypts = ca is not None
    service.start("--config", str(configuration))
    service.run("CREATE USER operator IDENTIFIED BY 'o'")
    service.run("GRANT ALTER SYSTEM ON *.* TO operator")
    service.run("CREATE USER visitor IDENTIFIED BY 'v'")
    service.run("CREATE USER checker")  # for HAProxy, whose check has no password
    sessions = [asdict(session) for session in SESSIONS]
    yield {"host": "127.0.0.1", "port": service.port, "ca": ca, "sessions": sessions, "home": str(service.home)}
    service.close()


@pytest.fixture
def stopped_service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A fresh service that has not been started.

    Own service: it must not start.
    """
    fresh = ServiceUnderTest(tmp_path / "fresh")
    yield fresh
    fresh.close()
