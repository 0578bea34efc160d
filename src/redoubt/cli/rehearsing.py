"""Common parts of `drill`, `roll-forward` and `follow`: the tenant, the moment, the accounts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redoubt.archive.bounded import read_record
from redoubt.archive.inventory import TenantPath, clusters, tenants
from redoubt.archive.layout import ClusterInfo
from redoubt.archive.record import RecordError
from redoubt.home import Home
from redoubt.model.engine_kind import EngineKind
from redoubt.model.scratch_engine import Login
from redoubt.model.seams import Destination, ObjectMissingError
from redoubt.moments import MomentError, instant, moment
from redoubt.restore.planning import UnknownTenantError, find_tenant


def chosen_tenant(destination: Destination, wanted: str | None) -> TenantPath:
    """The tenant of that name or id; with None the only tenant. Raises UnknownTenantError, DestinationError."""
    if wanted is not None:
        return find_tenant(destination, wanted)
    there = [tenant for path in clusters(destination) for tenant in tenants(destination, path)]
    if len(there) != 1:
        names = ", ".join(str(each) for each in there) or "none"
        raise UnknownTenantError(f"name the tenant with --tenant; tenants with a backup: {names}")
    return there[0]


def moment_of(until: str | None, scn: int | None, *, utc: bool) -> int | None:
    """The SCN (ns since the epoch) of `until` or `scn`; None if neither is given. Raises MomentError.

    With `utc`, a time without an offset is UTC.
    """
    if until is None:
        return scn
    if scn is not None:
        raise MomentError("give --until or --scn, not both")
    return moment(until, utc=utc)


def utc_text(scn: int) -> str | None:
    """An SCN as text in UTC with microseconds; None for SCN 0."""
    return instant(scn) if scn else None


def is_of_home(destination: Destination, tenant: TenantPath, home: Path) -> bool:
    """Whether the cluster of that home archived the tenant. Raises DestinationError, OSError."""
    if not (home / "identity").exists():
        return False
    try:
        info = read_record(ClusterInfo, destination, tenant.cluster.info)
    except (RecordError, ObjectMissingError):
        return False
    return info.identity == Home(home).identity()


def logins_for(
    kind: EngineKind, source: str, tenant_id: int, user: str | None, password: str, home: Path | None
) -> list[Login]:
    """The accounts to try on a restored engine: only `user` if given; otherwise root and the service's account.

    The home from which an engine was archived has the password of the service's account on it. Raises OSError.
    """
    if user is not None:
        return [Login(user, password)]
    found = [Login("root", password)] if password else []
    if home is not None:
        found += [Login(kind.account_name, each) for each in _service_passwords(Home(home), tenant_id, source)]
    return [*found, Login("root", "")]


def _service_passwords(home: Home, tenant_id: int, source: str) -> list[str]:
    """The passwords in the home for the engine with id `source`: from the engine's directory, and from `accounts/`."""
    found = []
    base = home.tenant(tenant_id)
    if _line(base.source_id) == source and (password := _line(base.account)):
        found.append(password)
    if password := _line(home.path / "accounts" / source):
        found.append(password)
    return found


def _line(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Make SIGTERM end the command as Ctrl-C does, so that no engine and no directory remain."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
