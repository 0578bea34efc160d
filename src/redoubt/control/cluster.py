"""The cluster, its tenants, and the Protocol of the component that runs their engines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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


@dataclass(frozen=True)
class FollowedLog:
    """The log that a standby follows: of the engine `source` of a tenant in a destination, up to `until_scn`.

    `cluster`, `cluster_id` and `tenant_id` name the tenant there. Without `until_scn`, the log has no end.
    """

    destination: str
    cluster: str
    cluster_id: int
    tenant_id: int
    source: str
    until_scn: int | None


@dataclass(frozen=True)
class Followed:
    """How far a standby is: it has all log up to `sync_scn`, and answers reads as of `readable_scn`; 0 is unknown.

    `is_complete`: it has all log up to its end. `trouble`: why no log comes, empty if it comes.
    """

    sync_lsn: int = 0
    sync_scn: int = 0
    readable_scn: int = 0
    is_complete: bool = False
    trouble: str = ""


class EngineRefusedError(Exception):
    """An operation on a tenant's engine is not possible; the text says why and what to do."""


class Engines(Protocol):
    """Runs the tenants' engines, or waits for those that applications run. For the event loop."""

    async def check_new(self, source: str | None) -> EngineSource:
        """Check that a tenant can be created now, in a new directory or in the directory of `source` (`seekdb:///…`).

        Returns the source, taken apart. Raises EngineRefusedError.
        """

    def place(
        self, tenant_id: int, name: str, source: EngineSource, *, is_new: bool, is_standby: bool = False
    ) -> Tenant:
        """The tenant with that id, with its engine in the directory of `source`; a standby's only follows log.

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

    def why_no_standby(self, engine_kind: str) -> str:
        """Why an engine of a kind cannot follow log on this machine; empty if it can."""

    def follow(self, tenant: Tenant, wanted: FollowedLog) -> None:
        """Let a standby follow this log from now on, and keep it reachable."""

    def followed(self, tenant: Tenant) -> Followed:
        """How far a standby is."""

    async def activate(self, tenant: Tenant, decide: Callable[[], Awaitable[None]], *, without_archive: bool) -> None:
        """Let a standby's engine take over; returns when it writes.

        `decide` is called when the engine has all log, and records that the tenant is no standby: from then on the
        engine takes over, whatever happens. Raises EngineRefusedError if it follows on, and what `decide` raises.
        """

    async def remove(self, tenant: Tenant, *, force: bool) -> str:
        """End the engine and remove its directory; in an application's directory, remove only Redoubt's files.

        Returns what the user must remove, empty for nothing.
        May be called again after a failure. Raises EngineRefusedError, but not with `force`.
        """
