"""Bases of a real engine: which files make one, instant copies, and engines that start from them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from redoubt.archive.layout import ClusterInfo, ClusterPath
from redoubt.archive.record import dump_record, stored_fields
from redoubt.archive.set_layout import SetIdentity, SetInfo, set_path
from redoubt.archive.set_manifest import SetManifest
from redoubt.archive.set_store import SetStore
from redoubt.backup.taking import Taking, TakingOptions
from redoubt.destinations.file import FileDestination
from redoubt.engines.seekdb import base_source
from redoubt.engines.seekdb.account import connect, ensure_account
from redoubt.engines.seekdb.base_source import SeekdbBaseSource
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE, INFO_SIZE, verify_groups
from redoubt.messages.jobs import TakeBase, to_line
from redoubt.model.bases import BaseFile, SetKey
from redoubt.model.keeping import EngineSizes
from redoubt.restore.base_files import write_files
from tests.service.application import Application
from tests.service.disks import SharingDisk

from .running import Seekdb, answers, short_directory, until

LIMIT_AND_MARGIN = 2_000_000
"""Microseconds: the limit, and what a busy machine may take to let the engine go on after the last look."""
KEY = SetKey(1, 20261101)
PATH = set_path(ClusterPath("redoubt", 1), 1001, KEY)


def take(engine: SeekdbEngine, destination: Path, terms: TakingOptions | None = None) -> tuple[SetStore, SetManifest]:
    """A data backup of an engine that runs."""
    source = SeekdbBaseSource(engine)
    store = SetStore(FileDestination(destination), PATH)
    info = SetInfo(SetIdentity("id", "redoubt", 1, 1001, "main", source.source_id(), KEY.set_id, KEY.create_date), 5)
    taking = Taking(source, store, info, terms or TakingOptions(), lambda _done, _all: None, lambda _seconds: None)
    return store, taking.run()


@contextmanager
def restored(store: SetStore, manifest: SetManifest, log_of: BaseDir) -> Iterator[Seekdb]:
    """An engine that has started from a base."""
    with short_directory() as path:
        base = BaseDir(path / "data")
        base.path.mkdir()
        write_files(store, manifest, base.path, lambda _bytes: None)
        for block in log_of.log.iterdir():  # stands in for what an archive would give
            shutil.copyfile(block, base.log / block.name)
        base.ours.mkdir()
        shutil.copy(log_of.account, base.account)
        seekdb = Seekdb(base, Instance(base, EngineSizes()), SeekdbEngine(base))
        try:
            seekdb.instance.start()
            until(lambda: answers(seekdb.instance, seekdb.engine))
            yield seekdb
        finally:
            seekdb.engine.close()
            seekdb.instance.stop()


@contextmanager
def writing(base: BaseDir) -> Iterator[list[int]]:
    """Rows that are committed meanwhile, by their numbers."""
    written, is_over = list[int](), threading.Event()

    def write() -> None:
        with connect(base) as connection, connection.cursor() as cursor:
            while not is_over.is_set():
                cursor.execute("INSERT INTO test.t_written VALUES (%s, %s)", (len(written), "x" * 1000))
                written.append(len(written))

    with connect(base) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE test.t_written (id INT PRIMARY KEY, content TEXT)")
    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: len(written) > 100)
        yield written
    finally:
        is_over.set()
        writer.join()
        with connect(base) as connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE test.t_written")


def rows(base: BaseDir, sql: str) -> Any:
    """The answer to a query."""
    with connect(base) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_a_base_under_load_starts(seekdb: Seekdb, tmp_path: Path) -> None:
    """With the log after it, every row is there. The engine stood still for less than it might."""
    with writing(seekdb.base) as written:
        store, manifest = take(seekdb.engine, tmp_path)
        at_snapshot = len(written)
        until(lambda: len(written) > at_snapshot + 100)
        count = len(written)
        with restored(store, manifest, seekdb.base) as again:
            ((found, highest),) = rows(again.base, "SELECT COUNT(*), MAX(id) FROM test.t_written")
            again.run("INSERT INTO test.t_written VALUES (1000000, 'y')")

    assert found == highest + 1 >= count
    summary = manifest.summary
    assert summary.method == "hot"
    assert 0 < summary.pause_us < LIMIT_AND_MARGIN
    assert summary.passes >= 2
    assert 0 <= summary.start_lsn < summary.snapshot_lsn <= seekdb.engine.end_of_log()
    log = str(seekdb.base.log.relative_to(seekdb.base.path))
    blocks = [file for file in manifest.files if file.path.startswith(f"{log}/")]
    assert blocks
    for block in blocks:
        assert block.size == 64 * 1024 * 1024
        assert sum(extent.length for extent in block.extents) <= 4096
    assert all(file.path.startswith(("etc/", "store/")) for file in manifest.files)


def test_a_disk_that_shares_blocks_gives_instant_copies(tmp_path: Path) -> None:
    """The engine stands still only while they are made; they take no room afterwards, and the base starts."""
    with short_directory() as mount, sharing_disk(mount) as disk:
        base = BaseDir(disk.path / "data")
        base.path.mkdir()
        seekdb = Seekdb(base, Instance(base, EngineSizes()), SeekdbEngine(base))
        try:
            seekdb.instance.start()
            until(lambda: answers(seekdb.instance, seekdb.engine))
            with writing(base):
                store, manifest = take(seekdb.engine, tmp_path)
                with restored(store, manifest, base) as again:
                    ((found, highest),) = rows(again.base, "SELECT COUNT(*), MAX(id) FROM test.t_written")
        finally:
            seekdb.engine.close()
            seekdb.instance.stop()
        left = list(base.ours.glob("clone-*"))

    assert found == highest + 1 > 100
    assert manifest.summary.method == "reflink"
    assert 0 < manifest.summary.pause_us < LIMIT_AND_MARGIN
    assert left == []


@contextmanager
def sharing_disk(folder: Path) -> Iterator[SharingDisk]:
    """Such a disk."""
    disk = SharingDisk(folder)
    try:
        yield disk
    finally:
        disk.close()


def test_an_applications_engine_gives_a_base(tmp_path: Path) -> None:
    """Nothing is asked of the application.

    Own engine: an application runs it.
    """
    with short_directory() as path:
        application = Application(path / "data")
        base = BaseDir(application.directory)
        engine = SeekdbEngine(base)
        try:
            base.ours.mkdir()
            ensure_account(base)
            application.insert(50)
            store, manifest = take(engine, tmp_path)
            application.insert(50)
            with restored(store, manifest, base) as again:
                assert rows(again.base, "SELECT COUNT(*) FROM test.t") == ((100,),)
            application.insert()
        finally:
            engine.close()
            application.close()

    assert manifest.summary.method == "hot"


def test_a_job_takes_a_base_once(seekdb: Seekdb, tmp_path: Path) -> None:
    """It is refused without the cluster's claim, while another writes there, and if the set exists.

    Nothing but messages is on its output.
    """
    request = TakeBase(
        tenant_id=1001,
        tenant="main",
        base_dir=str(seekdb.base.path),
        engine_kind="seekdb",
        destination=f"file://{tmp_path}",
        cluster="redoubt",
        cluster_id=1,
        identity="id",
        set_id=KEY.set_id,
        create_date=KEY.create_date,
        began_at=5,
        pause_limit=1.0,
    )
    destination = FileDestination(tmp_path)
    unmounted = outcome_of(request)
    info = ClusterInfo(request.cluster, request.cluster_id, request.identity)
    destination.put_if_absent(ClusterPath(info.cluster, info.cluster_id).info, dump_record(info))
    lock = destination.lock(PATH.lock, "a test")
    refused = outcome_of(request)
    lock.release()
    taken = outcome_of(request)
    again = outcome_of(request)

    assert "check that the backup disk is mounted" in unmounted["text"]
    assert refused["kind"] == "Failed"
    assert "a test" in refused["text"]
    manifest = SetStore(destination, PATH).manifest()
    assert manifest is not None
    known = stored_fields(manifest.summary) | {"kind": "BaseTaken"}
    assert taken == {name: known[name] for name in taken}
    assert again["kind"] == "Failed"
    assert "never overwritten" in again["text"]


def outcome_of(request: TakeBase) -> dict[str, Any]:
    """The last line that a job's process writes."""
    command = [sys.executable, "-m", "redoubt.job"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as job:
        assert job.stdin is not None
        assert job.stdout is not None
        job.stdin.write(to_line(request))
        job.stdin.flush()
        lines = [json.loads(line) for line in job.stdout]
    assert all(line["kind"] == "Progress" for line in lines[:-1])
    found: dict[str, Any] = lines[-1]
    return found


@pytest.fixture
def source(tmp_path: Path) -> SeekdbBaseSource:
    """A directory with a few files and no engine."""
    base = BaseDir(tmp_path)
    base.log.mkdir(parents=True)
    base.ours.mkdir()
    (tmp_path / "etc").mkdir()
    (base.log / "0").write_bytes(b"x" * 10_000)
    (tmp_path / "etc" / "small").write_bytes(b"small")
    return SeekdbBaseSource(SeekdbEngine(base))


def paths(files: list[BaseFile]) -> list[tuple[str, int, int]]:
    """Path, size and bytes of content."""
    return [(file.path, file.size, file.content) for file in files]


def test_files_are_listed_with_what_matters_of_them(source: SeekdbBaseSource, tmp_path: Path) -> None:
    """What is no file, and what has just gone, is left out."""
    os.mkfifo(tmp_path / "store" / "fifo")
    log = "store/redo/sys/log_stream/log/0"
    assert paths(source.files()) == [("etc/small", 5, 5), (log, 10_000, 4096)]


def test_what_goes_while_it_is_listed_is_left_out(
    source: SeekdbBaseSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, and a folder."""
    refuse = base_source._refuse_link

    def remove(path: Path) -> None:
        refuse(path)
        if path.name == "small":
            path.unlink()
        elif path.name == "redo":
            shutil.rmtree(path)

    monkeypatch.setattr(base_source, "_refuse_link", remove)
    assert source.files() == []


def test_a_link_is_not_followed(source: SeekdbBaseSource, tmp_path: Path) -> None:
    """What lies elsewhere would be missing in the base, so there is none."""
    (tmp_path / "elsewhere").mkdir()
    for target in ("elsewhere", "etc/small"):
        link = tmp_path / "store" / "link"
        link.symlink_to(tmp_path / target)
        with pytest.raises(OSError, match="follows no links"):
            source.files()
        link.unlink()


def test_a_folder_that_cannot_be_read_is_not_left_out(
    source: SeekdbBaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be missing in the base."""

    def scandir(path: str) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError):
        source.files()


def test_a_file_that_another_has_replaced_is_not_opened(source: SeekdbBaseSource, tmp_path: Path) -> None:
    """Its content would be taken for the other's."""
    (small,) = [file for file in source.files() if file.path == "etc/small"]
    os.close(source.open(small))
    (tmp_path / "etc" / "new").write_bytes(b"other")
    (tmp_path / "etc" / "new").rename(tmp_path / "etc" / "small")
    with pytest.raises(FileNotFoundError, match="was replaced by another file"):
        source.open(small)


def test_clones_of_the_dead_are_removed(source: SeekdbBaseSource, tmp_path: Path) -> None:
    """Those that another process uses stay; where blocks cannot be shared there is none."""
    used, left = tmp_path / "redoubt" / "clone-used", tmp_path / "redoubt" / "clone-left"
    for clone in (used, left):
        clone.mkdir()
        (clone / "file").touch()
    lock = os.open(used, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (tmp_path / "etc" / "small").unlink()
        with source.clone() as clone_of_now:
            assert clone_of_now is None or clone_of_now.is_dir()
            assert used.exists()
            assert not left.exists()
    finally:
        os.close(lock)


def test_a_clone_has_the_permissions_and_leaves_out_what_goes(
    source: SeekdbBaseSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is made while the engine runs as well, to see whether it can be."""

    def share(target: int, _request: int, origin: int) -> int:
        return os.sendfile(target, origin, 0, 1 << 20)

    monkeypatch.setattr(fcntl, "ioctl", share)
    (tmp_path / "etc" / "small").chmod(0o640)
    gone = BaseFile("etc/gone", 1, 1, 0o600, 0, 1)
    listed: Callable[[], list[BaseFile]] = source.files
    monkeypatch.setattr(source, "files", lambda: [gone, *listed()])
    with source.clone() as clone:
        assert clone is not None
        assert paths(source.files_in(clone)) == paths(listed())
        assert (clone / "etc" / "small").read_bytes() == b"small"
        assert (clone / "etc" / "small").stat().st_mode & 0o777 == 0o640
    assert not clone.exists()


def test_the_end_of_the_log_is_a_place_in_it(seekdb: Seekdb) -> None:
    """Its SCN is that of the last group before its LSN, also while the log grows."""
    source = SeekdbBaseSource(seekdb.engine)
    before = source.end_of_log()
    seekdb.write_rows(20, 100)
    after = source.end_of_log()

    assert before.lsn < after.lsn
    for end in (before, after):
        block, size = divmod(end.lsn, BLOCK_LOG_SIZE)
        log = (seekdb.base.log / str(block)).read_bytes()[INFO_SIZE : INFO_SIZE + size]
        found = verify_groups(log, None)
        assert (found.size, found.max_scn) == (size, end.scn)
