"""`redoubt verify`: checks every object of a destination, names damage and the moments it costs, and repairs it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from redoubt.archive.inventory import clusters
from redoubt.archive.master_keys import source_troubles
from redoubt.cli.printing import complain, console
from redoubt.destinations.uri import is_same_place, open_destination
from redoubt.errors import RedoubtError
from redoubt.model import bases
from redoubt.model.recovery import Window
from redoubt.moments import duration, instant, span
from redoubt.verify.checking import Checker
from redoubt.verify.findings import Finding, Report, TenantReport
from redoubt.verify.repairing import Repaired, repair
from redoubt.verify.verified_objects import VerifiedObjects
from redoubt.verify.verifying import Verifier

_DAMAGED = 2
_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The command's options. `older_than` is a duration; `state` None means the default file.

    `copy` is the URI of a copy to repair from, None to repair nothing.
    """

    uri: str
    copy: str | None
    tenant: str | None
    jobs: int | None
    older_than: str
    state: Path | None
    is_all: bool


class NothingThereError(RedoubtError):
    """The destination has no such backup to verify; the text says which."""


def verify(wish: Wish, *, as_json: bool) -> int:
    """Verify and print the report. The exit status: 0 sound, 2 damage, 1 verify could not be done."""
    began = time.monotonic()
    try:
        _check_copy(wish)
        report = _run(wish)
        repaired = _repair(wish, report) if wish.copy is not None and not report.is_sound else []
        if any(each.stored for each in repaired):
            report = _run(wish)
    except RedoubtError as error:
        if as_json:
            print(json.dumps({"destination": wish.uri, "sound": None, "error": str(error)}))  # noqa: T201 - for programs
        else:
            complain(error)
        return 1
    seconds = time.monotonic() - began
    if as_json:
        found = as_dict(wish.uri, report, seconds) | {"repaired": [asdict(each) for each in repaired]}
        print(json.dumps(found, indent=2))  # noqa: T201 - plain, for programs
    else:
        for each in repaired:
            _print_repaired(console(), each)
        _print(console(), report, seconds)
    return 0 if report.is_sound else _DAMAGED


