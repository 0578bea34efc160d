"""One bit turned over, anywhere: verifying finds it and names the object; a restore refuses it or does not need it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from redoubt.archive.inventory import TenantPath
from redoubt.archive.store import ArchiveError
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter
from redoubt.model.log import LogPosition
from redoubt.model.recovery import NotRecoverableError
from redoubt.restore.base_files import write_files
from redoubt.restore.laying import lay_log
from redoubt.restore.planning import Plan, make_plan
from tests.archive.fakes import MemoryDestination
from tests.archive.test_reading import archive_of
from tests.archiver.test_freezing import Freezing
from tests.dose import dose

from .small import CLUSTER, LATE_SET, TENANT, SmallArchive, flipped, flips, verify

pytestmark = pytest.mark.repeated
_PLACES = dose(300, 10_000)
"""Random places in the larger archive."""
_STEP = dose(13, 1)
"""From one byte to the next that is tried: a prime, so that every bit has its turn."""
_NAMES = sorted(name for name in SmallArchive().destination.objects if str(LATE_SET) not in name)
_MEMORY = Path("/dev/shm")


@dataclass
class MemoryLayer:
    """A `LogLayer` that keeps what is laid."""

    laid: dict[int, bytes] = field(default_factory=dict)
    end: LogPosition | None = None

    def lay(self, lsn: int, log: Iterator[bytes], scn_before: int) -> None:
        """See `LogLayer`."""
        self.laid[lsn] = b"".join(log)

    def sync(self) -> None:
        """See `LogLayer`."""

    def finish(self, end: LogPosition) -> None:
        """See `LogLayer`."""
        self.end = end


def restored(destination: MemoryDestination, scn: int, *, with_files: bool) -> tuple[dict[str, bytes], bytes, int]:
    """What a restore to a moment makes: files if they are wanted, log, and the SCN it ends at."""
    plan = make_plan(destination, TenantPath(CLUSTER, TENANT, "main"), scn, SeekdbLogCutter())
    layer, files = MemoryLayer(), dict[str, bytes]()
    if with_files:
        files = _files(plan)
    lay_log(plan, layer, SeekdbLogCutter(), LogPosition(plan.parts[0].start_lsn), lambda _: None, lambda _: None)
    assert layer.end is not None
    return files, b"".join(layer.laid[lsn] for lsn in sorted(layer.laid)), layer.end.scn


def _files(plan: Plan) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        write_files(plan.base_store, plan.base, Path(folder), lambda _: None)
        return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def without_late_set(small: SmallArchive) -> dict[str, bytes]:
    """The objects, but for a set that has nothing that the other one has not."""
    return {name: data for name, data in small.destination.objects.items() if str(LATE_SET) not in name}


def of_one(objects: dict[str, bytes], name: str) -> Iterator[MemoryDestination]:
    """A destination for every place of one object that this run tries."""
    for _, _, data in flips({name: objects[name]}, _STEP):
        yield MemoryDestination(objects | {name: data})


def test_a_sound_archive_is_sound(small: SmallArchive) -> None:
    """Nothing is damaged, and nobody is unaccounted for; each object is read once."""
    report = verify(small.copy())

    assert report.all_findings == []
    assert report.tally.objects_read == len(small.destination.objects)
    assert report.tally.stored_bytes == sum(map(len, small.destination.objects.values()))


@pytest.mark.parametrize("name", _NAMES)
def test_a_flipped_bit_at_any_place_is_found(small: SmallArchive, name: str) -> None:
    """At every byte of every object, in the large dose; the object is named."""
    for at, destination in enumerate(of_one(without_late_set(small), name)):
        assert name in {each.name for each in verify(destination).damage}, at


@pytest.mark.parametrize("name", _NAMES)
def test_a_restore_never_makes_anything_else(small: SmallArchive, name: str) -> None:
    """Whatever bit is turned over: it refuses, or it is what it would have been, where the object was not needed."""
    objects = without_late_set(small)
    moment = small.groups[3].end.scn
    is_of_set = "/data/" in name
    right = restored(MemoryDestination(objects), moment, with_files=is_of_set)
    for destination in of_one(objects, name):
        try:
            made = restored(destination, moment, with_files=is_of_set)
        except (ArchiveError, NotRecoverableError):
            continue
        assert made == right
        assert not _is_needed(name), "what a restore reads is refused, wherever the bit is"


def test_a_flipped_bit_in_a_larger_archive_is_found() -> None:
    """At random places of a frozen round of merged and other segments."""
    destination, _, _ = archive_of([40_000, 7, 90_000, 30_000, 1, 60_000] * 3, "zstd_1.3.8")
    Freezing(destination).freeze()
    place = random.Random(4)
    names = sorted(destination.objects)
    for _ in range(_PLACES):
        (name,) = place.choices(names, [len(destination.objects[each]) for each in names])
        data = destination.objects[name]
        damaged = flipped(data, place.randrange(len(data)), place.randrange(8))
        report = verify(MemoryDestination(destination.objects | {name: damaged}))
        assert name in {each.name for each in report.damage}


def _is_needed(name: str) -> bool:
    """Whether a restore to the end of the second round cannot do without the object."""
    is_segment = "/2_" in name and name.endswith((".zst", ".lz4", ".redo"))
    return is_segment or "part_" in name or "single_backup_set_info" in name
