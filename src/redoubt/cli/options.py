"""Options and arguments that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_HOME = Path("~/.local/share/redoubt")

HomeOption = Annotated[Path, typer.Option("--home", help="Where the cluster keeps everything.", envvar="REDOUBT_HOME")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).")]
PasswordOption = Annotated[
    str, typer.Option("--password", "-p", help="Better given in the environment.", envvar="REDOUBT_PASSWORD")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON; docs/CLI.md says where the fields are.")]

UriArgument = Annotated[str, typer.Argument(help="The backup destination: file:///absolute/path.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Its name or id, if several are backed up there.")]
OneTenantOption = Annotated[str | None, typer.Option("--tenant", help="Only this tenant, by name or id.")]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="A time with its offset, as 2026-11-23T12:00+01:00.")
]
ScnOption = Annotated[int | None, typer.Option("--scn", metavar="N", help="A moment in nanoseconds since the epoch.")]
UtcOption = Annotated[bool, typer.Option("--utc", help="A time without an offset is in UTC.")]

ScratchOption = Annotated[Path | None, typer.Option("--scratch", help="Folder in which the scratch directory is made.")]
EngineUserOption = Annotated[str | None, typer.Option("--user", "-u", help="An account of the restored engine.")]
LenderOption = Annotated[
    Path | None, typer.Option("--home", help="The cluster's home: lends its account; its catalog learns of the result.")
]
