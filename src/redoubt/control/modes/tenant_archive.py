"""The service's view of one tenant's archive: progress, backlog, gate and commits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from redoubt.control.cluster import Tenant
from redoubt.control.modes.chronicle import Chronicle
from redoubt.control.modes.commits import SynchronousCommit, SyncState
from redoubt.control.modes.gate import TenantGate
from redoubt.messages.archiving import Command, Flush
from redoubt.model.health import Health

_END_PATIENCE = 2.0
_AWAY_PATIENCE = 5.0
_log = structlog.get_logger("redoubt.control.modes.tenant_archive")


class TenantArchive:
    """For the event loop. `round_id()` is the current round; `send` sends a command to the worker."""

    def __init__(
        self, tenant: Tenant, round_id: Callable[[], int], send: Callable[[Command], None], chronicle: Chronicle
    ) -> None:
        self.tenant = tenant
        self.durable_lsn: int | None = None
        """LSN up to which the archive is durable; None until the worker has reported one."""
        self.end_lsn = 0
        self.begun_at_lsn: int | None = None
        """The end of the log when the round began: earlier log is not backlog."""
        self.stop_lsn: int | None = None
        """Where the log ended when the round was stopped; None before, and if the engine did not say."""
        self.backlog = 0
        """Bytes of log that are not durable, as last measured."""
        self.limit = 0
        self.caught_up_at = 0
        """The last moment without a backlog, in ns since the epoch."""
        self.waiting_since = 0
        """Since when the oldest unarchived log waits, in ns since the epoch; 0 without a backlog."""
        self.lag = 0.0
        """Seconds since `waiting_since`, 0 without a backlog."""
        self.troubles: dict[int, str] = {}
        """The cause of a delay, by piece."""
        self.away_since: float | None = None
        """Since when the engine cannot be asked, in seconds of the monotonic clock; None while it can."""
        self.away_cause = ""
        self.files_since: float | None = None
        """Since when the files of held log cannot be used, in seconds of the monotonic clock; None while they can."""
        self.files_cause = ""
        self.unavailable_by = ""
        """Why the engine, which the service runs, cannot be used now; empty if it can, or if an application runs it."""
        self._unusable_since: float | None = None
        self._asked_at = 0.0
        self.health = Health.STOPPED
        self.health_since = 0
        self.cause = ""
        self.told: set[int] = set()
        """The pieces of the current round that the current worker knows."""
        self.gone: asyncio.Future[None] | None = None
        """Done when the archive of a tenant that is being dropped has ended; None for any other tenant."""
        self.kicked = asyncio.Event()
        """Set to make the valve look at once."""
        self._round_id = round_id
        self._send = send
        self._chronicle = chronicle
        self.commits = SynchronousCommit(self._flush, self._tell_sync)
        self.gate = TenantGate(tenant.engine, self.commits, self._why_gated)

    async def note_end(self) -> None:
        """Ask the engine where the log ends, because the round is being stopped.

        A silent engine writes no more, so that a worker finds the end.
        """
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_END_PATIENCE):
                self.stop_lsn = await asyncio.to_thread(self.tenant.engine.end_of_commits)

    def begin_round(self) -> None:
        """Reset for a new round."""
        self.told.clear()
        self.durable_lsn = self.begun_at_lsn = self.stop_lsn = None
        self.troubles.clear()

    @property
    def is_leaving(self) -> bool:
        """Whether the tenant is being dropped."""
        return self.gone is not None

    @property
    def trouble(self) -> str:
        """The cause of a delay, of the newest piece with one, or else of the engine; empty without a delay.

        An engine that is away for a moment is being restarted, which is no trouble.
        """
        of_files = self.files_cause if _lasts(self.files_since) else ""
        of_engine = self.away_cause if _lasts(self.away_since) else of_files
        return next((text for _, text in sorted(self.troubles.items(), reverse=True) if text), of_engine)

    def asking_engine(self) -> None:
        """Note that the engine is being asked: one that hangs fails late."""
        self._asked_at = time.monotonic()

    def engine_answered(self) -> None:
        """Note that the engine can be asked."""
        self.away_since, self.away_cause = None, ""

    def engine_failed(self, cause: str) -> None:
        """Note why the engine cannot be asked."""
        if self.away_since is None:
            self.away_since = self._asked_at
            _log.warning("the engine cannot be asked", tenant=self.tenant.name, cause=cause)
        self.away_cause = cause

    def note_files(self, cause: str) -> None:
        """Note why the files of held log cannot be used; empty if they can."""
        if not cause:
            self.files_since = None
        elif self.files_since is None:
            self.files_since = time.monotonic()
            _log.warning("the held log cannot be used", tenant=self.tenant.name, cause=cause)
        self.files_cause = cause

    def note_engine(self, trouble: str | None) -> None:
        """Note the keeper's trouble with the engine, None if an application runs the engine."""
        cause = "" if trouble is None else trouble or self.away_cause
        if not cause:
            self._unusable_since = None
        elif self._unusable_since is None:
            self._unusable_since = time.monotonic()
        self.unavailable_by = cause if _lasts(self._unusable_since) else ""

    def tell(self, what: str, before: str, after: str, cause: str) -> None:
        """Record a change."""
        self._chronicle.event(self.tenant.tenant_id, self._round_id(), what, before, after, cause)

    def _flush(self, number: int) -> None:
        self._send(Flush(self.tenant.tenant_id, self._round_id(), number))

    def _tell_sync(self, before: SyncState, after: SyncState, cause: str) -> None:
        self.tell("SYNC_COMMIT", before, after, cause)

    def _why_gated(self) -> str:
        cause = f"; cause: {self.trouble}" if self.trouble else ""
        return f"{self.backlog} bytes of log wait to be archived (limit: {self.limit} bytes{cause})"


def _lasts(since: float | None) -> bool:
    return since is not None and time.monotonic() - since > _AWAY_PATIENCE
