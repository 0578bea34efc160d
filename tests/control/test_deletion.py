"""Deleting backups: statements, the job in the background, what goes by itself, and destinations that do not answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from redoubt.archive.deletion import Deletion as DeletionRecord
from redoubt.archive.deletion import SetDeletion
from redoubt.archive.layout import ClusterInfo, ClusterPath
from redoubt.archive.record import dump_record, load_record
from redoubt.archive.set_layout import set_path
from redoubt.catalog.cleaning import CleanStatus, CleanType
from redoubt.catalog.session import CatalogError
from redoubt.control import destination_questions as asking
from redoubt.control.backups import clean_work, clock_watch, deletion
from redoubt.control.parameters.parameter_list import AUTO_DELETE, BACKUP_DEST, BACKUP_DEST_OPTION, RECOVERY_WINDOW
from redoubt.destinations.file import FileDestination
from redoubt.destinations.uri import inside
from redoubt.model.bases import SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.retention import BackupPiece, BackupSet, FileStatus
from redoubt.model.rounds import Round
from redoubt.model.seams import DestinationError
from redoubt.sql.errors import SqlError
from redoubt.sql.statements import BackupPart, DeleteBackup
from tests.control.stage import Stage, play

PATH = ClusterPath("c", 1)
DATE = 20260921
PIECE_1 = DeleteBackup(BackupPart.PIECE, 1)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is tried again soon."""
    monkeypatch.setattr(clean_work, "_PAUSE", 0.01)
    monkeypatch.setattr(deletion, "_LOOK_PAUSE", 0.01)


