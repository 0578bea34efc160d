"""Options and arguments that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SslMode(StrEnum):
    """What a connection demands of TLS, as the mysql client spells it."""

    DISABLED = "DISABLED"
    """No TLS."""
    PREFERRED = "PREFERRED"
    """TLS if the service offers TLS; the certificate is not checked."""
    REQUIRED = "REQUIRED"
    """TLS; the certificate is not checked."""
    VERIFY_CA = "VERIFY_CA"
    """TLS, and a certificate that a trusted authority has signed."""
    VERIFY_IDENTITY = "VERIFY_IDENTITY"
    """The same, and the certificate is for the host that was dialled."""


DEFAULT_HOME = Path("~/.local/share/redoubt")

HomeOption = Annotated[Path, typer.Option("--home", help="Home directory of the cluster.", envvar="REDOUBT_HOME")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
PasswordOption = Annotated[
    str, typer.Option("--password", "-p", help="Password; prefer the environment variable.", envvar="REDOUBT_PASSWORD")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON; docs/ describes the fields.")]

SslModeOption = Annotated[
    SslMode | None,
    typer.Option(
        "--ssl-mode",
        case_sensitive=False,
        help="What to demand of TLS (default: PREFERRED; VERIFY_IDENTITY with --ssl-ca).",
    ),
]
SslCaOption = Annotated[
    Path | None, typer.Option("--ssl-ca", help="File with the certificates to trust (PEM); default: the system's.")
]

UriArgument = Annotated[
    str, typer.Argument(help="The backup destination: file:///absolute/path or s3://bucket/path?host=…")
]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Tenant (name or id), if several have a backup.")]
OneTenantOption = Annotated[str | None, typer.Option("--tenant", help="Name or id of the only tenant to look at.")]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Time with offset, such as 2026-11-23T12:00+01:00.")
]
ScnOption = Annotated[int | None, typer.Option("--scn", metavar="N", help="Moment in nanoseconds since the epoch.")]
UtcOption = Annotated[bool, typer.Option("--utc", help="Read a time without an offset as UTC.")]

ScratchOption = Annotated[Path | None, typer.Option("--scratch", help="Folder for the scratch directory.")]
EngineUserOption = Annotated[str | None, typer.Option("--user", "-u", help="Account on the restored engine.")]
LenderOption = Annotated[
    Path | None,
    typer.Option("--home", help="Home of the cluster: provides the account to log in, and gets the result."),
]
