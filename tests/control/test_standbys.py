"""Standby tenants on the stage: how they come, follow, stop, take over and go, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from redoubt.catalog.standbys import UNLIMITED
from redoubt.catalog.tenants import TenantRole, TenantStatus
from redoubt.control import job_process
from redoubt.control.cluster import Followed
from redoubt.control.restores import restores
from redoubt.control.standbys import standbys
from redoubt.destinations.file import FileDestination
from redoubt.model.seams import DestinationError
from redoubt.restore.planning import UnknownTenantError
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import parse
from tests.control.stage import Stage, play
from tests.control.test_restores import UNTIL, Workshop, _plan

END = UNTIL * 10**9 - 5
"""The SCN at which the plan ends."""
THERE = Followed(30, END, END, is_complete=True)
ID = 1002


@pytest.fixture
def workshop(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """On a stage; every moment can be restored, and a standby is at once where it shall be."""
    made = Workshop(stage, tmp_path)

    async def plan(wanted: object, *_: object) -> tuple[object, int]:
        return _plan(tmp_path), getattr(wanted, "until_scn", None) or END

    async def check(*_: object) -> None:
        return None

    monkeypatch.setattr(stage.planning, "plan", plan)
    monkeypatch.setattr(stage.planning, "check_keys", check)
    monkeypatch.setattr(job_process, "run_job", made.run_job)
    for name in ("_RETRY_PAUSE", "_PROGRESS_PAUSE"):
        monkeypatch.setattr(restores, name, 0.01)
    for name in ("_LOOK", "_WRITE_PAUSE"):
        monkeypatch.setattr(standbys, name, 0.01)
    made.engines.places[ID] = THERE
    return made


async def _restored(workshop: Workshop) -> None:
    await workshop.run("ALTER SYSTEM RESTORE s FROM 'file:///b,file:///b' WITH 'pool_list=p&backup_tenant_name=main'")
    await workshop.ended()


async def _code(workshop: Workshop, sql: str) -> int:
    with pytest.raises(SqlError) as refusal:
        await workshop.run(sql)
    return refusal.value.code


def _role(workshop: Workshop) -> tuple[TenantRole, TenantStatus]:
    row = workshop.stage.tenant_table.rows[ID]
    return row.role, row.status


def test_a_restored_tenant_follows_to_its_moment_and_is_not_archived(workshop: Workshop) -> None:
    """The job lays the data backup alone; a round of the cluster goes on without the standby."""

    async def scene() -> None:
        await workshop.stage.doing()
        await _restored(workshop)
        assert [request.is_standby for request in workshop.requests] == [True]
        assert _role(workshop) == (TenantRole.STANDBY, TenantStatus.NORMAL)
        wanted = workshop.engines.following[ID]
        assert (wanted.destination, wanted.cluster, wanted.tenant_id, wanted.source, wanted.until_scn) == (
            *("file:///b", "c", 1001, "a" * 32, END),
        )
        assert [tenant.name for tenant in workshop.stage.tenants.all] == ["main"]
        assert set(workshop.stage.archiving.round.tenants) == {1001}
        assert workshop.stage.standby_table.rows[ID].sync_scn == END
        assert workshop.stage.tenants.named("S") is not None, "clients may log in"
        await workshop.run("DROP TENANT s")
        assert workshop.stage.tenants.named("s") is None
        await workshop.end()

    play(scene())


def test_a_machine_without_networks_refuses_before_anything_is_made(workshop: Workshop) -> None:
    """And an engine that never starts ends the restore with its cause."""

    async def scene() -> None:
        workshop.engines.no_standby = "no network"
        with pytest.raises(SqlError, match=r"4179.*no network.*RESTORE s FROM main AT"):
            await workshop.run("ALTER SYSTEM RESTORE s FROM 'file:///b'")
        assert not workshop.jobs.rows
        workshop.engines.no_standby = ""
        workshop.engines.places[ID] = Followed()
        workshop.engines.troubles[ID] = "the engine does not start"
        await workshop.run("ALTER SYSTEM RESTORE s FROM 'file:///b'")
        job = await workshop.ended()
        assert (str(job.status), job.info) == ("RESTORE_FAIL", "the engine does not start")
        assert workshop.stage.tenants.named("s") is None
        await workshop.end()

    standbys_patience = standbys._PATIENCE
    standbys._PATIENCE = 0.0
    try:
        play(scene())
    finally:
        standbys._PATIENCE = standbys_patience


def test_sources_of_a_restore_are_one_destination(workshop: Workshop) -> None:
    """Named, or of the session; none, or two, is an error."""

    async def scene() -> None:
        assert await _code(workshop, "ALTER SYSTEM RESTORE s FROM 'file:///a,file:///b'") == 1235
        assert await _code(workshop, "ALTER SYSTEM RESTORE s WITH 'pool_list=p'") == 9026
        assert await _code(workshop, "ALTER SYSTEM RESTORE s FROM 'file:///b' WITH 'kms_encrypt=1'") == 1235
        await workshop.run("ALTER SYSTEM ADD RESTORE SOURCE 'file:///b'")
        assert await _code(workshop, "ALTER SYSTEM RESTORE s FROM 'file:///b'") == 1235
        await workshop.run("ALTER SYSTEM ADD RESTORE SOURCE 'file:///b'")
        await workshop.run("ALTER SYSTEM RESTORE s UNTIL TIME = '2026-01-01 00:00:00' WITH 'nonsense=1'")
        assert (await workshop.ended()).until_scn == UNTIL * 10**9 + 999
        await workshop.end()

    play(scene())


def test_it_follows_further_stops_and_never_goes_back(workshop: Workshop) -> None:
    """RECOVER in its forms; each is on record before the engine is told."""

    async def scene() -> None:
        await _restored(workshop)
        following, rows = workshop.engines.following, workshop.stage.standby_table.rows
        await workshop.run("ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL UNLIMITED")
        assert (following[ID].until_scn, rows[ID].until_scn) == (None, UNLIMITED)
        workshop.engines.places[ID] = Followed(40, END + 50, 0, trouble="the bucket is away")
        await workshop.run("ALTER SYSTEM RECOVER STANDBY TENANT = s CANCEL")
        assert (following[ID].until_scn, rows[ID].until_scn, rows[ID].readable_scn) == (END + 50, END + 50, END)
        assert rows[ID].trouble == "the bucket is away"
        await workshop.run(f"ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL SCN = {END + 99}")
        assert following[ID].until_scn == END + 99
        assert await _code(workshop, f"ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL SCN = {END}") == 4179
        assert await _code(workshop, "ALTER SYSTEM RECOVER STANDBY TENANT = s") == 1210
        assert await _code(workshop, "ALTER SYSTEM RECOVER STANDBY UNTIL UNLIMITED") == 1210
        assert await _code(workshop, "ALTER SYSTEM RECOVER STANDBY TENANT = sys UNTIL UNLIMITED") == 1210
        assert await _code(workshop, "ALTER SYSTEM RECOVER STANDBY TENANT = nobody UNTIL UNLIMITED") == 5157
        assert await _code(workshop, "ALTER SYSTEM RECOVER STANDBY TENANT = main UNTIL UNLIMITED") == 4179
        workshop.stage.standby_table.failures = 1
        assert await _code(workshop, "ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL UNLIMITED") == 1053
        assert following[ID].until_scn == END + 99
        await workshop.end()

    play(scene())


def test_its_source_may_change_or_go(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The new one must have its log; without one it stays where it is, and takes over with what it has."""

    def find(destination: FileDestination, *_: object) -> None:
        if destination.root.name == "foreign":
            raise UnknownTenantError("no backup of tenant '1001' found")
        if destination.root.name == "away":
            raise DestinationError("it is away")

    def check(uri: str, *_: object) -> None:
        find(FileDestination(Path(uri.removeprefix("file://"))))

    monkeypatch.setattr(standbys, "_check_source", check)

    async def scene() -> None:
        await _restored(workshop)
        following, rows = workshop.engines.following, workshop.stage.standby_table.rows
        for place, code in (("foreign", 1210), ("away", 1210)):
            sql = f"ALTER SYSTEM SET LOG_RESTORE_SOURCE = 'LOCATION=file://{tmp_path}/{place}' TENANT = s"
            assert await _code(workshop, sql) == code
        assert await _code(workshop, "ALTER SYSTEM SET LOG_RESTORE_SOURCE = 'LOCATION=file:///b'") == 1210
        assert await _code(workshop, "ALTER SYSTEM SET LOG_RESTORE_SOURCE = '' TENANT = main") == 4179
        assert await _code(workshop, "ALTER SYSTEM SET LOG_RESTORE_SOURCE = '' TENANT = s, backup_dest = ''") == 1235
        await workshop.run("ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL UNLIMITED")
        await workshop.run("ALTER SYSTEM SET LOG_RESTORE_SOURCE = 'LOCATION=file:///copy' TENANT = s")
        assert (following[ID].destination, following[ID].until_scn) == ("file:///copy", None)
        await workshop.run("ALTER SYSTEM SET LOG_RESTORE_SOURCE = '' TENANT = s")
        assert (rows[ID].source_type, following[ID].until_scn, rows[ID].until_scn) == ("", END, UNLIMITED)
        await workshop.run("ALTER SYSTEM ACTIVATE STANDBY TENANT = s")
        assert "activate s without its archive" in workshop.engines.calls
        await workshop.end()

    play(scene())


