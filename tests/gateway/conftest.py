"""What the gateway's tests share: two engines, and a gateway in front of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from .doors import Door, Handler, Tenants
from .engines import Engine
from .gates import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

USER_PASSWORD = "correct horse"


@pytest.fixture(scope="package")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Engine]]:
    """The engines of `sys` and of the tenant `main`, with a user `alice` in each."""
    base = tmp_path_factory.mktemp("engines")
    started = {tenant: Engine(base / tenant) for tenant in ("sys", "main")}
    for tenant, engine in started.items():
        engine.wait().execute(
            f"create user alice identified by '{USER_PASSWORD}'",
            f"create database {tenant}_data",
            f"grant all on {tenant}_data.* to alice",
            "create user nobody",
        )
    yield started
    for engine in started.values():
        engine.stop()


@pytest.fixture(scope="package")
def engine(engines: dict[str, Engine]) -> Engine:
    """The engine of the tenant `main`."""
    return engines["main"]


@pytest.fixture(scope="package")
def running_door(engines: dict[str, Engine]) -> Iterator[Door]:
    """The gateway that most tests use."""
    sockets = {tenant: engine.socket for tenant, engine in engines.items()}
    with Door(Tenants(sockets, gates={"main": Gate()})) as door:
        yield door


@pytest.fixture
def door(running_door: Door) -> Iterator[Door]:
    """The gateway, with a handler that answers nothing yet."""
    yield running_door
    running_door.handler.answers.clear()
    running_door.handler.seen.clear()
    running_door.handler.shown.clear()


@pytest.fixture
def handler(door: Door) -> Handler:
    """The handler behind the gateway."""
    return door.handler


@pytest.fixture
def gate(door: Door) -> Iterator[Gate]:
    """The write gate of `main`, which is open and not synchronous again afterwards."""
    gate = door.tenants.gates["main"]
    gate.reset()
    yield gate
    gate.reset()


@pytest.fixture
def pool(gate: Gate) -> Iterator[ThreadPoolExecutor]:
    """Threads for statements that wait; a test that fails leaves none of them waiting."""
    with ThreadPoolExecutor() as pool:
        yield pool
        gate.relent()
