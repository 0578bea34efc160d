"""Directories: what is in them, that a restore goes on wherever it was cut off, and what is refused."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from unittest import mock

import pytest

from redoubt import durable
from redoubt.archive.deletion import SetDeletion, delete_some
from redoubt.archive.layout import ClusterInfo, PiecePath
from redoubt.archive.record import dump_record, load_record, seal
from redoubt.archive.set_layout import SetPath
from redoubt.archive.store import ArchiveError
from redoubt.destinations.uri import open_destination
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter, SeekdbLogLayer
from redoubt.model.log import LogPosition
from redoubt.model.seams import LockedError
from redoubt.restore import base_files, laying, restoring
from redoubt.restore.in_use import BeingDeletedError
from redoubt.restore.planning import Plan, find_tenant, make_plan
from redoubt.restore.prefetch import made_ahead
from redoubt.restore.restoring import Restored, RestoreError, unfinished
from tests.archive.fakes import CrashError

from .small import CLUSTER, DATE, SmallArchive, assert_restored, ordinary, restoration


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done is kept after every object."""
    monkeypatch.setattr(base_files, "_SYNC_EVERY", 1)
    monkeypatch.setattr(laying, "_SYNC_EVERY", 1)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A directory that is not there."""
    return tmp_path / "deep" / "target"


@pytest.mark.parametrize("scn", range(300, 1201, 100))
def test_a_directory_has_the_base_and_the_log_to_the_byte(target: Path, scn: int) -> None:
    """And zeros behind it."""
    archive = ordinary()
    assert_restored(archive, target, restoration(archive.plan(scn), target).run())


def test_progress_goes_from_nothing_to_all(target: Path) -> None:
    """In bytes that are written; also where a restore goes on."""
    archive, told = ordinary(), list[tuple[int, int]]()
    plan = archive.plan(None)
    work = restoration(plan, target)
    work._progress = lambda done, total: told.append((done, total))
    work.run()
    total = plan.base_bytes + plan.log_bytes

    assert told == sorted(told)
    assert told[-1] == (total, total)


def test_a_restore_goes_on_after_a_kill_at_any_operation_of_the_destination(target: Path, small_steps: None) -> None:
    """Each run is killed one operation later than the one before; nothing is read twice that is durable."""
    archive = ordinary()
    plan = archive.plan(None)
    kills, reads = 0, list[str]()

    def killed_at(limit: int) -> None:
        left = limit

        def count(operation: str, name: str) -> None:
            nonlocal left
            if operation == "share" or name.endswith(("/single_piece_info", "/deletion")):
                return  # each run begins with these
            left -= 1
            if left < 0:
                raise CrashError
            if operation == "get":
                reads.append(name)

        archive.destination.failing = count

    while True:
        killed_at(2)
        try:
            done = restoration(plan, target).run()
        except CrashError:
            kills += 1
            assert not (target / "redoubt" / "restored_from").exists()
            continue
        break

    assert kills >= 5
    assert len([name for name in reads if "/part_" in name]) <= 4 + kills
    assert_restored(archive, target, done)


def test_a_piece_without_manifest_that_is_being_deleted_is_not_restored_from(target: Path) -> None:
    """After a repair of the catalog such a piece may be deleted."""
    archive = ordinary()
    plan = archive.plan(None)
    open_piece = next(part.store for part in plan.parts if part.store.manifest() is None)
    archive.destination.objects[open_piece.path.deletion] = b"{}"
    with pytest.raises(BeingDeletedError, match="is being deleted"):
        restoration(plan, target).run()


def test_a_loss_of_power_may_take_what_was_not_synced(
    tmp_path: Path, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes and modes of files whose parts come later: a resumed restore gives them again."""
    archive = SmallArchive()
    archive.begin()
    archive.write(3)
    manifest = archive.take_base(parts=3)
    store = archive.plan(None).base_store
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    base_files.write_files(store, manifest, whole, lambda _: None)
    synced, real = set[Path](), durable.sync

    def noted(path: Path) -> None:
        synced.add(path)
        real(path)

    def power_fails(part: int) -> None:
        raise CrashError(part)

    monkeypatch.setattr(base_files, "sync", noted)
    with pytest.raises(CrashError) as failed:
        base_files.write_files(store, manifest, cut, lambda _: None, power_fails)
    lost = [cut / file.path for file in manifest.files if cut / file.path not in synced]
    assert lost
    for path in lost:
        os.truncate(path, 0)
        path.chmod(0o600)
    base_files.write_files(store, manifest, cut, lambda _: None, lambda _: None, failed.value.args[0])

    for file in manifest.files:
        one, other = whole / file.path, cut / file.path
        assert (one.read_bytes(), one.stat().st_mode) == (other.read_bytes(), other.stat().st_mode)


