"""Names in a destination, OceanBase's where it has one, and the two info objects that say whose archive it is."""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.archive.record import FORMAT

INCARNATION = 1
"""OceanBase counts incarnations of a database and never got past the first; neither did we."""


@dataclass(frozen=True)
class ClusterPath:
    """`<cluster_name>/<cluster_id>/incarnation_1` and what lies in it."""

    cluster: str
    cluster_id: int

    def __str__(self) -> str:
        """The folder's name."""
        return f"{self.cluster}/{self.cluster_id}/incarnation_{INCARNATION}"

    @property
    def info(self) -> str:
        """Name of the object that says which cluster archives here."""
        return f"{self}/cluster_clog_backup_info"

    def round(self, tenant_id: int, round_id: int) -> RoundPath:
        """The folder of one tenant's round."""
        return RoundPath(f"{self}/{tenant_id}/clog/{round_id}")


@dataclass(frozen=True)
class RoundPath:
    """`<tenant_id>/clog/<round>`: the info object and the segments of one tenant's round."""

    folder: str

    @property
    def info(self) -> str:
        """Name of the object that claims the round."""
        return f"{self.folder}/round_info"

    def segment(self, name: object) -> str:
        """Name of a segment's object."""
        return f"{self.folder}/{name}"


@dataclass(frozen=True)
class ClusterInfo:
    """`cluster_clog_backup_info`: who archives under this cluster's name. `identity` is the cluster's own, for life."""

    cluster: str
    cluster_id: int
    identity: str
    format: int = FORMAT


@dataclass(frozen=True)
class RoundInfo:
    """`round_info`: claims a tenant's round for one cluster and one source, and says where it begins.

    `start_lsn` in bytes; `start_scn` is the round's MIN_FIRST_TIME in ns since the epoch; `source` is the engine's id.
    """

    identity: str
    tenant_id: int
    tenant: str
    source: str
    round: int
    piece: int
    start_lsn: int
    start_scn: int
    format: int = FORMAT
