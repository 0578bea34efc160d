"""`redoubt restore`: makes a directory that an engine opens, from a destination alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from redoubt.archive.inventory import clusters
from redoubt.archive.record import stored_fields
from redoubt.cli.printing import complain, console
from redoubt.cli.progress import shown_progress
from redoubt.cli.replay import start_once
from redoubt.destinations.uri import open_destination
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.model.engine_kind import FirstStart, RestoredDirectory
from redoubt.model.recovery import NotRecoverableError
from redoubt.model.scratch_engine import Login
from redoubt.model.seams import Destination
from redoubt.moments import instant, moment
from redoubt.restore.planning import Plan, find_tenant, make_plan
from redoubt.restore.restoring import Restoration, Restored, check_directory, check_room, unfinished

_INTERRUPTED = 130
"""A shell's exit status of a process that Ctrl-C ended."""


class WishError(RedoubtError):
    """The options are incomplete or wrong; the text says what to give."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The command's options. Exactly one of `until`, `scn` and `latest` says which moment."""

    uri: str
    tenant: str
    to: Path
    until: str | None = None
    scn: int | None = None
    latest: bool = False
    utc: bool = False
    cluster: str | None = None
    cluster_id: int | None = None
    dry_run: bool = False
    no_start: bool = False
    as_json: bool = False

    @property
    def moment(self) -> int | None:
        """The SCN, None for the newest. Raises WishError, MomentError."""
        if (self.until is not None) + (self.scn is not None) + self.latest != 1:
            raise WishError("name the moment with one of --until TIME, --scn N and --latest")
        return self.scn if self.until is None else moment(self.until, utc=self.utc)


def restore(wish: Wish) -> int:
    """Print the plan and carry it out; returns the exit status: 0 restored or plan printed, 1 refused or failed."""
    try:
        plan = _planned(wish)
        if not wish.as_json:
            _print_plan(console(), plan, wish)
        check_room(plan, wish.to)
        done = None if wish.dry_run else _carried_out(plan, wish.to)
    except (RedoubtError, OSError) as error:
        _tell(error, as_json=wish.as_json)
        return 1
    except KeyboardInterrupt:
        complain(f"interrupted; run the same command again to continue the restore into {wish.to}")
        return _INTERRUPTED
    try:
        started = None if done is None or wish.no_start else _started(plan, wish.to)
    except KeyboardInterrupt:
        complain(f"interrupted after the restore; to finish the first start, run redoubt replay {wish.to}")
        return _INTERRUPTED
    if wish.as_json:
        rolled_back = None if started is None else started.rolled_back
        restored = None if done is None else stored_fields(done) | {"rolled_back": rolled_back}
        _print_json({"plan": _as_fields(plan, wish), "restored": restored})
    elif done is not None and (started is None or started.is_open):
        _print_end(console(), plan, wish.to, started)
    return 0 if started is None or started.is_open else 1


def _started(plan: Plan, to: Path) -> FirstStart:
    """Make the first start, and complain if it had trouble. The restore itself is complete in any case."""
    started = start_once(engine_kind(plan.tenant.engine_kind), to, Login("root", ""), flush=False)
    if started.trouble:
        complain(started.trouble)
    return started


def _print_end(out: Console, plan: Plan, to: Path, started: FirstStart | None) -> None:
    if started is not None and started.rolled_back:
        which = "transaction that was" if started.rolled_back == 1 else "transactions that were"
        out.print(f"rolled back: {started.rolled_back} {which} open at that moment")
    out.print(
        f"restored: {_directory(plan, to).how_to_open()} opens it, with the users and passwords of that moment",
        markup=False,
        soft_wrap=True,
    )


def _planned(wish: Wish) -> Plan:
    """The plan for the options, or the plan of an unfinished restore in the directory."""
    scn = wish.moment
    destination = open_destination(wish.uri)
    _check_destination(destination, wish.uri)
    tenant = find_tenant(destination, wish.tenant, wish.cluster, wish.cluster_id)
    cutter = engine_kind(tenant.engine_kind).cutter
    check_directory(wish.to)
    begun = unfinished(wish.to)
    if begun is None:
        return make_plan(destination, tenant, scn, cutter)
    wanted = begun.end.scn if scn is None else scn
    is_settled = wanted != begun.end.scn  # an unfinished restore, maybe for `follow`, keeps its planned end
    return make_plan(destination, tenant, wanted, cutter, begun.of.set_id, is_settled=is_settled)


