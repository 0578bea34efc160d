"""What each tenant has in a destination, and how fast it grows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redoubt.archive.layout import PieceInfo
from redoubt.archive.record import dump_record
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
    claimed = store.record(PieceInfo, store.path.info).start_scn
    seconds = max((end.position.scn - max(headers[0].min_scn, claimed)) / 1e9, 1.0)
    assert found.use.log_bytes == pytest.approx(end.output_bytes / seconds)
    assert found.use.segments > 0


def test_log_from_before_the_round_does_not_thin_the_rate() -> None:
    """It may be days old, and is stored when the round begins."""
    small = SmallArchive()
    store, destination = small.store(LIVE), small.copy()
    info = store.record(PieceInfo, store.path.info)
    end = store.resume(info).position.scn
    started = replace(info, start_scn=end - 10**9 // 2)
    destination.objects[store.path.info] = dump_record(started, indent=2)
    (found,) = usage(destination, 10**9)
    assert found.use.log_bytes == pytest.approx(sum(size for _, size in store.segments()))
    (before,) = usage(small.destination, 10**9)
    assert before.use.log_bytes <= found.use.log_bytes


def test_old_data_backups_do_not_count() -> None:
    """The last 30 days do."""
    small = SmallArchive()
    (found,) = usage(small.destination, 10**9)
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