def test_a_takeover_makes_an_ordinary_tenant(workshop: Workshop) -> None:
    """On record before the engine writes; archived in the running round; once more is no error."""

    async def scene() -> None:
        await workshop.stage.doing()
        await _restored(workshop)
        table = workshop.stage.standby_table
        await workshop.run("ALTER SYSTEM ACTIVATE STANDBY TENANT = s VERIFY")
        assert _role(workshop)[0] is TenantRole.STANDBY
        table.statuses.clear()
        await asyncio.gather(*(workshop.run("ALTER SYSTEM ACTIVATE STANDBY TENANT = s") for _ in range(2)))
        assert table.statuses == ["PREPARE FLASHBACK", "SWITCHING TO PRIMARY", "NORMAL"]
        assert workshop.engines.calls.count("activate s") == 1
        assert _role(workshop) == (TenantRole.PRIMARY, TenantStatus.NORMAL)
        assert set(workshop.stage.archiving.round.tenants) == {1001, ID}
        assert table.rows[ID].until_scn == UNLIMITED
        await workshop.run("ALTER SYSTEM ACTIVATE STANDBY TENANT = s")
        await workshop.run("ALTER SYSTEM ACTIVATE STANDBY TENANT = main")
        assert await _code(workshop, "ALTER SYSTEM RECOVER STANDBY TENANT = s CANCEL") == 4179
        await workshop.end()

    play(scene())


