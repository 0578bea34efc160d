"""`redoubt`: the commands and their options. Each command imports its modules when it runs, so that help is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from redoubt.cli.once import OnceCommand
from redoubt.cli.options import (
    DEFAULT_HOME,
    ConfigOption,
    EngineUserOption,
    HomeOption,
    JsonOption,
    LenderOption,
    OneTenantOption,
    PasswordOption,
    ScnOption,
    ScratchOption,
    SslCaOption,
    SslModeOption,
    TenantOption,
    UntilOption,
    UriArgument,
    UtcOption,
)
from redoubt.cli.standby_commands import activate, follow, serve

app = typer.Typer(
    help="Log backup and point-in-time recovery for OceanBase seekdb, operated with OceanBase's own SQL.",
    pretty_exceptions_enable=False,
)


def _print_version(is_asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if is_asked:
        version()
        raise typer.Exit


@app.callback(invoke_without_command=True)
def redoubt(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback handles the option
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Show the help if no command is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)


@app.command(cls=OnceCommand)
def start(
    home: HomeOption = DEFAULT_HOME,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (default 2881); 0 for a free port.")] = None,
    config: ConfigOption = None,
) -> None:
    """Start the cluster in the foreground; Ctrl-C or SIGTERM stops it."""
    from redoubt.cli.start import serve

    raise typer.Exit(serve(home.expanduser(), host=host, port=port, config_path=config))


@app.command(cls=OnceCommand)
def sql(
    statement: Annotated[str, typer.Argument(help="Statement, or - to read statements from standard input.")],
    home: HomeOption = DEFAULT_HOME,
    user: Annotated[
        str, typer.Option("--user", "-u", help="Account: user@tenant or user@tenant#cluster.")
    ] = "root@sys",
    password: PasswordOption = "",
    host: Annotated[str | None, typer.Option(help="Address of the service (default: the one of --home).")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the service (default: the one of --home).")] = None,
    ssl_mode: SslModeOption = None,
    ssl_ca: SslCaOption = None,
    json: JsonOption = False,
) -> None:
    """Run a statement through the gateway and print the result."""
    from redoubt.cli.sql import run_statement
    from redoubt.cli.tls import TlsOptions

    text, tls = sys.stdin.read() if statement == "-" else statement, TlsOptions(ssl_mode, ssl_ca)
    raise typer.Exit(
        run_statement(
            text, home.expanduser(), user=user, password=password, host=host, port=port, tls=tls, as_json=json
        )
    )


@app.command(cls=OnceCommand)
def status(
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Show the round, pieces, health, holes, and how far the archive is behind."""
    from redoubt.cli.status import show_status

    raise typer.Exit(show_status(home.expanduser(), as_json=json))


@app.command(cls=OnceCommand)
def drill(
    uri: UriArgument,
    tenant: TenantOption = None,
    until: UntilOption = None,
    scn: ScnOption = None,
    utc: UtcOption = False,
    latest: Annotated[bool, typer.Option("--latest", help="Restore to the newest archived moment (default).")] = False,
    sql: Annotated[Path | None, typer.Option("--sql", help="File with SQL statements that check the data.")] = None,
    query: Annotated[str | None, typer.Option("--query", help="SQL statements that check the data.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Count all rows of every table and index.")] = False,
    scratch: ScratchOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scratch directory.")] = False,
    user: EngineUserOption = None,
    password: PasswordOption = "",
    home: LenderOption = None,
    json: JsonOption = False,
) -> None:
    """Restore into a scratch directory, start the engine, check the data, and record the verdict."""
    from redoubt.cli.drill import DrillOptions, run_drill

    if (latest and (until is not None or scn is not None)) or (sql is not None and query is not None):
        raise typer.BadParameter("give only one of --latest, --until and --scn, and only one of --sql and --query")
    options = DrillOptions(
        uri=uri,
        tenant=tenant,
        until=until,
        scn=scn,
        utc=utc,
        sql=sql,
        query=query,
        full=full,
        scratch=scratch,
        keep=keep,
        user=user,
        password=password,
        home=home,
        json=json,
    )
    raise typer.Exit(run_drill(options))


for _command in (follow, activate, serve):
    app.command(cls=OnceCommand)(_command)


