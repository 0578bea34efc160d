"""Who the cluster is, and the tenants in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from redoubt.model.seams import Engine

SYS_TENANT_ID = 1
SYS_TENANT = "sys"


@dataclass(frozen=True)
class Cluster:
    """The cluster: its name and number as users see them, and its `identity`, made up once and kept for life."""

    name: str
    cluster_id: int
    identity: str


@dataclass(frozen=True)
class Tenant:
    """A tenant and its engine. `base_dir` is the engine's directory."""

    tenant_id: int
    name: str
    base_dir: Path
    engine: Engine
