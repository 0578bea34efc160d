"""Where a data backup lies in a destination, and the object that claims it."""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.archive.layout import ClusterPath
from redoubt.archive.record import INFO_FORMAT
from redoubt.model.bases import SetKey
from redoubt.model.engine_kind import SEEKDB

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
        """Name of the lock that whoever writes into the folder holds."""
        return f"{self.folder}/writer"

    @property
    def manifest(self) -> str:
        """Name of the object that lists a set that is complete."""
        return f"{self.folder}/single_backup_set_info"

    @property
    def fingerprint(self) -> str:
        """Name of the object that notes the engine's content at the snapshot, for a drill to compare with."""
        return f"{self.folder}/fingerprint"

    @property
    def deletion(self) -> str:
        """Name of the object that says who deleted the set, and when."""
        return f"{self.folder}/deletion"

    def drill(self, when: str) -> str:
        """Name of the object that says what a drill came to; `when` it began, in UTC."""
        return f"{self.folder}/{_DRILL}{when}"

    def is_remark(self, name: str) -> bool:
        """Whether an object in the folder says something of the set, and no restore needs it."""
        return name == self.fingerprint or name.startswith(f"{self.folder}/{_DRILL}")

    def part(self, number: int) -> str:
        """Name of a part's object."""
        return f"{self.folder}/{part_name(number)}"


def part_name(number: int) -> str:
    """The name, such that names sort as numbers do."""
    return f"part_{number:08d}.zst"


def data_folder(cluster: ClusterPath, tenant_id: int) -> str:
    """The folder of one tenant's data backups."""
    return f"{cluster}/{tenant_id}/data"


def set_path(cluster: ClusterPath, tenant_id: int, key: SetKey) -> SetPath:
    """The folder of one data backup of one tenant."""
    return SetPath(f"{data_folder(cluster, tenant_id)}/{key}")


@dataclass(frozen=True)
class SetIdentity:
    """Which data backup it is, and whose: which cluster's, tenant's and engine's (`source`), and the engine's kind."""

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
        """What its folder is named by."""
        return SetKey(self.set_id, self.create_date)

    @property
    def path(self) -> SetPath:
        """Where it lies."""
        return set_path(ClusterPath(self.cluster, self.cluster_id), self.tenant_id, self.key)


@dataclass(frozen=True)
class SetInfo:
    """`backup_set_info`: claims a data backup for one cluster and one engine. `began_at` in ns since the epoch."""

    of: SetIdentity
    began_at: int
    format: int = INFO_FORMAT
