"""TLS of the gateway: loads certificate and key, and tests them before the first client comes."""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import structlog

from redoubt.errors import RedoubtError

if TYPE_CHECKING:
    from pathlib import Path

_log = structlog.get_logger(__name__)


class TlsError(RedoubtError):
    """Certificate or key cannot be used; the text names the file and the cause."""


@dataclass(frozen=True)
class Tls:
    """The TLS settings of a gateway: the context, and whether TLS is required."""

    context: ssl.SSLContext
    required: bool = False


def load_tls(certificate: Path, key: Path, *, required: bool = False) -> Tls:
    """Read two PEM files: the certificate, maybe with intermediate certificates, and its key.

    Raises TlsError. A certificate that clients will refuse, such as an expired one, gives only a warning in the log.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _try_to_read(certificate, key)
    try:
        client.load_verify_locations(certificate)
    except ssl.SSLError as error:
        raise TlsError(f"tls_certificate {certificate}: not a certificate in PEM form ({error.reason})") from error
    try:
        context.load_cert_chain(certificate, key, password=lambda: _refuse_password(key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"tls_key {key}: the key does not belong to the certificate {certificate}") from error
        cause = error.reason or "not a private key in PEM form"
        raise TlsError(f"tls_key {key}, for the certificate {certificate}: {cause}") from error
    if flaw := _flaw(context, client):
        _log.warning("clients that verify the certificate will refuse it", file=str(certificate), cause=flaw)
    return Tls(context, required)


def _try_to_read(certificate: Path, key: Path) -> None:
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise TlsError(f"{name} {path}: {error.strerror}") from error


def _refuse_password(key: Path) -> NoReturn:
    raise TlsError(f"tls_key {key}: the key is encrypted with a password; decrypt the file")


def _flaw(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """Make a handshake in memory; return the problem of a client that trusts this certificate, None without one."""
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = server.wrap_bio(to_server, to_client, server_side=True)
    far = client.wrap_bio(to_client, to_server)
    for side in (far, near, far):
        try:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
    return None
