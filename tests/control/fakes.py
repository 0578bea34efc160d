"""A catalog, a journal, a worker, an engine and a session that remember what was asked of them, and fail when told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from redoubt.catalog.cleaning import CleanJob, CleanStatus, CleanType
from redoubt.catalog.journal import ArchiveEvent, TenantState
from redoubt.catalog.restores import RestoreJob
from redoubt.catalog.second_backups import CopyJob
from redoubt.catalog.session import CatalogError
from redoubt.catalog.set_table import Remains
from redoubt.catalog.standbys import StandbyRecord
from redoubt.catalog.tenants import TenantRecord
from redoubt.control.cluster import (
    MAIN_TENANT_ID,
    EngineRefusedError,
    EngineSource,
    Followed,
    FollowedLog,
    Tenant,
)
from redoubt.messages.archiving import Command
from redoubt.messages.jobs import CopyFolder, Outcome, Request, TakeBase
from redoubt.model import pieces
from redoubt.model.data_backups import DataBackup
from redoubt.model.holes import Hole
from redoubt.model.log import LogPosition
from redoubt.model.retention import Backup, BackupPiece, BackupSet, FileStatus
from redoubt.model.rounds import Round, RoundStatus, TenantRound
from redoubt.model.seams import LogReader
from redoubt.sql.answers import Ok, Rows
from redoubt.sql.errors import SqlError

ZONE = timezone(timedelta(hours=8))
"""The time zone of sessions."""


class FakeCatalog:
    """Keeps a round and parameters; fails as often as `failures` says."""

    def __init__(self) -> None:
        self.round: Round | None = Round()
        self.history: list[Round] = []
        self.departed: list[tuple[int, TenantRound]] = []
        self.values: dict[str, str] = {}
        self.failures = 0

    def parameters(self) -> dict[str, str]:
        return dict(self.values)

    def set_parameters(self, values: dict[str, str]) -> None:
        self._fail()
        self.values |= values

    def load_round(self) -> Round | None:
        return self.round

    def knows_destination(self, uri: str) -> bool:
        return any(each.destination == uri for each in self.history)

    def save_round(self, now: Round, before: Round | None = None) -> None:
        self._fail()
        self.round = now
        if now.status is RoundStatus.STOP:
            self.history.append(now)

    def save_departure(self, now: Round, tenant: TenantRound) -> None:
        self._fail()
        self.departed.append((now.round_id, tenant))

    def round_before(self, round_id: int, destination: str) -> int | None:
        self._fail()
        earlier = (r.round_id for r in self.history if r.destination == destination and r.round_id < round_id)
        return max(earlier, default=None)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise CatalogError("the catalog in the sys engine is unavailable")


class FakeCleaning:
    """Pieces, sets, stopped rounds and deletions, in memory; fails as often as `failures` says."""

    def __init__(self) -> None:
        self.kept: list[BackupPiece] = []
        self.backup_sets: list[BackupSet] = []
        self.rounds: set[int] = set()
        self.jobs: list[CleanJob] = []
        self.failures = 0

    def pieces(self) -> list[BackupPiece]:
        self._fail()
        return [each for each in self.kept if not each.copy_id]

    def sets(self) -> list[BackupSet]:
        return [each for each in self.backup_sets if not each.copy_id]

    def piece_copies(self) -> list[BackupPiece]:
        return [each for each in self.kept if each.copy_id]

    def set_copies(self) -> list[BackupSet]:
        return [each for each in self.backup_sets if each.copy_id]

    def stopped_rounds(self) -> set[int]:
        return set(self.rounds)

    def begin(self, kind: CleanType, parameter: str, comment: str, doomed: list[Backup], now: int) -> CleanJob:
        self._fail()
        self.jobs.append(CleanJob(len(self.jobs) + 1, kind, parameter, now, comment=comment))
        for backup in doomed:
            self.put(replace(backup, file_status=FileStatus.DELETING))
        return self.jobs[-1]

    def save(self, job: CleanJob) -> None:
        self._fail()
        self.jobs[job.job_id - 1] = job

    def deleted(self, backup: Backup) -> None:
        self._fail()
        self.put(replace(backup, file_status=FileStatus.DELETED))

    def unfinished(self) -> CleanJob | None:
        return next((job for job in self.jobs if job.status is CleanStatus.DOING), None)

    def last_end(self, kind: CleanType) -> int:
        self._fail()
        ended = (job.end_time for job in self.jobs if job.kind is kind and job.status is CleanStatus.STOP)
        return max(ended, default=0)

    def put(self, backup: Backup) -> None:
        """Keep a backup, in the place of the same one before."""
        among: list[Any] = self.backup_sets if isinstance(backup, BackupSet) else self.kept
        same = [each for each in among if (each.key, each.copy_id) == (backup.key, backup.copy_id)]
        if same:
            among[among.index(same[0])] = backup
        else:
            among.append(backup)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise CatalogError("the catalog in the sys engine is unavailable")


class FakeSecondBackupTable:
    """Jobs of second backups; the copies are in `clean`. Fails as often as `failures` says."""

    def __init__(self, clean: FakeCleaning) -> None:
        self.clean = clean
        self.jobs: list[CopyJob] = []
        self.told: list[tuple[str, int, int]] = []
        self.ends: list[tuple[int, str, int, str]] = []
        self.failures = 0

    def begin(self, job: CopyJob, copies: Iterable[Backup]) -> CopyJob:
        self._fail()
        self.jobs.append(replace(job, job_id=len(self.jobs) + 1))
        for copy in copies:
            self.clean.put(copy)
        return self.jobs[-1]

    def progress(self, _job: CopyJob, copy: Backup, done: int, total: int) -> None:
        self._fail()
        self.told.append((str(copy.key), done, total))

    def ended(self, job: CopyJob, copy: Backup, _now: int, result: int, comment: str = "") -> None:
        self._fail()
        self.ends.append((job.job_id, str(copy.key), result, comment))
        self.clean.put(replace(copy, file_status=FileStatus.INCOMPLETE if result else FileStatus.AVAILABLE))

    def save(self, job: CopyJob) -> None:
        self._fail()
        self.jobs[job.job_id - 1] = job

    def first_failure(self, job: CopyJob) -> str:
        self._fail()
        return next((cause for number, _, result, cause in self.ends if number == job.job_id and result), "")

    def unfinished(self) -> CopyJob | None:
        self._fail()
        return next((job for job in self.jobs if not job.end_time), None)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise CatalogError("the catalog in the sys engine is unavailable")


class FakeSetTable:
    """Data backups as they were saved, each state of them; fails as often as `failures` says."""

    def __init__(self) -> None:
        self.saved: list[DataBackup] = []
        self.left: list[Remains] = []
        self.kept: dict[int, int] = {}
        self.unfinished: list[int] = []
        self.failures = 0

    @property
    def last(self) -> DataBackup:
        return self.saved[-1]

    def last_id(self) -> int:
        return max((each.key.set_id for each in self.saved), default=0)

    def last_snapshot(self) -> int:
        self._fail()
        return 7

    def save(self, backup: DataBackup) -> None:
        self._fail()
        self.saved.append(backup)

    def keep(self, set_id: int, until: int) -> None:
        self._fail()
        self.kept[set_id] = until

    def fail_unfinished(self, cause: str, now: int) -> list[int]:
        self._fail()
        failed, self.unfinished = self.unfinished, []
        return failed

    def remains(self) -> list[Remains]:
        self._fail()
        return list(self.left)

    def removed(self, remains: Remains) -> None:
        self._fail()
        self.left.remove(remains)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise CatalogError("the catalog in the sys engine is unavailable")


class FakeJobs:
    """Takes bases: each request waits until it is told its outcome, or has it at once from `outcomes`."""

    def __init__(self) -> None:
        self.asked: list[TakeBase] = []
        self.outcomes: dict[int, Outcome] = {}
        self.ended: list[int] = []
        self.progress: Callable[[int, int], None] = lambda done, total: None
        self._waiting: dict[int, asyncio.Future[Outcome]] = {}

    async def run(self, request: Request, progress: Callable[[int, int], None]) -> Outcome:
        assert isinstance(request, TakeBase)
        self.asked.append(request)
        self.progress = progress
        if (outcome := self.outcomes.get(request.tenant_id)) is not None:
            return outcome
        self._waiting[request.tenant_id] = asyncio.get_running_loop().create_future()
        try:
            return await self._waiting[request.tenant_id]
        finally:
            self.ended.append(request.tenant_id)

    def tell(self, tenant_id: int, outcome: Outcome) -> None:
        self._waiting[tenant_id].set_result(outcome)

    def break_down(self, tenant_id: int, error: Exception) -> None:
        self._waiting[tenant_id].set_exception(error)


class FakeCopyJobs:
    """Copies folders: the outcomes of each folder in order, the last one for ever; without one, it hangs.

    An outcome that is an exception is raised.
    """

    def __init__(self) -> None:
        self.asked: list[CopyFolder] = []
        self.outcomes: dict[str, list[Outcome | Exception]] = {}
        self.killed = 0

    async def run(self, request: Request, progress: Callable[[int, int], None]) -> Outcome:
        assert isinstance(request, CopyFolder)
        self.asked.append(request)
        progress(5, 10)
        outcomes = self.outcomes.get(request.folder, [])
        if outcomes:
            outcome = outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.killed += 1
        raise AssertionError


class FakeJournal:
    """Keeps what is written, like tables; fails as often as `failures` says. `during` is called in each writing."""

    def __init__(self) -> None:
        self.states: dict[int, TenantState] = {}
        self.events: list[ArchiveEvent] = []
        self.kept: dict[tuple[int, int], Hole] = {}
        self.writings = 0
        self.failures = 0
        self.removal_failures = 0
        self.during: Callable[[], None] = lambda: None

    def write(self, states: list[TenantState], events: list[ArchiveEvent], holes: list[Hole]) -> None:
        self.writings += 1
        self.during()
        if self.failures:
            self.failures -= 1
            raise CatalogError("the catalog in the sys engine is unavailable")
        self.states |= {state.tenant_id: state for state in states}
        self.events += events
        self.kept |= {(hole.tenant_id, hole.after): hole for hole in holes}

    def remove_hole(self, tenant_id: int, after: int) -> None:
        if self.removal_failures:
            self.removal_failures -= 1
            raise CatalogError("the catalog in the sys engine is unavailable")
        self.kept.pop((tenant_id, after), None)

    def last_states(self) -> list[TenantState]:
        return list(self.states.values())

    def holes(self) -> list[Hole]:
        return list(self.kept.values())


class FakeWorker:
    """Remembers commands."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.kills = 0

    def send(self, command: Command) -> None:
        self.commands.append(command)

    def kill(self) -> None:
        self.kills += 1


