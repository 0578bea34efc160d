"""Whose a destination is: the claim of the cluster that archives there."""

from __future__ import annotations

from contextlib import suppress

from redoubt.archive.bounded import read_record
from redoubt.archive.layout import ClusterInfo, ClusterPath, PieceInfo, PiecePath, number_of
from redoubt.archive.record import RecordError, dump_record
from redoubt.model.seams import Destination, DestinationError, ObjectExistsError, ObjectMissingError


def check_owner(destination: Destination, ours: ClusterInfo) -> None:
    """Check that the cluster's claim is in the destination: an empty mount point has none.

    A claim that somebody removed is written again, if a piece shows that the destination is the cluster's. Raises
    ObjectMissingError if nothing shows that, and DestinationError.
    """
    name = ClusterPath(ours.cluster, ours.cluster_id).info
    try:
        found = read_record(ClusterInfo, destination, name)
    except ObjectMissingError as error:
        if not has_piece_of(destination, ours):
            raise ObjectMissingError(
                f"{name} is not there: check that the backup disk is mounted, or the path in the bucket"
            ) from error
        found = ours
        with suppress(ObjectExistsError):
            destination.put_if_absent(name, dump_record(ours, indent=2))
    except RecordError as error:
        raise DestinationError(f"{name} is damaged ({error}): nothing is changed in the destination") from error
    if found != ours:
        raise DestinationError(
            f"{name} belongs to another cluster: nothing is changed there; set backup_dest to a place of this "
            "cluster's own"
        )


def has_piece_of(destination: Destination, ours: ClusterInfo) -> bool:
    """Whether the newest readable claim of a piece is this cluster's."""
    path = ClusterPath(ours.cluster, ours.cluster_id)
    for tenant_id in filter(None, map(number_of, destination.folders(str(path)))):
        folder = path.clog(tenant_id)
        for piece in reversed([*destination.folders(folder)]):
            with suppress(ObjectMissingError, RecordError):
                info = read_record(PieceInfo, destination, PiecePath(f"{folder}/{piece}").info)
                return info.identity == ours.identity
    return False
