"""Second backups: what begins, continues and ends one, and what becomes of copies that cannot be made."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from redoubt.archive.layout import ClusterInfo, ClusterPath
from redoubt.archive.record import dump_record
from redoubt.catalog.second_backups import CopyKind, CopyStatus
from redoubt.catalog.session import CatalogError
from redoubt.control import destination_questions
from redoubt.control.backups import copy_work, second_backups
from redoubt.control.parameters.parameter_list import BACKUP_BACKUP_DEST, BACKUP_DEST, NET_LIMIT
from redoubt.destinations.file import FileDestination
from redoubt.destinations.uri import is_same_place
from redoubt.messages.jobs import BaseTaken, Failed, FolderCopied
from redoubt.model.pieces import PieceKey
from redoubt.model.retention import BackupPiece, BackupSet, FileStatus
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import parse
from tests.control.fakes import FakeSession
from tests.control.stage import Stage, play

PATH = ClusterPath("c", 1)
DATE = 20260921
DONE = FolderCopied(3, 10, 3)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is tried again soon."""
    monkeypatch.setattr(copy_work, "_PAUSE", 0.01)
    monkeypatch.setattr(copy_work, "_TELL_EVERY", 0.01)


@pytest.fixture
def second(stage: Stage, tmp_path: Path) -> Path:
    """The second destination, set; there are three pieces of two tenants, one being written, and a data backup."""
    folder = tmp_path.parent / f"{tmp_path.name}-second"
    folder.mkdir()
    stage.parameters.change({BACKUP_BACKUP_DEST: f"file://{folder}"})
    for number, status in ((1, "FROZEN"), (2, "FROZEN"), (3, "ACTIVE")):
        key = PieceKey(1, number, DATE)
        stage.clean.put(BackupPiece(key, status, FileStatus.AVAILABLE, 9, f"file://{tmp_path}", (1001, 1002)))
    stage.clean.put(
        BackupSet(
            7,
            is_full=True,
            status="SUCCESS",
            file_status=FileStatus.AVAILABLE,
            snapshot_scn=9,
            start_replay_scn=5,
            destination=f"file://{tmp_path}",
            create_date=DATE,
            tenants=(1001,),
        )
    )
    return folder


def folder_of(number: int, tenant_id: int = 1001) -> str:
    """A piece's folder."""
    return PATH.piece(tenant_id, PieceKey(1, number, DATE)).folder


async def run(stage: Stage, statement: str) -> None:
    """Run a statement of the sys tenant."""
    parsed = parse(statement)
    assert parsed is not None
    await stage.handler.handle(parsed, FakeSession())


async def code(stage: Stage, statement: str, text: str = ".") -> int:
    """The error's number."""
    with pytest.raises(SqlError, match=text) as refused:
        await run(stage, statement)
    return refused.value.code


async def over(stage: Stage) -> None:
    """Wait for the job's end."""
    await stage.until(lambda: not stage.second.is_running)


def states(stage: Stage) -> list[tuple[int, int, str]]:
    """Number, COPY_ID and FILE_STATUS of each copy of a piece."""
    return [(each.key.piece, each.copy_id, str(each.file_status)) for each in stage.clean.piece_copies()]


def test_all_complete_pieces_are_copied(stage: Stage, second: Path, tmp_path: Path) -> None:
    """COPYING when the statement returns, each tenant's folder in turn, then AVAILABLE; the place is claimed before."""
    for number in (1, 2):
        for tenant_id in (1001, 1002):
            stage.copy_jobs.outcomes[folder_of(number, tenant_id)] = [DONE]

    async def scene() -> None:
        stage.parameters.change({NET_LIMIT: "1M"})
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        assert states(stage) == [(1, 1, "COPYING"), (2, 1, "COPYING")]
        await over(stage)

    play(scene())

    assert states(stage) == [(1, 1, "AVAILABLE"), (2, 1, "AVAILABLE")]
    asked = stage.copy_jobs.asked
    assert [each.folder for each in asked] == [folder_of(n, t) for n in (1, 2) for t in (1001, 1002)]
    assert (asked[0].source, asked[0].target) == (f"file://{tmp_path}", f"file://{second}")
    assert (asked[0].identity, asked[0].net_limit) == ("identity", 1024**2)
    assert FileDestination(second).get(PATH.info, 0, 9999) == dump_record(ClusterInfo("c", 1, "identity"), indent=2)
    job = stage.copy_table.jobs[0]
    assert (job.kind, job.number, job.status, job.result, job.comment) == (
        *(CopyKind.PIECE, 0, CopyStatus.FINISH),
        *(0, ""),
    )
    assert stage.copy_table.told[-1] == (f"1_2_{DATE}", 20, 20)


