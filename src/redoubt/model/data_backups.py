"""A data backup of the cluster as it goes on: one tenant after another, then the log that it needs. Pure.

Invariants, which every function here keeps:

- It is SUCCESS only when every tenant's part is SUCCESS, but for tenants that were dropped meanwhile; at least one is.
- It is FAILED as a whole: then no part counts, whatever became of it.
- What is over stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from redoubt.model.bases import SetKey
from redoubt.model.retention import FileStatus, SetStatus

FILES: dict[SetStatus, FileStatus] = {
    SetStatus.DOING: FileStatus.INCOMPLETE,
    SetStatus.SUCCESS: FileStatus.AVAILABLE,
    SetStatus.FAILED: FileStatus.BROKEN,
}
"""What is in the destination, by what became of the backup; BROKEN is to be removed."""


@dataclass(frozen=True)
class TenantBackup:
    """A tenant's part, or the whole. SCNs and times in ns since the epoch, 0 for none yet; sizes and LSNs in bytes.

    While it is DOING, `input_bytes` of `total_bytes` have been read. Log is needed from `start_lsn` on, and from behind
    the group of `start_scn`. For `pause_us` microseconds the engine stood still; its files were read `passes` times, by
    `method`. `comment` says why it is FAILED.
    """

    tenant_id: int
    start_time: int
    status: SetStatus = SetStatus.DOING
    completion_time: int = 0
    snapshot_scn: int = 0
    start_scn: int = 0
    snapshot_lsn: int = 0
    start_lsn: int = 0
    input_bytes: int = 0
    output_bytes: int = 0
    total_bytes: int = 0
    pause_us: int = 0
    passes: int = 0
    method: str = ""
    comment: str = ""

    @property
    def is_taken(self) -> bool:
        """Whether the base is stored, whole."""
        return self.snapshot_lsn > 0


@dataclass(frozen=True)
class DataBackup:
    """A data backup: its key, the round whose log it needs, the destination, and its parts by the tenants' ids."""

    key: SetKey
    round_id: int
    destination: str
    start_time: int
    tenants: dict[int, TenantBackup] = field(default_factory=dict)
    status: SetStatus = SetStatus.DOING
    completion_time: int = 0
    comment: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will become of it."""
        return self.status is not SetStatus.DOING

    def whole(self, tenant_id: int) -> TenantBackup:
        """All parts together, as `tenant_id` stands for them: the last snapshot, the first start, the longest pause."""
        parts = [each for each in self.tenants.values() if each.status is not SetStatus.FAILED]
        parts = parts or list(self.tenants.values())
        return TenantBackup(
            tenant_id=tenant_id,
            start_time=self.start_time,
            status=self.status,
            completion_time=self.completion_time,
            snapshot_scn=max(each.snapshot_scn for each in parts),
            start_scn=min(each.start_scn for each in parts),
            input_bytes=sum(each.input_bytes for each in parts),
            output_bytes=sum(each.output_bytes for each in parts),
            total_bytes=sum(each.total_bytes for each in parts),
            pause_us=max(each.pause_us for each in parts),
            passes=max(each.passes for each in parts),
            method=",".join(sorted({each.method for each in parts if each.method})),
            comment=self.comment,
        )


def begin(key: SetKey, round_id: int, destination: str, tenants: list[int], now: int) -> DataBackup:
    """A data backup of these tenants, which begins `now`; there is at least one."""
    parts = {tenant_id: TenantBackup(tenant_id, now) for tenant_id in tenants}
    return DataBackup(key, round_id, destination, now, parts)


def changed(of: DataBackup, part: TenantBackup) -> DataBackup:
    """A tenant's part has come further."""
    if of.is_over or of.tenants[part.tenant_id].status is not SetStatus.DOING:
        return of
    return replace(of, tenants=of.tenants | {part.tenant_id: part})


def archived(of: DataBackup, tenant_id: int, now: int) -> DataBackup:
    """The log that a tenant's base needs is in the archive."""
    part = of.tenants[tenant_id]
    return changed(of, replace(part, status=SetStatus.SUCCESS, completion_time=now)) if part.is_taken else of


def left(of: DataBackup, tenant_id: int, cause: str, now: int) -> DataBackup:
    """A tenant is gone, and its part with it; the others go on."""
    part = of.tenants[tenant_id]
    return changed(of, replace(part, status=SetStatus.FAILED, completion_time=now, comment=cause))


def succeeded(of: DataBackup, now: int) -> DataBackup:
    """It is complete, if every part is that counts; FAILED if none is left."""
    statuses = {part.status for part in of.tenants.values()}
    if of.is_over or SetStatus.DOING in statuses:
        return of
    if SetStatus.SUCCESS not in statuses:
        return failed(of, "all its tenants were dropped during the backup", now)
    return replace(of, status=SetStatus.SUCCESS, completion_time=now)


def failed(of: DataBackup, cause: str, now: int) -> DataBackup:
    """It failed as a whole."""
    if of.is_over:
        return of
    parts = {
        tenant_id: replace(
            part, status=SetStatus.FAILED, completion_time=part.completion_time or now, comment=part.comment or cause
        )
        for tenant_id, part in of.tenants.items()
    }
    return replace(of, status=SetStatus.FAILED, completion_time=now, comment=cause, tenants=parts)
