"""Records events, holes and the tenants' states, and keeps them in memory until the catalog has them.

Every change is in the service's log at once. Writes to the catalog follow, and are retried while the sys engine is
down.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from redoubt.catalog.journal import ArchiveEvent, Journal, TenantState
from redoubt.catalog.session import CatalogError
from redoubt.model import holes
from redoubt.model.holes import Hole

_log = structlog.get_logger("redoubt.control.modes.chronicle")


class Chronicle:
    """For the event loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._events: list[ArchiveEvent] = []
        self._states: dict[int, TenantState] = {}
        self._written: dict[int, TenantState] = {}
        self._holes: dict[tuple[int, int], Hole] = {}
        self._unwritten: dict[tuple[int, int], Hole | None] = {}
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Load holes and the tenants' last states from the catalog."""
        for state in await asyncio.to_thread(self._journal.last_states):
            self._states[state.tenant_id] = self._written[state.tenant_id] = state
        for hole in await asyncio.to_thread(self._journal.holes):
            self._holes[hole.tenant_id, hole.after] = hole

    def event(self, tenant_id: int, round_id: int, what: str, before: str, after: str, cause: str) -> None:
        """Record a change of a tenant's archiving."""
        _log.info(what.lower(), tenant_id=tenant_id, round=round_id, before=before, now=after, cause=cause)
        self._events.append(ArchiveEvent(time.time_ns(), tenant_id, round_id, what, before, after, cause))

    def state(self, state: TenantState) -> None:
        """Set a tenant's current state."""
        self._states[state.tenant_id] = state

    def last_state(self, tenant_id: int) -> TenantState | None:
        """A tenant's last known state, maybe from before a restart; None if unknown."""
        return self._states.get(tenant_id)

    async def forget(self, tenant_id: int) -> None:
        """Forget the state of a dropped tenant."""
        async with self._writing:
            self._states.pop(tenant_id, None)
            self._written.pop(tenant_id, None)

    def hole(self, tenant_id: int, after: int) -> Hole | None:
        """The hole after a round, None without one."""
        return self._holes.get((tenant_id, after))

    def open_hole(self, hole: Hole) -> None:
        """Open a hole: a round was interrupted. Does nothing if the hole is known."""
        if (hole.tenant_id, hole.after) not in self._holes:
            _log.error("hole opened", **vars(hole))
            self._put(hole.tenant_id, hole.after, hole)

    def begin_hole_at(self, tenant_id: int, after: int, lsn: int, scn: int) -> None:
        """Correct the start of an open hole to the one read from the destination."""
        hole = self._holes.get((tenant_id, after))
        if hole is not None and hole.is_open and (hole.start_lsn, hole.start_scn) != (lsn, scn):
            self._put(tenant_id, after, Hole(**vars(hole) | {"start_lsn": lsn, "start_scn": scn}))

    def close_hole(self, tenant_id: int, after: int, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Close a hole with the ends read from the destination; a hole without missing log is removed."""
        known = self._holes.get((tenant_id, after))
        if known is not None and not known.is_open:
            return
        hole = holes.closed(known, tenant_id, after, start, end, time.time_ns())
        if hole is not None or known is not None:
            _log.warning("hole closed", tenant_id=tenant_id, after=after, start=start, end=end)
            self._put(tenant_id, after, hole)

    async def write(self) -> None:
        """Bring the catalog up to date, if the catalog answers."""
        async with self._writing:
            await self._write_changes()

    async def _write_changes(self) -> None:
        states = [state for tenant_id, state in self._states.items() if self._written.get(tenant_id) != state]
        events, changes = self._events[:], dict(self._unwritten)
        if not (states or events or changes):
            return
        try:
            await asyncio.to_thread(self._write, states, events, changes)
        except CatalogError as error:
            _log.warning("cannot write the journal to the catalog, retrying", cause=str(error))
            return
        self._written |= {state.tenant_id: state for state in states}
        del self._events[: len(events)]
        self._unwritten = {key: hole for key, hole in self._unwritten.items() if changes.get(key, self) is not hole}

    def _write(
        self, states: list[TenantState], events: list[ArchiveEvent], changes: dict[tuple[int, int], Hole | None]
    ) -> None:
        for key, hole in changes.items():  # first: a failed write is repeated as a whole, but events only once
            if hole is None:
                self._journal.remove_hole(*key)
        self._journal.write(states, events, [hole for hole in changes.values() if hole is not None])

    def _put(self, tenant_id: int, after: int, hole: Hole | None) -> None:
        if hole is None:
            self._holes.pop((tenant_id, after), None)
        else:
            self._holes[tenant_id, after] = hole
        self._unwritten[tenant_id, after] = hole
