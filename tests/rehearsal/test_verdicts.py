"""What a drill says of engines that do not open, archives that cannot be read, records that cannot be kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from redoubt.archive.set_store import SetStore
from redoubt.cli.drill import DrillOptions, run_drill
from redoubt.cli.rehearsing import chosen_tenant, is_of_home, logins_for, moment_of, utc_text
from redoubt.destinations.file import FileDestination
from redoubt.engines.seekdb import scratch_seekdb as seekdb_scratch
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.kind import SeekdbKind
from redoubt.engines.seekdb.scratch_seekdb import ScratchSeekdb
from redoubt.model.keeping import EngineSizes, EngineStartError
from redoubt.model.log import LogPosition
from redoubt.model.recovery import NotRecoverableError
from redoubt.model.scratch_engine import Login, ScratchError, StatementError, TableName
from redoubt.model.seams import DestinationError, ObjectMissingError
from redoubt.moments import MomentError
from redoubt.rehearsal.checks import Check, OwnSql
from redoubt.rehearsal.drill import Drill, DrillRequest
from redoubt.rehearsal.record import Verdict, kept_records
from tests.seekdb.running import short_directory
from tests.service.cluster import copy_destination

from .conftest import PASSWORD, Archive
from .fakes import FakeEngine, FakeKind


@pytest.fixture(scope="module")
def copy(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A destination that nobody writes to."""
    path = tmp_path_factory.mktemp("v") / "copy"
    copy_destination(archive.service.backup, path)
    return path


@pytest.fixture(scope="module")
def restored(copy: Path) -> Iterator[ScratchSeekdb]:
    """An engine that runs on a restored directory, with root logged in."""
    with mock.patch.object(Drill, "_look", lambda _self, _engine, _plan, record: record):
        drill = _drill(copy, None, keep=True)
        drill.run()
    assert drill.kept is not None
    engine = ScratchSeekdb(BaseDir(drill.kept), EngineSizes())
    try:
        engine.start()
        assert engine.log_in([Login("root", "wrong"), Login("root", PASSWORD)]) == "root"
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(drill.kept.parent)


def _drill(backup: Path, engine: FakeEngine | None, *, scn: int | None = None, keep: bool = False) -> Drill:
    destination = FileDestination(backup)

    def check(_store: SetStore) -> Check:
        return OwnSql("SELECT 1")

    terms = DrillRequest(scn, None, keep, lambda _summary: [Login("root", "")], check)
    kind = SeekdbKind() if engine is None else FakeKind(engine)
    tenant = chosen_tenant(destination, None)
    return Drill(destination, tenant, terms, kind, lambda _done, _there: None, lambda _text: None)


def _options(backup: Path, **changed: object) -> DrillOptions:
    values: dict[str, object] = {
        "uri": f"file://{backup}",
        **dict.fromkeys(("tenant", "until", "scn", "sql", "query", "scratch", "user", "home")),
        **dict.fromkeys(("utc", "full", "keep", "json"), False),
        "password": "",
    }
    return DrillOptions(**{**values, **changed})  # type: ignore[arg-type]


def _damaged(copy: Path, folder: Path) -> Path:
    """A copy in which no piece can be read."""
    path = folder / "damaged"
    shutil.copytree(copy, path)
    for info in path.rglob("round_info"):
        info.write_text("{")
    return path


@pytest.mark.parametrize(
    ("engine", "verdict", "cause"),
    [
        (FakeEngine(at_start=ScratchError("it ended with status 1")), Verdict.FAILED, "it ended with status 1"),
        (FakeEngine(goes_on=False), Verdict.FAILED, "the engine opened, but its log does not continue from LSN"),
        (FakeEngine(lets_in=None), Verdict.OPENED, "no login succeeded (root)"),
        (FakeEngine(answers=[((0,),)]), Verdict.FAILED, "statement 1 returned 0"),
        (FakeEngine(answers=[((1,),)]), Verdict.PASSED, ""),
    ],
)
def test_the_verdict_follows_from_what_the_engine_does(
    copy: Path, engine: FakeEngine, verdict: Verdict, cause: str
) -> None:
    """And the engine is ended each time."""
    record = _drill(copy, engine).run()

    assert (record.verdict, engine.stopped) == (verdict, True)
    assert record.cause.startswith(cause) or cause in record.cause
    assert (record.checking_us > 0) == (verdict is not Verdict.OPENED and engine.at_start is None and engine.goes_on)


def test_where_the_newest_moment_cannot_be_told_the_drill_fails(copy: Path, tmp_path: Path) -> None:
    """With a moment that was named it cannot be begun."""
    damaged = _damaged(copy, tmp_path)
    record = _drill(damaged, FakeEngine()).run()

    assert (record.verdict, record.set_id) == (Verdict.FAILED, 0)
    assert "round_info is damaged" in record.cause
    with pytest.raises(NotRecoverableError):
        _drill(damaged, FakeEngine(), scn=2**62).run()


