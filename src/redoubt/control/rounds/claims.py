"""Checks a destination when it is set, and claims it for the cluster when a round begins."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from redoubt.archive.bounded import read_record
from redoubt.archive.layout import ClusterInfo, ClusterPath
from redoubt.archive.owner import check_owner
from redoubt.archive.record import RecordError, dump_record
from redoubt.archive.store import exists
from redoubt.control.cluster import Cluster
from redoubt.destinations.uri import UriError, inside, local_directory, open_destination
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import Destination, DestinationError, ObjectExistsError, ObjectMissingError
from redoubt.sql.errors import SqlError, backup_dest_not_valid


def check_place(cluster: Cluster, uri: str, taken: Mapping[str, Path]) -> None:
    """Check that the archive would not lie in a directory that has another use. Raises SqlError.

    `taken`: the directories by what they are. Links are followed; a destination that is no directory passes.
    """
    try:
        root = local_directory(uri)
    except UriError as error:
        raise backup_dest_not_valid(str(error)) from error
    if root is None:
        return
    archive = (root / str(ClusterPath(cluster.name, cluster.cluster_id))).resolve()
    if root.resolve() == Path("/"):
        raise backup_dest_not_valid("/ is the root of the file system; choose a directory on the backup disk")
    for what, directory in taken.items():
        if archive.is_relative_to(directory.resolve()):
            raise backup_dest_not_valid(f"{archive} is inside {what} ({directory}); choose a directory outside")


def check_new(cluster: Cluster, uri: str, *, is_known: bool) -> None:
    """Check that `uri` works and that this cluster never archived there. Raises SqlError.

    `is_known`: the catalog has rounds or data backups in the destination.
    """
    destination = _open(uri)
    path = ClusterPath(cluster.name, cluster.cluster_id)
    try:
        destination.probe()
        is_used = exists(destination, path.info)
    except DestinationError as error:
        raise backup_dest_not_valid(str(error)) from error
    if not is_used:
        if is_known:
            raise _gone(uri)
        return
    raise backup_dest_not_valid(f"{uri} already holds a log archive ({path.info}); choose an empty place")


def claim(cluster: Cluster, uri: str, tenant_ids: list[int], key: PieceKey, *, is_known: bool) -> None:
    """Claim a working destination for the cluster, with empty folders for a round's first piece. Raises SqlError.

    `is_known`: see `check_new`; then the claim must be there already. An empty mount point has none.
    """
    destination = _open(uri)
    path = ClusterPath(cluster.name, cluster.cluster_id)
    ours = ClusterInfo(cluster.name, cluster.cluster_id, cluster.identity)
    try:
        destination.probe()
        if is_known:
            check_owner(destination, ours)
        else:
            with suppress(ObjectExistsError):
                destination.put_if_absent(path.info, dump_record(ours, indent=2))
        _check_ours(cluster, uri, destination)
        for tenant_id in tenant_ids:
            folder = path.piece(tenant_id, key).folder
            if any(True for _ in destination.list(folder)):
                raise backup_dest_not_valid(f"{folder} in {uri} is not empty; choose an empty place")
    except ObjectMissingError:
        raise _gone(uri) from None
    except (DestinationError, RecordError) as error:
        raise backup_dest_not_valid(str(error)) from error


def check_second(cluster: Cluster, uri: str) -> None:
    """Check that `uri` works, and that nobody else's backups are there: an earlier copy may be. Raises SqlError."""
    destination = _open(uri)
    try:
        destination.probe()
        _check_ours(cluster, uri, destination)
    except ObjectMissingError:
        return
    except (DestinationError, RecordError) as error:
        raise backup_dest_not_valid(str(error)) from error


def claim_second(cluster: Cluster, uri: str, *, is_known: bool) -> None:
    """Claim a working destination for copies. Raises SqlError.

    `is_known`: the catalog has copies there; then the claim must be there already. An empty mount point has none.
    """
    destination, path = _open(uri), ClusterPath(cluster.name, cluster.cluster_id)
    ours = ClusterInfo(cluster.name, cluster.cluster_id, cluster.identity)
    try:
        destination.probe()
        if is_known:
            check_owner(destination, ours)
        elif not exists(destination, path.info):
            for name in (path.copies, path.info):
                with suppress(ObjectExistsError):
                    destination.put_if_absent(name, dump_record(ours, indent=2))
        _check_ours(cluster, uri, destination)
    except ObjectMissingError:
        raise _gone(uri) from None
    except (DestinationError, RecordError) as error:
        raise backup_dest_not_valid(str(error)) from error


def works(uri: str) -> bool:
    """Whether a destination stores objects now."""
    try:
        open_destination(uri).probe()
    except (UriError, DestinationError):
        return False
    return True


def _check_ours(cluster: Cluster, uri: str, destination: Destination) -> None:
    """Check that the claim in a destination is the cluster's. Raises SqlError, ObjectMissingError, RecordError."""
    path = ClusterPath(cluster.name, cluster.cluster_id)
    ours = ClusterInfo(cluster.name, cluster.cluster_id, cluster.identity)
    if read_record(ClusterInfo, destination, path.info) != ours:
        raise backup_dest_not_valid(
            f"{uri} holds the archive of another cluster with the same name and id ({path}); choose an empty place"
        )


def _gone(uri: str) -> SqlError:
    return backup_dest_not_valid(
        f"this cluster has archived in {uri} before, and nothing of that is there now: mount the backup disk again; "
        f"or, if that archive is lost for good, set backup_dest to another place, such as {inside(uri, '2')}"
    )


def _open(uri: str) -> Destination:
    try:
        return open_destination(uri)
    except UriError as error:
        raise backup_dest_not_valid(str(error)) from error
