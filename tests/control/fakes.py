"""A catalog, a worker, an engine and a session that remember what was asked of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redoubt.archive.messages import Command
from redoubt.catalog.catalog import CatalogError
from redoubt.control.cluster import Tenant
from redoubt.model.log import LogPosition
from redoubt.model.rounds import Round
from redoubt.sql.answers import Ok, Rows
from redoubt.sql.errors import SqlError


class FakeCatalog:
    """Keeps a round and parameters; fails as often as `failures` says."""

    def __init__(self) -> None:
        self.round: Round | None = Round()
        self.values: dict[str, str] = {}
        self.failures = 0

    def parameters(self) -> dict[str, str]:
        return dict(self.values)

    def set_parameters(self, values: dict[str, str]) -> None:
        self.values |= values

    def load_round(self) -> Round | None:
        return self.round

    def save_round(self, now: Round) -> None:
        if self.failures:
            self.failures -= 1
            raise CatalogError("the sys engine does not answer")
        self.round = now


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
    """An engine that does not answer `failures` times."""

    def __init__(self) -> None:
        self.failures = 0
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: object) -> object:
            if self.failures and name == "hold_log":
                self.failures -= 1
                raise ConnectionError("the engine does not answer")
            if self.failures and name == "minor_freeze":
                raise ConnectionError("the engine does not answer")
            self.calls.append(name)
            return {"source_id": "source", "start_point": LogPosition(0)}.get(name)

        return call


class FakeSession:
    """A session of somebody who may, in a tenant."""

    def __init__(self, tenant: str = "sys") -> None:
        self.tenant = tenant
        self.asked: list[str] = []

    async def query(self, sql: str) -> Ok | Rows:
        self.asked.append(sql)
        if "__redoubt_privilege_probe" in sql:
            raise SqlError(5099, "42000", "System config unknown")
        return Ok()


def tenant_with(engine: FakeEngine) -> Tenant:
    """The main tenant with an engine."""
    return Tenant(1001, "main", Path("/nowhere"), engine)