def test_a_data_backup_is_copied_by_its_number(stage: Stage, second: Path) -> None:
    """And not again."""
    stage.copy_jobs.outcomes[f"{PATH}/1001/data/backup_set_7_full_{DATE}"] = [DONE]

    async def scene() -> None:
        assert await code(stage, "ALTER SYSTEM BACKUP BACKUPSET 6", "there is no backup with the number 6") == 1235
        await run(stage, "ALTER SYSTEM BACKUP BACKUPSET 7")
        await over(stage)
        assert await code(stage, "ALTER SYSTEM BACKUP BACKUPSET 7", "there already, as COPY_ID 1") == 1235

    play(scene())

    assert [(each.copy_id, each.file_status) for each in stage.clean.set_copies()] == [(1, FileStatus.AVAILABLE)]


def test_what_cannot_be_copied_is_incomplete_and_the_rest_goes_on(stage: Stage, second: Path) -> None:
    """The job and the task say why; the next job tries it again."""
    stage.copy_jobs.outcomes |= {folder_of(n, t): [DONE] for n in (1, 2) for t in (1001, 1002)}
    stage.copy_jobs.outcomes[folder_of(1, 1001)] = [Failed("an object is damaged", is_final=True), DONE]

    async def scene() -> None:
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await over(stage)
        assert states(stage) == [(1, 1, "INCOMPLETE"), (2, 1, "AVAILABLE")]
        job = stage.copy_table.jobs[0]
        assert (job.status, job.result, job.comment) == (
            *(CopyStatus.FINISH, -4000),
            "an object is damaged",
        )
        assert stage.copy_table.ends[0] == (1, f"1_1_{DATE}", -4000, "an object is damaged")
        assert folder_of(1, 1002) in {each.folder for each in stage.copy_jobs.asked}, "other tenants' parts go on"
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await over(stage)

    play(scene())

    assert states(stage) == [(1, 1, "AVAILABLE"), (2, 1, "AVAILABLE")]
    assert stage.copy_table.jobs[1].result == 0


def test_a_source_that_does_not_answer_holds_up_no_other(stage: Stage, second: Path) -> None:
    """Nor does what nobody expects. A failure is in the job's row at the end, also when a later service ends it."""
    down = Failed("a former disk is gone")
    stage.copy_jobs.outcomes[folder_of(1)] = [down, RuntimeError("can't start new thread"), down]
    stage.copy_jobs.outcomes[folder_of(1, 1002)] = [Failed("an object is damaged", is_final=True)]
    stage.copy_jobs.outcomes |= {folder_of(2, tenant_id): [DONE] for tenant_id in (1001, 1002)}

    async def scene() -> None:
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await stage.until(lambda: states(stage)[1][2] == "AVAILABLE")
        await stage.until(lambda: stage.copy_table.jobs[0].comment == "a former disk is gone")
        assert states(stage)[0][2] == "COPYING"
        await stage.second.close()
        stage.copy_jobs.outcomes[folder_of(1)] = [DONE]
        await stage.second.load()
        await over(stage)

    play(scene())

    assert states(stage)[0][2] == "INCOMPLETE"
    job = stage.copy_table.jobs[0]
    assert (job.status, job.result, job.comment) == (CopyStatus.FINISH, -4000, "an object is damaged")
    asked = [each.folder for each in stage.copy_jobs.asked]
    assert asked.count(folder_of(2)) == 1, "what is copied is not copied again at the next attempt"


