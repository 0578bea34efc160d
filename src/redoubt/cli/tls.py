"""TLS of the command line's connections to a service, with the options of the mysql client."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from redoubt.cli.options import SslMode
from redoubt.errors import RedoubtError


class TlsOptionsError(RedoubtError):
    """The options contradict each other, or the file cannot be used; the text says what to do."""


_CHECKING = (SslMode.VERIFY_CA, SslMode.VERIFY_IDENTITY)


@dataclass(frozen=True)
class TlsOptions:
    """`ca` is a PEM file with the certificates to trust, instead of the system's; it implies VERIFY_IDENTITY."""

    mode: SslMode | None = None
    ca: Path | None = None

    def arguments(self) -> dict[str, object]:
        """Return PyMySQL's arguments. Raises TlsOptionsError."""
        mode = self.mode or (SslMode.VERIFY_IDENTITY if self.ca else SslMode.PREFERRED)
        if self.ca and mode not in _CHECKING:
            raise TlsOptionsError(
                f"--ssl-mode {mode} does not check the certificate; leave out --ssl-ca, or choose VERIFY_CA or "
                "VERIFY_IDENTITY"
            )
        if mode is SslMode.DISABLED:
            return {"ssl_disabled": True}
        return {} if mode is SslMode.PREFERRED else {"ssl": _context(mode, self.ca)}


def _context(mode: SslMode, ca: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise TlsOptionsError(f"--ssl-ca {ca}: not certificates in PEM form ({error.reason})") from error
    except OSError as error:
        raise TlsOptionsError(f"--ssl-ca {ca}: {error.strerror}") from error
    # The service's own certificate may be named as trusted, and one that was made with little care may do for that.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = mode is SslMode.VERIFY_IDENTITY
    if mode not in _CHECKING:
        context.verify_mode = ssl.CERT_NONE
    return context