def _piece(stage: Stage, folder: Path, number: int, max_scn: int = 100) -> BackupPiece:
    """A frozen piece of two segments, in a folder and in the catalog."""
    there = FileDestination(folder)
    key = PieceKey(1, number, DATE)
    piece = BackupPiece(key, "FROZEN", FileStatus.AVAILABLE, max_scn, f"file://{folder}", (1001,))
    names = PATH.piece(1001, key)
    if not (folder / PATH.info).exists():
        there.put_if_absent(PATH.info, dump_record(ClusterInfo("c", 1, "identity")))
    for name in (names.info, names.manifest, names.segment("0-5.zst"), names.segment("5-9.zst")):
        there.put_if_absent(name, b"...")
    stage.clean.kept.append(piece)
    stage.clean.rounds.add(1)
    return piece


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A destination that is not the present one."""
    folder = tmp_path / "old"
    folder.mkdir()
    return folder


def _left(folder: Path, number: int) -> list[str]:
    names = PATH.piece(1001, PieceKey(1, number, DATE))
    return [path.name for path in sorted((folder / names.folder).iterdir()) if not path.name.startswith(".")]


def _full_set(stage: Stage, scn: int) -> BackupSet:
    full = BackupSet(
        len(stage.clean.backup_sets) + 1,
        is_full=True,
        status="SUCCESS",
        file_status=FileStatus.AVAILABLE,
        snapshot_scn=scn,
        start_replay_scn=scn,
        destination=stage.parameters.backup_dest,
    )
    stage.clean.backup_sets.append(full)
    return full


async def _done(stage: Stage) -> None:
    await stage.until(lambda: not stage.deletion.is_running)


async def _refused(action: Callable[[], object]) -> int:
    with pytest.raises(SqlError) as refused:
        await action()  # type: ignore[misc]
    return refused.value.code


def test_a_piece_of_an_old_destination_is_deleted_there(stage: Stage, old: Path) -> None:
    """DELETING when the statement returns, DELETED when the segments are gone; the record says why."""
    piece = _piece(stage, old, 1)

    async def scene() -> None:
        await stage.deletion.delete(PIECE_1)
        assert stage.clean.kept[0].file_status is FileStatus.DELETING
        await _done(stage)

    play(scene())

    assert stage.clean.kept == [replace(piece, file_status=FileStatus.DELETED)]
    assert _left(old, 1) == ["deletion", "round_info", "single_piece_info"]
    text = FileDestination(old).get(PATH.piece(1001, piece.key).deletion)
    record = load_record(DeletionRecord, text)
    assert (record.job, record.statement) == (1, "ALTER SYSTEM DELETE BACKUPPIECE 1")
    assert [(job.kind, job.parameter, job.status, job.error) for job in stage.clean.jobs] == [
        (CleanType.PIECE, "1", CleanStatus.STOP, "")
    ]


def test_a_round_is_deleted_with_all_its_pieces(stage: Stage, old: Path) -> None:
    """Each once."""
    _piece(stage, old, 1)
    _piece(stage, old, 2)

    async def scene() -> None:
        await stage.deletion.delete(DeleteBackup(BackupPart.ROUND, 1))
        await _done(stage)
        assert await _refused(lambda: stage.deletion.delete(DeleteBackup(BackupPart.ROUND, 1))) == 1235

    play(scene())

    assert {piece.file_status for piece in stage.clean.kept} == {FileStatus.DELETED}
    assert stage.clean.jobs[0].kind is CleanType.ROUND


@pytest.mark.parametrize(
    ("statement", "code", "text"),
    [
        (PIECE_1, 9069, "deleting backup piece is not allowed"),
        (DeleteBackup(BackupPart.ROUND, 1), 9069, "deleting backup piece is not allowed"),
        (DeleteBackup(BackupPart.PIECE, 2), 1235, "delete backup piece is not exist. backup piece id: 2, copy id: 0"),
        (
            DeleteBackup(BackupPart.PIECE, 1, 3),
            1235,
            "delete backup piece is not exist. backup piece id: 1, copy id: 3",
        ),
        (DeleteBackup(BackupPart.PIECE, 3), 1235, "because status is not frozen or inactive"),
        (DeleteBackup(BackupPart.PIECE, 4), 1235, "backup piece is already deleted"),
        (DeleteBackup(BackupPart.ROUND, 9), 1235, "backup round is not exist. backup round id: 9"),
        (DeleteBackup(BackupPart.SET, 9), 1235, "delete backupset is not exist. backup set id: 9"),
        (DeleteBackup(BackupPart.SET, 1), 9045, "delete backup set do not allow"),
    ],
)
def test_what_may_not_be_deleted_is_refused(
    stage: Stage, tmp_path: Path, statement: DeleteBackup, code: int, text: str
) -> None:
    """With OceanBase's code and text, and nothing is done."""
    piece = _piece(stage, tmp_path, 1)
    active = replace(piece, key=PieceKey(2, 3, DATE), status="ACTIVE")
    stage.clean.kept += [active, replace(piece, key=PieceKey(2, 4, DATE), file_status=FileStatus.DELETED)]
    _full_set(stage, 99)
    before = list(stage.clean.kept)

    async def scene() -> None:
        with pytest.raises(SqlError, match=text) as refused:
            await stage.deletion.delete(statement)
        assert refused.value.code == code

    play(scene())

    assert (stage.clean.kept, stage.clean.jobs) == (before, [])


def _stored_set(stage: Stage, folder: Path, scn: int) -> BackupSet:
    """A full set of one part, in a folder and in the catalog."""
    there, number = FileDestination(folder), len(stage.clean.backup_sets) + 1
    if not (folder / PATH.info).exists():
        there.put_if_absent(PATH.info, dump_record(ClusterInfo("c", 1, "identity")))
    stored = replace(_full_set(stage, scn), create_date=DATE, tenants=(1001,), destination=f"file://{folder}")
    stage.clean.backup_sets[-1] = stored
    names = set_path(PATH, 1001, SetKey(number, DATE))
    for name in (names.info, names.part(1), names.manifest):
        there.put_if_absent(name, b"...")
    return stored


def _left_of_set(folder: Path, number: int) -> list[str]:
    names = set_path(PATH, 1001, SetKey(number, DATE))
    return [path.name for path in sorted((folder / names.folder).iterdir()) if not path.name.startswith(".")]


