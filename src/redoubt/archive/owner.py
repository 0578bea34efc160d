"""Whose a destination is: the claim of the cluster that archives there."""

from __future__ import annotations

from redoubt.archive.bounded import read_record
from redoubt.archive.layout import ClusterInfo, ClusterPath
from redoubt.archive.record import RecordError
from redoubt.model.seams import Destination, DestinationError, ObjectMissingError


def check_owner(destination: Destination, ours: ClusterInfo) -> None:
    """Check that the cluster's claim is in the destination: an empty mount point has none. Raises DestinationError."""
    name = ClusterPath(ours.cluster, ours.cluster_id).info
    try:
        found = read_record(ClusterInfo, destination, name)
    except ObjectMissingError as error:
        raise DestinationError(f"{name} is not there: check that the backup disk is mounted") from error
    except RecordError as error:
        raise DestinationError(f"{name} is damaged ({error}): nothing is changed in the destination") from error
    if found != ours:
        raise DestinationError(
            f"{name} belongs to another cluster: nothing is changed there; set backup_dest to a directory of this "
            "cluster's own"
        )
