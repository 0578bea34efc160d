"""Who the cluster is, the tenants in it, and what is needed of those who run their engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from redoubt.model.engine_kind import SEEKDB
from redoubt.model.seams import Engine

SYS_TENANT_ID = 1
SYS_TENANT = "sys"
MAIN_TENANT_ID = 1001
MAIN_TENANT = "main"


@dataclass(frozen=True)
class Cluster:
    """The cluster: its name and number as users see them, and its `identity`, made up once and kept for life."""

    name: str
    cluster_id: int
    identity: str


@dataclass(frozen=True)
class Tenant:
    """A tenant and its engine. `base_dir` is the engine's directory, `engine_kind` the name of its kind."""

    tenant_id: int
    name: str
    base_dir: Path
    engine: Engine
    engine_kind: str = SEEKDB


@dataclass(frozen=True)
class EngineSource:
    """Where a tenant's engine is to be found: the name of its kind, and an application's directory.

    `directory` is an absolute path, empty for an engine in the home.
    """

    directory: str = ""
    engine_kind: str = SEEKDB


class EngineRefusedError(Exception):
    """A tenant's engine cannot be had as asked; the text says why and what to do."""


class Engines(Protocol):
    """Runs the tenants' engines, or waits for those that applications run. For the event loop."""

    async def check_new(self, source: str | None) -> EngineSource:
        """Whether a tenant can be made now: a new directory, or the one that `source` (`seekdb:///…`) names.

        Returns what the source stands for. Raises EngineRefusedError.
        """

    def place(self, tenant_id: int, name: str, source: EngineSource, *, is_new: bool) -> Tenant:
        """The tenant with that id, whose engine is to be found there.

        A directory in which nothing is counts as damaged unless `is_new`. Nothing is started by this. Raises
        UnknownEngineKindError.
        """

    async def start(self, tenant: Tenant) -> None:
        """Have its engine within reach, and keep it so. Raises EngineRefusedError: then it is not kept so."""

    def restoring(self, tenant: Tenant) -> Path:
        """The directory into which a tenant is restored, before it has one of its own."""

    async def is_restored(self, tenant: Tenant) -> bool:
        """Whether all of it has been restored: then `move_in` is next."""

    async def remove_restoring(self, tenant: Tenant) -> None:
        """Remove what has been restored of it. Raises OSError."""

    async def move_in(self, tenant: Tenant, source: str) -> str:
        """Have the engine of a restored tenant within reach, and keep it so; may be called again.

        `source` is the engine that its base was taken of: the service's account on that is in it. Returns what somebody
        has to see to before it can be used, empty if nothing. Raises EngineRefusedError: then it is not kept so.
        """

    def trouble(self, tenant: Tenant) -> str:
        """Why its engine cannot be used just now; empty if it can."""

    async def end_sessions(self, tenant: Tenant) -> None:
        """End the sessions of its engine, as far as that answers; of an application's, those of the gateway."""

    async def remove(self, tenant: Tenant, *, force: bool) -> None:
        """End the engine and remove its directory; of an application's, only what is ours in it.

        May be called again where it failed. Raises EngineRefusedError, but not with `force`.
        """
