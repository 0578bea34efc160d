"""What each tenant has in a destination, and how fast it grows."""

from __future__ import annotations

import pytest

from redoubt.archive.layout import PieceInfo
from redoubt.archive.usage import usage
from tests.archive.fakes import MemoryDestination
from tests.verify.small import CLUSTER, LATE_SET, LIVE, TENANT, SmallArchive


def test_a_tenants_use_is_read_from_its_folders() -> None:
    """The rate of the newest piece, which is still written; data backups of the last 30 days."""
    small = SmallArchive()
    (found,) = usage(small.destination, 10**9)
    folders = {name: data for name, data in small.destination.objects.items() if f"/{TENANT}/" in name}
    assert (found.use.objects, found.use.stored_bytes) == (len(folders), sum(map(len, folders.values())))
    store = small.store(LIVE)
    end = store.resume(store.record(PieceInfo, store.path.info))
    headers = [store.header(name) for name, _ in store.segments()]
    seconds = max((end.position.scn - headers[0].min_scn) / 1e9, 1.0)
    assert found.use.log_bytes == pytest.approx(end.output_bytes / seconds)
    assert found.use.segments > 0
    assert (found.use.sets, found.use.set_parts, found.problem) == (2, 4, "")
    (late,) = usage(small.destination, 2**62)
    assert (late.use.sets, late.use.set_bytes) == (0, 0)


def test_damage_is_named_and_the_rest_counts() -> None:
    """Of the claim of the newest piece, and of a manifest."""
    small = SmallArchive()
    destination = small.copy()
    destination.objects[small.store(LIVE).path.info] = b"damaged"
    destination.objects[small.set_store(LATE_SET).path.manifest] = b"damaged"
    (found,) = usage(destination, 10**9)
    assert found.problem.count("is damaged") == 2
    assert (found.use.segments, found.use.sets) == (0.0, 1)


def test_a_round_that_is_over_adds_nothing() -> None:
    """Nor does a destination without backups."""
    small = SmallArchive()
    objects = {name: data for name, data in small.destination.objects.items() if f"/clog/{LIVE}/" not in name}
    (found,) = usage(small.copy(objects), 10**9)
    assert (found.use.segments, found.use.log_bytes) == (0.0, 0.0)
    assert list(usage(MemoryDestination(), 10**9)) == []
    assert CLUSTER.cluster in str(found.tenant)
