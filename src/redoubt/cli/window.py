"""`redoubt window`: the moments to which each tenant can be restored, and the holes between them with causes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from redoubt.cli.printing import complain, console
from redoubt.destinations.uri import open_destination
from redoubt.errors import RedoubtError
from redoubt.model.coverage import missing
from redoubt.model.seams import DestinationError
from redoubt.moments import duration, instant, span
from redoubt.verify.covering import TenantCoverage, cover

_NOT_COVERED = 2


@dataclass(frozen=True)
class Demand:
    """The values of --assert and --lag: the length of the window, and its distance from now; ns."""

    length: int
    lag: int


def show_window(uri: str, tenant: str | None, *, wanted: str | None, lag: str, as_json: bool) -> int:
    """Print the windows. The exit status: 0; 2 if `wanted` (a duration) is not covered; 1 if they are unknown."""
    try:
        demand = None if wanted is None else Demand(duration(wanted), duration(lag))
        found = _found(uri, tenant)
    except RedoubtError as error:
        if as_json:
            print(json.dumps({"destination": uri, "tenants": None, "error": str(error)}))  # noqa: T201 - for programs
        else:
            complain(error)
        return 1
    now = time.time_ns()
    lacks = [missing(each.coverage, now, demand.length, demand.lag) if demand else [] for each in found]
    if as_json:
        answer = {"destination": uri, "now": instant(now), "asserted": wanted, "lag": lag if wanted else None}
        rows = [_tenant(each, lack) for each, lack in zip(found, lacks, strict=True)]
        print(json.dumps(answer | {"tenants": rows}, indent=2))  # noqa: T201 - plain, for programs
    else:
        for each, lack in zip(found, lacks, strict=True):
            _print(console(), each, lack, wanted, now)
    return _NOT_COVERED if any(lacks) else 0


def _found(uri: str, tenant: str | None) -> list[TenantCoverage]:
    """The coverage of the tenants. Raises UriError, DestinationError."""
    found = list(cover(open_destination(uri), tenant))
    if not found:
        what = "no cluster has" if tenant is None else f"no tenant {tenant!r} has"
        raise DestinationError(f"{uri}: {what} a backup there")
    return found


def _tenant(each: TenantCoverage, lacks: list[str]) -> dict[str, Any]:
    found = each.coverage
    return {
        "cluster": each.tenant.cluster.cluster,
        "cluster_id": each.tenant.cluster.cluster_id,
        "tenant_id": each.tenant.tenant_id,
        "tenant": each.tenant.name,
        "windows": [
            span(window.start_scn, window.end_scn) | {"bases": [base.key.set_id for base in window.bases]}
            for window in found.windows
        ],
        "holes": [span(gap.start_scn, gap.end_scn) | {"causes": list(gap.causes)} for gap in found.gaps],
        "log_without_base": [span(bare.start_scn, bare.end_scn) for bare in found.unreached],
        "log_end": instant(found.log_end_scn) if found.log_end_scn else None,
        "is_archived": found.is_live,
        "ending": found.ending,
        "damage": list(each.damage),
        "missing": lacks,
    }


def _print(out: Console, each: TenantCoverage, lacks: list[str], wanted: str | None, now: int) -> None:
    found = each.coverage
    out.print(f"tenant {each.tenant}", markup=False)
    gaps = {gap.end_scn: gap for gap in found.gaps}
    for window in found.windows:
        if (gap := gaps.get(window.start_scn)) is not None:
            out.print(f"  hole                {'; '.join(gap.causes)}", markup=False, style="red")
        sets = ", ".join(str(base.key.set_id) for base in window.bases)
        where = f"SCN {window.start_scn} to {window.end_scn}, data backups {sets}"
        out.print(
            f"  can be restored     {instant(window.start_scn)} to {instant(window.end_scn)} ({where})", markup=False
        )
    if not found.windows:
        out.print("  nothing can be restored: no data backup has the log that follows it", style="red")
    for bare in found.unreached:
        out.print(f"  log without a base  {instant(bare.start_scn)} to {instant(bare.end_scn)}", markup=False)
    if found.is_live:
        behind = f", {(now - found.log_end_scn) / 1e9:,.1f} s behind now" if found.log_end_scn else ""
        out.print(f"  log is being archived{behind}")
    else:
        out.print(f"  log is not being archived{f': {found.ending}' if found.ending else ''}", markup=False)
    for damage in each.damage:
        out.print(f"  DAMAGED             {damage}", markup=False, style="red")
    for lack in lacks:
        out.print(f"  MISSING             {lack}", markup=False, style="red")
    if wanted is not None and not lacks:
        out.print(
            f"  the last {wanted} up to {'the end of the archived log' if found.is_live else 'now'} are one window"
        )
