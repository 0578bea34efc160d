"""Restoring tenants, with engines, jobs and a catalog that fail when told, and planning that finds what it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from redoubt.archive.inventory import TenantPath
from redoubt.archive.layout import ClusterPath, PiecePath
from redoubt.archive.set_layout import SetIdentity, SetPath
from redoubt.archive.set_manifest import SetManifest, SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import PieceStore
from redoubt.catalog.restores import RestoreJob, RestoreStatus
from redoubt.catalog.session import CatalogError
from redoubt.catalog.tenants import TenantStatus
from redoubt.control import job_process
from redoubt.control.cluster import EngineSource
from redoubt.control.restores import restores
from redoubt.control.restores.restore_planning import Wanted
from redoubt.control.tenants.register import new_record
from redoubt.control.tenants.tenants import _nothing_to_end
from redoubt.destinations.file import FileDestination
from redoubt.messages.jobs import Failed, Outcome, Request, RestoreTenant, TenantRestored
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.restore.planning import LogPart, Plan
from redoubt.sql.answers import Ok, Rows
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import parse
from redoubt.sql.restore_errors import unknown_restore_keys
from redoubt.sql.statements import DropTenant
from tests.control.fakes import FakeSession
from tests.control.stage import Stage, play

UNTIL = 1_700_000_000
DONE = TenantRestored("source", 1, 10, 10)
RESTORE = "ALTER SYSTEM RESTORE {} FROM main UNTIL '2026-01-01 00:00:00' WITH 'pool_list=p&primary_zone=z'"


class Asking(FakeSession):
    """A session whose engine takes every time for the same one."""

    until = UNTIL * 10**6

    async def query(self, sql: str) -> Ok | Rows:
        """Answer."""
        if "time_to_usec" in sql:
            return Rows((), [(str(self.until),)])
        return await super().query(sql)


class Workshop:
    """Restores on a stage, with jobs that do what they are told: `outcomes` in turn, when `may_end` is set."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage, self.jobs, self.engines = stage, stage.restore_jobs, stage.engines
        self.engines.folder = folder
        self.session = Asking()
        self.outcomes: list[Outcome] = []
        self.requests: list[RestoreTenant] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def run_job(self, request: Request, progress: Callable[[int, int], None]) -> Outcome:
        """As `job_process.run_job`."""
        assert isinstance(request, RestoreTenant)
        self.requests.append(request)
        progress(5, 30)
        await self.may_end.wait()
        return self.outcomes.pop(0) if self.outcomes else DONE

    async def run(self, sql: str) -> object:
        """Run a statement."""
        statement = parse(sql)
        assert statement is not None
        return await self.stage.handler.handle(statement, self.session)

    async def ended(self) -> RestoreJob:
        """The last job, when it has ended."""
        await self.stage.until(lambda: bool(self.jobs.rows and self.jobs.rows[-1].end_time))
        await self.stage.until(lambda: self.stage.restores._task is None)
        return self.jobs.rows[-1]

    async def end(self) -> None:
        """As the service does."""
        await self.stage.restores.close()
        await self.stage.background.stop()
        await self.stage.archiving.close()

    def statuses(self) -> dict[str, TenantStatus]:
        """What the catalog has of restored tenants."""
        return {row.name: row.status for row in self.stage.tenant_table.rows.values() if row.tenant_id > 1001}


