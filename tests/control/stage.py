"""The control's parts put together round fakes, and a loop whose time passes only when nothing else can happen."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

from redoubt.catalog.backups import Backups
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.cleaning import Cleaning
from redoubt.catalog.journal import Journal
from redoubt.catalog.restores import RestoreJobs
from redoubt.catalog.second_backups import SecondBackupTable
from redoubt.catalog.set_table import SetTable
from redoubt.catalog.standbys import StandbyTable
from redoubt.catalog.tenants import TenantStatus, TenantTable
from redoubt.control.background import Background
from redoubt.control.backups.clean_work import CleanWork
from redoubt.control.backups.clock_watch import ClockWatch
from redoubt.control.backups.data_backups import DataBackups
from redoubt.control.backups.deletion import Deletion
from redoubt.control.backups.holds import Holds
from redoubt.control.backups.second_backups import SecondBackups
from redoubt.control.cluster import MAIN_TENANT, MAIN_TENANT_ID, Cluster, EngineSource
from redoubt.control.destination_keys import DestinationKeys
from redoubt.control.modes.chronicle import Chronicle
from redoubt.control.modes.tenant_archive import TenantArchive
from redoubt.control.modes.valve import Valve
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.restores.restore_planning import RestorePlanning
from redoubt.control.restores.restores import Restores
from redoubt.control.rounds.archiving import Archiving
from redoubt.control.standbys.standbys import Standbys
from redoubt.control.statements.handler import Handler
from redoubt.control.statements.settings import Settings
from redoubt.control.tenants.register import Register, new_record
from redoubt.control.tenants.tenants import Tenants
from redoubt.destinations.access import AccessFile
from redoubt.engines.registry import engine_kind
from redoubt.messages.archiving import PieceProgress, PieceStopped
from tests.control.fakes import (
    FakeCatalog,
    FakeCleaning,
    FakeCopyJobs,
    FakeEngine,
    FakeEngines,
    FakeJobs,
    FakeJournal,
    FakeRestoreJobs,
    FakeSecondBackupTable,
    FakeSetTable,
    FakeStandbyTable,
    FakeTenantTable,
    FakeWorker,
    tenant_with,
)

DISK = 2**40
FAR = 2**62
"""An SCN in the far future."""


class Stage:
    """An `Archiving` and what stands round it."""

    def __init__(self, backup: Path) -> None:
        self.catalog, self.worker, self.engine, self.journal = FakeCatalog(), FakeWorker(), FakeEngine(), FakeJournal()
        self.clean = FakeCleaning()
        catalog = cast("Catalog", self.catalog)
        self.parameters = Parameters(catalog, lambda: DISK)
        self.parameters.change({"backup_dest": f"file://{backup}"})
        tenants = [tenant_with(self.engine)]
        self.chronicle = Chronicle(cast("Journal", self.journal))
        cluster = Cluster("c", 1, "identity")
        self.home = backup.parent / f"{backup.name}-home"
        self.archiving = Archiving(cluster, tenants, catalog, self.parameters, self.worker, self.chronicle, self.home)
        self.valve = Valve(self.archiving, self.parameters, self.chronicle, lambda _: self.own_trouble)
        self.tenant_table, self.engines, self.background = FakeTenantTable(), FakeEngines(self.engine), Background()
        self.register = Register(cast("TenantTable", self.tenant_table), self.engines)
        self.register.take(new_record(MAIN_TENANT_ID, MAIN_TENANT, EngineSource(), {}, TenantStatus.NORMAL))
        self.tenants = Tenants(self.register, self.engines, self.archiving, self.valve, self.chronicle, self.background)
        self.clock = ClockWatch(backup.parent / f"{backup.name}-clock")
        backups, cleaning = cast("Backups", self.clean), cast("Cleaning", self.clean)
        self.deletion = Deletion(cluster, self.archiving, self.parameters, backups, cleaning, self.clock)
        keys = DestinationKeys(AccessFile(backup.parent / f"{backup.name}-access"))
        settings = Settings(self.tenants, self.archiving, self.parameters, keys)
        self.set_table, self.jobs = FakeSetTable(), FakeJobs()
        table, remover = cast("SetTable", self.set_table), CleanWork(cluster, cleaning)
        self.backups = DataBackups(cluster, self.archiving, self.parameters, table, remover, self.jobs.run)
        self.restore_jobs = FakeRestoreJobs()
        self.planning = RestorePlanning(cluster, self.parameters, engine_kind)
        jobs = cast("RestoreJobs", self.restore_jobs)
        self.standby_table = FakeStandbyTable()
        self.standbys = Standbys(self.tenants, self.engines, cast("StandbyTable", self.standby_table), keys)
        self.restores = Restores(self.planning, self.tenants, self.engines, self.standbys, jobs)
        self.copy_table, self.copy_jobs = FakeSecondBackupTable(self.clean), FakeCopyJobs()
        self.second = SecondBackups(
            *(cluster, self.archiving, self.parameters, backups),
            cast("SecondBackupTable", self.copy_table),
            self.copy_jobs.run,
        )
        self.handler = Handler(
            *(self.tenants, self.archiving, settings, self.deletion, self.backups, self.restores, keys, self.second),
            *(Holds(self.archiving, backups, table), self.standbys),
        )

    own_trouble: str | None = ""
    """Why the main tenant's engine cannot be used, None if an application runs it."""

    @property
    def archive(self) -> TenantArchive:
        """The main tenant's."""
        return self.archiving.archives[0]

    async def look(self) -> None:
        """One look of the valve's."""
        await self.valve.look(self.archive)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, ten seconds at most."""
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)

    def sent(self, kind: type) -> int:
        """How many commands of a kind the worker got."""
        return sum(isinstance(command, kind) for command in self.worker.commands)

    def progress(self, lsn: int, scn: int = FAR) -> None:
        """The worker says that the archive is durable up to there."""
        self.archiving.worker_says(PieceProgress(1001, self.archiving.round.round_id, lsn, scn, 10, 5, 1))

    async def doing(self, **parameters: str) -> None:
        """Begin a round that is DOING, with everything archived so far."""
        self.parameters.change(parameters)
        await self.archiving.start()
        await self.until(lambda: not self.archiving._orders._tasks)
        self.progress(self.engine.end)

    async def stopped(self) -> None:
        """Stop the round."""
        await self.archiving.stop()
        self.archiving.worker_says(PieceStopped(1001, self.archiving.round.round_id, ""))

    def told(self, what: str) -> list[tuple[str, str]]:
        """The changes of a kind that are on record or will be."""
        events = [*self.journal.events, *self.chronicle._events]
        return [(event.state_before, event.state_after) for event in events if event.what == what]


class TimelessLoop(asyncio.SelectorEventLoop):
    """Its time is a number that leaps to the next timer when nothing is to be done. Not for threads."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_LeapingSelector(self))

    def time(self) -> float:
        """The loop's time in seconds."""
        return self.now

    def settle(self) -> None:
        """Run what can run without time passing."""
        for _ in range(20):
            self.run_until_complete(_turn())

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until_complete(asyncio.sleep(seconds))
        self.settle()


class _LeapingSelector(selectors.DefaultSelector):
    def __init__(self, loop: TimelessLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen"
        self._loop.now += max(0.0, timeout)
        return super().select(0)


async def _turn() -> None:
    await asyncio.sleep(0)


def play(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene on a loop of its own."""
    asyncio.run(scene)
