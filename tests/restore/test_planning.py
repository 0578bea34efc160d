"""Plans: the right base, the right log, the exact end; while the archive is written, merged and deleted from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.deletion import Deletion
from redoubt.archive.inventory import take_inventory
from redoubt.archive.layout import ClusterPath, HoleInfo, Interruption
from redoubt.archive.record import dump_record
from redoubt.archive.set_layout import SetPath
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.archiver.merger import merge, remove
from redoubt.archiver.merging import Part
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import NotRecoverableError
from redoubt.model.seams import ObjectMissingError
from redoubt.restore.planning import UnknownTenantError, find_tenant
from tests.archive.fakes import MemoryDestination

from .small import CLUSTER, DATE, SmallArchive, ordinary


def test_every_moment_ends_behind_the_last_group_before_it() -> None:
    """Also between two groups, and between two pieces; moments outside have their nearest."""
    archive = ordinary()
    for scn in range(300, 1201, 50):
        plan = archive.plan(scn)
        assert plan.end == archive.ends[scn // 100]
        assert [part.end_lsn for part in plan.parts][-1] == plan.end.lsn
        assert [part.start_lsn for part in plan.parts] == [0, *([archive.ends[6].lsn] if scn >= 700 else [])]
        assert sum(part.end_lsn - part.start_lsn for part in plan.parts) == plan.log_bytes == plan.end.lsn
    assert archive.plan(None).end == archive.end
    assert archive.plan(None).stored_bytes == sum(
        len(data) for name, data in archive.destination.objects.items() if name.endswith(".zst")
    )
    for scn, nearest in ((299, (None, 300)), (1201, (1200, None))):
        with pytest.raises(NotRecoverableError) as caught:
            archive.plan(scn)
        assert (caught.value.before, caught.value.after) == nearest


def test_the_latest_base_before_the_moment_is_taken() -> None:
    """Unless another one is asked for."""
    archive = ordinary()
    archive.take_base(2)
    archive.write(1)

    assert [archive.plan(scn).base.summary.of.set_id for scn in (1199, 1200, None)] == [1, 2, 2]
    assert archive.plan(None, set_id=1).base.summary.of.set_id == 1


def test_a_plan_crosses_rounds_that_overlap() -> None:
    """As an engine's log goes on in a round that begins at an earlier block."""
    archive = ordinary()
    archive.freeze()
    archive.begin(2, start=LogPosition(archive.ends[9].lsn))
    archive.archive("none")
    archive.write(2)
    plan = archive.plan(None)

    assert [(str(part.key), part.start_lsn) for part in plan.parts][1:] == [
        ("1_2_20261123", archive.ends[6].lsn),
        ("2", archive.ends[12].lsn),
    ]
    assert plan.end == archive.end


def merged(archive: SmallArchive) -> None:
    """Another process merges all that a piece has."""
    parts = [Part(*each) for each in archive.store.segments()]
    if len(parts) > 1:
        merge(archive.store, parts)
        remove(archive.store, parts)