def test_a_set_is_deleted_when_a_newer_one_replaces_it(stage: Stage, tmp_path: Path) -> None:
    """Its claim stays, with the record of who deleted it."""
    first, second = _stored_set(stage, tmp_path, 99), _stored_set(stage, tmp_path, 100)

    async def scene() -> None:
        await stage.deletion.delete(DeleteBackup(BackupPart.SET, 1))
        assert stage.clean.backup_sets == [replace(first, file_status=FileStatus.DELETING), second]
        await _done(stage)

    play(scene())

    assert stage.clean.backup_sets == [replace(first, file_status=FileStatus.DELETED), second]
    assert _left_of_set(tmp_path, 1) == ["backup_set_info", "deletion"]
    assert len(_left_of_set(tmp_path, 2)) == 3
    text = FileDestination(tmp_path).get(set_path(PATH, 1001, first.key).deletion)
    record = load_record(SetDeletion, text)
    assert (record.set_id, record.job, record.statement) == (1, 1, "ALTER SYSTEM DELETE BACKUPSET 1")
    assert stage.clean.jobs[0].kind is CleanType.SET


def test_obsolete_sets_go_with_the_log_that_only_they_need(stage: Stage, tmp_path: Path) -> None:
    """The sets first; a deletion that was under way goes on with both."""
    first, _ = _stored_set(stage, tmp_path, 99), _stored_set(stage, tmp_path, 100)
    piece = _piece(stage, tmp_path, 1)
    stage.clean.backup_sets[0] = replace(first, file_status=FileStatus.DELETING)
    stage.clean.kept[0] = replace(piece, file_status=FileStatus.DELETING)
    stage.clean.begin(CleanType.OBSOLETE, "1", "ALTER SYSTEM DELETE OBSOLETE BACKUP", [first, piece], 5)

    async def scene() -> None:
        await stage.deletion.load()
        await _done(stage)

    play(scene())

    assert [each.file_status for each in stage.clean.backup_sets] == [FileStatus.DELETED, FileStatus.AVAILABLE]
    assert stage.clean.kept[0].file_status is FileStatus.DELETED
    assert _left_of_set(tmp_path, 1) == ["backup_set_info", "deletion"]


def test_obsolete_log_goes_when_there_is_a_window(stage: Stage, tmp_path: Path) -> None:
    """Without one 1235; the row's parameter is the expire point."""
    _piece(stage, tmp_path, 1)
    _piece(stage, tmp_path, 2, max_scn=101)
    _full_set(stage, 100)

    stage.archiving._book.round = Round(checkpoint_scn=2**62)

    async def scene() -> None:
        with pytest.raises(SqlError, match=r"recovery window unexpected\. recovery window : 0 \. not supported"):
            await stage.deletion.delete_obsolete()
        stage.parameters.change({RECOVERY_WINDOW: "1d"})
        await stage.deletion.delete_obsolete()
        await _done(stage)

    play(scene())

    assert [piece.file_status for piece in stage.clean.kept] == [FileStatus.DELETED, FileStatus.AVAILABLE]
    job = stage.clean.jobs[0]
    assert job.kind is CleanType.OBSOLETE
    assert abs(time.time() - 86400 - int(job.parameter) / 10**6) < 60


def test_a_clock_that_jumps_ahead_deletes_nothing(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by itself nor by DELETE OBSOLETE; that is told, and goes on when the clock is right again."""
    day, ahead, time_ns = 86_400 * 10**9, [0], time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: time_ns() + ahead[0])
    stage.parameters.change({RECOVERY_WINDOW: "7d", AUTO_DELETE: "True"})
    for age in (10, 3, 1):
        _full_set(stage, time_ns() - age * day)
    statuses: list[list[str]] = []

    async def look(jump: int) -> None:
        ahead[0] = jump
        await stage.deletion.look()
        await _done(stage)
        statuses.append([str(each.file_status) for each in stage.clean.backup_sets])

    async def scene() -> None:
        await look(0)
        stage.deletion._looked_at = 1
        await look(30 * day)
        with pytest.raises(SqlError, match=r"the clock is 720\.0 h ahead of the time that this service has witnessed"):
            await stage.deletion.delete_obsolete()
        await look(0)
        stage.clean.backup_sets[1] = replace(stage.clean.backup_sets[1], snapshot_scn=time_ns() - 8 * day)
        stage.deletion._looked_at = 1
        await look(0)
        await stage.chronicle.write()

    play(scene())

    assert statuses == [["AVAILABLE"] * 3] * 3 + [["DELETED", "AVAILABLE", "AVAILABLE"]]
    events = [(each.what, each.state_before, each.state_after) for each in stage.journal.events]
    assert events == [("CLOCK", "BELIEVED", "DOUBTED"), ("CLOCK", "DOUBTED", "BELIEVED")]


def test_a_clock_that_jumps_while_a_statement_runs_deletes_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was right when automatic deletion began to wait for the statement."""
    day, ahead, time_ns = 86_400 * 10**9, [0], time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: time_ns() + ahead[0])
    stage.parameters.change({RECOVERY_WINDOW: "7d", AUTO_DELETE: "True"})
    for age in (3, 1):
        _full_set(stage, time_ns() - age * day)

    async def scene() -> None:
        async with stage.archiving.statement:
            looking = asyncio.create_task(stage.deletion.look())
            await stage.until(lambda: bool(stage.archiving.statement._waiters))
            ahead[0] = 30 * day
        await looking
        await _done(stage)

    play(scene())

    assert {each.file_status for each in stage.clean.backup_sets} == {FileStatus.AVAILABLE}


