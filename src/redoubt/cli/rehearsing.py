"""What the commands that rehearse a restore have in common: which tenant, which moment, whose accounts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redoubt.archive.inventory import TenantPath, clusters, tenants
from redoubt.archive.layout import ClusterInfo
from redoubt.archive.record import RecordError, load_record
from redoubt.cli.moments import MomentError, instant, moment
from redoubt.home import Home
from redoubt.model.engine_kind import EngineKind
from redoubt.model.scratch_engine import Login
from redoubt.model.seams import Destination, ObjectMissingError
from redoubt.restore.planning import UnknownTenantError, find_tenant


def chosen_tenant(destination: Destination, wanted: str | None) -> TenantPath:
    """The tenant of that name or id; the only one there is if None. Raises UnknownTenantError, DestinationError."""
    if wanted is not None:
        return find_tenant(destination, wanted)
    there = [tenant for path in clusters(destination) for tenant in tenants(destination, path)]
    if len(there) != 1:
        names = ", ".join(str(each) for each in there) or "none"
        raise UnknownTenantError(f"say which tenant with --tenant; there are: {names}")
    return there[0]


def moment_of(until: str | None, scn: int | None, *, utc: bool) -> int | None:
    """The SCN (ns since the epoch) of a time with an offset, or in UTC if `utc`; None if neither is given.

    Raises MomentError.
    """
    if until is None:
        return scn
    if scn is not None:
        raise MomentError("give --until or --scn, not both")
    return moment(until, utc=utc)


def utc_text(scn: int) -> str | None:
    """An SCN as text of microseconds in UTC, None for none."""
    return instant(scn) if scn else None


def is_of_home(destination: Destination, tenant: TenantPath, home: Path) -> bool:
    """Whether it is the cluster of that home that has archived the tenant there. Raises DestinationError, OSError."""
    if not (home / "identity").exists():
        return False
    try:
        info = load_record(ClusterInfo, destination.get(tenant.cluster.info))
    except (RecordError, ObjectMissingError):
        return False
    return info.identity == Home(home).identity()


def logins_for(
    kind: EngineKind, source: str, tenant_id: int, user: str | None, password: str, home: Path | None
) -> list[Login]:
    """The accounts to try on a restored engine: the one that was named, the service's own, root without a password.

    The service's account on an engine is known to the home in which that engine was archived. Raises OSError.
    """
    if user is not None:
        return [Login(user, password)]
    found = [Login("root", password)] if password else []
    if home is not None:
        found += [Login(kind.account_name, each) for each in _service_passwords(Home(home), tenant_id, source)]
    return [*found, Login("root", "")]


def _service_passwords(home: Home, tenant_id: int, source: str) -> list[str]:
    """What the home keeps for the engine of that id: in its directory, or a copy that outlived it."""
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
    """SIGTERM ends the command as Ctrl-C does: no engine and no directory stay behind."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
