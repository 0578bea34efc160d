"""The names of a data backup's objects in a destination, and the object that claims the backup."""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.archive.bounded import SET_MANIFEST
from redoubt.archive.layout import INCARNATION, ClusterPath, PiecePath, is_cluster_name, number_of
from redoubt.archive.record import INFO_FORMAT
from redoubt.model.bases import SetKey
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.pieces import PieceKey

_DRILL = "drill_"


@dataclass(frozen=True)
class SetPath:
    """`<tenant_id>/data/backup_set_<id>_full_<date>`: claim, parts and manifest of one tenant's data backup."""

    folder: str

    @property
    def info(self) -> str:
        """Name of the object that claims the set."""
        return f"{self.folder}/backup_set_info"

    @property
    def lock(self) -> str:
        """Name of the lock that the folder's writer holds."""
        return f"{self.folder}/writer"

    @property
    def manifest(self) -> str:
        """Name of the object that lists the content of a complete set."""
        return f"{self.folder}/{SET_MANIFEST}"

    @property
    def fingerprint(self) -> str:
        """Name of the object that describes the engine's content at the snapshot; a drill compares with it."""
        return f"{self.folder}/fingerprint"

    @property
    def deletion(self) -> str:
        """Name of the object that records who deleted the set, and when."""
        return f"{self.folder}/deletion"

    def drill(self, when: str) -> str:
        """Name of the object that records the result of a drill; `when` is the start of the drill in UTC."""
        return f"{self.folder}/{_DRILL}{when}"

    def is_remark(self, name: str) -> bool:
        """Whether an object in the folder is a fingerprint or a drill record, which no restore needs."""
        return name == self.fingerprint or name.startswith(f"{self.folder}/{_DRILL}")

    def part(self, number: int) -> str:
        """Name of a part's object."""
        return f"{self.folder}/{part_name(number)}"


def part_name(number: int) -> str:
    """The name of a part; names sort in the order of their numbers."""
    return f"part_{number:08d}.zst"


def data_folder(cluster: ClusterPath, tenant_id: int) -> str:
    """The folder of one tenant's data backups."""
    return f"{cluster}/{tenant_id}/data"


def set_path(cluster: ClusterPath, tenant_id: int, key: SetKey) -> SetPath:
    """The folder of one data backup of one tenant."""
    return SetPath(f"{data_folder(cluster, tenant_id)}/{key}")


def folder_at(cluster: ClusterPath, tenant_id: int, key: PieceKey | SetKey) -> PiecePath | SetPath:
    """The folder of one tenant's piece or data backup."""
    return set_path(cluster, tenant_id, key) if isinstance(key, SetKey) else cluster.piece(tenant_id, key)


def folder_of(name: str) -> PiecePath | SetPath | None:
    """The piece or data backup to which an object or a folder of that name belongs; None for another name."""
    cluster, number, incarnation, tenant, kind, key, *_ = (*name.split("/"), *[""] * 6)
    is_ours = is_cluster_name(cluster) and number_of(number) and incarnation == f"incarnation_{INCARNATION}"
    if not is_ours or not number_of(tenant):
        return None
    folder = f"{cluster}/{number}/{incarnation}/{tenant}/{kind}/{key}"
    if kind == "clog" and PieceKey.parse(key):
        return PiecePath(folder)
    return SetPath(folder) if kind == "data" and SetKey.parse(key) else None


@dataclass(frozen=True)
class SetIdentity:
    """The identity of a data backup: its cluster, tenant, engine (`source`), number, date, and the engine's kind."""

    identity: str
    cluster: str
    cluster_id: int
    tenant_id: int
    tenant: str
    source: str
    set_id: int
    create_date: int
    engine_kind: str = SEEKDB

    @property
    def key(self) -> SetKey:
        """The key that its folder is named by."""
        return SetKey(self.set_id, self.create_date)

    @property
    def path(self) -> SetPath:
        """The folder of the data backup."""
        return set_path(ClusterPath(self.cluster, self.cluster_id), self.tenant_id, self.key)


@dataclass(frozen=True)
class SetInfo:
    """`backup_set_info`: claims a data backup for one cluster and one engine. `began_at` in ns since the epoch."""

    of: SetIdentity
    began_at: int
    format: int = INFO_FORMAT