def test_a_catalog_that_is_away_and_what_nobody_expects(stage: Stage, second: Path) -> None:
    """Neither ends a job; all is on record when the catalog answers again."""
    stage.copy_jobs.outcomes |= {
        folder_of(1): [RuntimeError("can't start new thread"), DONE],
        folder_of(1, 1002): [DONE],
    }

    async def scene() -> None:
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE 1")
        await stage.until(lambda: "can't start new thread" in stage.copy_table.jobs[0].comment)
        stage.copy_table.failures = 6
        await over(stage)

    play(scene())

    job = stage.copy_table.jobs[0]
    assert (states(stage), job.status, job.comment) == ([(1, 1, "AVAILABLE")], CopyStatus.FINISH, "")


def test_a_cancellation_that_fails_can_be_repeated(stage: Stage, second: Path) -> None:
    """The catalog was away: the job is not running any more, and is not forgotten either."""

    async def scene() -> None:
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await stage.until(lambda: bool(stage.copy_jobs.asked))
        ended = stage.copy_table.ended

        def fail(*_: object) -> None:
            stage.copy_table.ended = ended  # type: ignore[method-assign]
            raise CatalogError("the catalog in the sys engine is unavailable")

        stage.copy_table.ended = fail  # type: ignore[method-assign, assignment]
        assert await code(stage, "ALTER SYSTEM CANCEL BACKUP BACKUPPIECE") == 1053
        assert await code(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL", "CANCEL BACKUP BACKUPPIECE") == 9036
        await run(stage, "ALTER SYSTEM CANCEL BACKUP BACKUPPIECE")
        assert await code(stage, "ALTER SYSTEM CANCEL BACKUP BACKUPPIECE") == 9049

    play(scene())

    assert {status for _, _, status in states(stage)} == {"INCOMPLETE"}


def test_a_dead_disk_of_an_original_holds_up_no_statement(
    stage: Stage, second: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is the same place cannot be known; it is taken for another one, after a while."""
    monkeypatch.setattr(destination_questions, "_PATIENCE", 0.05)
    dead, is_over = f"file://{tmp_path}/dead", threading.Event()
    key = PieceKey(1, 9, DATE)
    stage.clean.put(BackupPiece(key, "FROZEN", FileStatus.AVAILABLE, 9, dead, (1001,)))
    stage.copy_jobs.outcomes |= {folder_of(n, t): [DONE] for n in (1, 2) for t in (1001, 1002)}
    stage.copy_jobs.outcomes[folder_of(9)] = [DONE]

    def hangs(one: str, other: str) -> bool:
        if dead in {one, other}:
            is_over.wait()
        return is_same_place(one, other)

    monkeypatch.setattr(second_backups, "is_same_place", hangs)

    async def scene() -> None:
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await over(stage)
        assert states(stage) == [(1, 1, "AVAILABLE"), (2, 1, "AVAILABLE")], "all of the present destination"
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE 9")
        await over(stage)
        is_over.set()

    play(scene())

    assert states(stage)[-1] == (9, 1, "AVAILABLE")


def test_a_destination_that_does_not_answer_is_waited_for(stage: Stage, second: Path) -> None:
    """The job's row says why; when it goes on, the cause is gone. The catalog may be away, too."""
    down = Failed("the network is down")
    stage.copy_jobs.outcomes[folder_of(1)] = [down, down, BaseTaken(0, 0, 0, 0, 0, 0, "", 0, 0), DONE]
    stage.copy_jobs.outcomes |= {folder_of(1, 1002): [DONE], folder_of(2): [down], folder_of(2, 1002): [DONE]}

    async def scene() -> None:
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE 1")
        await over(stage)
        assert (states(stage)[0], stage.copy_table.jobs[0].comment) == ((1, 1, "AVAILABLE"), "")
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await stage.until(lambda: stage.copy_table.jobs[1].comment == "the network is down")
        stage.copy_table.failures = 3
        stage.copy_jobs.outcomes[folder_of(2)] = [DONE]
        await over(stage)

    play(scene())

    assert (stage.copy_table.jobs[1].status, stage.copy_table.jobs[1].comment) == (CopyStatus.FINISH, "")


def test_a_job_is_cancelled_and_can_be_repeated(stage: Stage, second: Path) -> None:
    """Its process is killed; what it had not finished is INCOMPLETE."""
    stage.copy_jobs.outcomes |= {folder_of(1): [DONE], folder_of(1, 1002): [DONE]}

    async def scene() -> None:
        assert await code(stage, "ALTER SYSTEM CANCEL BACKUP BACKUPPIECE") == 9049
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await stage.until(lambda: states(stage)[0][2] == "AVAILABLE")
        assert await code(stage, "ALTER SYSTEM CANCEL BACKUP BACKUPSET", "no second backup of a BACKUPSET") == 9049
        assert await code(stage, "ALTER SYSTEM BACKUP BACKUPSET ALL", "CANCEL BACKUP BACKUPPIECE") == 9036
        assert await code(stage, f"ALTER SYSTEM SET {BACKUP_BACKUP_DEST} = ''") == 9036
        await run(stage, "ALTER SYSTEM CANCEL BACKUP BACKUPPIECE")
        assert states(stage) == [(1, 1, "AVAILABLE"), (2, 1, "INCOMPLETE")]
        stage.copy_jobs.outcomes |= {folder_of(2): [DONE], folder_of(2, 1002): [DONE]}
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await over(stage)

    play(scene())

    assert stage.copy_jobs.killed == 1
    assert [(job.status, job.result) for job in stage.copy_table.jobs] == [("CANCEL", -4072), ("FINISH", 0)]
    assert states(stage)[1] == (2, 1, "AVAILABLE")


def test_cancel_all_ends_a_job_and_clears_both_destinations(stage: Stage, second: Path) -> None:
    """As OceanBase does."""

    async def scene() -> None:
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await run(stage, "ALTER SYSTEM CANCEL ALL BACKUP FORCE")

    play(scene())

    assert (stage.parameters.value(BACKUP_DEST), stage.parameters.value(BACKUP_BACKUP_DEST)) == ("", "")
    assert {status for _, _, status in states(stage)} == {"INCOMPLETE"}


def test_a_service_continues_the_job_of_the_one_before(stage: Stage, second: Path) -> None:
    """What is COPYING, in the destination that the statement named."""

    async def scene() -> None:
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await stage.until(lambda: bool(stage.copy_jobs.asked))
        await stage.second.close()
        assert {status for _, _, status in states(stage)} == {"COPYING"}
        stage.copy_jobs.outcomes |= {folder_of(n, t): [DONE] for n in (1, 2) for t in (1001, 1002)}
        stage.parameters.change({BACKUP_BACKUP_DEST: ""})
        await stage.second.load()
        await over(stage)
        await stage.second.load()
        assert not stage.second.is_running

    play(scene())

    assert states(stage) == [(1, 1, "AVAILABLE"), (2, 1, "AVAILABLE")]
    assert {each.target for each in stage.copy_jobs.asked} == {f"file://{second}"}


@pytest.mark.parametrize(
    ("rest", "number", "text"),
    [
        ("BACKUPPIECE ALL WITH ACTIVE", 1235, "cluster level backup backup active piece"),
        ("BACKUPPIECE ALL TENANT = main", 1235, "all tenants are copied"),
        ("BACKUPSET ALL NOT BACKED UP 2 TIMES", 1235, "name a destination with BACKUP_BACKUP_DEST"),
        ("BACKUPSET 7 BACKUP_BACKUP_DEST = 'nonsense'", 9026, "write the destination as"),
        ("BACKUPPIECE 3", 1235, "piece 3 is not complete: its STATUS is ACTIVE"),
    ],
)
def test_what_cannot_begin_is_refused(stage: Stage, second: Path, rest: str, number: int, text: str) -> None:
    """And nothing is recorded."""

    async def scene() -> None:
        assert await code(stage, f"ALTER SYSTEM BACKUP {rest}", text) == number
        stage.parameters.change({BACKUP_BACKUP_DEST: ""})
        assert await code(stage, "ALTER SYSTEM BACKUP BACKUPSET ALL", "backup_backup_dest is empty") == 9026

    play(scene())

    assert stage.copy_table.jobs == []
    assert not (second / str(PATH)).exists()


def test_a_named_destination_is_checked_and_has_its_own_numbers(stage: Stage, second: Path, tmp_path: Path) -> None:
    """Not the first one, by whatever name; not within an engine; not another cluster's."""
    link = second / "link"
    link.symlink_to(tmp_path)
    stage.copy_jobs.outcomes |= {folder_of(1): [DONE], folder_of(1, 1002): [DONE]}
    others = second / "others"
    others.mkdir()
    (second / "third").mkdir()
    FileDestination(others).put_if_absent(PATH.info, dump_record(ClusterInfo("c", 1, "another"), indent=2))

    async def scene() -> None:
        for place, text in (
            (tmp_path, "is the backup_dest"),
            (link, "is the backup_dest"),
            (stage.home, "is inside the home of this service"),
            (others, "the archive of another cluster"),
        ):
            statement = f"ALTER SYSTEM BACKUP BACKUPPIECE 1 BACKUP_BACKUP_DEST = 'file://{place}'"
            assert await code(stage, statement, text) == 9026
        await run(stage, f"ALTER SYSTEM BACKUP BACKUPPIECE 1 BACKUP_BACKUP_DEST = 'file://{second}/third'")
        await over(stage)

    play(scene())

    assert states(stage) == [(1, 10_001, "AVAILABLE")]


def test_a_destination_with_copies_that_is_empty_now_is_not_claimed_again(stage: Stage, second: Path) -> None:
    """Its disk is not mounted: nothing is written into the mount point."""
    stage.catalog.history.append(replace(stage.archiving.round, destination=f"file://{second}"))

    async def scene() -> None:
        assert await code(stage, "ALTER SYSTEM BACKUP BACKUPPIECE 1", "nothing of that is there now") == 9026

    play(scene())

    assert not (second / str(PATH)).exists()


def test_the_two_destinations_are_two(stage: Stage, second: Path, tmp_path: Path) -> None:
    """Neither may become the other; the second needs the first."""

    async def scene() -> None:
        set_second = f"ALTER SYSTEM SET {BACKUP_BACKUP_DEST} ="
        assert await code(stage, f"{set_second} 'file://{tmp_path}/'", "is the backup_dest") == 9026
        assert await code(stage, f"{set_second} 'file://{second}?x=1'") == 1235
        assert (
            await code(stage, f"ALTER SYSTEM SET {BACKUP_DEST} = 'file://{second}'", "is the backup_backup_dest")
            == 9026
        )
        (second / "new").mkdir()
        await run(stage, f"{set_second} 'file://{second}/new'")
        await run(stage, f"ALTER SYSTEM SET {BACKUP_DEST} = '', {BACKUP_BACKUP_DEST} = ''")
        assert await code(stage, f"{set_second} 'file://{second}'", "set backup_dest first") == 1235

    play(scene())


def test_a_copy_is_deleted_by_its_number(stage: Stage, second: Path) -> None:
    """Where it is; the original stays."""
    stage.copy_jobs.outcomes |= {folder_of(n, t): [DONE] for n in (1, 2) for t in (1001, 1002)}
    there = FileDestination(second)

    async def scene() -> None:
        await run(stage, "ALTER SYSTEM BACKUP BACKUPPIECE ALL")
        await over(stage)
        name = PATH.piece(1001, PieceKey(1, 1, DATE))
        for each in (name.info, name.manifest, name.segment("0-5.zst")):
            there.put_if_absent(each, b"...")
        assert await code(stage, "ALTER SYSTEM DELETE BACKUPPIECE 1 COPY 2", "copy id: 2") == 1235
        await run(stage, "ALTER SYSTEM DELETE BACKUPPIECE 1 COPY 1")
        await stage.until(lambda: not stage.deletion.is_running)
        assert [each.name.rpartition("/")[2] for each in there.list(name.folder)] == [
            *("deletion", "round_info", "single_piece_info")
        ]
        assert await code(stage, "ALTER SYSTEM DELETE BACKUPPIECE 1 COPY 1", "already deleted") == 1235
        await run(stage, "ALTER SYSTEM DELETE BACKUPROUND 1 COPY 1")
        await stage.until(lambda: not stage.deletion.is_running)

    play(scene())

    assert states(stage) == [(1, 1, "DELETED"), (2, 1, "DELETED")]
    assert {each.file_status for each in stage.clean.pieces()} == {FileStatus.AVAILABLE}
