"""Rounds of log archiving: what state a round is in, and what may follow. Pure.

A round belongs to the cluster; every user tenant has its own row in it. Invariants, which every function here keeps:

- A round's status moves only along `ALLOWED`.
- All tenants of a round have the same start. The cluster is DOING when every tenant's archive has reached that start.
- A tenant's checkpoint never goes back. The cluster's is the least of its tenants'.
- What INTERRUPTED a round stays on record in `comment` until a new round begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum


class RoundStatus(StrEnum):
    """OceanBase's words for the state of a round."""

    STOP = "STOP"
    BEGINNING = "BEGINNING"
    DOING = "DOING"
    STOPPING = "STOPPING"
    INTERRUPTED = "INTERRUPTED"


ALLOWED: dict[RoundStatus, frozenset[RoundStatus]] = {
    RoundStatus.STOP: frozenset({RoundStatus.BEGINNING}),
    RoundStatus.BEGINNING: frozenset({RoundStatus.DOING, RoundStatus.STOPPING, RoundStatus.INTERRUPTED}),
    RoundStatus.DOING: frozenset({RoundStatus.STOPPING, RoundStatus.INTERRUPTED}),
    RoundStatus.STOPPING: frozenset({RoundStatus.STOP}),
    RoundStatus.INTERRUPTED: frozenset({RoundStatus.STOPPING}),
}
"""From each status, the others that may follow (SPEC of OceanBase 3.x; staying is always allowed)."""


class RoundTransitionError(Exception):
    """A round was asked to move where it may not."""


@dataclass(frozen=True)
class TenantRound:
    """A tenant's part of a round. SCNs in ns since the epoch (0: nothing yet), sizes in bytes."""

    tenant_id: int
    status: RoundStatus = RoundStatus.BEGINNING
    checkpoint_scn: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    comment: str = ""


@dataclass(frozen=True)
class Round:
    """A round of the cluster. `piece_id` is 0: a round without a piece interval is one piece. Times as in TenantRound.

    `create_date` is the local day on which the round began, as the number YYYYMMDD.
    """

    round_id: int = 0
    status: RoundStatus = RoundStatus.STOP
    start_scn: int = 0
    create_date: int = 0
    destination: str = ""
    comment: str = ""
    tenants: dict[int, TenantRound] = field(default_factory=dict)

    @property
    def is_archiving(self) -> bool:
        """Whether log is to be held and archived."""
        return self.status in {RoundStatus.BEGINNING, RoundStatus.DOING}

    @property
    def checkpoint_scn(self) -> int:
        """Up to where every tenant's log is durable in the destination."""
        return min((tenant.checkpoint_scn for tenant in self.tenants.values()), default=0)

    @property
    def input_bytes(self) -> int:
        """Bytes of log archived, over all tenants."""
        return sum(tenant.input_bytes for tenant in self.tenants.values())

    @property
    def output_bytes(self) -> int:
        """Bytes of objects written for it, over all tenants."""
        return sum(tenant.output_bytes for tenant in self.tenants.values())


def begin(last: Round, *, tenants: list[int], start_scn: int, create_date: int, destination: str) -> Round:
    """The round after `last`, BEGINNING now. Raises RoundTransitionError unless `last` is in STOP."""
    _check(last.status, RoundStatus.BEGINNING)
    return Round(
        round_id=last.round_id + 1,
        status=RoundStatus.BEGINNING,
        start_scn=start_scn,
        create_date=create_date,
        destination=destination,
        tenants={tenant_id: TenantRound(tenant_id) for tenant_id in tenants},
    )


def progressed(now: Round, tenant_id: int, checkpoint_scn: int, input_bytes: int, output_bytes: int) -> Round:
    """A tenant's archive is durable up to `checkpoint_scn`; may turn the tenant and the cluster to DOING."""
    tenant = now.tenants[tenant_id]
    tenant = replace(
        tenant,
        checkpoint_scn=max(tenant.checkpoint_scn, checkpoint_scn),
        input_bytes=input_bytes,
        output_bytes=output_bytes,
    )
    if tenant.status is RoundStatus.BEGINNING and tenant.checkpoint_scn >= now.start_scn:
        tenant = replace(tenant, status=RoundStatus.DOING)
    now = _with_tenant(now, tenant)
    if now.status is RoundStatus.BEGINNING and all(t.status is RoundStatus.DOING for t in now.tenants.values()):
        now = replace(now, status=RoundStatus.DOING)
    return now


def interrupted(now: Round, tenant_id: int, cause: str) -> Round:
    """A tenant's log stream is cut. The whole round with it; one that is stopping anyway goes on stopping."""
    tenant = replace(now.tenants[tenant_id], comment=cause)
    now = replace(_with_tenant(now, tenant), comment=now.comment or cause)
    if not now.is_archiving:
        return now
    tenants = {
        i: replace(each, status=RoundStatus.INTERRUPTED, comment=each.comment if i == tenant_id else now.comment)
        for i, each in now.tenants.items()
    }
    return replace(now, status=RoundStatus.INTERRUPTED, tenants=tenants)


def troubled(now: Round, tenant_id: int, cause: str) -> Round:
    """A tenant's archiving is held up (`cause`), or goes on again (empty); what interrupted a round stays on record."""
    tenant = now.tenants[tenant_id]
    if tenant.status is RoundStatus.INTERRUPTED:
        return now
    return _with_tenant(now, replace(tenant, comment=cause))


def stopping(now: Round) -> Round:
    """The round is to stop; every tenant with it. Raises RoundTransitionError in STOP and STOPPING."""
    if now.status is RoundStatus.STOPPING:
        raise RoundTransitionError("the round is stopping already")
    _check(now.status, RoundStatus.STOPPING)
    tenants = {i: replace(tenant, status=RoundStatus.STOPPING) for i, tenant in now.tenants.items()}
    return replace(now, status=RoundStatus.STOPPING, tenants=tenants)


def tenant_stopped(now: Round, tenant_id: int, comment: str = "") -> Round:
    """A tenant of a stopping round has stopped; the round is in STOP when all have. Raises RoundTransitionError."""
    _check(now.status, RoundStatus.STOP)
    tenant = now.tenants[tenant_id]
    tenant = replace(tenant, status=RoundStatus.STOP, comment=comment or tenant.comment)
    now = replace(_with_tenant(now, tenant), comment=now.comment or comment)
    if all(t.status is RoundStatus.STOP for t in now.tenants.values()):
        now = replace(now, status=RoundStatus.STOP)
    return now


def _check(now: RoundStatus, then: RoundStatus) -> None:
    if then not in ALLOWED[now]:
        raise RoundTransitionError(f"a round in {now} cannot go to {then}")


def _with_tenant(now: Round, tenant: TenantRound) -> Round:
    return replace(now, tenants=now.tenants | {tenant.tenant_id: tenant})
