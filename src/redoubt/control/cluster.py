"""The cluster, its tenants, and the Protocol of the component that runs their engines."""

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
    """The cluster: its name and id as users see them, and its `identity`, a random id that never changes."""

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
    """An operation on a tenant's engine is not possible; the text says why and what to do."""


class Engines(Protocol):
    """Runs the tenants' engines, or waits for those that applications run. For the event loop."""

    async def check_new(self, source: str | None) -> EngineSource:
        """Check that a tenant can be created now, in a new directory or in the directory of `source` (`seekdb:///…`).

        Returns the source, taken apart. Raises EngineRefusedError.
        """

    def place(self, tenant_id: int, name: str, source: EngineSource, *, is_new: bool) -> Tenant:
        """The tenant with that id, with its engine in the directory of `source`.

        An empty directory counts as damaged unless `is_new`. Starts nothing. Raises UnknownEngineKindError.
        """

    async def start(self, tenant: Tenant, white_list: str | None = None) -> None:
        """Start or reach the engine, and keep it reachable. Raises EngineRefusedError: the engine is not kept then.

        `white_list`: the tenant's `ob_tcp_invited_nodes` from the first login on, None for the engine's own.
        """

    def restoring(self, tenant: Tenant) -> Path:
        """The directory into which a tenant is restored, before the tenant has its own directory."""

    async def is_restored(self, tenant: Tenant) -> bool:
        """Whether the restore of the tenant's directory is complete; `move_in` is the next step then."""

    async def remove_restoring(self, tenant: Tenant) -> None:
        """Remove the tenant's restore directory. Raises OSError."""

    async def move_in(self, tenant: Tenant, source: str) -> str:
        """Start the engine of a restored tenant and keep it reachable; may be called again.

        `source` is the id of the engine from which the base was taken; the restored engine has the service's account of
        that engine. Returns advice for the user, empty if there is nothing to do. After EngineRefusedError the engine
        is not kept reachable.
        """

    def trouble(self, tenant: Tenant) -> str:
        """Why the engine cannot be used now; empty if it can."""

    async def end_sessions(self, tenant: Tenant) -> None:
        """End the engine's sessions if the engine answers; of an application's engine, only the gateway's sessions."""

    async def remove(self, tenant: Tenant, *, force: bool) -> str:
        """End the engine and remove its directory; in an application's directory, remove only Redoubt's files.

        Returns what the user must remove, empty for nothing.
        May be called again after a failure. Raises EngineRefusedError, but not with `force`.
        """
