"""`redoubt roll-forward`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from rich.progress import Progress

from redoubt.archive.archived_history import ForeignDestinationError, set_of
from redoubt.archive.inventory import take_inventory
from redoubt.archive.set_layout import set_path
from redoubt.archive.set_manifest import SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.repair import Repair, carry_out, set_changes
from redoubt.catalog.session import CatalogSession
from redoubt.cli.connecting import connect_as_service
from redoubt.cli.printing import complain, console, print_rows
from redoubt.cli.rehearsing import chosen_tenant, ended_in_order, is_of_home, logins_for, moment_of, utc_text
from redoubt.destinations.uri import open_destination
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.model.history import TenantSet
from redoubt.model.scratch_engine import Login
from redoubt.rehearsal.roll_forward import Rolled, plan_roll, roll_forward
from redoubt.restore.planning import Plan


@dataclass(frozen=True, kw_only=True)
class RollOptions:
    """The options as typed."""

    uri: str
    tenant: str | None
    until: str | None
    scn: int | None
    utc: bool
    scratch: Path | None
    user: str | None
    password: str
    home: Path | None
    json: bool


def run_roll_forward(options: RollOptions) -> int:
    """Make a new data backup from an older one and the log after it; the exit status: 0 made, 1 not made."""
    try:
        with ended_in_order():
            plan, rolled = _roll(options)
    except (RedoubtError, OSError) as error:
        complain(error)
        return 1
    _print(options, plan, rolled)
    if options.home is not None:
        _show_in_catalog(options.home, plan, rolled)
    return 0


def _roll(options: RollOptions) -> tuple[Plan, Rolled]:
    destination = open_destination(options.uri)
    tenant = chosen_tenant(destination, options.tenant)
    kind = engine_kind(tenant.engine_kind)
    plan = plan_roll(destination, tenant, moment_of(options.until, options.scn, utc=options.utc), kind.cutter)
    out = console(error=True)
    out.print(_text_of(plan), markup=False, soft_wrap=True)

    def logins(summary: SetSummary) -> list[Login]:
        return logins_for(kind, summary.of.source, summary.of.tenant_id, options.user, options.password, options.home)

    with Progress(console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("restoring the base and its log", total=None)

        def say(text: str) -> None:
            bar.update(task, description=escape(text))

        rolled = roll_forward(
            destination,
            plan,
            options.scratch,
            kind,
            logins,
            lambda done, total: bar.update(task, completed=done, total=total),
            say,
        )
    return plan, rolled


def _text_of(plan: Plan) -> str:
    summary = plan.base.summary
    return (
        f"tenant {plan.tenant}: set {summary.of.set_id} ({plan.base_bytes} bytes) and {plan.log_bytes} bytes of log "
        f"up to SCN {plan.end.scn} ({utc_text(plan.end.scn)} UTC)"
    )


def _print(options: RollOptions, plan: Plan, rolled: Rolled) -> None:
    said = {
        "tenant": rolled.summary.of.tenant,
        "from_set": plan.base.summary.of.set_id,
        "set_id": rolled.summary.of.set_id,
        "folder": rolled.folder,
        "snapshot_scn": rolled.summary.snapshot_scn,
        "start_lsn": rolled.summary.start_lsn,
        "log_bytes": plan.log_bytes,
        "output_bytes": rolled.summary.output_bytes,
        "checked": rolled.checked,
        "laying_seconds": round(rolled.laying, 3),
        "rolling_seconds": round(rolled.rolling, 3),
        "storing_seconds": round(rolled.storing, 3),
    }
    if options.json:
        print(json.dumps(said, indent=2))  # noqa: T201 - plain, for programs
        return
    print_rows(console(), list(said), [tuple(said.values())])


def _show_in_catalog(home: Path, plan: Plan, rolled: Rolled) -> None:
    """Enter the new set into the catalog of the home's cluster, for its views and its retention."""
    session = CatalogSession(lambda: connect_as_service(home))
    try:
        uri = Catalog(session).parameters().get("backup_dest", "")
        part = _as_stored(uri, home, plan, rolled)
        carry_out(session, Repair(set_changes(session, (part,), uri)))
    except ForeignDestinationError as error:
        complain(f"set {rolled.summary.of.set_id} is not in the catalog of {home}: {error}")
    except (RedoubtError, OSError) as error:
        complain(
            f"set {rolled.summary.of.set_id} is not in the catalog of {home}: {error}; "
            "to add the set, stop the service and run redoubt repair-catalog"
        )
    finally:
        session.close()


def _as_stored(uri: str, home: Path, plan: Plan, rolled: Rolled) -> TenantSet:
    """The new set as stored in the cluster's backup_dest; it is missing there if the command was given a copy.

    Raises ForeignDestinationError, ArchiveError, DestinationError, UriError, OSError.
    """
    key = rolled.summary.of.key
    path = set_path(plan.tenant.cluster, plan.tenant.tenant_id, key)
    destination = open_destination(uri) if uri else None
    if destination is None or not is_of_home(destination, plan.tenant, home):
        raise ForeignDestinationError(f"the home's backup_dest ({uri or 'empty'}) has no archive of the home's cluster")
    manifest = SetStore(destination, path).manifest()
    if manifest is None or manifest.summary != rolled.summary:  # the backup_dest may have another set with the number
        raise ForeignDestinationError(f"the home's backup_dest ({uri}) does not hold the set as {path.folder}")
    return set_of(destination, plan.tenant, key, take_inventory(destination, plan.tenant))