def test_a_takeover_that_fails_leaves_a_standby(workshop: Workshop) -> None:
    """Refused by the engine, or not on record; then it can be repeated."""

    async def scene() -> None:
        await _restored(workshop)
        workshop.engines.refusals = ["activate"]
        assert await _code(workshop, "ALTER SYSTEM ACTIVATE STANDBY TENANT = s") == 4179
        assert _role(workshop)[0] is TenantRole.STANDBY
        assert workshop.stage.standby_table.rows[ID].switchover_status == "NORMAL"
        workshop.stage.tenant_table.failures = 1
        assert await _code(workshop, "ALTER SYSTEM ACTIVATE STANDBY TENANT = s") == 4179
        assert _role(workshop)[0] is TenantRole.STANDBY
        workshop.engines.troubles[ID] = "the engine is being started"
        assert await _code(workshop, "ALTER SYSTEM ACTIVATE STANDBY TENANT = s VERIFY") == 4179
        await workshop.run("ALTER SYSTEM ACTIVATE STANDBY TENANT = s")
        assert _role(workshop)[0] is TenantRole.PRIMARY
        await workshop.end()

    play(scene())


def test_the_next_service_lets_it_follow_again(workshop: Workshop) -> None:
    """As far as before; how far it is, is written now and then, and after a failure of the catalog."""

    async def scene() -> None:
        await _restored(workshop)
        stage = workshop.stage
        await workshop.run("ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL UNLIMITED")
        before = workshop.engines.following.pop(ID)
        await stage.standbys.close()
        await stage.standbys.load()
        assert workshop.engines.following[ID] == before
        stage.standby_table.failures = 1
        workshop.engines.places[ID] = Followed(50, END + 70, END + 60)
        stage.background.keep("standbys", stage.standbys.write)
        await stage.until(lambda: stage.standby_table.rows[ID].readable_scn == END + 60)
        await workshop.end()

    play(scene())