@given(when=st.integers(1, 60), scn=st.one_of(st.none(), st.integers(300, 1200)))
def test_what_is_merged_meanwhile_is_looked_for_again(when: int, scn: int | None) -> None:
    """At any operation of the planning."""
    archive = ordinary()
    expected = archive.end if scn is None else archive.ends[scn // 100]
    operations = 0

    def interfere(_operation: str, _name: str) -> None:
        nonlocal operations
        operations += 1
        if operations == when:
            archive.destination.failing = lambda _operation, _name: None
            merged(archive)

    archive.destination.failing = interfere

    assert archive.plan(scn).end == expected


@given(when=st.integers(1, 60))
def test_what_is_archived_meanwhile_does_no_harm(when: int) -> None:
    """The newest moment is one that there was while it was planned."""
    archive = ordinary()
    operations = 0

    def interfere(_operation: str, _name: str) -> None:
        nonlocal operations
        operations += 1
        if operations == when:
            archive.destination.failing = lambda _operation, _name: None
            archive.write(1)
            merged(archive)

    archive.destination.failing = interfere

    assert archive.plan(None).end in archive.ends[12:]


@given(when=st.integers(1, 60))
def test_a_piece_that_is_deleted_meanwhile_is_not_planned_with(when: int) -> None:
    """Either the plan was made before, or there is no way."""
    archive = ordinary()
    first = PieceStore(archive.destination, CLUSTER.piece(1001, PieceKey(1, 1, DATE)))
    operations = 0

    def interfere(_operation: str, _name: str) -> None:
        nonlocal operations
        operations += 1
        if operations == when:
            archive.destination.failing = lambda _operation, _name: None
            deletion = Deletion(1001, 1, 1, 1, "ALTER SYSTEM DELETE BACKUPPIECE 1", "host", 5)
            archive.destination.put_if_absent(first.path.deletion, dump_record(deletion))
            for name, _ in first.segments():
                first.remove(name)

    archive.destination.failing = interfere
    try:
        assert archive.plan(400).end == archive.ends[4]
    except NotRecoverableError as error:
        assert str(error) == "no data backup has the log that follows it"  # noqa: PT017 - either will do


def test_an_object_that_is_never_there_is_no_endless_search() -> None:
    """A file system may list what it has not."""
    archive = ordinary()

    def lose(operation: str, name: str) -> None:
        if operation == "get" and name.endswith(".zst"):
            raise ObjectMissingError(name)

    archive.destination.failing = lose
    with pytest.raises(ArchiveError, match="could not be read in 10 attempts"):
        archive.plan(400)
    with pytest.raises(NotRecoverableError, match="could not be read in 10 attempts"):
        archive.plan(1000)


def test_a_segment_that_is_missing_from_a_frozen_piece_is_named() -> None:
    """The manifest says that it was there."""
    archive = ordinary()
    (name,) = [name for name in archive.destination.objects if "/1_1_20261123/0" in name]
    del archive.destination.objects[name]
    with pytest.raises(ArchiveError, match=r"1_1_20261123: log from LSN 0 to \d+ is needed, but the folder holds none"):
        archive.plan(1100)


def test_a_moment_in_a_damaged_piece_is_refused_and_so_is_the_newest() -> None:
    """The text names what is damaged; an earlier moment can be had."""
    archive = ordinary()
    name = archive.store.path.segment(archive.store.segments()[-1][0])
    archive.destination.objects[name] = archive.destination.objects[name][:-1]
    for scn in (1000, None):
        with pytest.raises(NotRecoverableError, match=r"unreadable: .*zst is damaged") as caught:
            archive.plan(scn)
        assert caught.value.before == 600
    assert len(archive.plan(600).damage) == 1


def test_a_damaged_set_is_done_without() -> None:
    """It is named in the plan; without another one there is no way."""
    archive = ordinary()
    archive.take_base(2)
    path = SetPath(f"{CLUSTER}/1001/data/backup_set_2_full_{DATE}")
    archive.destination.objects[path.manifest] = b"{"

    assert (archive.plan(None).base.summary.of.set_id, len(archive.plan(None).damage)) == (1, 1)
    archive.destination.objects[SetPath(f"{CLUSTER}/1001/data/backup_set_1_full_{DATE}").manifest] = b"{"
    with pytest.raises(NotRecoverableError, match=r"there is no data backup.*is damaged"):
        archive.plan(None)


def test_a_deleted_set_is_not_there() -> None:
    """Though its manifest may be still."""
    archive = ordinary()
    path = SetPath(f"{CLUSTER}/1001/data/backup_set_1_full_{DATE}")
    archive.destination.objects[path.deletion] = b"{}"
    with pytest.raises(NotRecoverableError, match="there is no data backup"):
        archive.plan(None)


def test_damage_where_the_log_is_to_end_is_named() -> None:
    """The stored bytes are sound, the log in them is not."""
    archive = SmallArchive()
    archive.begin(1, 0, archive.end)
    archive.write(2)
    archive.take_base()
    sound = archive.log
    archive.write(1)
    data = bytearray(archive.log)
    data[-1] ^= 1
    archive.log = sound + bytes(data[len(sound) :])
    last, _ = archive.store.segments()[-1]
    archive.store.remove(last)
    archive.at = archive.ends[2]
    archive.archive()
    with pytest.raises(ArchiveError, match=r"zst is damaged: the log at LSN \d+ is damaged"):
        archive.plan(300)


def test_a_base_that_does_not_fit_its_log_is_refused() -> None:
    """LSN and SCN of the base must be those of one place in the log."""
    archive = SmallArchive()
    archive.begin(1, 0, archive.end)
    archive.write(3)
    log_end = archive.end
    archive.ends.append(replace(archive.end, lsn=archive.end.lsn + 500, scn=310))
    archive.take_base()
    archive.ends.pop()
    archive.write(9)

    assert log_end.scn < 310
    with pytest.raises(ArchiveError, match="backup and log are from different engines"):
        archive.plan(350)


def test_a_claim_that_does_not_fit_its_log_is_refused() -> None:
    """Its only segment begins after the moment at which the base was taken."""
    archive = SmallArchive()
    archive.ends = [LogPosition(0, 1000, 0)]
    archive.begin(1, 0, LogPosition(0, 0, 0))
    archive.write(2)
    manifest_end, archive.ends = archive.ends, [LogPosition(0, 50, 0)]
    archive.take_base()
    archive.ends = manifest_end
    with pytest.raises(ArchiveError, match="its log begins after SCN 60, but its claim says otherwise"):
        archive.plan(60)


def cause_of(archive: SmallArchive) -> list[str]:
    """Why each run of log ends, as the inventory says."""
    return [run.cause for run in take_inventory(archive.destination, archive.tenant).runs]


def test_why_log_ends_is_said() -> None:
    """An interruption, what the next round has on record, a deletion, damage; a stop is ordinary."""
    archive = ordinary()
    assert cause_of(archive) == ["", ""]
    archive.freeze()
    assert cause_of(archive) == ["", "archiving was stopped (NOARCHIVELOG)"]
    archive.begin(2)
    archive.write(1)
    archive.store.put_record(HoleInfo(1001, 2, 1, 5, 6, 7, 8, 9, "spool is full"), archive.store.path.hole)
    assert cause_of(archive) == ["", "spool is full", ""]
    broken = Interruption(1001, 2, archive.source, 1, 2, 3, "the engine was set back")
    archive.store.put_record(broken, archive.store.path.interruption)
    assert cause_of(archive)[-1] == "the engine was set back"
    archive.begin(3)
    assert cause_of(archive)[-1] == "the engine was set back"
    archive.begin(4)
    archive.write(1)
    archive.freeze()
    archive.begin(5)
    deletion = Deletion(1001, 5, 0, 1, "ALTER SYSTEM DELETE BACKUPROUND 5", "host", 5)
    archive.destination.put_if_absent(archive.store.path.deletion, dump_record(deletion))
    assert cause_of(archive)[-1] == "the following log was deleted: ALTER SYSTEM DELETE BACKUPROUND 5"
    archive.destination.objects[archive.store.path.info] = b"{"
    assert "round_info is damaged" in cause_of(archive)[-1]
    archive.begin(6)
    archive.write(1)
    archive.destination.objects[archive.store.path.manifest] = b"{"
    assert "single_piece_info is damaged" in take_inventory(archive.destination, archive.tenant).damage[-1]


def test_a_piece_that_is_not_claimed_yet_is_passed_over() -> None:
    """Its folder may be there; so is a frozen one without log."""
    archive = ordinary()
    archive.destination.objects[f"{CLUSTER}/1001/clog/1_3_{DATE}/notes"] = b""
    archive.begin(2, start=archive.end)
    archive.freeze()

    assert archive.plan(None).end == archive.ends[12]


def test_a_header_is_read_without_the_log() -> None:
    """Whether it comes first or last."""
    for codec in ("none", "lz4_1.0", "zstd_1.3.8"):
        archive = SmallArchive()
        archive.begin(1, 0, archive.end)
        archive.write(1)
        archive.ends += [LogPosition(archive.end.lsn + 200_000, 300, 1)]
        archive.log += bytes(range(250)) * 800
        archive.archive(codec)
        last, _ = archive.store.segments()[-1]
        sizes = list[int]()
        read = archive.destination.get

        def counted(name: str, offset: int = 0, length: int | None = None, read=read, sizes=sizes) -> bytes:  # type: ignore[no-untyped-def]  # noqa: ANN001
            data = read(name, offset, length)
            sizes.append(len(data))
            return bytes(data)

        archive.destination.get = counted  # type: ignore[method-assign]
        assert archive.store.header(last).max_scn == 300
        assert sizes[0] <= 64 * 1024


def test_tenants_are_found_by_name_in_any_case_and_by_id() -> None:
    """An id is certain; what may be several is refused, and the ids are listed."""
    destination = MemoryDestination()
    for tenant_id, name in ((1001, "Main"), (1002, "shop"), (1003, "shop"), (1004, "1002")):
        archive = SmallArchive(tenant_id, name, destination)
        archive.begin(1, 0, archive.end)
        archive.write(1)
    SmallArchive(1005, "lone", destination).take_base()
    for tenant_id in (1006, 1007):
        SmallArchive(tenant_id, "damaged", destination).take_base()
        destination.objects[SetPath(f"{CLUSTER}/{tenant_id}/data/backup_set_1_full_{DATE}").info] = b"{"

    assert find_tenant(destination, "lone").tenant_id == 1005
    assert find_tenant(destination, "1006").name == ""
    assert find_tenant(destination, "mAIN").tenant_id == 1001
    assert find_tenant(destination, "1002").tenant_id == 1002
    assert find_tenant(destination, "1004").name == "1002"
    with pytest.raises(UnknownTenantError, match=r"shop \(id 1002\).*shop \(id 1003\).*; name the tenant by id"):
        find_tenant(destination, "SHOP")
    with pytest.raises(
        UnknownTenantError, match=r"no backup of tenant 'x' found; tenants with a backup: Main \(id 1001\)"
    ):
        find_tenant(destination, "x")
    with pytest.raises(UnknownTenantError, match="with a backup: none"):
        find_tenant(destination, "main", cluster_id=2)
    for name in [name for name in destination.objects if "/1001/" in name]:
        destination.objects[name.replace("redoubt/1/", "other/2/")] = destination.objects[name]
    with pytest.raises(UnknownTenantError, match="name the tenant by cluster and id"):
        find_tenant(destination, "main")
    assert find_tenant(destination, "main", "other", 2).cluster == ClusterPath("other", 2)
