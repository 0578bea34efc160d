"""Measures the tenants' backlogs, carries out the decisions of `model.valve`, and reports the tenants' health.

The end of the log comes from the engine, not from the worker, so that a worker that hangs is noticed. While the engine
does not answer, the last known end counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

from redoubt.catalog.journal import TenantState
from redoubt.control.cluster import Tenant
from redoubt.control.modes.chronicle import Chronicle
from redoubt.control.modes.commits import SyncRule
from redoubt.control.modes.tenant_archive import TenantArchive
from redoubt.control.parameters.parameter_list import LAG_TARGET, SPOOL_LIMIT, SYNC_COMMIT, SYNC_FALLBACK, SYNC_TIMEOUT
from redoubt.control.parameters.parameters import Parameters
from redoubt.model import valve
from redoubt.model.health import Health, Vitals, judge, waiting_since
from redoubt.model.rounds import Round, RoundStatus
from redoubt.model.valve import Act, Situation, decide
from redoubt.sql.errors import commit_interrupted
from redoubt.sql.log_archive_option import Compression

_PAUSE = 0.25
_WRITE_PAUSE = 0.5
_ALARMS = frozenset({Health.STALE, Health.GATED, Health.UNAVAILABLE, Health.BROKEN})
_WHY = {
    RoundStatus.STOP: "no round is archiving",
    RoundStatus.BEGINNING: "a round was started",
    RoundStatus.DOING: "the archive has reached the start of the round",
    RoundStatus.STOPPING: "the round is stopping",
    RoundStatus.INTERRUPTED: "the round was interrupted",
}
"""Causes of a STATUS without a more specific cause."""
_log = structlog.get_logger("redoubt.control.modes.valve")


class Rounds(Protocol):
    """The rounds as the valve needs them."""

    @property
    def round(self) -> Round:
        """The current round, or the last one."""

    @property
    def archives(self) -> list[TenantArchive]:
        """The archive of each tenant."""

    def interrupt(self, tenant_id: int, cause: str) -> None:
        """Break the round: part of a tenant's log cannot be archived, because of `cause`."""

    async def release_all_log(self, archive: TenantArchive) -> None:
        """Release all held log of a tenant, unless a round has begun meanwhile."""


