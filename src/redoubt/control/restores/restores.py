"""Restores tenants: the statements and their jobs, one job at a time.

The catalog and the directory record everything that a restore needs to resume after a crash. A tenant is RESTORING
until its engine is reachable. A restore that fails before leaves only its row in CDB_OB_RESTORE_HISTORY.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import ParamSpec

import structlog

from redoubt.catalog.restores import RestoreJob, RestoreJobs, RestoreStatus
from redoubt.catalog.session import CatalogError
from redoubt.catalog.standbys import StandbyRecord
from redoubt.catalog.tenants import TenantRole, TenantStatus
from redoubt.control import job_process
from redoubt.control.cluster import EngineRefusedError, Engines, Followed, Tenant
from redoubt.control.restores.restore_planning import RestorePlanning, Wanted, piece_paths_of, preview_of, set_path_of
from redoubt.control.restores.restore_session import restore_session
from redoubt.control.session import Session
from redoubt.control.standbys.standbys import Standbys
from redoubt.control.tenants.tenants import Tenants
from redoubt.messages import jobs as messages
from redoubt.restore.planning import Plan
from redoubt.sql.answers import Ok
from redoubt.sql.errors import not_allowed, unknown_tenant
from redoubt.sql.restore_errors import (
    restore_in_progress,
    restore_preview_note,
    restore_timestamp_too_new,
    unknown_restore_keys,
)
from redoubt.sql.statements import CancelRestore, DropTenant, RestoreStandby, RestoreTenant

_NEWEST = 10 * 10**9
"""The least age of a moment to restore, in ns: commits of that age are normally archived."""
_RETRY_PAUSE = 1.0
_PROGRESS_PAUSE = 1.0
_DROPPED = "cancelled by DROP TENANT"
P = ParamSpec("P")

_log = structlog.get_logger("redoubt.control.restores.restores")


class Restores:
    """For the event loop. `load` resumes the restores that the last service did not finish."""

    def __init__(
        self, planning: RestorePlanning, tenants: Tenants, engines: Engines, standbys: Standbys, jobs: RestoreJobs
    ) -> None:
        self._planning = planning
        self._standbys = standbys
        self._tenants = tenants
        self._engines = engines
        self._jobs = jobs
        self._job: RestoreJob | None = None
        self._task: asyncio.Task[None] | None = None
        self._statement = asyncio.Lock()
        self._passwords: tuple[str, ...] = ()
        tenants.end_restore = self._end

    async def restore(self, statement: RestoreTenant, session: Session) -> Ok:
        """`RESTORE`: returns when the job is recorded, or with PREVIEW planned. Raises SqlError, CatalogError."""
        kept = restore_session(session)
        try:
            wanted = await self._planning.wanted(statement, session, kept)
        finally:
            if not statement.is_preview:
                kept.sources.clear()
        notes = [unknown_restore_keys(wanted.option.unknown)] if wanted.option.unknown else []
        if statement.is_preview:
            plan, _ = await self._planning.plan(wanted, session)
            kept.preview = preview_of(plan, wanted.uri)
            return Ok.noted(restore_preview_note(_told(plan)), *notes)
        if wanted.until_scn is not None and wanted.until_scn + _NEWEST >= time.time_ns():
            raise restore_timestamp_too_new("wait until the moment is more than 10 s ago, or name an earlier moment")
        await self._plan_and_begin(statement.name, wanted, session)
        return Ok.noted(*notes)

    async def restore_standby(self, statement: RestoreStandby, session: Session) -> Ok:
        """4.x's `RESTORE`: returns when the job is recorded. Raises SqlError, CatalogError."""
        kept = restore_session(session)
        try:
            wanted = await self._planning.wanted_standby(statement, session, kept)
        finally:
            kept.sources.clear()
        await self._plan_and_begin(statement.name, wanted, session)
        return Ok.noted(*([unknown_restore_keys(wanted.option.unknown)] if wanted.option.unknown else []))

    async def cancel(self, statement: CancelRestore) -> None:
        """`CANCEL RESTORE`: the tenant is dropped. Raises SqlError, CatalogError."""
        entry = self._tenants.entry(statement.name)
        if entry is None:
            raise unknown_tenant(statement.name)
        if entry.record.status is not TenantStatus.RESTORING:
            raise not_allowed("Cancel tenant not in restore is", f"tenant {entry.tenant.name} is not being restored")
        await self._tenants.drop(DropTenant(statement.name))

    async def _plan_and_begin(self, name: str, wanted: Wanted, session: Session) -> None:
        plan, scn = await self._planning.plan(wanted, session)
        await self._planning.check_keys(plan, wanted)
        if wanted.is_standby and (why := self._engines.why_no_standby(plan.tenant.engine_kind)):
            hint = f"{why}; ALTER SYSTEM RESTORE {name} FROM {plan.tenant.name} AT 'uri' UNTIL '…' needs no standby"
            raise not_allowed(f"restore tenant {name} as a standby is", hint)
        async with self._statement:
            await self._begin(name, replace(wanted, until_scn=scn), plan, scn)

    @property
    def reads(self) -> frozenset[str]:
        """The paths of the backups that the running or unfinished restore needs."""
        return (
            frozenset()
            if self._job is None
            else frozenset([*_paths(self._job.set_list), *_paths(self._job.piece_list)])
        )

    async def load(self) -> None:
        """Resume unfinished restores, and discard those that never began. Raises CatalogError."""
        jobs = await asyncio.to_thread(self._jobs.unfinished)
        for job in jobs:
            entries = self._tenants.restoring(job.tenant_id)
            if entries:
                _log.warning("resuming an unfinished restore", tenant=job.tenant_name, job=job.job_id)
                self._launch(job, entries[0].tenant)
            elif self._tenants.is_normal(job.tenant_id) and job.status is not RestoreStatus.FAIL:
                await self._close(job, RestoreStatus.SUCCESS, "")
            else:
                await self._close(job, RestoreStatus.FAIL, job.info or _DROPPED)
        known = {job.tenant_id for job in jobs}
        for entry in self._tenants.restoring():
            if entry.record.tenant_id not in known:
                await self._tenants.discard(entry.record.tenant_id)

    async def close(self) -> None:
        """Stop the running job; the next start of the service resumes the job."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _begin(self, name: str, wanted: Wanted, plan: Plan, scn: int) -> None:
        """Record tenant and job. After SqlError or CatalogError neither is recorded."""
        name = self._tenants.check_restore(name)
        if self._job is not None:
            raise restore_in_progress(
                f"tenant {self._job.tenant_name} is being restored; wait until it leaves CDB_OB_RESTORE_PROGRESS"
            )
        self._passwords = wanted.passwords
        role = TenantRole.STANDBY if wanted.is_standby else TenantRole.PRIMARY
        entry = await self._tenants.begin_restore(name, _options(wanted), plan.tenant.engine_kind, role)
        try:
            job = await asyncio.to_thread(self._jobs.begin, _job(entry.tenant, wanted, plan, scn))
        except CatalogError:
            await self._tenants.discard(entry.record.tenant_id)
            raise
        if not self._tenants.restoring(job.tenant_id):  # the tenant was dropped meanwhile
            await self._close(job, RestoreStatus.FAIL, _DROPPED)
            return
        _log.info("restore started", tenant=name, tenant_id=job.tenant_id, source=str(plan.tenant), end_scn=job.end_scn)
        self._launch(job, entry.tenant)

    def _launch(self, job: RestoreJob, tenant: Tenant) -> None:
        self._job = job
        self._task = asyncio.create_task(self._run(job, tenant))
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _log.error("restore failed", exc_info=task.exception())
        self._job = self._task = None

    async def _run(self, job: RestoreJob, tenant: Tenant) -> None:
        """Restore a tenant, or resume its restore, and record success or failure."""
        trouble = job.info if job.status is RestoreStatus.FAIL else await self._lay(job, tenant)
        if not trouble:
            done = self._now().done_bytes if self._is_standby(tenant) else job.total_bytes
            await self._save(replace(self._now(), status=RestoreStatus.POST_CHECK, done_bytes=done))
            try:
                advice = await self._engines.move_in(tenant, job.source)
            except EngineRefusedError as error:
                trouble = str(error)
        if not trouble and self._is_standby(tenant):
            trouble = await self._follow(tenant)
        if trouble:
            _log.error("restore failed", tenant=tenant.name, cause=trouble)
            await self._save(replace(self._now(), status=RestoreStatus.FAIL, info=trouble))
            await self._insist(self._tenants.discard, tenant.tenant_id)
            await self._close(self._now(), RestoreStatus.FAIL, trouble)
        else:
            await self._insist(self._tenants.admit, tenant.tenant_id)
            await self._close(self._now(), RestoreStatus.SUCCESS, advice)
            _log.info("tenant restored", tenant=tenant.name, tenant_id=tenant.tenant_id, advice=advice)

    async def _lay(self, job: RestoreJob, tenant: Tenant) -> str:
        """Write a tenant's files and log; returns the cause of a failure, empty on success."""
        if await self._engines.is_restored(tenant):
            return ""
        await self._save(replace(job, status=RestoreStatus.RESTORE_USER_REPLICA))
        was_begun = await asyncio.to_thread(self._engines.restoring(tenant).exists)
        trouble = await self._run_job(job, tenant)
        if trouble and was_begun:  # the directory may belong to another plan: data backups may have changed
            _log.warning("cannot resume a restore, starting over", tenant=tenant.name, cause=trouble)
            try:
                await self._engines.remove_restoring(tenant)
            except OSError as error:
                return str(error)
            trouble = await self._run_job(job, tenant)
        return trouble

    def _is_standby(self, tenant: Tenant) -> bool:
        return any(entry.is_standby for entry in self._tenants.restoring(tenant.tenant_id))

    async def _follow(self, tenant: Tenant) -> str:
        """Let the engine replay the log up to the moment; returns the cause of a failure, empty on success."""
        job, first = self._now(), 0

        def progress(now: Followed) -> None:
            nonlocal first
            first = first or now.sync_lsn
            done = job.done_bytes + now.sync_lsn - first
            self._job = replace(self._now(), done_bytes=min(done, job.total_bytes), info=now.trouble)

        noting = asyncio.create_task(self._note_progress())
        try:
            while True:
                try:
                    return await self._standbys.begin(tenant, _standby_of(job), progress)
                except CatalogError as error:
                    _log.warning("cannot write a standby to the catalog, retrying", cause=str(error))
                    await asyncio.sleep(_RETRY_PAUSE)
        finally:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)

    async def _run_job(self, job: RestoreJob, tenant: Tenant) -> str:
        """Run the job's process; returns the cause of a failure, empty on success."""
        request = messages.RestoreTenant(
            destination=job.backup_dest,
            tenant=str(job.backup_tenant_id),
            directory=str(self._engines.restoring(tenant)),
            scn=job.until_scn,
            cluster=job.backup_cluster_name,
            cluster_id=job.backup_cluster_id,
            passwords="\n".join(self._passwords),
            is_standby=self._is_standby(tenant),
        )
        noting = asyncio.create_task(self._note_progress())
        try:
            outcome = await job_process.run_job(request, self._progress)
        finally:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)
        return outcome.text if isinstance(outcome, messages.Failed) else ""

    def _progress(self, done: int, _total: int) -> None:
        self._job = replace(self._now(), done_bytes=done)

    async def _note_progress(self) -> None:
        """Record the job's progress from time to time; runs until cancelled."""
        while True:
            await asyncio.sleep(_PROGRESS_PAUSE)
            with suppress(CatalogError):  # written again in a moment
                await asyncio.to_thread(self._jobs.save, self._now())

    async def _end(self, tenant_id: int) -> None:
        """See `Tenants.end_restore`."""
        job, task = self._job, self._task
        if job is None or task is None or job.tenant_id != tenant_id:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._close(job, RestoreStatus.FAIL, _DROPPED)
        _log.info("restore cancelled", tenant=job.tenant_name, job=job.job_id)

    def _now(self) -> RestoreJob:
        assert self._job is not None, "a restore is running"
        return self._job

    async def _save(self, job: RestoreJob) -> None:
        """Record the running job's state; retries until the catalog answers."""
        self._job = job
        await self._insist(asyncio.to_thread, self._jobs.save, job)

    async def _close(self, job: RestoreJob, status: RestoreStatus, info: str) -> None:
        """Record the end of a job."""
        ended = replace(job, status=status, info=info, end_time=time.time_ns())
        await self._insist(asyncio.to_thread, self._jobs.save, ended)

    async def _insist(self, work: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Repeat work on the catalog until it succeeds."""
        while True:
            try:
                return await work(*args, **kwargs)
            except CatalogError as error:
                _log.warning("cannot write a restore's state to the catalog, retrying", cause=str(error))
                await asyncio.sleep(_RETRY_PAUSE)


def _told(plan: Plan) -> str:
    """A sentence that describes a plan."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=plan.end.scn // 1000)
    return (
        f"tenant {plan.tenant} would be restored to SCN {plan.end.scn} ({moment:%Y-%m-%d %H:%M:%S.%f} UTC) from "
        f"{plan.base_bytes} bytes of data and {plan.log_bytes} bytes of log; run SHOW RESTORE PREVIEW for their paths"
    )


def _options(wanted: Wanted) -> dict[str, str]:
    """The options that DBA_OB_TENANTS shows of the new tenant."""
    option = wanted.option
    given = {"RESOURCE_POOL_LIST": option.pool_list, "LOCALITY": option.locality, "PRIMARY_ZONE": option.primary_zone}
    return {name: value for name, value in given.items() if value is not None}


def _standby_of(job: RestoreJob) -> StandbyRecord:
    """The standby that a job makes: it follows up to the job's moment."""
    return StandbyRecord(
        tenant_id=job.tenant_id,
        destination=job.backup_dest,
        cluster=job.backup_cluster_name,
        cluster_id=job.backup_cluster_id,
        source_tenant_id=job.backup_tenant_id,
        source=job.source,
        until_scn=job.until_scn,
    )


def _job(tenant: Tenant, wanted: Wanted, plan: Plan, scn: int) -> RestoreJob:
    summary = plan.base.summary
    return RestoreJob(
        job_id=0,
        external_job_id=wanted.option.restore_job_id or 0,
        tenant_id=tenant.tenant_id,
        tenant_name=tenant.name,
        backup_tenant_id=plan.tenant.tenant_id,
        backup_tenant_name=plan.tenant.name,
        backup_cluster_id=plan.tenant.cluster.cluster_id,
        backup_cluster_name=plan.tenant.cluster.cluster,
        backup_dest=wanted.uri,
        source=summary.of.source,
        until_scn=scn,
        start_scn=summary.snapshot_scn,
        end_scn=plan.end.scn,
        set_list=set_path_of(plan, wanted.uri),
        piece_list=",".join(piece_paths_of(plan, wanted.uri)),
        total_bytes=plan.base_bytes + plan.log_bytes,
        start_time=time.time_ns(),
    )


def _paths(listed: str) -> list[str]:
    return listed.split(",") if listed else []
