"""Checks a destination when it is set, and claims it for the cluster when a round begins."""

from __future__ import annotations

from redoubt.archive.bounded import read_record
from redoubt.archive.layout import ClusterInfo, ClusterPath
from redoubt.archive.record import RecordError, dump_record
from redoubt.control.cluster import Cluster
from redoubt.destinations.uri import UriError, open_destination
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import Destination, DestinationError, ObjectExistsError, ObjectMissingError
from redoubt.sql.errors import backup_dest_not_valid


def check_new(cluster: Cluster, uri: str) -> None:
    """Check that `uri` works and that this cluster never archived there. Raises SqlError."""
    destination = _open(uri)
    path = ClusterPath(cluster.name, cluster.cluster_id)
    try:
        destination.probe()
        destination.get(path.info, 0, 1)
    except ObjectMissingError:
        return
    except DestinationError as error:
        raise backup_dest_not_valid(str(error)) from error
    raise backup_dest_not_valid(f"{uri} already holds a log archive ({path.info}); choose an empty directory")


def claim(cluster: Cluster, uri: str, tenant_ids: list[int], key: PieceKey) -> None:
    """Claim a working destination for the cluster, with empty folders for a round's first piece. Raises SqlError."""
    destination = _open(uri)
    path = ClusterPath(cluster.name, cluster.cluster_id)
    ours = ClusterInfo(cluster.name, cluster.cluster_id, cluster.identity)
    try:
        destination.probe()
        try:
            destination.put_if_absent(path.info, dump_record(ours, indent=2))
        except ObjectExistsError:
            if read_record(ClusterInfo, destination, path.info) != ours:
                raise backup_dest_not_valid(
                    f"{uri} holds the archive of another cluster with the same name and id ({path}); "
                    "choose an empty directory"
                ) from None
        for tenant_id in tenant_ids:
            folder = path.piece(tenant_id, key).folder
            if any(True for _ in destination.list(folder)):
                raise backup_dest_not_valid(f"{folder} in {uri} is not empty; choose an empty directory")
    except (DestinationError, RecordError) as error:
        raise backup_dest_not_valid(str(error)) from error


def works(uri: str) -> bool:
    """Whether a destination stores objects now."""
    try:
        open_destination(uri).probe()
    except (UriError, DestinationError):
        return False
    return True


def _open(uri: str) -> Destination:
    try:
        return open_destination(uri)
    except UriError as error:
        raise backup_dest_not_valid(str(error)) from error
