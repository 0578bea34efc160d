"""A kind of engine that a plug-in brings, beside main: archived, backed up and restored by the whole service."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from redoubt.archive.layout import PieceInfo
from redoubt.archive.record import load_record
from redoubt.archive.segment import SegmentName, decode_header
from redoubt.archive.set_layout import SetInfo
from redoubt.archive.set_manifest import load_set_manifest
from redoubt.cli.replay import replay
from redoubt.cli.restore import Wish, restore
from redoubt.engines import registry
from tests.double import PLUGIN
from tests.double.engine import DoubleWriter
from tests.service.cluster import ServiceUnderTest, assert_archive_equals_engine, log_of, wait_until


@pytest.fixture(scope="module")
def plugin() -> Iterator[None]:
    """The plug-in is installed for the processes that a test starts, and for no other."""
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(PLUGIN), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in paths if path))
        yield


@pytest.fixture(scope="module")
def service(plugin: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """A service with the plug-in.

    Own service: it needs the plug-in; for all tests of the file.
    """
    running = ServiceUnderTest(tmp_path_factory.mktemp("kinds"))
    running.start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def writer() -> Iterator[DoubleWriter]:
    """What writes the double's log."""
    folder = Path(tempfile.mkdtemp(prefix="double-"))
    with closing(DoubleWriter(folder / "data")) as application:
        yield application
    shutil.rmtree(folder)


class Doubled:
    """A service with a tenant `app` of the kind `double`, archived, with a data backup and log behind that."""

    def __init__(self, service: ServiceUnderTest, writer: DoubleWriter) -> None:
        self.service, self.writer = service, writer
        service.archive()
        service.run(f"CREATE TENANT app SOURCE='double://{writer.base.path}'")
        self.tenant_id = int(service.run("SHOW TENANTS LIKE 'app'")[0]["TENANT_ID"])
        wait_until("it is archived", lambda: self._archived()[0] == "DOING")
        service.run("ALTER SYSTEM BACKUP DATABASE")
        self.set = wait_until("the data backup is over", self._backed_up)
        writer.append(b"what is committed after the data backup")
        self.end = writer.end
        self.moment = wait_until("the engine's clock is past the end", self._moment_after_end)
        wait_until("the archive has it", lambda: self._archived()[1] > self.moment)

    def _moment_after_end(self) -> str | None:
        (now,) = self.service.run("SELECT CAST(now(6) AS CHAR(26)) AS text, time_to_usec(now(6)) AS us")
        return str(now["text"]) if now["us"] * 1000 > self.end.scn else None

    @property
    def folder(self) -> Path:
        """Where all that is stored of the tenant lies."""
        return self.service.round_folder(1, self.tenant_id).parent.parent

    def kinds(self) -> dict[str, str]:
        """ENGINE_KIND of each tenant."""
        rows = self.service.run("SELECT TENANT_NAME, ENGINE_KIND FROM CDB_REDOUBT_TENANTS")
        return {row["TENANT_NAME"]: row["ENGINE_KIND"] for row in rows}

    def _archived(self) -> tuple[str, str]:
        sql = f"SELECT STATUS, MAX_NEXT_TIME FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = {self.tenant_id}"
        rows = self.service.run(sql)
        return (str(rows[0]["STATUS"]), str(rows[0]["MAX_NEXT_TIME"])) if rows else ("", "")

    def _backed_up(self) -> dict[str, Any] | None:
        sql = f"SELECT * FROM CDB_OB_BACKUP_SET_DETAILS WHERE TENANT_ID = {self.tenant_id} AND STATUS <> 'DOING'"
        rows = self.service.run(sql)
        return rows[0] if rows else None


@pytest.fixture(scope="module")
def doubled(service: ServiceUnderTest, writer: DoubleWriter) -> Doubled:
    """The same for all tests."""
    return Doubled(service, writer)


def test_each_tenant_has_its_kind(doubled: Doubled) -> None:
    """Beside each other in one round, under one worker."""
    assert doubled.kinds()["app"] == "double"
    assert doubled.kinds()["main"] == "seekdb"
    assert doubled.set["STATUS"] == "COMPLETED", doubled.set