def test_a_restored_directorys_name_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those of the folders above it that the restore made: otherwise all would be gone after a loss of power."""
    archive, synced, real = ordinary(), list[Path](), durable.sync

    def noted(path: Path) -> None:
        synced.append(path)
        real(path)

    monkeypatch.setattr(durable, "sync", noted)
    target = tmp_path / "deep" / "target"
    restoration(archive.plan(None), target).run()

    assert {tmp_path, tmp_path / "deep", target} <= set(synced)


def test_what_a_restore_reads_is_not_deleted_meanwhile(target: Path, tmp_path: Path) -> None:
    """The data backup and the complete pieces; afterwards both can be deleted."""
    uri = ordinary().to_files(tmp_path / "backup")
    destination = open_destination(uri)
    tenant = find_tenant(destination, "main")
    plan = make_plan(destination, tenant, None, SeekdbLogCutter())
    whole = [part.store for part in plan.parts if part.store.manifest() is not None]
    assert whole

    ours = ClusterInfo(CLUSTER.cluster, CLUSTER.cluster_id, "f00d")
    destination.put_if_absent(CLUSTER.info, dump_record(ours))

    def deleted(path: SetPath | PiecePath) -> bool:
        return delete_some(destination, ours, path, SetDeletion(1001, 1, 0, "a test", "host", 1), lambda: False)

    def both(*_: object) -> None:
        for path in (plan.base_store.path, whole[0].path):
            with pytest.raises(LockedError, match="is being read, by a restore or a drill"):
                deleted(path)
        tried.append(True)

    for path in (plan.base_store.path, whole[0].path):
        destination.lock(path.lock, "its writer").release()
    tried = list[bool]()
    work = restoration(plan, target)
    work._progress = both
    work.run()

    assert tried
    while not (deleted(plan.base_store.path) and deleted(whole[0].path)):
        pass
    with pytest.raises(BeingDeletedError, match="is being deleted; restore from a later data backup"):
        restoration(plan, tmp_path / "other").run()


def test_a_restore_goes_on_after_a_kill_at_any_write_of_its_state(
    target: Path, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it, between the temporary file and the name, and after it."""
    archive = ordinary()
    plan, rename, writes, dice = archive.plan(None), Path.rename, 0, random.Random(1)

    def dying(self: Path, to: Path) -> Path:
        nonlocal writes
        writes += 1
        fate = dice.randrange(3)
        if fate == 0:
            raise CrashError
        moved = rename(self, to)
        if fate == 1:
            raise CrashError
        return moved

    monkeypatch.setattr(Path, "rename", dying)
    for _ in range(100):
        try:
            done = restoration(plan, target).run()
        except CrashError:
            continue
        except RestoreError as error:
            assert str(error).endswith("already holds a complete restore; name another directory")  # noqa: PT017
            done = load_record(Restored, (target / "redoubt" / "restored_from").read_bytes())
        break

    assert writes > 6
    assert_restored(archive, target, done)


def test_an_unfinished_restore_of_another_moment_is_not_gone_on_with(target: Path) -> None:
    """The text says how to go on with it."""
    archive = ordinary()
    archive.destination.failing = stop_at_the_second_part
    with pytest.raises(CrashError):
        restoration(replan(archive, 500), target).run()
    known = unfinished(target)
    assert known is not None
    assert (known.end.scn, known.has_files) == (500, 0)
    with pytest.raises(RestoreError, match=r"unfinished restore of tenant main from set 1 to SCN 500.*--scn 500"):
        restoration(replan(archive, 600), target).run()
    archive.destination.failing = lambda _operation, _name: None
    assert_restored(archive, target, restoration(replan(archive, 500), target).run())


def stop_at_the_second_part(operation: str, name: str) -> None:
    """The process is gone when it reads that."""
    if name.endswith("part_00000002.zst"):
        raise CrashError


def replan(archive: SmallArchive, scn: int) -> Plan:
    """A plan that is made while nothing fails; the failure comes back with the restore."""
    failing, archive.destination.failing = archive.destination.failing, lambda _operation, _name: None
    plan = archive.plan(scn)
    archive.destination.failing = failing
    return plan


def test_a_directory_that_was_used_meanwhile_is_refused(target: Path) -> None:
    """An engine may have written into what is half there."""
    archive = ordinary()
    archive.destination.failing = stop_at_the_second_part
    with pytest.raises(CrashError):
        restoration(replan(archive, 500), target).run()
    (target / "run").mkdir()
    with pytest.raises(RestoreError, match=r"was used before its restore finished \(found run\)"):
        restoration(replan(archive, 500), target).run()