def test_ages_stand_still_while_a_new_round_begins(stage: Stage, tmp_path: Path) -> None:
    """Nothing is archived of it yet: ages are counted from the end of the former round."""
    day = 86_400 * 10**9
    stage.parameters.change({RECOVERY_WINDOW: "7d"})
    for age in (25, 20):
        _full_set(stage, time.time_ns() - age * day)
    _piece(stage, tmp_path, 1, max_scn=time.time_ns() - 15 * day)
    assert stage.archiving.round.checkpoint_scn == 0

    assert stage.deletion._obsolete()[0].sets == ()


def test_what_is_known_of_the_clock_survives_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is started after the jump knows it too; a file that cannot be written is no trouble."""
    day, wall = 86_400 * 10**9, time.time_ns()
    first = clock_watch.ClockWatch(tmp_path / "clock")
    before = first.look(7 * 86_400)
    monkeypatch.setattr(time, "time_ns", lambda: wall + 30 * day)
    after = clock_watch.ClockWatch(tmp_path / "clock").look(7 * 86_400)
    (tmp_path / "clock").write_text("damaged")
    damaged = clock_watch.ClockWatch(tmp_path / "clock").look(7 * 86_400)
    nowhere = clock_watch.ClockWatch(tmp_path / "no" / "clock").look(7 * 86_400)

    assert (before, nowhere) == ("", "")
    assert "backups are deleted by age in 168 h" in after
    assert damaged, "nothing is known of what the clock said before"


def test_ages_are_counted_from_the_newest_archived_moment(stage: Stage) -> None:
    """Nothing newer replaces the old backups of a cluster that does not archive."""
    day = 86_400 * 10**9
    stage.parameters.change({RECOVERY_WINDOW: "7d"})
    for age in (25, 20):
        _full_set(stage, time.time_ns() - age * day)

    def archived_to(scn: int) -> None:
        stage.archiving._book.round = replace(stage.archiving.round, checkpoint_scn=scn)

    async def scene() -> None:
        await stage.doing()
        archived_to(time.time_ns() - 15 * day)
        assert stage.deletion._obsolete()[0].sets == ()
        archived_to(time.time_ns() - 10 * day)
        assert [each.set_id for each in stage.deletion._obsolete()[0].sets] == [1]
        await stage.archiving.close()

    play(scene())


def test_obsolete_log_goes_by_itself_when_that_is_wished(stage: Stage, tmp_path: Path) -> None:
    """From time to time, without a row when there is nothing; the catalog may be away for a while."""
    _full_set(stage, 100)

    stage.archiving._book.round = Round(checkpoint_scn=2**62)

    async def scene() -> None:
        await stage.deletion.look()
        stage.parameters.change({RECOVERY_WINDOW: "2us", AUTO_DELETE: "True"})
        await stage.deletion.look()
        assert stage.clean.jobs == []
        _piece(stage, tmp_path, 1)
        stage.clean.failures = 2
        running = asyncio.create_task(stage.deletion.run())
        await stage.until(lambda: stage.clean.kept[0].file_status is FileStatus.DELETED)
        await _done(stage)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        stage.parameters.change({BACKUP_DEST_OPTION: "recovery_window=7d"})
        _piece(stage, tmp_path, 2)
        await stage.deletion.look()
        assert not stage.deletion.is_running, "it is not time yet"
        stage.parameters.change({BACKUP_DEST_OPTION: "recovery_window=2us"})
        async with stage.archiving.statement:
            looking = asyncio.create_task(stage.deletion.look())
            await asyncio.sleep(0)
            job = stage.clean.begin(CleanType.PIECE, "2", "a statement", [stage.clean.kept[1]], 5)
            stage.deletion._launch(job, [stage.clean.kept[1]])
        await looking
        await _done(stage)

    play(scene())

    assert [job.comment for job in stage.clean.jobs] == ["automatic deletion (auto_delete)", "a statement"]


def test_one_job_at_a_time_and_a_job_can_be_cancelled(stage: Stage, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """9044 while one is under way, 9053 when none is; other statements are not held up by a silent destination."""
    piece = _piece(stage, old, 1)
    go_on = threading.Event()
    monkeypatch.setattr(clean_work, "_delete", lambda *_: go_on.wait(30))

    async def scene() -> None:
        assert await _refused(stage.deletion.cancel) == 9053
        await stage.deletion.delete(PIECE_1)
        assert await _refused(lambda: stage.deletion.delete(PIECE_1)) == 9044
        assert await _refused(stage.deletion.delete_obsolete) == 9044
        await stage.deletion.look()
        await stage.archiving.start()
        await stage.stopped()
        stage.clean.failures = 1
        with pytest.raises(CatalogError):
            await stage.deletion.cancel()
        assert stage.deletion.is_running
        await stage.deletion.cancel()
        assert await _refused(stage.deletion.cancel) == 9053
        await stage.archiving.close()

    play(scene())
    go_on.set()

    assert stage.clean.jobs[0].status is CleanStatus.CANCEL
    assert stage.clean.kept == [replace(piece, file_status=FileStatus.DELETING)]


def test_what_a_restore_needs_is_not_deleted_after_a_restart(stage: Stage, old: Path) -> None:
    """The restore that is resumed takes its locks a moment later than the deletion; the row says what it waits for."""
    piece = _piece(stage, old, 1)
    needed = {inside(f"file://{old}", PATH.piece(1001, piece.key).folder)}
    stage.deletion.work.needed = lambda: frozenset(needed)

    async def scene() -> None:
        await stage.deletion.delete(PIECE_1)
        await stage.until(lambda: "is needed by a restore; wait" in stage.clean.jobs[0].error)
        assert _left(old, 1) == ["0-5.zst", "5-9.zst", "round_info", "single_piece_info"]
        needed.clear()
        await _done(stage)

    play(scene())

    assert stage.clean.kept[0].file_status is FileStatus.DELETED


def test_a_cancelled_deletion_can_be_begun_again(stage: Stage, old: Path) -> None:
    """What is in DELETING may be deleted."""
    piece = _piece(stage, old, 1)
    stage.clean.kept = [replace(piece, file_status=FileStatus.DELETING)]

    async def scene() -> None:
        await stage.deletion.delete(PIECE_1)
        await _done(stage)

    play(scene())

    assert stage.clean.kept[0].file_status is FileStatus.DELETED


def test_a_destination_that_fails_is_asked_again_and_the_row_says_why(
    stage: Stage, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is that does not answer: the destination, the catalog."""
    _piece(stage, old, 1)
    (old / PATH.info).rename(old / "away")
    delete = clean_work._delete
    asked: list[bool] = []

    def counted(*args: Any) -> bool:
        asked.append(True)
        return delete(*args)

    monkeypatch.setattr(clean_work, "_delete", counted)

    async def scene() -> None:
        await stage.deletion.delete(PIECE_1)
        await stage.until(
            lambda: "check that the backup disk is mounted" in stage.clean.jobs[0].error and len(asked) > 3
        )
        assert stage.clean.kept[0].file_status is FileStatus.DELETING
        (old / "away").rename(old / PATH.info)
        stage.clean.failures = 3
        await _done(stage)

    play(scene())

    assert stage.clean.kept[0].file_status is FileStatus.DELETED
    assert (stage.clean.jobs[0].status, stage.clean.jobs[0].error) == (CleanStatus.STOP, "")