def test_a_set_that_is_known_has_the_record_of_what_is_damaged_beside_it(copy: Path, tmp_path: Path) -> None:
    """Here: another set's manifest."""
    path = tmp_path / "damaged"
    shutil.copytree(copy, path)
    manifest = next(path.rglob("single_backup_set_info"))
    other = manifest.parent.with_name("backup_set_2_full_20261124")
    other.mkdir()
    (other / manifest.name).write_text("{")
    record = _drill(path, FakeEngine()).run()

    assert (record.verdict, record.set_id) == (Verdict.FAILED, 1)


def test_what_cannot_be_recorded_is_said(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure without a set is a failure still; what passed and is not on record is not done."""
    opened = mock.patch("redoubt.cli.drill.engine_kind", return_value=FakeKind(FakeEngine(lets_in=None)))
    with opened:
        assert run_drill(_options(_damaged(copy, tmp_path))) == 2
        assert "not recorded: the data backup that the restore would use is unknown" in capsys.readouterr().err
        full = mock.patch.object(FileDestination, "put_if_absent", side_effect=DestinationError("the disk is full"))
        with full:
            assert run_drill(_options(copy)) == 1
        assert "not recorded: the disk is full" in capsys.readouterr().err
        assert run_drill(_options(copy, home=tmp_path)) == 3
        assert "not in CDB_REDOUBT_DRILLS: main (id 1001) of redoubt#1 was not archived by" in capsys.readouterr().err


def test_a_home_without_its_service_has_no_view(
    archive: Archive, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said; the verdict is on record all the same."""
    (tmp_path / "identity").write_text((archive.service.home / "identity").read_text())
    with mock.patch("redoubt.cli.drill.engine_kind", return_value=FakeKind(FakeEngine(answers=[((1,),)]))):
        assert run_drill(_options(copy, home=tmp_path, query="SELECT 1", scratch=tmp_path, keep=True)) == 0
    said = capsys.readouterr()

    assert "the directory is kept: " in said.out
    assert "not in CDB_REDOUBT_DRILLS: no redoubt service runs in" in said.err


def test_records_that_cannot_be_read_are_passed_over(copy: Path) -> None:
    """What else lies in the folder is none."""
    destination = FileDestination(copy)
    folder = next(copy.rglob("single_backup_set_info")).parent
    (folder / "drill_20261123T000000000000Z").write_text("{")

    there = len([path for path in folder.iterdir() if path.name.startswith("drill_")])
    tenant = chosen_tenant(destination, "main")
    assert len(list(kept_records(destination, tenant))) == there - 1
    with mock.patch.object(destination, "get", side_effect=ObjectMissingError("deleted meanwhile")):
        assert list(kept_records(destination, tenant)) == []


def test_a_moment_is_a_time_with_an_offset() -> None:
    """Or one in UTC if that is said, or an SCN."""
    assert moment_of(None, None, utc=False) is None
    assert moment_of(None, 7, utc=False) == 7
    assert moment_of("1970-01-01T01:00:00.000001+01:00", None, utc=False) == 1000
    assert moment_of("1970-01-01 00:00:01", None, utc=True) == 10**9
    assert (utc_text(10**9), utc_text(0)) == ("1970-01-01T00:00:01.000000Z", None)
    for until, scn, text in [
        ("1970-01-01", None, "offset"),
        ("soon", None, "is not a time"),
        ("1970-01-01", 5, "not both"),
    ]:
        with pytest.raises(MomentError, match=text):
            moment_of(until, scn, utc=False)


def test_a_home_lends_the_account_of_its_own_engine_only(tmp_path: Path) -> None:
    """By the engine's id: from its directory, or from the copy that outlives it."""
    ours = tmp_path / "tenants" / "1001" / "redoubt"
    ours.mkdir(parents=True)
    (ours / "source_id").write_text("engine-a\n")
    (ours / "account").write_text("secret-a\n")
    (tmp_path / "accounts").mkdir()
    (tmp_path / "accounts" / "engine-b").write_text("secret-b\n")

    def passwords(source: str, user: str | None = None, password: str = "") -> list[tuple[str, str]]:
        return [(each.user, each.password) for each in logins_for(SeekdbKind(), source, 1001, user, password, tmp_path)]

    assert passwords("engine-a", password="p") == [("root", "p"), ("redoubt_service", "secret-a"), ("root", "")]
    assert passwords("engine-b") == [("redoubt_service", "secret-b"), ("root", "")]
    assert passwords("engine-c") == [("root", "")]
    assert passwords("engine-a", "clerk", "p") == [("clerk", "p")]
    assert "secret" not in str(logins_for(SeekdbKind(), "engine-a", 1001, None, "", tmp_path))


def test_a_cluster_is_known_by_its_identity(archive: Archive, copy: Path, tmp_path: Path) -> None:
    """Not where the destination does not say whose it is."""
    destination = FileDestination(copy)
    tenant = chosen_tenant(destination, None)
    assert is_of_home(destination, tenant, archive.service.home)
    assert not is_of_home(FileDestination(tmp_path), tenant, archive.service.home)


def test_an_engine_says_what_it_finds(restored: ScratchSeekdb) -> None:
    """Tables, statements, what it refuses."""
    item = TableName("shop", "item")

    assert [str(table) for table in restored.tables()] == ["shop.heap", "shop.item", "shop.odd `name"]
    assert restored.read_table(item, whole=True) == 4
    assert restored.read_table(item, whole=False) is None
    assert list(restored.results("SET @a = 1; SELECT @a")) == [None, ((1,),)]
    with pytest.raises(StatementError, match=r"error 1146"):
        restored.read_table(TableName("shop", "none"), whole=False)
    with pytest.raises(StatementError, match=r"error 1064"):
        list(restored.results("SELEKT"))


def test_an_index_with_other_rows_than_its_table_is_told(restored: ScratchSeekdb) -> None:
    """The engine keeps them alike; here it is made to say otherwise."""
    real = restored._rows

    def rows(sql: str, values: tuple[str, ...] | None = None) -> tuple[tuple[object, ...], ...]:
        return ((3,),) if "`byname`" in sql else real(sql, values)

    with (
        mock.patch.object(restored, "_rows", rows),
        pytest.raises(StatementError, match="the table has 4 rows, but its index byname has 3"),
    ):
        restored.read_table(TableName("shop", "item"), whole=True)


def test_log_that_the_engine_did_not_take_is_told(restored: ScratchSeekdb) -> None:
    """A place whose checksum is another one; an engine that has ended."""
    with mock.patch.object(seekdb_scratch, "_LOG_PATIENCE", 0.1):
        assert not restored.goes_on_from(LogPosition(0, 0, 12345))
    other = ScratchSeekdb(restored._base, EngineSizes())
    ended = mock.patch.object(other._instance, "check_alive", side_effect=EngineStartError("it ended"))
    with ended, pytest.raises(ScratchError, match="it ended"):
        other.log_in([Login("nobody", "")])
    with ended, pytest.raises(ScratchError, match="it ended"):
        other.goes_on_from(LogPosition(0, 0, 12345))
    assert other.log_in([Login("nobody", "")]) is None


def test_an_engine_that_ends_while_it_is_asked_is_told() -> None:
    """With its status, not as a connection that was lost."""
    with short_directory() as folder:
        engine = ScratchSeekdb(BaseDir(folder), EngineSizes())
        try:
            engine.start()
            assert engine.log_in([Login("root", "")]) == "root"
            engine._instance.kill()
            with pytest.raises(ScratchError, match="ended with status -9"):
                list(engine.results("SELECT 1"))
            with pytest.raises(ScratchError, match="ended with status -9"):
                engine.tables()
        finally:
            engine.stop()


def test_an_engine_that_only_hangs_up_is_asked_no_more(restored: ScratchSeekdb) -> None:
    """One session may be killed, and the engine lives."""
    with mock.patch.object(seekdb_scratch, "_END_PATIENCE", 0.2), pytest.raises(StatementError, match=r"error 20\d\d"):
        list(restored.results("KILL CONNECTION_ID(); SELECT 1"))
    restored.log_in([Login("root", PASSWORD)])


def test_an_engine_that_does_not_open_is_told(tmp_path: Path) -> None:
    """It ends by itself, or is given up."""
    slow = ScratchSeekdb(BaseDir(tmp_path / "s"), EngineSizes(), patience=0)
    (tmp_path / "s").mkdir()
    try:
        with pytest.raises(ScratchError, match=r"did not answer within 0 s; its memory_budget \(1G\) may be too small"):
            slow.start()
    finally:
        slow.stop()
    (tmp_path / "f" / "store").mkdir(parents=True)
    (tmp_path / "f" / "etc").touch()
    broken = ScratchSeekdb(BaseDir(tmp_path / "f"), EngineSizes())
    try:
        with pytest.raises(ScratchError, match="ended with status"):
            broken.start()
    finally:
        broken.stop()


def test_a_drill_s_figures_in_json(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: nothing but JSON on standard output."""
    with mock.patch("redoubt.cli.drill.engine_kind", return_value=FakeKind(FakeEngine(lets_in=None))):
        assert run_drill(_options(copy, json=True)) == 3
    said = json.loads(capsys.readouterr().out)

    assert (said["verdict"], said["host"] != "", said["recorded_as"].rpartition("/")[2][:6]) == (
        "OPENED",
        True,
        "drill_",
    )