def test_directories_that_are_refused(target: Path) -> None:
    """One that is not empty, one that is complete, one whose state is damaged, one that is no directory."""
    archive = ordinary()
    plan = archive.plan(500)
    target.mkdir(parents=True)
    (target / "notes.txt").touch()
    with pytest.raises(RestoreError, match="is not empty; name an empty or a new directory"):
        restoration(plan, target).run()
    (target / "notes.txt").unlink()
    restoration(plan, target).run()
    with pytest.raises(RestoreError, match="already holds a complete restore; name another directory"):
        restoration(plan, target).run()
    (target / "redoubt" / "restoring").write_bytes(b"{")
    with pytest.raises(RestoreError, match=r"cannot read .*restoring \(not JSON.*empty .* and restore again"):
        restoration(plan, target).run()
    with pytest.raises(RestoreError, match=r"cannot use .*: Not a directory"):
        restoration(plan, target / "etc" / "seekdb.conf").run()


def test_two_restores_do_not_share_a_directory(target: Path) -> None:
    """The second one is told so; nothing is written."""
    archive = ordinary()
    target.mkdir(parents=True)
    held = os.open(target, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with pytest.raises(RestoreError, match="another process is restoring into"):
            restoration(archive.plan(500), target).run()
    finally:
        os.close(held)
    assert list(target.iterdir()) == []


def test_what_was_begun_before_the_first_state_was_kept_does_not_stand_in_the_way(target: Path) -> None:
    """A folder, and perhaps half a file in it."""
    archive = ordinary()
    (target / "redoubt").mkdir(parents=True)
    (target / "redoubt" / "restoring.new").write_bytes(b"{")
    assert_restored(archive, target, restoration(archive.plan(500), target).run())


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, of which nothing is used."""
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_without_room_is_refused_before_anything_is_written(full_disk: Path) -> None:
    """In bytes; what is done already counts."""
    archive = SmallArchive()
    archive.begin(1, 0, archive.end)
    archive.write(1)
    archive.take_base()
    archive.write(600)
    with pytest.raises(
        RestoreError, match=r"the restore needs \d+ bytes in .*, but its disk has only 65536 bytes free"
    ):
        restoration(archive.plan(None), full_disk / "target").run()
    assert list(full_disk.iterdir()) == []


def test_a_disk_that_fills_up_ends_a_restore_which_then_goes_on(
    full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When there is room again."""
    archive = SmallArchive()
    archive.begin(1, 0, archive.end)
    archive.write(1)
    archive.take_base()
    archive.write(*[100] * 6)
    target = full_disk / "target"
    monkeypatch.setattr(restoring, "check_room", lambda _plan, _directory: None)
    with pytest.raises(OSError, match="No space left"):
        restoration(archive.plan(None), target).run()
    assert not (target / "redoubt" / "restored_from").exists()
    subprocess.run(["mount", "-o", "remount,size=4m", str(full_disk)], check=True)
    assert_restored(archive, target, restoration(archive.plan(None), target).run())


def test_room_is_counted_for_what_is_left(target: Path, small_steps: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore that has done most of it needs little."""
    archive = ordinary()
    plan = archive.plan(None)

    work = restoration(plan, target)
    name = archive.store.path.segment(archive.store.segments()[-1][0])
    archive.destination.failing = lambda _operation, wanted: crash() if wanted == name else None
    with pytest.raises(CrashError):
        work.run()
    state = unfinished(target)
    assert state is not None
    left = archive.end.lsn - state.laid.lsn
    usage = type(shutil.disk_usage(target))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(1, 1, left - 1))
    with pytest.raises(RestoreError, match=rf"the restore needs {left} bytes"):
        restoring.check_room(plan, target)


def crash() -> None:
    """The process is gone."""
    raise CrashError


@pytest.mark.parametrize("shared", [0, 500])
def test_another_history_of_the_same_engine_is_not_mixed_in(target: Path, shared: int) -> None:
    """Set back, the engine wrote other log at the same LSNs; where it was archived, it is not taken for the first."""
    archive = ordinary()
    archive.freeze()
    log, ends = archive.log, list(archive.ends)
    archive.set_back(8)
    archive.ends[-1] = LogPosition(archive.end.lsn, 2000 + shared, archive.end.chain)
    archive.begin(2)
    archive.write(3, 3, 3, salt=b"other")
    later = archive.end.scn
    assert log[: archive.ends[8].lsn] == archive.log[: archive.ends[8].lsn]
    try:
        plan = archive.plan(later)
        restoration(plan, target).run()
    except ArchiveError as error:
        assert "belongs to another history" in str(error)  # noqa: PT017 - it is not laid, whichever way it is met
        assert not (target / "redoubt" / "restored_from").exists()
    else:
        block = (BaseDir(target).log / "0").read_bytes()[4096:]
        assert block[: len(archive.log)] == archive.log
    archive.log, archive.ends = log, ends
    earlier = target.with_name("earlier")
    assert_restored(archive, earlier, restoration(archive.plan(1100), earlier).run())


def test_log_that_does_not_continue_is_refused(target: Path) -> None:
    """The next round begins where this one ends, with log of another history."""
    archive = ordinary()
    archive.freeze()
    end = archive.end
    archive.ends[-1] = LogPosition(end.lsn, end.scn, (end.chain or 0) ^ 1)
    archive.begin(2)
    archive.write(2)
    with pytest.raises(ArchiveError, match="belongs to another history"):
        restoration(archive.plan(None), target).run()
    assert not (target / "redoubt" / "restored_from").exists()


def test_damage_ends_a_restore_and_is_named(target: Path) -> None:
    """A part, a segment on the way, a manifest that does not fit: nothing is said to be done."""
    folder = SetPath(f"{CLUSTER}/1001/data/backup_set_1_full_{DATE}")
    for number, (name, text) in enumerate(
        (
            (folder.part(2), "part_00000002.zst is damaged: its size or SHA-256 differs from the manifest"),
            (ordinary().store.path.segment(ordinary().store.segments()[0][0]), "is damaged"),
        )
    ):
        archive, into = ordinary(), target / str(number)
        plan = archive.plan(None)
        data = bytearray(archive.destination.objects[name])
        data[-1] ^= 1
        archive.destination.objects[name] = bytes(data)
        with pytest.raises(ArchiveError, match=text):
            restoration(plan, into).run()
        assert unfinished(into) is not None
        assert not (into / "redoubt" / "restored_from").exists()


def test_log_that_was_deleted_after_the_plan_ends_a_restore(target: Path) -> None:
    """It says to plan again."""
    archive = ordinary()
    plan = archive.plan(None)
    for name, _ in archive.store.segments()[1:]:
        archive.store.remove(name)
    with pytest.raises(
        ArchiveError, match=r"the log ends at LSN \d+, but the plan ends at LSN \d+: run the restore again"
    ):
        restoration(plan, target).run()


def test_a_manifest_that_does_not_fit_its_parts_is_damage(target: Path) -> None:
    """One in which an extent is longer than its part."""
    archive = ordinary()
    store = archive.plan(None).base_store
    values = json.loads(archive.destination.objects[store.path.manifest])
    del values["crc"]
    longer = {
        "input_bytes": 9000,
        "files": [{"path": "etc/a", "size": 9999, "mode": 0o600, "extents": [[0, 9000, 2, 0]]}],
    }
    archive.destination.objects[store.path.manifest] = seal(json.dumps(values | longer, indent=2).encode())
    with pytest.raises(ArchiveError, match="part 2 is shorter"):
        restoration(archive.plan(None), target).run()


def test_a_block_that_cannot_be_made_durable_ends_a_restore(target: Path, small_steps: None) -> None:
    """The failure is told though it happens beside the laying."""
    with (
        mock.patch.object(SeekdbLogLayer, "sync", side_effect=OSError(5, "Input/output error")),
        pytest.raises(OSError, match="Input/output error"),
    ):
        restoration(ordinary().plan(None), target).run()

    assert unfinished(target) is not None


def test_log_behind_what_could_not_be_laid_does_not_count(target: Path, small_steps: None) -> None:
    """Also if it was laid at the same time: the next attempt lays all of it."""
    archive, lay = ordinary(), SeekdbLogLayer.lay

    def full(self: SeekdbLogLayer, lsn: int, log: Iterator[bytes], scn_before: int) -> None:
        if lsn == 0:
            raise OSError(28, "No space left on device")
        lay(self, lsn, log, scn_before)

    plan = archive.plan(None)
    with mock.patch.object(SeekdbLogLayer, "lay", full), pytest.raises(OSError, match="No space left"):
        restoration(plan, target).run()
    state = unfinished(target)

    assert state is not None
    assert state.laid.lsn == 0
    assert_restored(archive, target, restoration(plan, target).run())


def test_what_is_made_ahead_is_the_same_and_fails_when_it_is_taken() -> None:
    """One is made while the one before is used, and no more."""
    made = list[int]()

    def things() -> Iterator[int]:
        for number in range(3):
            made.append(number)
            yield number
        raise ValueError("no more")

    taken = list[int]()
    with made_ahead(things()) as ahead:
        for thing in islice(ahead, 3):
            taken.append(thing)
            assert len(made) <= len(taken) + 1
        with pytest.raises(ValueError, match="no more"):
            next(ahead)
    assert taken == [0, 1, 2]
