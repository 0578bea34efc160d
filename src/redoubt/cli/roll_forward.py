"""`redoubt roll-forward`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from redoubt.archive.set_manifest import SetSummary
from redoubt.archive.store import ArchiveError
from redoubt.backup.taking import BackupFailedError
from redoubt.cli.moments import MomentError
from redoubt.cli.printing import complain, console, print_rows
from redoubt.cli.rehearsing import chosen_tenant, ended_in_order, logins_for, moment_of, utc_text
from redoubt.destinations.uri import UriError, open_destination
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter, SeekdbLogLayer
from redoubt.engines.seekdb.rolling import SeekdbRoller
from redoubt.model.recovery import NotRecoverableError
from redoubt.model.rolling import NotRolledError
from redoubt.model.scratch import Login
from redoubt.model.seams import DestinationError
from redoubt.rehearsal.roll_forward import Means, Rolled, plan_roll, roll_forward
from redoubt.rehearsal.scratch import NoScratchError
from redoubt.restore.planning import Plan, UnknownTenantError
from redoubt.restore.restoring import RestoreError

_NOT_DONE = (
    ArchiveError,
    BackupFailedError,
    DestinationError,
    MomentError,
    NoScratchError,
    NotRecoverableError,
    NotRolledError,
    OSError,
    RestoreError,
    UnknownTenantError,
    UriError,
)


@dataclass(frozen=True)
class RollOptions:
    """What was typed."""

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
    """Make a new data backup of an older one and the log after it; the exit status: 0 made, 1 not."""
    try:
        with ended_in_order():
            plan, rolled = _roll(options)
    except _NOT_DONE as error:
        complain(error)
        return 1
    _print(options, plan, rolled)
    return 0


def _roll(options: RollOptions) -> tuple[Plan, Rolled]:
    destination = open_destination(options.uri)
    tenant = chosen_tenant(destination, options.tenant)
    cutter = SeekdbLogCutter()
    plan = plan_roll(destination, tenant, moment_of(options.until, options.scn, utc=options.utc), cutter)
    out = console(error=True)
    out.print(_text_of(plan), markup=False, soft_wrap=True)

    def logins(summary: SetSummary) -> list[Login]:
        return logins_for(summary.source, summary.tenant_id, options.user, options.password, options.home)

    with Progress(console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("laying base and log", total=None)

        def say(text: str) -> None:
            bar.update(task, description=text)

        means = Means(
            lambda path, lsn: SeekdbLogLayer(BaseDir(path), lsn),
            cutter,
            lambda path: SeekdbRoller(BaseDir(path), say),
            logins,
        )
        rolled = roll_forward(
            destination,
            plan,
            options.scratch,
            means,
            lambda done, total: bar.update(task, completed=done, total=total),
            say,
        )
    return plan, rolled


def _text_of(plan: Plan) -> str:
    summary = plan.base.summary
    return (
        f"tenant {plan.tenant}: set {summary.set_id} ({plan.base_bytes} bytes) and {plan.log_bytes} bytes of log "
        f"up to SCN {plan.end.scn} ({utc_text(plan.end.scn)} UTC)"
    )


def _print(options: RollOptions, plan: Plan, rolled: Rolled) -> None:
    said = {
        "tenant": rolled.summary.tenant,
        "from_set": plan.base.summary.set_id,
        "set_id": rolled.summary.set_id,
        "folder": rolled.folder,
        "snapshot_scn": rolled.summary.snapshot_scn,
        "start_lsn": rolled.summary.start_lsn,
        "log_bytes": plan.log_bytes,
        "output_bytes": rolled.summary.output_bytes,
        "laying_seconds": round(rolled.laying, 3),
        "rolling_seconds": round(rolled.rolling, 3),
        "storing_seconds": round(rolled.storing, 3),
    }
    if options.json:
        print(json.dumps(said, indent=2))  # noqa: T201 - plain, for programs
        return
    print_rows(console(), list(said), [tuple(said.values())])
