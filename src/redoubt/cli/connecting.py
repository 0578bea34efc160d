"""Connections of the command line to a running service."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT, CR

from redoubt.cli.tls import TlsOptions
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.home import Home
from redoubt.model.engine_kind import SEEKDB


class NoServiceError(RedoubtError):
    """No service runs or answers; the text says what to do."""


class _RefusedPlugin:
    """What PyMySQL calls where a server asks for an answer that would tell the password."""

    def __init__(self, _connection: object) -> None:
        pass

    def authenticate(self, _request: object) -> NoReturn:
        """Refuse."""
        raise NoServiceError(
            "the server asks for the password itself, which no Redoubt service does; check --host and --port"
        )


_REFUSED_PLUGINS: dict[str, Callable[[Connection[Any]], Any]] = dict.fromkeys(
    ("mysql_clear_password", "dialog", "mysql_old_password", "sha256_password", "caching_sha2_password"), _RefusedPlugin
)


def address_of(home: Path) -> tuple[str, int]:
    """Host and port of a home's running service. Raises NoServiceError."""
    running = Home(home).running()
    if running is None:
        raise NoServiceError(f"no redoubt service runs in {home}; start one with: redoubt start --home {home}")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(running.host, running.host)  # noqa: S104 - compared, not bound
    return host, running.port


def connect(host: str, port: int, user: str, password: str, tls: TlsOptions) -> Connection[Any]:
    """A connection through the gateway. Raises NoServiceError, TlsOptionsError, or PyMySQL's error for a bad login."""
    arguments: dict[str, Any] = tls.arguments()
    try:
        return pymysql.connect(
            host=host,
            port=port,
            user=user,
            password=os.fsencode(password),  # as UTF-8: of a text, PyMySQL would make latin-1
            autocommit=True,
            charset="utf8mb4",
            client_flag=CLIENT.MULTI_STATEMENTS,
            auth_plugin_map=_REFUSED_PLUGINS,
            **arguments,
        )
    except pymysql.err.OperationalError as error:
        _explain(error, f"{host}:{port}")


def _explain(error: pymysql.err.OperationalError, address: str) -> NoReturn:
    """Raise NoServiceError if there was no connection, and the error itself if the login was refused."""
    cause = getattr(error, "original_exception", None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        raise NoServiceError(
            f"the certificate of {address} is not trusted: {cause.verify_message}; name the certificates to trust with "
            "--ssl-ca"
        ) from error
    if error.args[0] == CR.CR_SSL_CONNECTION_ERROR:
        raise NoServiceError(
            f"{address} does not offer TLS; set tls_certificate and tls_key in the service's configuration"
        ) from error
    if error.args[0] in {CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_LOST}:
        raise NoServiceError(f"cannot connect to {address}: {error.args[1]}") from error
    raise error


def connect_as_service(home: Path) -> Connection[Any]:
    """A connection to the sys tenant's engine with the service's account; the user must be able to read its file.

    Bypasses the gateway, which refuses this account. The schema is `oceanbase`, the time zone UTC. Raises
    NoServiceError.
    """
    address_of(home)
    try:
        connection = engine_kind(SEEKDB).connect(Home(home).sys.path)
    except PermissionError as error:
        raise NoServiceError(f"cannot read {error.filename}; run the command as the service's user") from error
    except pymysql.err.OperationalError as error:
        raise NoServiceError(f"the service of {home} does not answer: {error.args[1]}") from error
    connection.select_db("oceanbase")
    return connection
