"""Faults of the service's own parts, brought about one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from redoubt import service as module
from redoubt.catalog.session import CatalogError
from redoubt.config import Config, GatewaySection
from redoubt.control.cluster import EngineRefusedError, EngineSource
from redoubt.home import Home, HomeError
from redoubt.model.keeping import EngineStartError
from redoubt.service import Service
from tests.service.cluster import ServiceUnderTest, wait_until
from tests.service.kills import kill_part


@pytest.fixture
def parts(tmp_path: Path) -> Service:
    """A service that was built and not started."""
    home = Home(tmp_path)
    home.prepare()
    return Service(home, Config())


def _raising(error: Exception) -> object:
    async def fail(*_: object) -> None:
        raise error

    return fail


def _always(error: Exception) -> object:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_the_sys_engine_may_die_while_a_round_is_doing(service: ServiceUnderTest) -> None:
    """The catalog is written again when it is back, and the service stops cleanly.

    Own service: its sys engine is killed.
    """
    service.archive()
    engine = service.home / "sys"
    before = service.engine_pid(engine)
    kill_part(service, "sys engine")
    wait_until("another sys engine", lambda: service.engine_pid(engine) not in {0, before})
    wait_until("it answers", lambda: service.mariadb("SELECT 1").returncode == 0)
    shown = service.run("SELECT INPUT_BYTES FROM CDB_OB_BACKUP_ARCHIVELOG")[0]["INPUT_BYTES"]
    wait_until(
        "the catalog goes on",
        lambda: service.run("SELECT INPUT_BYTES FROM CDB_OB_BACKUP_ARCHIVELOG")[0]["INPUT_BYTES"] > shown,
    )
    service.run("UPDATE __redoubt_parameter SET value = 'another' WHERE name = '_schema_version'")

    assert service.stop() == 0
    service.start()  # makes the views again, and keeps the round
    service.wait_for_status("DOING")


def test_a_catalog_that_does_not_answer_ends_the_start(parts: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again until the time is over."""
    tries: list[None] = []

    def fail() -> None:
        tries.append(None)
        raise CatalogError("down")

    monkeypatch.setattr(module, "_READY_TIMEOUT", 0.2)
    monkeypatch.setattr(parts._catalog, "prepare", fail)
    with pytest.raises(EngineStartError, match="down"):
        asyncio.run(parts._ask_catalog(parts._open_catalog))

    assert len(tries) > 1


def test_a_directory_that_cannot_be_removed_is_told(
    parts: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever drops by force is not held up by it; sessions of an engine that is away need no ending."""
    room = parts._room
    tenant = room.place(1001, "main", EngineSource(), is_new=True)
    monkeypatch.setattr(Home, "remove_tenant", _always(OSError(13, "Permission denied")))

    async def scene() -> None:
        await room.end_sessions(tenant)
        with pytest.raises(EngineRefusedError, match="Permission denied"):
            await room.remove(tenant, force=False)
        await room.remove(tenant, force=True)

    asyncio.run(scene())
    said = capsys.readouterr().out

    assert "cannot end the tenant's sessions" in said
    assert "remove Redoubt's files by hand" in said


def test_an_engine_that_does_not_start_is_refused(parts: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its cause, and it is not kept."""
    tenant = parts._room.place(1001, "main", EngineSource(), is_new=True)
    monkeypatch.setattr(parts._room._keepers[1001], "start", _raising(EngineStartError("the disk is full")))
    with pytest.raises(EngineRefusedError, match="the disk is full"):
        asyncio.run(parts._room.start(tenant))


def test_what_is_left_of_a_dropped_tenant_goes_at_the_start(parts: Service) -> None:
    """Also at the next drop of that id, and what is no tenant's stays."""
    tenants = parts._home.path / "tenants"
    for name in ("1001", "1001.dropped", "1002.dropped", "notes"):
        (tenants / name).mkdir()
        (tenants / name / "file").touch()
    parts._home.remove_tenant(1001)
    parts._home.remove_tenant(1003)

    assert parts._home.tenant_ids() == []
    assert [entry.name for entry in tenants.iterdir()] == ["notes"]


def test_doors_and_passwords(tmp_path: Path) -> None:
    """Names of this machine are its own; behind an open door every tenant needs passwords."""
    home = Home(tmp_path)
    home.prepare()
    exposed = Service(home, Config(gateway=GatewaySection(host="192.0.2.1")))
    tenant = exposed._room.place(1001, "main", EngineSource(), is_new=True)
    exposed._refuse_open_doors([tenant])
    exposed._room._keepers[1001].is_open_door = True

    with pytest.raises(HomeError, match=r"root@main has no password, and 192\.0\.2\.1 can be reached"):
        exposed._refuse_open_doors([tenant])
    with pytest.raises(EngineRefusedError, match="allow_empty_password"):
        asyncio.run(exposed._room.check_new(None))
    assert module._is_loopback("localhost")
    assert not module._is_loopback("db.example.org")
