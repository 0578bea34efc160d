"""Names in a destination (OceanBase's, if it has one), and the info objects of clusters and pieces."""

from __future__ import annotations

import re
from dataclasses import dataclass

from redoubt.archive.bounded import PIECE_MANIFEST
from redoubt.archive.record import INFO_FORMAT, Prose
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey

_NUMBER = re.compile(r"[1-9][0-9]{0,17}\Z", re.ASCII)
_TAKEOVER = re.compile(r"takeover-(?P<epoch>00[0-9]{18})-(?P<lsn>[0-9]{20})\Z", re.ASCII)
_CLUSTER = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
INCARNATION = 1
"""OceanBase counts incarnations of a database, but has only ever used the first; so does Redoubt."""


def number_of(folder: str) -> int | None:
    """The number of a cluster or a tenant that a folder is named by; None if the folder is not Redoubt's."""
    return int(folder) if _NUMBER.match(folder) else None


def is_cluster_name(folder: str) -> bool:
    """Whether a folder may be named by a cluster: the configuration allows no other names."""
    return _CLUSTER.match(folder) is not None


@dataclass(frozen=True)
class ClusterPath:
    """`<cluster_name>/<cluster_id>/incarnation_1` and its content."""

    cluster: str
    cluster_id: int

    def __str__(self) -> str:
        """The folder's name."""
        return f"{self.cluster}/{self.cluster_id}/incarnation_{INCARNATION}"

    @property
    def info(self) -> str:
        """Name of the object that identifies the cluster that archives here."""
        return f"{self}/cluster_clog_backup_info"

    @property
    def copies(self) -> str:
        """Name of the object that says that only copies are here: pieces may be missing between others."""
        return f"{self}/second_backup_info"

    def clog(self, tenant_id: int) -> str:
        """The folder of one tenant's log; it has a folder for each piece."""
        return f"{self}/{tenant_id}/clog"

    def piece(self, tenant_id: int, key: PieceKey) -> PiecePath:
        """The folder of one piece of one tenant's log."""
        return PiecePath(f"{self.clog(tenant_id)}/{key}")


@dataclass(frozen=True)
class PiecePath:
    """`<tenant_id>/clog/<piece>`: the info objects and the segments of one piece. See `PieceKey`."""

    folder: str

    @property
    def info(self) -> str:
        """Name of the object that claims the piece."""
        return f"{self.folder}/round_info"

    @property
    def lock(self) -> str:
        """Name of the lock that the folder's writer holds."""
        return f"{self.folder}/writer"

    @property
    def interruption(self) -> str:
        """Name of the object that records where and why the round was interrupted."""
        return f"{self.folder}/interruption"

    @property
    def hole(self) -> str:
        """Name of the object that records which log is missing before this round."""
        return f"{self.folder}/hole_info"

    @property
    def manifest(self) -> str:
        """Name of the object that lists the segments of a frozen piece."""
        return f"{self.folder}/{PIECE_MANIFEST}"

    @property
    def deletion(self) -> str:
        """Name of the object that records who deleted the piece's log, and when."""
        return f"{self.folder}/deletion"

    def takeover(self, epoch: int, lsn: int) -> str:
        """Name of the object that records where a writer with a lease began."""
        return f"{self.folder}/takeover-{epoch:020d}-{lsn:020d}"

    def segment(self, name: object) -> str:
        """Name of a segment's object."""
        return f"{self.folder}/{name}"


@dataclass(frozen=True)
class ClusterInfo:
    """`cluster_clog_backup_info`: which cluster archives under this name. The cluster's `identity` never changes."""

    cluster: str
    cluster_id: int
    identity: str
    format: int = INFO_FORMAT


@dataclass(frozen=True)
class PieceInfo:
    """`round_info`: claims a piece of a tenant's round for one cluster and one engine, and records where it begins.

    `start_lsn` in bytes; `source` is the engine's id. `start_scn` (ns since the epoch) is MIN_FIRST_TIME. If the piece
    continues another, `start_scn` is the end of that piece, and `start_chain` the log's checksum there. `engine_kind`
    is the name of the engine's kind.
    """

    identity: str
    tenant_id: int
    tenant: str
    source: str
    round: int
    piece: int
    start_lsn: int
    start_scn: int
    start_chain: int | None = None
    engine_kind: str = SEEKDB
    format: int = INFO_FORMAT

    @property
    def start(self) -> LogPosition:
        """Where the piece's log begins; only the LSN is set if the log before is unknown."""
        if self.start_chain is None:
            return LogPosition(self.start_lsn)
        return LogPosition(self.start_lsn, self.start_scn, self.start_chain)


@dataclass(frozen=True)
class Takeover:
    """`takeover-<epoch>-<lsn>`: `holder` continues the piece at `lsn`, and took the writer's lease of that epoch."""

    epoch: int
    lsn: int
    holder: Prose
    format: int = INFO_FORMAT


def takeover_in(name: str) -> tuple[int, int] | None:
    """The epoch and the LSN in the name of a `Takeover` in its folder; None for another name."""
    match = _TAKEOVER.match(name)
    return (int(match["epoch"]), int(match["lsn"])) if match else None


@dataclass(frozen=True)
class Interruption:
    """`interruption`: the round ends at `end_lsn` and `end_scn` (ns since the epoch), because of `cause`.

    `broken_at`: when the service noticed it, ns since the epoch. Log after the end is in no round until another begins.
    """

    tenant_id: int
    round: int
    source: str
    end_lsn: int
    end_scn: int
    broken_at: int
    cause: Prose
    format: int = INFO_FORMAT


@dataclass(frozen=True)
class HoleInfo:
    """`hole_info`: the log from `start_lsn` to `end_lsn` is missing between round `after` and this one.

    `start_scn` and `end_scn` (ns since the epoch): the last group before the hole, and the first group after it.
    `since` (ns since the epoch, 0 if unknown): when archiving stopped, because of `cause`.
    """

    tenant_id: int
    round: int
    after: int
    start_lsn: int
    start_scn: int
    end_lsn: int
    end_scn: int
    since: int
    cause: Prose
    format: int = INFO_FORMAT
