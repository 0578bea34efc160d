"""`redoubt`: the commands and their options. What a command needs is imported when it runs, so that help is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

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
    TenantOption,
    UntilOption,
    UriArgument,
    UtcOption,
)

app = typer.Typer(
    help="Log backup and point-in-time recovery for OceanBase seekdb, operated with OceanBase's own SQL.",
    pretty_exceptions_enable=False,
)


def _print_version(is_asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if is_asked:
        version()
        raise typer.Exit


@app.callback(invoke_without_command=True)
def redoubt(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback has done what is asked
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Show the help if no command is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), nl=False)


@app.command()
def start(
    home: HomeOption = DEFAULT_HOME,
    host: Annotated[str | None, typer.Option(help="Address to listen on (default 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (default 2881); 0 takes a free one.")] = None,
    config: ConfigOption = None,
) -> None:
    """Start the cluster in the foreground; Ctrl-C or SIGTERM stops it."""
    from redoubt.cli.start import serve

    raise typer.Exit(serve(home.expanduser(), host=host, port=port, config_path=config))


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="A statement, or - to read it from standard input.")],
    home: HomeOption = DEFAULT_HOME,
    user: Annotated[str, typer.Option("--user", "-u", help="user[@tenant[#cluster]]")] = "root@sys",
    password: PasswordOption = "",
    host: Annotated[str | None, typer.Option(help="Where the service listens, if not the one of --home.")] = None,
    port: Annotated[int | None, typer.Option()] = None,
    json: JsonOption = False,
) -> None:
    """Run a statement through the gateway and print what it answers."""
    from redoubt.cli.sql import run_statement

    text = sys.stdin.read() if statement == "-" else statement
    raise typer.Exit(
        run_statement(text, home.expanduser(), user=user, password=password, host=host, port=port, as_json=json)
    )


@app.command()
def status(
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = False,
) -> None:
    """Show rounds, pieces and how far the archive is behind."""
    from redoubt.cli.status import show_status

    raise typer.Exit(show_status(home.expanduser(), as_json=json))


@app.command()
def drill(
    uri: UriArgument,
    tenant: TenantOption = None,
    until: UntilOption = None,
    scn: ScnOption = None,
    utc: UtcOption = False,
    latest: Annotated[bool, typer.Option("--latest", help="The newest archived moment; the default.")] = False,
    sql: Annotated[Path | None, typer.Option("--sql", help="A file of statements that check the data.")] = None,
    query: Annotated[str | None, typer.Option("--query", help="Statements that check the data.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Count all rows, by each table and each index.")] = False,
    scratch: ScratchOption = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the scratch directory.")] = False,
    user: EngineUserOption = None,
    password: PasswordOption = "",
    home: LenderOption = None,
    json: JsonOption = False,
) -> None:
    """Restore into a scratch directory, start the engine, check what it finds, and put the verdict on record."""
    from redoubt.cli.drill import DrillOptions, run_drill

    if (latest and (until is not None or scn is not None)) or (sql is not None and query is not None):
        raise typer.BadParameter("give one of --latest, --until, --scn, and one of --sql, --query")
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


@app.command()
def follow(
    uri: UriArgument,
    to: Annotated[Path, typer.Option("--to", help="The standby's directory: a new one, or one that follows already.")],
    tenant: TenantOption = None,
    once: Annotated[bool, typer.Option("--once", help="Lay what there is, and end.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
) -> None:
    """Keep a restored directory laid up to the newest archived log; to take over, end this and open the directory."""
    from redoubt.cli.follow import keep_following

    raise typer.Exit(keep_following(uri, tenant, to, once=once, interval=interval))


@app.command()
def restore(
    uri: UriArgument,
    tenant: Annotated[str, typer.Option(help="The tenant's name or id, as it was backed up.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where to: a directory that is empty, or not there.")],
    until: UntilOption = None,
    scn: ScnOption = None,
    latest: Annotated[bool, typer.Option("--latest", help="The newest archived moment.")] = False,
    utc: UtcOption = False,
    cluster: Annotated[str | None, typer.Option(help="The cluster's name, if several have archived there.")] = None,
    cluster_id: Annotated[int | None, typer.Option(help="The cluster's id, likewise.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, and do nothing.")] = False,
    no_start: Annotated[
        bool, typer.Option("--no-start", help="Start no engine; what was open at the moment stays open.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Restore a tenant, as it was at a moment, into a directory; needs nothing but the backup destination."""
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


@app.command()
def replay(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that redoubt made.")],
    user: Annotated[str, typer.Option("--user", "-u", help="An account that may ALTER SYSTEM.")] = "root",
    password: PasswordOption = "",
) -> None:
    """Start an engine in a restored directory once: it replays, rolls back what was open, and flushes."""
    from redoubt.cli.replay import replay as run

    raise typer.Exit(run(directory.expanduser().absolute(), user, password))


@app.command(name="roll-forward")
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
    """Make a new data backup of an older one and the log after it, without the source."""
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


@app.command()
def verify(
    uri: UriArgument,
    tenant: OneTenantOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Read also what was verified before.")] = False,
    older_than: Annotated[str, typer.Option(help="Read again what was last read longer ago than this.")] = "30d",
    jobs: Annotated[int | None, typer.Option(min=1, help="Threads (default: one a core).")] = None,
    state: Annotated[Path | None, typer.Option(help="File that keeps what was verified, and when.")] = None,
    json: JsonOption = False,
) -> None:
    """Check every object of a destination, and name what is damaged and which moments that costs."""
    from redoubt.cli.verify import Wish, verify

    wish = Wish(uri=uri, tenant=tenant, jobs=jobs, older_than=older_than, state=state, is_all=everything)
    raise typer.Exit(verify(wish, as_json=json))


@app.command()
def window(
    uri: UriArgument,
    tenant: OneTenantOption = None,
    wanted: Annotated[
        str | None,
        typer.Option("--assert", help="Exit status 2 unless this long, such as 7d, is one window up to now."),
    ] = None,
    lag: Annotated[str, typer.Option(help="How far behind now the window may end, for --assert.")] = "1m",
    json: JsonOption = False,
) -> None:
    """Show the moments to which each tenant can be restored, and the holes between them."""
    from redoubt.cli.window import show_window

    raise typer.Exit(show_window(uri, tenant, wanted=wanted, lag=lag, as_json=json))


@app.command(name="repair-catalog")
def repair_catalog(
    uri: UriArgument,
    home: HomeOption = DEFAULT_HOME,
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be changed.")] = False,
) -> None:
    """Bring the catalog of a home whose service is stopped to what the destination says."""
    from redoubt.cli.repair_catalog import repair_catalog

    raise typer.Exit(repair_catalog(uri, home.expanduser(), config, is_dry_run=dry_run))


@app.command()
def demo() -> None:
    """Play OceanBase's page "Initiate log backup" on a cluster of its own, and restore a table dropped by mistake."""
    from redoubt.cli.demo import play

    raise typer.Exit(play())


@app.command()
def version() -> None:
    """Print the version."""
    from redoubt import __version__

    typer.echo(__version__)


def main() -> None:
    """The entry point of the `redoubt` command."""
    app()
