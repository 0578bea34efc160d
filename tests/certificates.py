"""Certificates for tests, made when they are needed with the openssl command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """A certificate that signs itself, and its key."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, *, names: str = "IP:127.0.0.1,DNS:localhost") -> Certificate:
    """Make one for hosts of these names that is valid for two days."""
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    subject = ("-subj", "/CN=localhost", "-addext", f"subjectAltName={names}")
    _openssl("req", "-x509", *_CURVE, "-keyout", made.key, "-out", made.certificate, "-days", "2", *subject)
    return made


def make_expired(folder: Path, key: Path) -> Path:
    """Make one of that key that has expired."""
    request, certificate = folder / "request.pem", folder / "expired.pem"
    _openssl("req", "-new", "-key", key, "-subj", "/CN=localhost", "-out", request)
    _openssl("x509", "-req", "-in", request, "-signkey", key, "-days", "-1", "-out", certificate)
    return certificate


def encrypt(key: Path, encrypted: Path) -> None:
    """Encrypt a key with a password."""
    _openssl("ec", "-in", key, "-aes128", "-passout", "pass:word", "-out", encrypted)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
