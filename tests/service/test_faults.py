"""Faults of the service's own parts, brought about one by one."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from redoubt import service as module
from redoubt.catalog.session import CatalogError
from redoubt.config import Config
from redoubt.engines.seekdb.instance import EngineStartError
from redoubt.home import Home
from redoubt.service import Service
from tests.service.cluster import ServiceUnderTest, wait_until


@pytest.fixture
def parts(tmp_path: Path) -> Service:
    """A service that was built and not started."""
    home = Home(tmp_path)
    home.prepare()
    return Service(home, Config())


def _always(error: Exception) -> object:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_the_sys_engine_may_die_while_a_round_is_doing(service: ServiceUnderTest) -> None:
    """The catalog is written again when it is back, and the service stops cleanly."""
    service.archive()
    engine = service.home / "sys"
    before = service.engine_pid(engine)
    os.kill(before, signal.SIGKILL)
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


def test_an_engine_that_never_answers_ends_the_start(parts: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names its directory."""
    monkeypatch.setattr(module, "_READY_TIMEOUT", -1.0)
    monkeypatch.setattr(module, "ensure_account", _always(ConnectionError("no answer")))
    monkeypatch.setattr(parts._instances["main"], "start", lambda: None)

    with pytest.raises(EngineStartError, match="does not answer: no answer"):
        asyncio.run(parts._start_engine("main"))


def test_log_that_cannot_be_held_is_logged(
    parts: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And holding is tried again."""

    def fail() -> None:
        parts._stopping.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts._engines[0], "keep_up", fail)
    parts._keep_holding()

    assert "log cannot be held" in capsys.readouterr().out


def test_an_engine_that_does_not_start_again_is_tried_again(
    parts: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a pause that grows."""
    monkeypatch.setattr(module, "_WATCH_PAUSE", 0.001)
    tries = []

    async def start(name: str) -> None:
        tries.append(name)
        if len(tries) < 3:
            raise EngineStartError("no")
        raise asyncio.CancelledError

    monkeypatch.setattr(parts, "_start_engine", start)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(parts._watch("main"))

    assert tries == ["main"] * 3
    assert "engine does not start, trying again" in capsys.readouterr().out


def test_doors_and_passwords(parts: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of this machine are its own; with passwords any door may be opened."""
    monkeypatch.setattr(module, "accepts_empty_root", lambda _: False)
    parts._refuse_empty_passwords("192.0.2.1")

    assert module._is_loopback("localhost")
    assert not module._is_loopback("db.example.org")