def _check_destination(destination: Destination, uri: str) -> None:
    if not any(clusters(destination)):
        raise WishError(f"no backup found in {uri}; name the backup_dest of a cluster; a directory must be mounted")


def _carried_out(plan: Plan, to: Path) -> Restored:
    kind = engine_kind(plan.tenant.engine_kind)
    with shown_progress(console(error=True), "restoring") as progress:
        return Restoration(plan, to, lambda lsn: kind.layer(to, lsn), kind.cutter, progress).run()


def _print_plan(out: Console, plan: Plan, wish: Wish) -> None:
    summary, asked = plan.base.summary, wish.moment
    taken = instant(summary.snapshot_scn)
    lines = [
        f"tenant  {plan.tenant}",
        f"base    set {summary.of.set_id}, taken {taken}, {plan.base_bytes} bytes ({summary.output_bytes} stored)",
    ]
    lines += [
        f"log     piece {part.key}: LSN {part.start_lsn} to {part.end_lsn}, {part.segments} segments, "
        f"{part.end_lsn - part.start_lsn} bytes ({part.stored_bytes} stored)"
        for part in plan.parts
    ]
    lines.append(f"total   {plan.base_bytes + plan.log_bytes} bytes to write, {plan.stored_bytes} to read")
    if asked is not None:
        lines.append(f"asked   for SCN {asked}, {instant(asked)}")
    lines += [f"stops   at SCN {plan.end.scn}, {instant(plan.end.scn)}", f"into    {wish.to}"]
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)
    for warning in _warnings(plan, wish.to):
        out.print(f"warning: {warning}", markup=False, soft_wrap=True, style="yellow")


def _warnings(plan: Plan, to: Path) -> list[str]:
    """Warnings: problems that do not prevent the restore."""
    warnings = [f"ignored unreadable backup data: {text}" for text in plan.damage]
    return warnings + _directory(plan, to).warnings(plan.log_bytes)


def _directory(plan: Plan, to: Path) -> RestoredDirectory:
    return engine_kind(plan.tenant.engine_kind).restored(to)


def _as_fields(plan: Plan, wish: Wish) -> dict[str, Any]:
    summary, asked = plan.base.summary, wish.moment
    return {
        "cluster": plan.tenant.cluster.cluster,
        "cluster_id": plan.tenant.cluster.cluster_id,
        "tenant_id": plan.tenant.tenant_id,
        "tenant": plan.tenant.name,
        "base": {
            "set_id": summary.of.set_id,
            "snapshot_scn": summary.snapshot_scn,
            "snapshot_time": instant(summary.snapshot_scn),
            "bytes": plan.base_bytes,
            "stored_bytes": summary.output_bytes,
        },
        "log": [
            {
                "piece": str(part.key),
                "start_lsn": part.start_lsn,
                "end_lsn": part.end_lsn,
                "segments": part.segments,
                "stored_bytes": part.stored_bytes,
            }
            for part in plan.parts
        ],
        "bytes": plan.base_bytes + plan.log_bytes,
        "stored_bytes": plan.stored_bytes,
        "asked_scn": asked,
        "asked_time": None if asked is None else instant(asked),
        "end_lsn": plan.end.lsn,
        "end_scn": plan.end.scn,
        "end_time": instant(plan.end.scn),
        "directory": str(wish.to),
        "warnings": _warnings(plan, wish.to),
    }


def _tell(error: Exception, *, as_json: bool) -> None:
    nearest = {"before": error.before, "after": error.after} if isinstance(error, NotRecoverableError) else {}
    if as_json:
        _print_json({"error": str(error)} | {name: _moment_fields(scn) for name, scn in nearest.items()})
        return
    complain(f"that moment cannot be restored: {error}" if isinstance(error, NotRecoverableError) else error)
    for name, scn in nearest.items():
        if scn is not None:
            complain(f"the nearest restorable moment {name} it: --scn {scn} ({instant(scn)})")


def _moment_fields(scn: int | None) -> dict[str, Any] | None:
    return None if scn is None else {"scn": scn, "time": instant(scn)}


def _print_json(fields: dict[str, Any]) -> None:
    print(json.dumps(fields, indent=2))  # noqa: T201 - plain, for programs