def test_what_is_stored_says_its_kind(doubled: Doubled) -> None:
    """Claims, segments and data backups, main's as well."""
    tenants = {doubled.tenant_id: "double", 1001: "seekdb"}
    for tenant_id, kind in tenants.items():
        piece = doubled.service.round_folder(1, tenant_id)
        data = next((piece.parent.parent / "data").iterdir())
        segment = doubled.service.segments(1, tenant_id)[0]
        name = SegmentName.parse(segment.name)
        assert name is not None

        assert load_record(PieceInfo, (piece / "round_info").read_bytes()).engine_kind == kind
        assert decode_header(name, segment.read_bytes()).of.engine_kind == kind
        assert load_record(SetInfo, (data / "backup_set_info").read_bytes()).of.engine_kind == kind
        summary = load_set_manifest((data / "single_backup_set_info").read_bytes()).summary
        assert summary.of.engine_kind == kind
        assert (summary.engine == "double 1.0") is (kind == "double")


def test_a_tenant_is_restored_as_one_of_its_kind(doubled: Doubled) -> None:
    """By the job, from the data backup and the log; a service that is started again knows the kind."""
    service = doubled.service
    wait_until("RESTORE takes the moment, which must be ten seconds ago", lambda: _is_past(doubled.end.scn))
    service.run(f"ALTER SYSTEM RESTORE again FROM app UNTIL '{doubled.moment}' WITH 'pool_list=p'")
    history = "SELECT * FROM CDB_OB_RESTORE_HISTORY WHERE TENANT_NAME = 'again'"
    ended = wait_until("it is restored", lambda: service.run(history))[0]
    assert ended["STATUS"] == "RESTORE_SUCCESS", ended
    number = service.run("SHOW TENANTS LIKE 'again'")[0]["TENANT_ID"]
    restored = log_of(service.home / "tenants" / str(number))
    size = 4096 + doubled.end.lsn

    assert doubled.kinds()["again"] == "double"
    with (restored / "0").open("rb") as copy, doubled.writer.block(0).open("rb") as original:
        assert copy.read(size) == original.read(size)
    assert service.stop() == 0
    service.start()
    assert doubled.kinds()["again"] == "double"
    wait_until("it is within reach", lambda: service.run("SHOW TENANTS LIKE 'again'")[0]["STATUS"] == "NORMAL")
    service.run("DROP TENANT again FORCE")


def _is_past(scn: int) -> bool:
    return time.time_ns() - scn > 11 * 10**9


def test_a_kind_that_is_not_installed_is_named(
    doubled: Doubled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By what reads its archive, what is to open a restored directory, and what is told of a source.

    With it installed, the same is done.
    """
    text = "the engine kind 'double' is not installed (installed: seekdb); install the package that provides it"
    wish = Wish(uri=f"file://{doubled.service.backup}", tenant="app", to=tmp_path / "to", latest=True, no_start=True)
    said = []
    assert restore(wish) == 1
    said.append(capsys.readouterr().err)
    assert not wish.to.exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PLUGIN)
        registry.engine_kind.cache_clear()
        assert restore(wish) == 0
        out = capsys.readouterr().out
        assert "no engine replays these" in out
        assert "restored: open_double() opens it" in out
    registry.engine_kind.cache_clear()
    assert json.loads((wish.to / "redoubt" / "restored_from").read_bytes())["engine_kind"] == "double"
    assert replay(wish.to, "root", "") == 1
    said.append(capsys.readouterr().err)

    assert all(text in " ".join(each.split()) for each in said), said
    refused = doubled.service.error("CREATE TENANT other SOURCE='tripled:///srv'")[1]
    assert "the engine kind 'tripled' is not installed (installed: broken, double, seekdb)" in refused
    refused = doubled.service.error("CREATE TENANT other SOURCE='broken:///srv'")[1]
    assert "cannot import the engine kind 'broken' from tests.double.nothing:NOTHING" in refused


def test_its_archive_is_its_log(doubled: Doubled) -> None:
    """Byte for byte; a service that finds a tenant's kind gone says so and does not start."""
    service = doubled.service
    service.stop_archiving()
    first, last = assert_archive_equals_engine(service, 1, doubled.tenant_id, log_of(doubled.writer.base.path))
    assert service.stop() == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", "")
        ended = service.mistaken()
    service.start()

    assert (first, last >= doubled.end.lsn) == (0, True)
    assert ended.returncode == 1
    assert "the engine kind 'double' is not installed" in " ".join(ended.stderr.split())
