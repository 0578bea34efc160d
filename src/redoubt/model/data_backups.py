"""The state of a running data backup of the cluster: the tenants one after another, then their log. Pure.

Invariants, which every function here keeps:

- A backup is SUCCESS only when every part is SUCCESS, except parts of tenants dropped meanwhile; at least one part is.
- In a backup that is FAILED, a part that was SUCCESS stays, and its tenant can be restored from it. But the backup
  makes no older one needless.
- A backup or part that has ended does not change.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from redoubt.model.bases import SetKey
from redoubt.model.retention import FileStatus, SetStatus

FILES: dict[SetStatus, FileStatus] = {
    SetStatus.DOING: FileStatus.INCOMPLETE,
    SetStatus.SUCCESS: FileStatus.AVAILABLE,
    SetStatus.FAILED: FileStatus.BROKEN,
}
"""The file status of a backup by its status; BROKEN files are to be removed."""


class EncryptionMode(StrEnum):
    """How a backup is encrypted, in OceanBase's words: TRANSPARENT with a key of the service's administrator."""

    NONE = "NONE"
    PASSWORD = "PASSWORD"  # noqa: S105 - OceanBase's word
    TRANSPARENT = "TRANSPARENT_ENCRYPTION"


@dataclass(frozen=True)
class TenantBackup:
    """A tenant's part, or the whole. SCNs and times in ns since the epoch, 0 for none yet; sizes and LSNs in bytes.

    While the part is DOING, `input_bytes` of `total_bytes` have been read. A restore needs log from `start_lsn` on,
    that is, after the group of `start_scn`. The engine was paused for `pause_us` microseconds; its files were read
    `passes` times, by `method`. `comment` says why the part is FAILED.
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
    has_left: bool = False
    """Whether the tenant was dropped during the backup: its part does not count."""

    @property
    def is_taken(self) -> bool:
        """Whether the whole base is stored."""
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
    encryption: EncryptionMode = EncryptionMode.NONE

    @property
    def is_over(self) -> bool:
        """Whether the backup has ended."""
        return self.status is not SetStatus.DOING

    @property
    def file_status(self) -> FileStatus:
        """The state of the files: AVAILABLE if any part's are there to stay."""
        has_files = any(part.status is SetStatus.SUCCESS for part in self.tenants.values())
        return FileStatus.AVAILABLE if self.is_over and has_files else FILES[self.status]

    def whole(self, tenant_id: int) -> TenantBackup:
        """All parts as one, under `tenant_id`: the last snapshot, the first start, the longest pause."""
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


def begin(
    key: SetKey,
    round_id: int,
    destination: str,
    tenants: list[int],
    now: int,
    encryption: EncryptionMode = EncryptionMode.NONE,
) -> DataBackup:
    """A data backup that begins `now`, of at least one tenant."""
    parts = {tenant_id: TenantBackup(tenant_id, now) for tenant_id in tenants}
    return DataBackup(key, round_id, destination, now, parts, encryption=encryption)


def changed(of: DataBackup, part: TenantBackup) -> DataBackup:
    """Update a tenant's part."""
    if of.is_over or of.tenants[part.tenant_id].status is not SetStatus.DOING:
        return of
    return replace(of, tenants=of.tenants | {part.tenant_id: part})


def archived(of: DataBackup, tenant_id: int, now: int) -> DataBackup:
    """Mark a tenant's part complete: the log that its base needs is archived."""
    part = of.tenants[tenant_id]
    return changed(of, replace(part, status=SetStatus.SUCCESS, completion_time=now)) if part.is_taken else of


def left(of: DataBackup, tenant_id: int, cause: str, now: int) -> DataBackup:
    """Mark a dropped tenant's part FAILED; the other parts go on."""
    part = of.tenants[tenant_id]
    return changed(of, replace(part, status=SetStatus.FAILED, completion_time=now, comment=cause, has_left=True))


def part_failed(of: DataBackup, tenant_id: int, cause: str, now: int) -> DataBackup:
    """Mark a tenant's part FAILED, and with it the whole when the other parts have ended; they go on until then."""
    part = of.tenants[tenant_id]
    return changed(of, replace(part, status=SetStatus.FAILED, completion_time=now, comment=cause))


def ended(of: DataBackup, now: int) -> DataBackup:
    """End the backup when no part is DOING: SUCCESS if all parts that count are, else FAILED with the first's cause."""
    if of.is_over or any(part.status is SetStatus.DOING for part in of.tenants.values()):
        return of
    counting = [part for part in of.tenants.values() if not part.has_left]
    if not counting:
        return failed(of, "all its tenants were dropped during the backup", now)
    lost = [part for part in counting if part.status is SetStatus.FAILED]
    return failed(of, lost[0].comment, now) if lost else replace(of, status=SetStatus.SUCCESS, completion_time=now)


def failed(of: DataBackup, cause: str, now: int) -> DataBackup:
    """Mark the whole backup FAILED, and every part that has not ended."""
    if of.is_over:
        return of
    parts = {
        tenant_id: replace(part, status=SetStatus.FAILED, completion_time=now, comment=cause)
        if part.status is SetStatus.DOING
        else part
        for tenant_id, part in of.tenants.items()
    }
    return replace(of, status=SetStatus.FAILED, completion_time=now, comment=cause, tenants=parts)
