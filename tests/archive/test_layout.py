"""The names in a destination, which other programs rely on."""

from __future__ import annotations

from redoubt.archive.layout import ClusterPath
from redoubt.model.pieces import PieceKey


def test_the_names_are_those_of_oceanbase() -> None:
    """Cluster, number, incarnation, tenant, `clog`, round."""
    cluster = ClusterPath("redoubt", 7)
    expected = [
        "redoubt/7/incarnation_1/cluster_clog_backup_info",
        "redoubt/7/incarnation_1/1001/clog/3",
        "redoubt/7/incarnation_1/1001/clog/3/round_info",
        "redoubt/7/incarnation_1/1001/clog/3/00-10.zst",
    ]
    of = cluster.piece(1001, PieceKey(3))

    assert expected == [cluster.info, of.folder, of.info, of.segment("00-10.zst")]