def state_file(uri: str) -> Path:
    """The default file for the record of a destination's verified objects."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    name = hashlib.sha256(uri.encode(errors="surrogateescape")).hexdigest()[:32]
    return Path(cache).expanduser() / "redoubt" / "verified" / f"{name}.json"


def _run(wish: Wish) -> Report:
    destination = open_destination(wish.uri)
    now = time.time_ns()
    since = now if wish.is_all else now - duration(wish.older_than)
    for trouble in source_troubles():
        complain(f"{trouble}; what needs this key is not decrypted")
    verified = VerifiedObjects(wish.state or state_file(wish.uri), since)
    with _progress() as tell:
        checker = Checker(destination, verified, wish.jobs or os.cpu_count() or 1, tell)
        try:
            report = Verifier(checker, wish.tenant).run()
        finally:
            checker.close()
            _save(verified)
    if not report.tenants:
        what = (
            "no cluster has archived there" if wish.tenant is None else f"no tenant {wish.tenant!r} has a backup there"
        )
        raise NothingThereError(f"{wish.uri}: {what}")
    return report


def _check_copy(wish: Wish) -> None:
    """Check the copy to repair from before hours of reading. Raises RedoubtError."""
    if wish.copy is None:
        return
    if is_same_place(wish.copy, wish.uri):
        raise NothingThereError("the copy to repair from is the same destination: name another one with --repair")
    if not any(True for _ in clusters(open_destination(wish.copy))):
        raise NothingThereError(f"{wish.copy}: there is no backup to repair from")


def _repair(wish: Wish, report: Report) -> list[Repaired]:
    """Mend the destination from the copy. Raises RedoubtError."""
    assert wish.copy is not None
    holder = f"redoubt verify, pid {os.getpid()} on {platform.node()}"
    return list(repair(open_destination(wish.uri), open_destination(wish.copy), report, holder))


def _save(verified: VerifiedObjects) -> None:
    try:
        verified.save()
    except OSError as error:
        complain(f"the record of verified objects cannot be saved ({error}); the next run reads the same objects again")


@contextmanager
def _progress() -> Iterator[bases.Progress]:
    """A bar on standard error if it is a terminal, otherwise nothing."""
    out = console(error=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("verify", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def as_dict(uri: str, report: Report, seconds: float) -> dict[str, Any]:
    """The report as JSON fields; docs/VERIFY.md describes them."""
    tally = report.tally
    owners = {id(each): tenant.tenant for tenant in report.tenants for each in tenant.findings}
    damage = []
    for each in report.damage:
        owner = owners.get(id(each))
        costs = [span(lost.start_scn, lost.end_scn) for lost in each.cost] if each.is_cost_known else None
        tenant_id = owner.tenant_id if owner else None
        damage.append({"object": each.name, "problem": each.problem, "tenant_id": tenant_id, "costs": costs})
    return {
        "destination": uri,
        "sound": report.is_sound,
        "objects_read": tally.objects_read,
        "objects_skipped": tally.objects_skipped,
        "objects_not_decrypted": tally.objects_opaque,
        "oldest_skipped": instant(tally.oldest) if tally.oldest else None,
        "stored_bytes": tally.stored_bytes,
        "log_bytes": tally.log_bytes,
        "seconds": round(seconds, 3),
        "damage": damage,
        "notes": [{"object": each.name, "note": each.problem} for each in report.all_findings if not each.is_damage],
        "tenants": [_tenant(each) for each in report.tenants],
    }


def _tenant(each: TenantReport) -> dict[str, Any]:
    return {
        "cluster": each.tenant.cluster.cluster,
        "cluster_id": each.tenant.cluster.cluster_id,
        "tenant_id": each.tenant.tenant_id,
        "tenant": each.tenant.name,
        "windows_if_sound": [_window(window) for window in each.windows_if_sound],
        "windows": [_window(window) for window in each.windows],
    }


def _window(window: Window) -> dict[str, Any]:
    return span(window.start_scn, window.end_scn) | {"bases": [base.key.set_id for base in window.bases]}


def _print(out: Console, report: Report, seconds: float) -> None:
    for each in report.all_findings:
        if each.is_damage:
            out.print(f"DAMAGED {each.name}\n  {each.problem}\n  {_cost(each)}", markup=False, style="red")
        else:
            out.print(f"note: {each.name}: {each.problem}", markup=False, style="dim")
    for tenant in report.tenants:
        _print_tenant(out, tenant)
    tally = report.tally
    stored, log = tally.stored_bytes / 1e6, tally.log_bytes / 1e6
    out.print(f"{tally.objects_read} objects read: {stored:,.1f} MB, {log:,.1f} MB of log, in {seconds:.1f} s")
    if tally.objects_skipped:
        out.print(
            f"{tally.objects_skipped} objects skipped: they were sound when last read, the oldest on "
            f"{instant(tally.oldest)}; give --all to read them again"
        )
    if tally.objects_opaque:
        out.print(
            f"{tally.objects_opaque} objects not decrypted: their master key is not given, so only their checksums as "
            "stored were checked; name its source in REDOUBT_MASTER_KEY to check what they hold",
            style="yellow",
        )
    damaged = len(report.damage)
    verdict = "sound" if report.is_sound else f"DAMAGED: {damaged} {'problem' if damaged == 1 else 'problems'}"
    out.print(verdict, style="green" if report.is_sound else "red")


def _print_repaired(out: Console, each: Repaired) -> None:
    if each.stored:
        objects = "object" if each.stored == 1 else "objects"
        out.print(f"repaired {each.name}: {each.stored} {objects} stored again", markup=False, style="green")
    if each.problem:
        out.print(f"cannot repair {each.name}\n  {each.problem}", markup=False, style="red")
    elif not each.stored:
        out.print(f"cannot repair {each.name}\n  what the copy has of it is there already", markup=False, style="red")


def _print_tenant(out: Console, each: TenantReport) -> None:
    out.print(f"tenant {each.tenant}", markup=False)
    for window in each.windows:
        out.print(f"  can be restored: {instant(window.start_scn)} to {instant(window.end_scn)}", markup=False)
    if not each.windows:
        out.print("  nothing can be restored: no sound data backup has the log that follows it")
    if each.windows != each.windows_if_sound:
        for window in each.windows_if_sound:
            out.print(f"  without the damage: {instant(window.start_scn)} to {instant(window.end_scn)}", style="red")


def _cost(each: Finding) -> str:
    if not each.is_cost_known:
        return "cost unknown: the content of this object is lost"
    if not each.cost:
        return "costs no moment"
    lost = ", ".join(f"{instant(part.start_scn)} to {instant(part.end_scn)}" for part in each.cost)
    return f"costs the moments from {lost}"