@app.command(cls=OnceCommand)
def restore(
    uri: UriArgument,
    tenant: Annotated[str, typer.Option(help="Name or id of the tenant in the backup.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Directory to restore into: new, empty, or half restored.")],
    until: UntilOption = None,
    scn: ScnOption = None,
    latest: Annotated[bool, typer.Option("--latest", help="Restore to the newest archived moment.")] = False,
    utc: UtcOption = False,
    cluster: Annotated[str | None, typer.Option(help="Name of the cluster, if several have archived there.")] = None,
    cluster_id: Annotated[int | None, typer.Option(help="Id of the cluster, if several have archived there.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan, and restore nothing.")] = False,
    no_start: Annotated[
        bool, typer.Option("--no-start", help="Do not start an engine: open transactions stay open.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Restore a tenant as it was at a moment into a directory; needs only the backup destination."""
    from redoubt.cli.restore import Wish
    from redoubt.cli.restore import restore as run

    wish = Wish(
        uri=uri,
        tenant=tenant,
        to=to.expanduser().absolute(),
        until=until,
        scn=scn,
        latest=latest,
        utc=utc,
        cluster=cluster,
        cluster_id=cluster_id,
        dry_run=dry_run,
        no_start=no_start,
        as_json=json,
    )
    raise typer.Exit(run(wish))


@app.command(cls=OnceCommand)
def replay(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory that redoubt restored.")],
    user: Annotated[str, typer.Option("--user", "-u", help="Account with the ALTER SYSTEM privilege.")] = "root",
    password: PasswordOption = "",
) -> None:
    """Start an engine in a restored directory once: replay the log, roll back open transactions, and flush."""
    from redoubt.cli.replay import replay as run

    raise typer.Exit(run(directory.expanduser().absolute(), user, password))


@app.command(name="roll-forward", cls=OnceCommand)
def roll_forward(
    uri: UriArgument,
    tenant: TenantOption = None,
    until: UntilOption = None,
    scn: ScnOption = None,
    utc: UtcOption = False,
    scratch: ScratchOption = None,
    user: EngineUserOption = None,
    password: PasswordOption = "",
    home: LenderOption = None,
    json: JsonOption = False,
) -> None:
    """Make a new data backup from an older one and the log after it, without the source."""
    from redoubt.cli.roll_forward import RollOptions, run_roll_forward

    options = RollOptions(
        uri=uri,
        tenant=tenant,
        until=until,
        scn=scn,
        utc=utc,
        scratch=scratch,
        user=user,
        password=password,
        home=home,
        json=json,
    )
    raise typer.Exit(run_roll_forward(options))


@app.command(cls=OnceCommand)
def verify(
    uri: UriArgument,
    tenant: OneTenantOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Read all objects, also those verified before.")] = False,
    older_than: Annotated[str, typer.Option(help="Age at which a verified object is read again.")] = "30d",
    jobs: Annotated[int | None, typer.Option(min=1, help="Number of threads (default: one for each core).")] = None,
    state: Annotated[Path | None, typer.Option(help="File for the record of verified objects.")] = None,
    repair: Annotated[
        str | None,
        typer.Option("--repair", metavar="COPY", help="Replace damaged objects with those of this copy (a URI)."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check every object of a destination; name damaged objects and the moments that the damage costs."""
    from redoubt.cli.verify import Wish, verify

    wish = Wish(uri=uri, copy=repair, tenant=tenant, jobs=jobs, older_than=older_than, state=state, is_all=everything)
    raise typer.Exit(verify(wish, as_json=json))


@app.command(cls=OnceCommand)
def window(
    uri: UriArgument,
    tenant: OneTenantOption = None,
    wanted: Annotated[
        str | None,
        typer.Option("--assert", help="Duration, such as 7d; exit with status 2 unless the last 7d are one window."),
    ] = None,
    lag: Annotated[str, typer.Option(help="Greatest time from the window's end to now, for --assert.")] = "1m",
    json: JsonOption = False,
) -> None:
    """Show the moments to which each tenant can be restored, and the holes between them."""
    from redoubt.cli.window import show_window

    raise typer.Exit(show_window(uri, tenant, wanted=wanted, lag=lag, as_json=json))


@app.command(cls=OnceCommand)
def estimate(
    uri: UriArgument,
    put_price: Annotated[float | None, typer.Option(min=0, help="The store's price of 1,000 PUT requests.")] = None,
    get_price: Annotated[float | None, typer.Option(min=0, help="The store's price of 1,000 GET requests.")] = None,
    storage_price: Annotated[float | None, typer.Option(min=0, help="The price of a GB and month.")] = None,
    json: JsonOption = False,
) -> None:
    """Estimate a month's requests and bytes at the present rate, and their cost at the store's prices."""
    from redoubt.cli.estimate import show_estimate
    from redoubt.model.estimate import Prices

    given = (put_price, get_price, storage_price)
    prices = Prices(*(price or 0.0 for price in given)) if any(price is not None for price in given) else None
    raise typer.Exit(show_estimate(uri, prices, as_json=json))


@app.command(name="rewrap-keys", cls=OnceCommand)
def rewrap_keys(uri: UriArgument) -> None:
    """Put the present master key in the place of former ones; nothing is encrypted again."""
    from redoubt.cli.rewrap_keys import rewrap_keys

    raise typer.Exit(rewrap_keys(uri))


@app.command(name="repair-catalog", cls=OnceCommand)
def repair_catalog(
    uri: UriArgument,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the changes, and make none.")] = False,
) -> None:
    """Enter rounds, pieces and data backups of a destination into the catalog of a stopped service."""
    from redoubt.cli.repair_catalog import repair_catalog

    raise typer.Exit(repair_catalog(uri, home.expanduser(), config, is_dry_run=dry_run))


@app.command(cls=OnceCommand)
def demo(
    dest: Annotated[
        str | None,
        typer.Option(metavar="URI", help="An empty backup destination to use; what the demo stores there stays."),
    ] = None,
) -> None:
    """Follow OceanBase's page "Initiate log backup" on a cluster of its own, and restore a table dropped by mistake."""
    from redoubt.cli.demo import play

    raise typer.Exit(play(dest))


@app.command(cls=OnceCommand)
def version() -> None:
    """Print the version."""
    from redoubt import __version__

    typer.echo(__version__)


def main() -> None:
    """The entry point of the `redoubt` command."""
    app()