class Valve:
    """For the event loop; `watch` and `write` run until they are cancelled.

    `trouble_of` tells why a tenant's engine cannot be used: empty if it can, None if an application runs the engine.
    """

    def __init__(
        self,
        rounds: Rounds,
        parameters: Parameters,
        chronicle: Chronicle,
        trouble_of: Callable[[Tenant], str | None],
    ) -> None:
        self._rounds = rounds
        self._parameters = parameters
        self._chronicle = chronicle
        self._trouble_of = trouble_of
        self._released: dict[int, int | None] = {}

    async def recover(self) -> None:
        """Before the first login: keep gates closed that the last service closed, or reopen them."""
        for archive in self._rounds.archives:
            is_archiving = self._rounds.round.is_archiving_of(archive.tenant.tenant_id)
            stays = is_archiving and self._parameters.is_mandatory
            await archive.gate.recover(stays_closed=stays)
            await self.look(archive)

    async def watch(self, archive: TenantArchive) -> None:
        """Look at a tenant repeatedly, and at once when `kicked` is set."""
        while True:
            archive.kicked.clear()
            await self.look(archive)
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE):
                    await archive.kicked.wait()

    async def write(self) -> None:
        """Keep the catalog's journal up to date."""
        while True:
            await self._chronicle.write()
            await asyncio.sleep(_WRITE_PAUSE)

    async def look(self, archive: TenantArchive) -> None:
        """Measure a tenant's backlog and act on it."""
        now = self._rounds.round
        try:
            await self._measure(archive, now.status_of(archive.tenant.tenant_id))
            if self._rounds.round.round_id == now.round_id:  # otherwise the figures belong to an earlier round
                self._time(archive, now)
                await self._act(archive)
        except OSError as error:
            archive.note_files(f"cannot measure or release the log: {error}")
        else:
            archive.note_files("")
        archive.note_engine(self._trouble_of(archive.tenant))
        if now.status_of(archive.tenant.tenant_id) is RoundStatus.BEGINNING and archive.told:
            archive.commits.flush()  # an idle engine's log would make the start of the round wait for longer
        self._rule_commits(archive)
        self._judge(archive)

    async def _measure(self, archive: TenantArchive, status: RoundStatus) -> None:
        archive.asking_engine()
        try:
            archive.end_lsn = await asyncio.to_thread(archive.tenant.engine.end_of_log)
        except OSError as error:
            archive.engine_failed(str(error))
        else:
            archive.engine_answered()
            if status is RoundStatus.BEGINNING and archive.begun_at_lsn is None:
                archive.begun_at_lsn = archive.end_lsn
        if status not in {RoundStatus.BEGINNING, RoundStatus.DOING}:
            archive.backlog = 0
        else:
            held_from = await asyncio.to_thread(archive.tenant.engine.held_from)
            starts = (archive.durable_lsn if archive.durable_lsn is not None else held_from, archive.begun_at_lsn)
            start = max((lsn for lsn in starts if lsn is not None), default=archive.end_lsn)
            archive.backlog = max(0, archive.end_lsn - start)
        free = archive.tenant.engine.disk_free()
        archive.limit = valve.effective_limit(self._parameters.size(SPOOL_LIMIT), archive.backlog, free)

    def _time(self, archive: TenantArchive, now: Round) -> None:
        at, tenant = time.time_ns(), now.tenants.get(archive.tenant.tenant_id)
        if archive.backlog == 0 or not archive.caught_up_at:  # log from before the start of the service does not count
            archive.caught_up_at = at
        checkpoint_scn = tenant.checkpoint_scn if tenant else 0
        archive.waiting_since = waiting_since(checkpoint_scn, archive.caught_up_at, archive.backlog)
        archive.lag = max(0.0, (at - archive.waiting_since) / 1e9) if archive.waiting_since else 0.0

    async def _act(self, archive: TenantArchive) -> None:
        now = Situation(
            self._rounds.round.status_of(archive.tenant.tenant_id),
            self._parameters.is_mandatory,
            _sure_backlog(archive),
            archive.limit,
            archive.gate.is_closed,
        )
        match decide(now):
            case Act.BREAK_ROUND:
                self._rounds.interrupt(archive.tenant.tenant_id, _overflow(archive))
            case Act.CLOSE_GATE:
                archive.tell("GATE", "OPEN", "CLOSED", _overflow(archive))
                await archive.gate.close()
            case Act.OPEN_GATE:
                await self._open_gate(archive)
            case Act.RELEASE_LOG:
                await self._rounds.release_all_log(archive)
            case _:  # KEEP_LOG
                if archive.gate.is_closed:
                    await archive.gate.enforce()
                await self._release_archived(archive)

    async def _open_gate(self, archive: TenantArchive) -> None:
        try:
            await archive.gate.open()
        except OSError as error:
            _log.warning("cannot open the gate, retrying", tenant=archive.tenant.name, cause=str(error))
        else:
            archive.tell("GATE", "CLOSED", "OPEN", f"{archive.backlog} bytes of log wait to be archived")

    async def _release_archived(self, archive: TenantArchive) -> None:
        """Release blocks whose log is durable."""
        durable, key = archive.durable_lsn, archive.tenant.tenant_id
        if durable is not None and self._released.get(key) != durable:
            await asyncio.to_thread(archive.tenant.engine.release_log, durable)
            self._released[key] = durable

    def _rule_commits(self, archive: TenantArchive) -> None:
        now, parameters = self._rounds.round, self._parameters
        status = now.status_of(archive.tenant.tenant_id)
        if status is RoundStatus.DOING and parameters.is_mandatory and parameters.is_on(SYNC_COMMIT):
            rule = SyncRule(parameters.seconds(SYNC_TIMEOUT), falls_back=parameters.is_on(SYNC_FALLBACK))
            archive.commits.turn_on(rule)
        else:
            is_broken = status is RoundStatus.INTERRUPTED
            archive.commits.turn_off(commit_interrupted(_cause_of(now, archive)) if is_broken else None)

    def _judge(self, archive: TenantArchive) -> None:
        """Judge the tenant's health, and record changes."""
        now, lag_target = self._rounds.round, self._parameters.seconds(LAG_TARGET)
        option = self._parameters.log_archive_option
        vitals = Vitals(
            now.status_of(archive.tenant.tenant_id),
            archive.backlog,
            archive.lag,
            lag_target,
            archive.gate.is_closed,
            archive.trouble,
            _cause_of(now, archive),
            archive.commits.cause,
            archive.unavailable_by,
        )
        health, archive.cause = judge(vitals)
        if health is not archive.health or not archive.health_since:
            if archive.health_since or health not in {Health.FINE, Health.STOPPED}:  # a start is not an event
                archive.tell("HEALTH", archive.health, health, archive.cause)
            if health in _ALARMS:
                _log.error("alarm", tenant=archive.tenant.name, health=health, cause=archive.cause)
            archive.health, archive.health_since = health, time.time_ns()
        tenant = now.tenants.get(archive.tenant.tenant_id)
        status = tenant.status if tenant else now.status
        status_since, status_cause = self._last_change(archive, now, status)
        state = TenantState(
            tenant_id=archive.tenant.tenant_id,
            tenant_name=archive.tenant.name,
            log_archive_round=now.round_id,
            status=status,
            mode=option.mode,
            sync_commit=archive.commits.state,
            gate="CLOSED" if archive.gate.is_closed else "OPEN",
            health=health,
            since=archive.health_since,
            cause=archive.cause,
            backlog_bytes=archive.backlog,
            spool_limit=archive.limit,
            waiting_since=archive.waiting_since,
            checkpoint_scn=tenant.checkpoint_scn if tenant else now.checkpoint_scn,
            lag_target_us=int(lag_target * 1e6),
            compression="none" if option.compression is Compression.OFF else option.compression,
            status_since=status_since,
            status_cause=status_cause,
        )
        self._chronicle.state(state)

    def _last_change(self, archive: TenantArchive, now: Round, status: RoundStatus) -> tuple[int, str]:
        """When and why the tenant's STATUS last changed. Records a change; a restart of the service is not a change."""
        last = self._chronicle.last_state(archive.tenant.tenant_id)
        if last is not None and (last.log_archive_round, last.status) == (now.round_id, status):
            return last.status_since, last.status_cause
        cause = _cause_of(now, archive) or _WHY[status]
        if last is not None:
            archive.tell("STATUS", last.status, status, cause)
        return time.time_ns(), cause


def _cause_of(now: Round, archive: TenantArchive) -> str:
    """The cause of the tenant's status: its own, or the round's."""
    part = now.tenants.get(archive.tenant.tenant_id)
    return (part.comment if part else "") or now.comment


def _sure_backlog(archive: TenantArchive) -> int:
    """The least possible backlog in bytes, on which the valve may act.

    After a start of the service the end of the archive is unknown until the worker reports it, and lies somewhere in
    the first held block. The uncertainty must not close a gate, break a round, or open a closed gate.
    """
    if not archive.end_lsn:
        return archive.limit  # the engine has not answered yet: a value that causes no action
    if archive.durable_lsn is not None or archive.begun_at_lsn is not None or archive.gate.is_closed:
        return archive.backlog
    return max(0, archive.backlog - valve.MIN_LIMIT)


def _overflow(archive: TenantArchive) -> str:
    why = f": {archive.trouble}" if archive.trouble else ""
    return f"{archive.backlog} bytes of log waited to be archived, more than log_archive_spool_limit allows{why}"