def test_a_write_of_the_place_does_not_undo_what_a_statement_changes(workshop: Workshop) -> None:
    """The catalog is slow with the first; the statement comes meanwhile."""

    async def scene() -> None:
        await _restored(workshop)
        table, slow, writing = workshop.stage.standby_table, threading.Event(), threading.Event()

        def wait() -> None:
            table.before_put = lambda: None
            writing.set()
            assert slow.wait(20)

        table.before_put = wait
        workshop.engines.places[ID] = Followed(50, END + 70, END + 60)
        workshop.stage.background.keep("standbys", workshop.stage.standbys.write)
        await workshop.stage.until(writing.is_set)
        written = len(table.statuses)
        recovering = asyncio.create_task(workshop.run("ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL UNLIMITED"))
        await asyncio.sleep(0.05)
        slow.set()
        await recovering
        await workshop.stage.until(lambda: len(table.statuses) >= written + 2)
        assert table.rows[ID].until_scn == UNLIMITED
        assert workshop.engines.following[ID].until_scn is None
        await workshop.end()

    play(scene())


def test_a_restore_is_cancelled_in_4x_words(workshop: Workshop) -> None:
    """Only a running one, of a tenant that is there."""

    async def scene() -> None:
        workshop.engines.places[ID] = Followed()
        await workshop.run("ALTER SYSTEM RESTORE s FROM 'file:///b'")
        await workshop.stage.until(lambda: ID in workshop.engines.following)
        assert await _code(workshop, "ALTER SYSTEM ACTIVATE STANDBY TENANT = s") == 4179
        assert await _code(workshop, "ALTER SYSTEM CANCEL RESTORE main") == 4179
        assert await _code(workshop, "ALTER SYSTEM CANCEL RESTORE nobody") == 5157
        await workshop.run("ALTER SYSTEM CANCEL RESTORE s")
        assert workshop.stage.tenants.named("s") is None
        assert workshop.jobs.rows[-1].info == "cancelled by DROP TENANT"
        await workshop.end()

    play(scene())


def test_in_its_own_tenant_a_role_cannot_be_changed(workshop: Workshop) -> None:
    """The message says where."""

    async def scene() -> None:
        await _restored(workshop)
        workshop.session.tenant = "s"
        for sql in ("ACTIVATE STANDBY", "RECOVER STANDBY CANCEL", "SWITCHOVER TO PRIMARY"):
            statement = parse(f"ALTER SYSTEM {sql}")
            assert statement is not None
            with pytest.raises(SqlError, match=r"1235.*root@sys, with TENANT = s"):
                await workshop.stage.handler.handle(statement, workshop.session)
        workshop.session.tenant = "sys"
        assert await _code(workshop, "ALTER SYSTEM SWITCHOVER TO PRIMARY TENANT = s") == 1235
        await workshop.end()

    play(scene())