@pytest.fixture
def workshop(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """On a stage; every moment can be restored."""
    made = Workshop(stage, tmp_path)

    async def plan(wanted: Wanted, *_: object) -> tuple[Plan, int]:
        return _plan(tmp_path), wanted.until_scn or _plan(tmp_path).end.scn

    monkeypatch.setattr(stage.planning, "plan", plan)
    monkeypatch.setattr(job_process, "run_job", made.run_job)
    monkeypatch.setattr(restores, "_RETRY_PAUSE", 0.01)
    monkeypatch.setattr(restores, "_PROGRESS_PAUSE", 0.01)
    return made


def _plan(folder: Path) -> Plan:
    there, cluster = FileDestination(folder), ClusterPath("c", 1)
    end = LogPosition(30, UNTIL * 10**9 - 5, 7)
    summary = SetSummary(
        SetIdentity("identity", "c", 1, 1001, "main", "a" * 32, 1, 20260101),
        *("seekdb", 10, 1, 20, 2, 3, 4, 5, 1, "copy", 10, 5),
    )
    part = LogPart(PieceKey(1, 0, 0), PieceStore(there, PiecePath("clog/1")), 10, 30, 1, 9)
    base = SetStore(there, SetPath("data/set_1"))
    return Plan(TenantPath(cluster, 1001, "main"), base, SetManifest(summary, (), ()), (part,), end)


def _row(
    tenant_id: int = 1002, status: RestoreStatus = RestoreStatus.RESTORE_USER_REPLICA, info: str = ""
) -> RestoreJob:
    numbers = (UNTIL * 10**9, 2, UNTIL * 10**9)
    return RestoreJob(
        *(1, 0, tenant_id, "new", 1001, "main", 1, "c", "file:///b", "a" * 32, *numbers, "s", "p", 30, 1, status),
        info=info,
    )


def _being_restored(workshop: Workshop, status: TenantStatus = TenantStatus.RESTORING) -> None:
    record = new_record(1002, "new", EngineSource(), {}, status)
    workshop.stage.tenant_table.rows[1002] = record
    workshop.stage.register.take(record)


async def _code(work: object) -> int:
    with pytest.raises(SqlError) as refused:
        await work  # type: ignore[misc]
    return refused.value.code


def test_a_tenant_is_restored_step_by_step(workshop: Workshop) -> None:
    """On record all the while; then it can be used, and is archived."""

    async def scene() -> None:
        await workshop.stage.doing()
        workshop.may_end.clear()
        mistyped = RESTORE.format("New").replace("primary_zone=", "primary_zon=x&primary_zone=")
        answer = await workshop.run(mistyped)
        assert isinstance(answer, Ok)
        assert [note.message for note in answer.notes] == [unknown_restore_keys(("primary_zon",)).message]
        await workshop.stage.until(lambda: workshop.jobs.rows[0].done_bytes == 5)
        assert workshop.statuses() == {"new": TenantStatus.RESTORING}
        assert workshop.stage.tenants.named("new") is None
        assert await _code(workshop.run(RESTORE.format("new"))) == 9014
        assert await _code(workshop.run(RESTORE.format("other"))) == 9014
        assert await _code(workshop.run(RESTORE.format("main"))) == 4179
        workshop.may_end.set()
        job = await workshop.ended()
        assert (job.status, job.info, job.done_bytes) == (RestoreStatus.SUCCESS, "", 30)
        assert 1002 in workshop.stage.archiving.round.tenants
        await workshop.end()

    play(scene())

    words = list(dict.fromkeys(str(job.status) for job in workshop.jobs.saved))
    assert words == ["RESTORE_USER_REPLICA", "POST_CHECK", "RESTORE_SUCCESS"]
    assert workshop.statuses() == {"new": TenantStatus.NORMAL}
    assert workshop.engines.calls == [f"move_in new {'a' * 32}"]
    (request,) = workshop.requests
    assert (request.tenant, request.scn, request.cluster) == ("1001", UNTIL * 10**9 + 999, "c")
    assert workshop.stage.tenant_table.rows[1002].options == {"RESOURCE_POOL_LIST": "p", "PRIMARY_ZONE": "z"}


@pytest.mark.parametrize("step", ["job", "move_in"])
def test_what_fails_leaves_only_its_reason(workshop: Workshop, step: str) -> None:
    """Whichever step it is; the next one may begin."""
    workshop.outcomes = [Failed("no job")] if step == "job" else []
    workshop.engines.refusals = [step]

    async def scene() -> None:
        await workshop.run(RESTORE.format("new"))
        job = await workshop.ended()
        assert (job.status, job.info) == (RestoreStatus.FAIL, f"no {step}")
        await workshop.run(RESTORE.format("new"))
        assert (await workshop.ended()).status is RestoreStatus.SUCCESS
        await workshop.end()

    play(scene())

    assert workshop.engines.calls[0] == "remove new"
    assert workshop.stage.tenant_table.rows[1002].status is TenantStatus.DROPPED


def test_what_somebody_has_to_see_to_is_told_and_the_tenant_stays(workshop: Workshop) -> None:
    """It is restored, and its engine not within reach."""
    workshop.engines.advice = "log in as root"

    async def scene() -> None:
        await workshop.run(RESTORE.format("new"))
        job = await workshop.ended()
        assert (job.status, job.info) == (RestoreStatus.SUCCESS, "log in as root")
        await workshop.end()

    play(scene())

    assert workshop.statuses() == {"new": TenantStatus.NORMAL}


def test_dropping_the_tenant_ends_its_restore(workshop: Workshop) -> None:
    """At once, and for good."""

    async def scene() -> None:
        workshop.may_end.clear()
        await workshop.run(RESTORE.format("new"))
        await workshop.stage.until(lambda: bool(workshop.requests))
        await workshop.stage.tenants.drop(DropTenant("new"))
        job = await workshop.ended()
        assert (job.status, job.info) == (RestoreStatus.FAIL, "cancelled by DROP TENANT")
        await workshop.stage.restores._end(1002)
        await workshop.end()

    play(scene())

    assert workshop.statuses() == {"new": TenantStatus.DROPPED}
    assert workshop.engines.calls[-1] == "remove new"


def test_a_tenant_may_be_dropped_before_its_restore_has_begun(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the job is put on record."""

    async def scene() -> None:
        begin, loop = workshop.jobs.begin, asyncio.get_running_loop()

        def begin_slowly(job: RestoreJob) -> RestoreJob:
            dropping = workshop.stage.tenants.drop(DropTenant("new"))
            asyncio.run_coroutine_threadsafe(dropping, loop).result()
            return begin(job)

        monkeypatch.setattr(workshop.jobs, "begin", begin_slowly)
        await workshop.run(RESTORE.format("new"))
        job = await workshop.ended()
        assert (job.status, job.info) == (RestoreStatus.FAIL, "cancelled by DROP TENANT")
        await workshop.end()

    play(scene())

    assert not workshop.requests
    assert workshop.statuses() == {"new": TenantStatus.DROPPED}


@pytest.mark.parametrize("failures", [1, 2])
def test_a_catalog_that_does_not_take_the_job_leaves_nothing(workshop: Workshop, failures: int) -> None:
    """Later it takes what it has to take, as often as it is asked."""

    async def scene() -> None:
        workshop.jobs.failures = 1
        with pytest.raises(SqlError, match="is unavailable"):
            await workshop.run(RESTORE.format("new"))
        assert workshop.statuses() == {"new": TenantStatus.DROPPED}
        workshop.may_end.clear()
        await workshop.run(RESTORE.format("new"))
        workshop.jobs.failures = failures
        workshop.may_end.set()
        assert (await workshop.ended()).status is RestoreStatus.SUCCESS
        await workshop.end()

    play(scene())


@pytest.mark.parametrize("restored", [False, True])
def test_a_restore_goes_on_after_a_crash(workshop: Workshop, restored: bool) -> None:  # noqa: FBT001
    """Where it was: what is laid is not laid again."""
    _being_restored(workshop)
    workshop.jobs.rows = [_row()]
    workshop.engines.restored = {1002} if restored else set()

    async def scene() -> None:
        await workshop.stage.tenants.start()
        await workshop.stage.restores.load()
        assert (await workshop.ended()).status is RestoreStatus.SUCCESS
        await workshop.end()

    play(scene())

    assert len(workshop.requests) == (0 if restored else 1)
    assert workshop.statuses() == {"new": TenantStatus.NORMAL}


def test_a_restore_that_does_not_go_on_begins_anew_once(workshop: Workshop) -> None:
    """What lies there may be of another plan; what fails again has failed."""
    for refusal, outcomes, end in (
        ("", [Failed("another plan")], "RESTORE_SUCCESS"),
        ("", [Failed("another plan"), Failed("no medium")], "RESTORE_FAIL"),
        ("remove_restoring", [Failed("another plan")], "RESTORE_FAIL"),
    ):
        _being_restored(workshop)
        (workshop.engines.folder / "new").mkdir(exist_ok=True)
        workshop.jobs.rows, workshop.engines.calls = [_row()], []
        workshop.outcomes, workshop.engines.refusals = list(outcomes), [refusal]
        workshop.may_end = asyncio.Event()
        workshop.may_end.set()

        async def scene(end: str = end) -> None:
            await workshop.stage.restores.load()
            assert str((await workshop.ended()).status) == end
            for entry in workshop.stage.register.entries[1:]:
                await workshop.stage.register.mark_gone(entry)
            await workshop.end()

        play(scene())
        assert ("remove_restoring new" in workshop.engines.calls) == (not refusal)


def test_what_had_ended_but_for_its_row_gets_it(workshop: Workshop) -> None:
    """And a restore that failed is undone to its end."""
    expected = {
        TenantStatus.NORMAL: ("RESTORE_SUCCESS", ""),
        TenantStatus.DROPPING: ("RESTORE_FAIL", "cancelled by DROP TENANT"),
        TenantStatus.RESTORING: ("RESTORE_FAIL", "no medium"),
    }
    for status, (end, info) in expected.items():
        _being_restored(workshop, status)
        is_restoring = status is TenantStatus.RESTORING
        workshop.jobs.rows = [_row(status=RestoreStatus.FAIL, info="no medium") if is_restoring else _row()]

        async def scene(end: str = end, info: str = info) -> None:
            await workshop.stage.restores.load()
            job = await workshop.ended()
            assert (str(job.status), job.info) == (end, info)
            await workshop.end()

        play(scene())
    assert workshop.statuses() == {"new": TenantStatus.DROPPED}
    assert not workshop.requests


def test_a_restore_without_a_job_never_began(workshop: Workshop) -> None:
    """The service was killed between the two writings."""
    _being_restored(workshop)

    async def scene() -> None:
        await workshop.stage.restores.load()
        await workshop.end()

    play(scene())

    assert workshop.statuses() == {"new": TenantStatus.DROPPED}


def test_only_moments_that_are_over_are_restored(workshop: Workshop) -> None:
    """Ten seconds ago at least; a preview may look at any, and is kept."""

    async def scene() -> None:
        assert await _code(workshop.run("SHOW RESTORE PREVIEW")) == 1235
        workshop.session.until = (time.time_ns() - 9 * 10**9) // 1000
        assert await _code(workshop.run(RESTORE.format("new"))) == 4179
        answer = await workshop.run(f"{RESTORE.format('main')} PREVIEW")
        assert isinstance(answer, Ok)
        assert "to SCN 1699999999999999995 (2023-11-14 22:13:19.999999 UTC)" in answer.notes[0].message
        rows = await workshop.run("SHOW RESTORE PREVIEW")
        assert isinstance(rows, Rows)
        assert [row[:2] for row in rows.rows] == [("BACKUP_SET", 1), ("BACKUP_PIECE", 0)]
        await workshop.end()

    play(scene())

    assert not workshop.jobs.rows


def test_a_bug_in_a_restore_is_logged_and_holds_up_no_other(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its row stays for the next start."""

    async def fail(*_: object) -> Outcome:
        raise ValueError("a bug")

    async def scene() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(job_process, "run_job", fail)
            await workshop.run(RESTORE.format("new"))
            await workshop.stage.until(lambda: workshop.stage.restores._task is None)
        await workshop.run(RESTORE.format("other"))
        assert (await workshop.ended()).status is RestoreStatus.SUCCESS
        await workshop.end()

    play(scene())

    assert "restore failed" in capsys.readouterr().out
    assert not workshop.jobs.rows[0].end_time


def test_a_catalog_that_is_away_is_told(workshop: Workshop) -> None:
    """When the service starts."""

    def away() -> list[RestoreJob]:
        raise CatalogError("away")

    workshop.jobs.unfinished = away  # type: ignore[method-assign]
    with pytest.raises(CatalogError):
        asyncio.run(workshop.stage.restores.load())


def test_whom_nobody_restores_need_not_be_ended() -> None:
    """Without `Restores` there is no tenant that is being restored."""
    with pytest.raises(AssertionError):
        asyncio.run(_nothing_to_end(1))


def test_sources_are_named_and_forgotten(workshop: Workshop) -> None:
    """In sys; a user tenant has neither them nor previews, and tables are not restored by themselves."""

    async def scene() -> None:
        await workshop.run("ALTER SYSTEM ADD RESTORE SOURCE 'file:///a'")
        assert await _code(workshop.run(RESTORE.format("new").replace("UNTIL", "AT 'file:///b' UNTIL"))) == 1235
        await workshop.run("ALTER SYSTEM ADD RESTORE SOURCE 'file:///a'")
        await workshop.run("ALTER SYSTEM CLEAR RESTORE SOURCE")
        await workshop.run(RESTORE.format("new").replace("UNTIL", "AT 'file:///b' UNTIL"))
        assert (await workshop.ended()).backup_dest == "file:///b"
        assert await _code(workshop.run(RESTORE.format("d.t FOR new"))) == 1235
        workshop.session.tenant = "main"
        assert await _code(workshop.run("SHOW RESTORE PREVIEW")) == 1235
        assert await _code(workshop.run("ALTER SYSTEM CLEAR RESTORE SOURCE")) == 1227
        await workshop.end()

    play(scene())
