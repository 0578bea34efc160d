"""Where a piece begins that continues another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redoubt.archive.layout import ClusterPath
from redoubt.archive.segment import SegmentName
from redoubt.archive.store import PieceStore
from redoubt.archiver.opening import Tenure, open_piece
from redoubt.archiver.piece_job import PieceJob
from redoubt.model.seams import DestinationError
from tests.archive.fakes import OF, TASK, MemoryDestination, MemoryLog, small_resources
from tests.archiver.test_holes import grown, run

FIRST = replace(TASK, piece=1, create_date=20260101)
SECOND = replace(
    TASK, piece=2, create_date=20260102, previous_piece=1, previous_date=20260101, start_lsn=None, start_scn=400
)


def test_a_piece_is_not_begun_before_all_of_the_one_before_is_seen() -> None:
    """While that is merged, a listing may miss the objects at its end."""
    destination = MemoryDestination()
    job = PieceJob(FIRST, grown(MemoryLog()), destination, small_resources())
    run(job)
    job.abandon()
    segments = {name: data for name, data in destination.objects.items() if SegmentName.parse(name.rpartition("/")[2])}
    for name in segments:
        del destination.objects[name]
    store = PieceStore(destination, ClusterPath(OF.cluster, OF.cluster_id).piece(OF.tenant_id, SECOND.key))
    tenure = Tenure(store, "somebody")
    with pytest.raises(DestinationError, match="ends at SCN 0, but must reach SCN 400"):
        open_piece(store, SECOND, tenure)
    assert store.path.info not in destination.objects

    destination.objects |= segments
    opened = open_piece(store, SECOND, tenure)

    assert (opened.info.start_lsn, opened.info.start_scn) == (80, 400)
    assert opened.info.start_chain is not None
