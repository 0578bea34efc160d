"""Holds on data backups, and what the deletion of obsolete ones would delete."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from redoubt.catalog.tables import MAX_SCN
from redoubt.control.parameters.parameter_list import KEEP_INTERVAL, KEEP_WINDOW, RECOVERY_WINDOW
from redoubt.model.pieces import PieceKey
from redoubt.model.retention import BackupPiece, BackupSet, FileStatus
from redoubt.sql.answers import Answer, Rows
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import parse
from tests.control.fakes import FakeSession
from tests.control.stage import Stage, play

DAY = 86400 * 10**9
DATE = 20260921


def backup_set(number: int, scn: int, uri: str) -> BackupSet:
    """A full set of one tenant."""
    return BackupSet(
        *(number, True, "SUCCESS", FileStatus.AVAILABLE),
        snapshot_scn=scn,
        start_replay_scn=scn - 5,
        destination=uri,
        create_date=DATE,
        tenants=(1001,),
    )


async def run(stage: Stage, statement: str) -> Answer | None:
    """Run a statement of the sys tenant."""
    parsed = parse(statement)
    assert parsed is not None
    return await stage.handler.handle(parsed, FakeSession())


def test_a_set_is_kept_until_a_time_or_for_ever(stage: Stage, tmp_path: Path) -> None:
    """A time with an offset is that moment; NOKEEP ends it."""
    stage.clean.put(backup_set(7, 100, f"file://{tmp_path}"))

    async def scene() -> None:
        await run(stage, "ALTER SYSTEM CHANGE BACKUPSET 7 KEEP")
        assert stage.set_table.kept == {7: MAX_SCN}
        await run(stage, "ALTER SYSTEM CHANGE BACKUPSET 7 KEEP UNTIL '2100-01-01 08:00:00+08:00'")
        assert stage.set_table.kept == {7: 4_102_444_800 * 10**9}
        await run(stage, "ALTER SYSTEM CHANGE BACKUPSET 7 NOKEEP")
        assert stage.set_table.kept == {7: 0}

    play(scene())


@pytest.mark.parametrize(
    ("rest", "code", "text"),
    [
        ("7 KEEP UNTIL '2020-01-01 00:00:00+00:00'", 1210, "the time is over"),
        ("7 KEEP UNTIL 'tomorrow'", 1525, "Incorrect TIMESTAMP value: 'tomorrow'"),
        ("8 KEEP", 1235, "only sets with STATUS SUCCESS"),
        ("9 KEEP", 1235, "set 9"),
        ("9 NOKEEP", 1235, "set 9"),
    ],
)
def test_what_cannot_be_kept(stage: Stage, tmp_path: Path, rest: str, code: int, text: str) -> None:
    """A time that is over or none, a set that failed or is not there."""
    stage.clean.put(backup_set(7, 100, f"file://{tmp_path}"))
    stage.clean.put(replace(backup_set(8, 100, f"file://{tmp_path}"), status="FAILED"))

    async def scene() -> None:
        with pytest.raises(SqlError, match=text) as refused:
            await run(stage, f"ALTER SYSTEM CHANGE BACKUPSET {rest}")
        assert refused.value.code == code

    play(scene())

    assert stage.set_table.kept == {}


def test_what_would_be_deleted_is_listed_and_stays(stage: Stage, tmp_path: Path) -> None:
    """Each tenant's folder; without restore points and what they need."""
    uri, now = f"file://{tmp_path}", time.time_ns()
    for number, age in ((1, 40), (2, 20), (3, 19), (4, 10)):
        stage.clean.put(backup_set(number, now - age * DAY, uri))
    first = stage.clean.backup_sets[0]
    stage.clean.put(replace(first, keep_until=MAX_SCN))
    for number, age in ((1, 50), (2, 40), (3, 30), (4, 1)):
        key = PieceKey(1, number, DATE)
        stage.clean.put(
            BackupPiece(key, "FROZEN", FileStatus.AVAILABLE, now - age * DAY + 9, uri, (1001,), 0, now - age * DAY - 9)
        )
    before = list(stage.clean.kept), list(stage.clean.backup_sets)
    home = f"{uri}/c/1/incarnation_1/1001"

    async def scene() -> None:
        with pytest.raises(SqlError, match="recovery window unexpected"):
            await run(stage, "ALTER SYSTEM DELETE OBSOLETE BACKUP PREVIEW")
        stage.parameters.change({RECOVERY_WINDOW: "5d", KEEP_INTERVAL: "1000d"})
        shown = await run(stage, "ALTER SYSTEM DELETE OBSOLETE BACKUP PREVIEW")
        assert isinstance(shown, Rows)
        assert shown.rows == [
            *(("BACKUP_SET", n, 0, f"{home}/data/backup_set_{n}_full_{DATE}", "AVAILABLE") for n in (2, 3)),
            *(("BACKUP_PIECE", n, 0, f"{home}/clog/1_{n}_{DATE}", "AVAILABLE") for n in (1, 3)),
        ]
        stage.parameters.change({KEEP_INTERVAL: "100s", KEEP_WINDOW: "19d12h"})
        assert (stage.clean.kept, stage.clean.backup_sets) == before

    play(scene())
