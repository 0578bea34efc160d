"""`redoubt estimate`: the requests and bytes that a destination will need in a month, and their price."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from redoubt.archive.usage import Usage, usage
from redoubt.cli.printing import complain, console, print_rows
from redoubt.destinations.uri import open_destination
from redoubt.errors import RedoubtError
from redoubt.model.estimate import Month, Prices, cost, month, together
from redoubt.model.seams import DestinationError

_COLUMNS = ["tenant", "objects", "stored MB", "PUT", "GET", "DELETE", "added MB"]


def show_estimate(uri: str, prices: Prices | None, *, as_json: bool) -> int:
    """Print the estimate. The exit status: 0, or 1 if the destination cannot be read."""
    try:
        found = list(usage(open_destination(uri), time.time_ns()))
        if not found:
            raise DestinationError(f"{uri}: no cluster has a backup there")
    except RedoubtError as error:
        if as_json:
            print(json.dumps({"destination": uri, "tenants": None, "error": str(error)}))  # noqa: T201 - for programs
        else:
            complain(error)
        return 1
    months = [month(each.use) for each in found]
    whole, stored = together(months), sum(each.use.stored_bytes for each in found)
    price = cost(whole, stored, prices) if prices is not None else None
    if as_json:
        rows = [_tenant(each, of) for each, of in zip(found, months, strict=True)]
        answer = {"destination": uri, "tenants": rows, "month": asdict(whole), "stored_bytes": stored, "cost": price}
        print(json.dumps(answer, indent=2))  # noqa: T201 - for programs
        return 0
    out = console()
    rows_shown = [(str(each.tenant.name), *_figures(each, of)) for each, of in zip(found, months, strict=True)]
    print_rows(out, _COLUMNS, rows_shown)
    for each in found:
        if each.problem:
            complain(f"tenant {each.tenant}: not everything could be read: {each.problem}")
        if not each.use.segments:
            out.print(f"tenant {each.tenant}: no log is being archived here, so only data backups count", markup=False)
    out.print(
        f"a month at the present rate: {whole.puts:,.0f} PUT, {whole.gets:,.0f} GET, {whole.deletes:,.0f} DELETE, "
        f"{whole.added_bytes / 1e6:,.0f} MB more (if nothing is deleted)"
    )
    if price is not None:
        out.print(f"that costs {price:,.2f} a month: the requests, and what is stored at the end of the month")
    return 0


def _figures(each: Usage, of: Month) -> tuple[str, ...]:
    return (
        *(f"{each.use.objects:,}", f"{each.use.stored_bytes / 1e6:,.1f}"),
        *(f"{of.puts:,.0f}", f"{of.gets:,.0f}", f"{of.deletes:,.0f}", f"{of.added_bytes / 1e6:,.1f}"),
    )


def _tenant(each: Usage, of: Month) -> dict[str, Any]:
    return {
        "cluster": each.tenant.cluster.cluster,
        "cluster_id": each.tenant.cluster.cluster_id,
        "tenant_id": each.tenant.tenant_id,
        "tenant": each.tenant.name,
        **asdict(each.use),
        "month": asdict(of),
        "problem": each.problem,
    }
