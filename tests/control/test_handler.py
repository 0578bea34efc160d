"""What statements do: who may, what is ours, what is the engine's."""

from __future__ import annotations

from pathlib import Path

import pytest

from redoubt.control.parameter_list import PARAMETERS
from redoubt.model.rounds import RoundStatus
from redoubt.sql.answers import Column, Ok, Rows
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import parse
from tests.control.fakes import FakeSession
from tests.control.stage import Stage, play


class Asking(FakeSession):
    """A session whose engine answers a query with rows, and refuses where it is told to."""

    refuses = False

    async def query(self, sql: str) -> Ok | Rows:
        """Remember and answer."""
        if self.refuses:
            raise SqlError(1227, "42501", "Access denied")
        await super().query(sql) if "SELECT" not in sql else self.asked.append(sql)
        return Rows((Column("name"), Column("value")), [("from", sql[:4])])


async def _run(stage: Stage, sql: str, session: FakeSession | None = None) -> object:
    statement = parse(sql)
    assert statement is not None
    return await stage.handler.handle(statement, session or FakeSession())


def test_archiving_is_started_and_stopped(stage: Stage) -> None:
    """By who may."""

    async def scene() -> None:
        assert await _run(stage, "ALTER SYSTEM ARCHIVELOG") == Ok()
        assert stage.archiving.round.is_archiving
        assert await _run(stage, "ALTER SYSTEM NOARCHIVELOG") == Ok()
        await stage.archiving.close()

    play(scene())

    assert stage.archiving.round.status is RoundStatus.STOPPING


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER SYSTEM ARCHIVELOG",
        "ALTER SYSTEM NOARCHIVELOG",
        "ALTER SYSTEM MINOR FREEZE",
        "ALTER SYSTEM SET log_archive_auto_restart = 1",
    ],
)
def test_who_may_not_is_refused_by_the_engine(stage: Stage, sql: str) -> None:
    """And nothing is done."""
    session = Asking()
    session.refuses = True
    before = dict(stage.catalog.values)

    async def scene() -> None:
        with pytest.raises(SqlError, match="Access denied"):
            await _run(stage, sql, session)

    play(scene())

    assert (stage.archiving.round.status, stage.catalog.values) == (RoundStatus.STOP, before)


def test_parameters_are_shown_with_the_engines(stage: Stage) -> None:
    """The same condition holds for both; the engine judges it."""
    for condition, expected in (
        ("", ") p"),
        (" LIKE 'it''s%'", "WHERE name LIKE 'it''s%'"),
        (" WHERE name = 'a'", "WHERE name = 'a'"),
    ):
        session = Asking()

        async def scene(condition: str = condition, session: FakeSession = session) -> None:
            rows = await _run(stage, f"SHOW PARAMETERS{condition}", session)
            assert isinstance(rows, Rows)
            assert rows.rows == [("from", "SHOW"), ("from", "SELE")]

        play(scene())
        assert session.asked[1].endswith(expected)
        assert all(f"'{name}' AS name" in session.asked[1] for name in PARAMETERS)


def test_a_set_is_ours_the_engines_or_both(stage: Stage, tmp_path: Path) -> None:
    """The engine gets its part; with nothing of ours, the whole statement."""
    session = FakeSession()
    (tmp_path / "new").mkdir()

    async def scene() -> None:
        assert await _run(stage, "ALTER SYSTEM SET a = 1", session) is None
        assert session.asked == []
        sql = f"ALTER SYSTEM SET a = 1, backup_dest = 'file://{tmp_path}/new', b = 'x'"
        assert await _run(stage, sql, session) == Ok()
        assert session.asked[1:] == ["ALTER SYSTEM SET a = 1, b = 'x'"]
        with pytest.raises(SqlError, match="System config unknown"):
            await _run(stage, "ALTER SYSTEM SET backup_dest = '' TENANT = 'main'", session)
        await _run(stage, "ALTER SYSTEM SET backup_dest = ''", session)

    play(scene())

    assert stage.parameters.backup_dest == ""


def test_the_destination_stays_while_a_round_runs(stage: Stage) -> None:
    """Error 9036."""

    async def scene() -> None:
        await stage.doing()
        with pytest.raises(SqlError, match="Backup is in progress"):
            await _run(stage, "ALTER SYSTEM SET backup_dest = ''")
        await stage.archiving.close()

    play(scene())


def test_a_minor_freeze_is_for_the_tenants_named(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """All user tenants without a name; sys is the session's own engine."""
    freezes: list[str] = []
    monkeypatch.setattr(stage.engine, "minor_freeze", lambda: freezes.append("main"))
    session = FakeSession()

    async def scene() -> None:
        for tenants in ("", " TENANT = ALL", " TENANT = (MAIN)", " TENANT = (sys)"):
            assert await _run(stage, f"ALTER SYSTEM MINOR FREEZE{tenants}", session) == Ok()
        with pytest.raises(SqlError, match="Unknown tenant 'nobody'"):
            await _run(stage, "ALTER SYSTEM MINOR FREEZE TENANT = (main, nobody)", session)

    play(scene())

    assert freezes == ["main"] * 3
    assert session.asked.count("ALTER SYSTEM MINOR FREEZE") == 1
