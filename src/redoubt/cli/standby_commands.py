"""The options of the commands about standbys. Each command imports its modules when it runs, so that help is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from redoubt.cli.options import (
    EngineUserOption,
    PasswordOption,
    ScnOption,
    TenantOption,
    UntilOption,
    UriArgument,
    UtcOption,
)


def follow(
    uri: UriArgument,
    to: Annotated[Path, typer.Option("--to", help="Directory of the standby: new, or one that follows already.")],
    tenant: TenantOption = None,
    once: Annotated[bool, typer.Option("--once", help="Write the log archived so far, and end.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Run an engine that replays the log and answers reads.")] = False,
    memory: Annotated[str, typer.Option(help="Memory of the engine of --live.")] = "2G",
    interval: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds between two checks for new log (default 5; with --live 1).")
    ] = None,
) -> None:
    """Keep a restored directory up to date with the archived log. To take over, end this and open the directory."""
    from redoubt.cli.follow import keep_following
    from redoubt.cli.follow_live import follow_live

    if once and live:
        raise typer.BadParameter("give only one of --once and --live")
    if live:
        raise typer.Exit(follow_live(uri, tenant, to, memory=memory, interval=interval or 1.0))
    raise typer.Exit(keep_following(uri, tenant, to, once=once, interval=interval or 5.0))


def activate(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a standby.")],
    user: EngineUserOption = None,
    password: PasswordOption = "",
    home: Annotated[
        Path | None, typer.Option("--home", help="Home of the cluster: provides the account to log in.")
    ] = None,
    without_archive: Annotated[
        bool, typer.Option("--without-archive", help="Do not wait for log that the engine has not received yet.")
    ] = False,
) -> None:
    """Make the standby of redoubt follow a primary: it has all archived log, and begins to write."""
    from redoubt.cli.activate import activate as run

    path = directory.expanduser().absolute()
    raise typer.Exit(run(path, user, password, home, without_archive=without_archive))


def serve(
    uri: UriArgument,
    tenant: TenantOption = None,
    until: UntilOption = None,
    scn: ScnOption = None,
    utc: UtcOption = False,
    listen: Annotated[str, typer.Option(metavar="IP:PORT", help="Address to listen on.")] = "127.0.0.1:2882",
    interval: Annotated[float, typer.Option(min=0.1, help="Least seconds between two checks for new log.")] = 1.0,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", help="Certificate of this source (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="Private key of the certificate (PEM).")] = None,
    tls_ca: Annotated[
        Path | None, typer.Option("--tls-ca", help="Authority that must have signed a standby's certificate (PEM).")
    ] = None,
) -> None:
    """Serve archived log to standby engines, which follow it live: they set log_restore_source to this address."""
    from redoubt.cli.serve import ServeOptions
    from redoubt.cli.serve import serve as run

    options = ServeOptions(
        uri=uri,
        tenant=tenant,
        until=until,
        scn=scn,
        utc=utc,
        listen=listen,
        interval=interval,
        certificate=tls_cert,
        key=tls_key,
        authority=tls_ca,
    )
    raise typer.Exit(run(options))