class FakeEngine:
    """An engine whose figures are set by hand; `calls` remembers what changed something, and what a round asked.

    It does not answer while `is_away`, and `failures` times when log is to be held. `is_broken` is its disk.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.is_away = False
        self.is_broken = False
        self.calls: list[str] = []
        self.end = 0
        self.held: int | None = None
        self.free = 2**50
        self.released: list[int] = []
        self.writes_are_closed = False

    def source_id(self) -> str:
        self.calls.append("source_id")
        return "source"

    def start_point(self) -> LogPosition:
        self._answer()
        self.calls.append("start_point")
        return LogPosition(0)

    def end_of_log(self) -> int:
        self._answer()
        return self.end

    def end_of_commits(self) -> int:
        return self.end_of_log()

    def reader(self) -> LogReader:
        raise AssertionError("the service reads no log: the worker does")

    def hold_log(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the engine does not answer")
        self.calls.append("hold_log")

    def release_log(self, lsn: int) -> None:
        self._use_disk()
        self.released.append(lsn)

    def release_all_log(self) -> None:
        self._use_disk()
        self.calls.append("release_all_log")

    def held_from(self) -> int | None:
        return self.held

    def disk_free(self) -> int:
        self._use_disk()
        return self.free

    def close_writes(self) -> None:
        self._answer()
        self.calls.append("close_writes")
        self.writes_are_closed = True

    def open_writes(self) -> None:
        self._answer()
        self.calls.append("open_writes")
        self.writes_are_closed = False

    def has_closed_writes(self) -> bool:
        return self.writes_are_closed

    def minor_freeze(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if self.is_away:
            raise ConnectionError("the engine does not answer")

    def _use_disk(self) -> None:
        if self.is_broken:
            raise OSError("Input/output error")


class FakeTenantTable:
    """Keeps rows; after `passing` writings fails `failures` times, keeping what it was given if it `keeps`."""

    def __init__(self) -> None:
        self.rows: dict[int, TenantRecord] = {}
        self.troubles: dict[int, str] = {}
        self.passing = self.failures = 0
        self.keeps = False

    def load(self) -> list[TenantRecord]:
        return list(self.rows.values())

    def put(self, record: TenantRecord) -> None:
        if self.keeps:
            self.rows[record.tenant_id] = record
        self._fail()
        self.rows[record.tenant_id] = record

    def remove(self, tenant_id: int) -> None:
        self._fail()
        self.rows.pop(tenant_id, None)

    def set_trouble(self, tenant_id: int, trouble: str, since: int) -> None:
        self._fail()
        assert bool(trouble) == bool(since)
        self.troubles[tenant_id] = trouble

    def _fail(self) -> None:
        if self.passing:
            self.passing -= 1
        elif self.failures:
            self.failures -= 1
            raise CatalogError("the catalog in the sys engine is unavailable")


class FakeRestoreJobs:
    """Keeps jobs; fails as often as `failures` says."""

    def __init__(self) -> None:
        self.rows: list[RestoreJob] = []
        self.failures = 0
        self.saved: list[RestoreJob] = []

    def begin(self, job: RestoreJob) -> RestoreJob:
        self._fail()
        self.rows.append(replace(job, job_id=len(self.rows) + 1))
        return self.rows[-1]

    def save(self, job: RestoreJob) -> None:
        self._fail()
        self.saved.append(job)
        if not self.rows[job.job_id - 1].end_time:
            self.rows[job.job_id - 1] = job

    def unfinished(self) -> list[RestoreJob]:
        return [job for job in self.rows if not job.end_time]

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise CatalogError("the catalog in the sys engine is unavailable")


class FakeStandbyTable:
    """Keeps standbys; fails as often as `failures` says."""

    def __init__(self) -> None:
        self.rows: dict[int, StandbyRecord] = {}
        self.failures = 0
        self.statuses: list[str] = []
        self.before_put: Callable[[], object] = lambda: None

    def load(self) -> list[StandbyRecord]:
        return list(self.rows.values())

    def put(self, record: StandbyRecord) -> None:
        if self.failures:
            self.failures -= 1
            raise CatalogError("the catalog in the sys engine is unavailable")
        self.before_put()
        self.rows[record.tenant_id] = record
        self.statuses.append(str(record.switchover_status))


class FakeEngines:
    """The tenants' engines, main's among them; remembers what was asked, refuses what it is told to refuse once."""

    def __init__(self, main: FakeEngine) -> None:
        self._main = main
        self.calls: list[str] = []
        self.refusals: list[str] = []
        self.troubles: dict[int, str] = {}
        self.no_standby = ""
        self.following: dict[int, FollowedLog] = {}
        self.places: dict[int, Followed] = {}
        self.folder = Path("/nowhere")
        self.restored: set[int] = set()
        self.advice = ""
        self.left = ""

    def restoring(self, tenant: Tenant) -> Path:
        return self.folder / tenant.name

    async def is_restored(self, tenant: Tenant) -> bool:
        return tenant.tenant_id in self.restored

    async def remove_restoring(self, tenant: Tenant) -> None:
        if "remove_restoring" in self.refusals:
            raise OSError("Input/output error")
        self.calls.append(f"remove_restoring {tenant.name}")

    async def move_in(self, tenant: Tenant, source: str) -> str:
        self._refuse("move_in")
        self.calls.append(f"move_in {tenant.name} {source}")
        return self.advice

    async def check_new(self, source: str | None) -> EngineSource:
        self._refuse("check")
        return EngineSource(source or "")

    def place(
        self, tenant_id: int, name: str, source: EngineSource, *, is_new: bool, is_standby: bool = False
    ) -> Tenant:
        engine = self._main if tenant_id == MAIN_TENANT_ID else FakeEngine()
        return Tenant(tenant_id, name, Path(source.directory or "/nowhere"), engine, source.engine_kind)

    async def start(self, tenant: Tenant, white_list: str | None = None) -> None:
        self._refuse("start")
        self.calls.append(f"start {tenant.name}{'' if white_list is None else f' for {white_list}'}")

    def trouble(self, tenant: Tenant) -> str:
        return self.troubles.get(tenant.tenant_id, "")

    def why_no_standby(self, engine_kind: str) -> str:
        return self.no_standby

    def follow(self, tenant: Tenant, wanted: FollowedLog) -> None:
        self.following[tenant.tenant_id] = wanted

    def followed(self, tenant: Tenant) -> Followed:
        return self.places.get(tenant.tenant_id, Followed())

    async def activate(self, tenant: Tenant, decide: Callable[[], Awaitable[None]], *, without_archive: bool) -> None:
        self._refuse("activate")
        await decide()
        self.calls.append(f"activate {tenant.name}{' without its archive' if without_archive else ''}")

    async def end_sessions(self, tenant: Tenant) -> None:
        self.calls.append(f"end_sessions {tenant.name}")

    async def remove(self, tenant: Tenant, *, force: bool) -> str:
        if not force:
            self._refuse("remove")
        self.calls.append(f"remove {tenant.name}")
        return self.left

    def _refuse(self, what: str) -> None:
        if what in self.refusals:
            self.refusals.remove(what)
            raise EngineRefusedError(f"no {what}")


class FakeSession:
    """A session of somebody who may, in a tenant."""

    def __init__(self, tenant: str = "sys") -> None:
        self.tenant = tenant
        self.kept: dict[str, object] = {}
        self.asked: list[str] = []

    async def query(self, sql: str) -> Ok | Rows:
        self.asked.append(sql)
        if "__redoubt_privilege_probe" in sql:
            raise SqlError(5099, "42000", "System config unknown")
        if moments := re.findall(r"usec_to_time\((\d+)\)", sql):
            local = (datetime.fromtimestamp(int(each) / 1e6, ZONE) for each in moments)
            return Rows((), [tuple(f"{each:%Y-%m-%d %H:%M:%S.%f}" for each in local)])
        return Ok()


def tenant_with(engine: FakeEngine) -> Tenant:
    """The main tenant with an engine."""
    return Tenant(1001, "main", Path("/nowhere"), engine)


def one_piece(now: Round) -> Round:
    """A round with the piece that it has without a piece interval."""
    piece = pieces.begun(0, 0, 1, list(now.tenants))
    return replace(now, pieces=(piece if now.is_archiving else pieces.freezing(piece),))