def test_the_cause_is_told_when_the_catalog_answers_again(stage: Stage, old: Path) -> None:
    """And a destination that does not answer in time is one."""
    piece = _piece(stage, old, 1)
    stage.clean.kept = [replace(piece, destination="nonsense")]

    async def scene() -> None:
        await stage.deletion.delete(PIECE_1)
        stage.clean.failures = 2
        await stage.until(lambda: "file:///absolute/path" in stage.clean.jobs[0].error)
        await stage.deletion.close()

    play(scene())

    assert stage.clean.jobs[0].status is CleanStatus.DOING, "it goes on with the next start"


def test_a_silent_destination_is_a_cause(stage: Stage, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again after its patience is over."""
    _piece(stage, old, 1)
    go_on = threading.Event()
    monkeypatch.setattr(asking, "_PATIENCE", 0.05)
    delete = clean_work._delete
    asked: list[bool] = []

    def silent_at_first(*args: Any) -> bool:
        asked.append(True)
        return go_on.wait(30) if len(asked) == 1 else delete(*args)

    monkeypatch.setattr(clean_work, "_delete", silent_at_first)

    async def scene() -> None:
        await stage.deletion.delete(PIECE_1)
        await _done(stage)

    play(scene())
    go_on.set()

    assert stage.clean.kept[0].file_status is FileStatus.DELETED


def test_a_deletion_goes_on_after_a_restart(stage: Stage, old: Path, tmp_path: Path) -> None:
    """With what is in DELETING; without an unfinished job nothing is touched."""
    first, second = _piece(stage, old, 1), _piece(stage, old, 2)

    async def scene() -> None:
        await stage.deletion.load()
        assert not stage.deletion.is_running
        stage.clean.begin(CleanType.PIECE, "1", "ALTER SYSTEM DELETE BACKUPPIECE 1", [first], 5)
        await stage.deletion.load()
        await _done(stage)
        await stage.deletion.close()

    play(scene())

    assert stage.clean.kept == [replace(first, file_status=FileStatus.DELETED), second]
    assert stage.clean.jobs[0].status is CleanStatus.STOP


def test_a_deletion_that_fails_for_no_known_reason_is_reported(
    stage: Stage, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And another one can be begun."""
    _piece(stage, old, 1)

    def broken(*_: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(clean_work, "_delete", broken)

    async def scene() -> None:
        await stage.deletion.delete(PIECE_1)
        await _done(stage)
        monkeypatch.undo()
        await stage.deletion.delete(PIECE_1)
        await _done(stage)

    play(scene())

    assert stage.clean.kept[0].file_status is FileStatus.DELETED


def test_with_the_destination_cleared_all_are_old(stage: Stage, tmp_path: Path) -> None:
    """As OceanBase: only the present destination is guarded."""
    _piece(stage, tmp_path, 1)
    stage.parameters.change({BACKUP_DEST: ""})

    async def scene() -> None:
        await stage.deletion.delete(PIECE_1)
        await _done(stage)

    play(scene())

    assert stage.clean.kept[0].file_status is FileStatus.DELETED


def test_a_backup_that_cannot_be_deleted_holds_up_no_other(
    stage: Stage, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays in DELETING with the cause in the row, and goes when it can; the others are gone long before."""
    for number in (1, 2, 3):
        _piece(stage, old, number)
    names, delete = PATH.piece(1001, PieceKey(1, 1, DATE)), FileDestination.delete
    is_stuck = True

    def stuck(destination: FileDestination, name: str) -> None:
        if is_stuck and name == names.segment("0-5.zst"):
            raise DestinationError(f"{name}: an attribute forbids it")
        delete(destination, name)

    monkeypatch.setattr(FileDestination, "delete", stuck)

    async def scene() -> None:
        nonlocal is_stuck
        await stage.deletion.delete(DeleteBackup(BackupPart.ROUND, 1))
        await stage.until(lambda: stage.clean.jobs[0].error != "")
        assert [str(each.file_status) for each in stage.clean.kept] == ["DELETING", "DELETED", "DELETED"]
        assert "0-5.zst: an attribute forbids it" in stage.clean.jobs[0].error
        assert _left(old, 1) == ["0-5.zst", "deletion", "round_info", "single_piece_info"]
        is_stuck = False
        await _done(stage)

    play(scene())

    assert {each.file_status for each in stage.clean.kept} == {FileStatus.DELETED}
    assert (stage.clean.jobs[0].status, stage.clean.jobs[0].error) == (CleanStatus.STOP, "")
