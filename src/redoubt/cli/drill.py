"""`redoubt drill`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pymysql
from rich.markup import escape
from rich.progress import Progress

from redoubt.archive.inventory import TenantPath
from redoubt.archive.set_manifest import SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.catalog.set_views import DRILL_COLUMNS, keep_drills
from redoubt.cli.connecting import connect_as_service
from redoubt.cli.printing import complain, console, print_rows
from redoubt.cli.rehearsing import chosen_tenant, ended_in_order, is_of_home, logins_for, moment_of, utc_text
from redoubt.destinations.uri import open_destination
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.model.scratch_engine import Login
from redoubt.model.seams import Destination, DestinationError
from redoubt.rehearsal.checks import Check, EveryTable, OwnSql
from redoubt.rehearsal.drill import Drill, DrillRequest
from redoubt.rehearsal.fingerprint import fingerprint_of
from redoubt.rehearsal.record import DrillRecord, Verdict, keep_record, kept_records

_STATUS = {Verdict.PASSED: 0, Verdict.FAILED: 2, Verdict.OPENED: 3}


@dataclass(frozen=True, kw_only=True)
class DrillOptions:
    """The options as typed."""

    uri: str
    tenant: str | None
    until: str | None
    scn: int | None
    utc: bool
    sql: Path | None
    query: str | None
    full: bool
    scratch: Path | None
    keep: bool
    user: str | None
    password: str
    home: Path | None
    json: bool


def run_drill(options: DrillOptions) -> int:
    """Run a drill, record and print its result, and return the exit status.

    0: passed; 2: failed; 3: the engine opened, but no login succeeded; 1: the drill could not be done or recorded.
    """
    try:
        with ended_in_order():
            destination = open_destination(options.uri)
            tenant = chosen_tenant(destination, options.tenant)
            drill, record = _drill(options, destination, tenant)
    except (RedoubtError, OSError) as error:
        complain(error)
        return 1
    kept = _record(destination, tenant, record, encrypts=drill.is_encrypted)
    _print(options, record, kept, drill.kept)
    if options.home is not None and kept is not None:
        _show_in_catalog(options.home, destination, tenant)
    return 1 if kept is None and record.verdict != Verdict.FAILED else _STATUS[Verdict(record.verdict)]


def _drill(options: DrillOptions, destination: Destination, tenant: TenantPath) -> tuple[Drill, DrillRecord]:
    kind = engine_kind(tenant.engine_kind)
    own = options.sql.read_text() if options.sql is not None else options.query

    def check(store: SetStore) -> Check:
        if own is not None:
            return OwnSql(own)
        return EveryTable(fingerprint_of(store), whole=options.full)

    def logins(summary: SetSummary) -> list[Login]:
        return logins_for(kind, summary.of.source, summary.of.tenant_id, options.user, options.password, options.home)

    scn = moment_of(options.until, options.scn, utc=options.utc)
    terms = DrillRequest(scn, options.scratch, options.keep, logins, check)
    out = console(error=True)
    with Progress(console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("restoring", total=None)
        drill = Drill(
            destination,
            tenant,
            terms,
            kind,
            lambda done, total: bar.update(task, completed=done, total=total),
            lambda text: bar.update(task, description=escape(text)),
        )
        return drill, drill.run()


def _record(destination: Destination, tenant: TenantPath, record: DrillRecord, *, encrypts: bool) -> str | None:
    """Store the record; returns the name of its object. On failure complains and returns None."""
    if not record.set_id:
        complain("not recorded: the data backup that the restore would use is unknown")
        return None
    try:
        return keep_record(destination, tenant, record, encrypts=encrypts)
    except DestinationError as error:
        complain(f"not recorded: {error}")
        return None


def _print(options: DrillOptions, record: DrillRecord, kept: str | None, directory: Path | None) -> None:
    said = {
        **asdict(record),
        "end_time": utc_text(record.end_scn),
        "started": utc_text(record.started),
        "seconds": round(record.seconds, 3),
        "recorded_as": kept,
        "directory": None if directory is None else str(directory),
    }
    if options.json:
        print(json.dumps(said, indent=2))  # noqa: T201 - plain, for programs
        return
    out = console()
    out.print(
        record.verdict,
        style={Verdict.PASSED: "green", Verdict.OPENED: "yellow"}.get(Verdict(record.verdict), "red"),
    )
    for line in (record.checked, record.cause):
        if line:
            out.print(line, markup=False)
    names = ["tenant", "set_id", "end_time", "end_scn", "log_bytes", "laying_us", "opening_us", "checking_us"]
    print_rows(out, names, [tuple(said[name] for name in names)])
    for what, where in (("recorded as", kept), ("the directory is kept:", directory)):
        if where is not None:
            out.print(f"{what} {where}", markup=False)


def _show_in_catalog(home: Path, destination: Destination, tenant: TenantPath) -> None:
    """Write the tenant's drill records into the catalog of the home's cluster, if its service runs."""
    try:
        if not is_of_home(destination, tenant, home):
            complain(f"not in CDB_REDOUBT_DRILLS: {tenant} was not archived by the cluster in {home}")
            return
        rows = [tuple(_of_catalog(each)[name] for name in DRILL_COLUMNS) for each in kept_records(destination, tenant)]
        with connect_as_service(home) as connection, connection.cursor() as cursor:
            keep_drills(cursor, rows)
    except (RedoubtError, OSError, pymysql.err.MySQLError) as error:
        complain(f"not in CDB_REDOUBT_DRILLS: {error}")


def _of_catalog(record: DrillRecord) -> dict[str, int | str]:
    return {**asdict(record), "bs_key": record.set_id}
