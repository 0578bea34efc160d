"""What statements do: who may, what is ours, what is the engine's."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from redoubt.control.backup_passwords import decryption_of, encryption_of
from redoubt.control.parameters.parameter_list import PARAMETERS
from redoubt.control.statements.handler import REFUSALS
from redoubt.messages.archiving import PieceStopped
from redoubt.model.rounds import RoundStatus
from redoubt.sql.answers import Column, Ok, Rows
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import parse
from redoubt.sql.statements import (
    AccountWithHost,
    ArchiveLog,
    BackupDatabase,
    BackupPart,
    CancelAllBackup,
    CancelBackup,
    CancelDeleteBackup,
    CancelValidate,
    CreateTenant,
    DeleteBackup,
    DeleteExpiredBackup,
    DeleteObsoleteBackup,
    DropTenant,
    MinorFreeze,
    MisspelledSecret,
    NoArchiveLog,
    ResumeBackup,
    SecondLogBackup,
    ShowParameters,
    ShowTenants,
    Statement,
    SuspendBackup,
    ValidateBackup,
)
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


def test_every_statement_is_answered_or_refused(stage: Stage) -> None:
    """Each has one task or one refusal; an account with a host part is refused in every tenant."""
    known = [*stage.handler.tasks, *REFUSALS, AccountWithHost, MisspelledSecret]
    assert sorted(map(str, get_args(Statement))) == sorted(map(str, known))

    async def scene() -> None:
        for session in (FakeSession(), FakeSession("main")):
            with pytest.raises(SqlError, match="leave the host part out") as refused:
                await stage.handler.handle(AccountWithHost("u", "10.0.0.%"), session)
            assert refused.value.code == 1235

    play(scene())


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
        assert all((f"'{name}' AS name" in session.asked[1]) != each.is_hidden for name, each in PARAMETERS.items())


@pytest.mark.parametrize("pattern", ["_allow_short_intervals", "%allow%", "_%"])
def test_a_hidden_parameter_is_shown_to_who_names_it(stage: Stage, pattern: str) -> None:
    """As OceanBase's; with the underscore escaped or not."""
    for written in (pattern, pattern.replace("_", "\\_").upper()):
        session = Asking()

        async def scene(written: str = written, session: FakeSession = session) -> None:
            await stage.handler.handle(ShowParameters("SHOW PARAMETERS LIKE …", written), session)

        play(scene())
        assert ("%" not in pattern) == ("'_allow_short_intervals' AS name" in session.asked[1])


class Named(FakeSession):
    """A session whose engine has one parameter before ours and one behind."""

    async def query(self, sql: str) -> Ok | Rows:
        """Two rows for the statement, one for the query of ours."""
        names = ["b", "a"] if sql.startswith("SHOW") else ["aa"]
        return Rows((Column("svr_type"), Column("name")), [("observer", name) for name in names])


def test_parameters_are_shown_in_the_order_of_their_names(stage: Stage) -> None:
    """Ours between the engine's."""

    async def scene() -> None:
        rows = await stage.handler.handle(ShowParameters("SHOW PARAMETERS"), Named())
        assert isinstance(rows, Rows)
        assert [row[1] for row in rows.rows] == ["a", "aa", "b"]

    play(scene())


def test_enable_log_archive_says_whether_a_round_archives(stage: Stage) -> None:
    """True from ARCHIVELOG to NOARCHIVELOG."""
    values: list[int] = []

    async def scene() -> None:
        for _ in range(2):
            session = Asking()
            await _run(stage, "SHOW PARAMETERS", session)
            row = next(part for part in session.asked[1].split(" UNION ALL ") if "'enable_log_archive' AS name" in part)
            values.append(row.count("'True'"))
            if len(values) == 1:
                await stage.archiving.start()
        await stage.archiving.close()

    play(scene())

    assert values == [0, 1]


REFUSED: list[tuple[Statement, int, str]] = [
    (BackupDatabase(), 9040, "log archive status : STOP."),
    (CancelBackup(), 9049, "backup status is stopped"),
    (SuspendBackup(), 1235, "Not supported feature"),
    (ResumeBackup(), 1235, "Not supported feature"),
    (DeleteExpiredBackup(), 1210, "Incorrect arguments"),
    (ValidateBackup(BackupPart.DATABASE), 1235, "Not supported feature"),
    (CancelValidate(1), 1235, "Not supported feature"),
    (SecondLogBackup(is_start=True), 1235, "Not supported feature"),
    (DeleteBackup(BackupPart.SET, 1), 1235, "delete backupset is not exist"),
    (DeleteObsoleteBackup(), 1235, "recovery window unexpected"),
    (CancelDeleteBackup(), 9053, "cancel delete backup do not allow"),
    (ArchiveLog(("nobody",)), 5157, "Unknown tenant 'nobody'"),
    (NoArchiveLog(("sys",)), 1235, "TENANT = ALL"),
    (ArchiveLog(("main", "SYS")), 1235, "TENANT = ALL"),
]


@pytest.mark.parametrize(("statement", "code", "text"), REFUSED, ids=[type(each[0]).__name__ for each in REFUSED])
def test_what_cannot_be_done_is_refused_with_oceanbases_code(
    stage: Stage, statement: Statement, code: int, text: str
) -> None:
    """In sys with that code; to who may not, and in a user tenant, with 1227."""
    visitor = Asking()
    visitor.refuses = True

    async def scene() -> None:
        with pytest.raises(SqlError, match=text) as refused:
            await stage.handler.handle(statement, FakeSession())
        assert refused.value.code == code
        for session in (visitor, FakeSession("main")):
            with pytest.raises(SqlError) as refused:
                await stage.handler.handle(statement, session)
            assert refused.value.code == 1227

    play(scene())


def test_all_tenants_by_name_are_the_cluster(stage: Stage) -> None:
    """As no clause, and as ALL."""

    async def scene() -> None:
        for tenants in ((), ("ALL",), ("MAIN",), ("main", "main")):
            assert await stage.handler.handle(ArchiveLog(tenants), FakeSession()) == Ok()
            assert await stage.handler.handle(NoArchiveLog(tenants), FakeSession()) == Ok()
            stage.archiving.worker_says(PieceStopped(1001, stage.archiving.round.round_id, ""))
        await stage.archiving.close()

    play(scene())


def test_cancel_all_ends_everything_and_clears_the_destination(stage: Stage) -> None:
    """Also when nothing runs."""

    async def scene() -> None:
        await stage.doing()
        assert await stage.handler.handle(CancelAllBackup(), FakeSession()) == Ok()
        assert stage.archiving.round.status is RoundStatus.STOP
        assert stage.parameters.backup_dest == ""
        assert await stage.handler.handle(CancelAllBackup(), FakeSession()) == Ok()
        await stage.archiving.close()

    play(scene())


def test_tenants_are_made_dropped_and_shown(stage: Stage) -> None:
    """The answer is theirs; in a user tenant 1227."""

    async def scene() -> None:
        for statement in (CreateTenant("main", if_not_exists=True), DropTenant("t", if_exists=True)):
            done = await stage.handler.handle(statement, FakeSession())
            assert isinstance(done, Ok)
            assert done.warnings == 1
            with pytest.raises(SqlError) as refused:
                await stage.handler.handle(statement, FakeSession("main"))
            assert refused.value.code == 1227
        shown = await stage.handler.handle(ShowTenants("m%"), FakeSession())
        assert isinstance(shown, Rows)
        assert [row[1] for row in shown.rows] == ["main"]

    play(scene())


def test_a_user_tenant_has_none_of_the_clusters_parameters(stage: Stage) -> None:
    """5099; what is not ours goes to the engine, as SHOW and MINOR FREEZE do."""

    async def scene() -> None:
        session = FakeSession("main")
        for name in ("backup_dest", "log_archive_dest", "_allow_short_intervals"):
            with pytest.raises(SqlError) as refused:
                await _run(stage, f"ALTER SYSTEM SET cpu_count = 1, {name} = '1'", session)
            assert refused.value.code == 5099
        for statement in (ShowParameters("SHOW PARAMETERS"), ShowTenants(), MinorFreeze()):
            assert await stage.handler.handle(statement, session) is None
        assert await _run(stage, "ALTER SYSTEM SET cpu_count = 1", session) is None

    play(scene())


def test_a_catalog_that_is_away_is_said_to_be(stage: Stage) -> None:
    """1053: try again."""

    async def scene() -> None:
        stage.clean.failures = 1
        with pytest.raises(SqlError, match="try again in a few seconds") as refused:
            await stage.handler.handle(DeleteBackup(BackupPart.PIECE, 1), FakeSession())
        assert refused.value.code == 1053

    play(scene())


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


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SET ENCRYPTION ON IDENTIFIED BY 'secret'", 1235),
        ("SET ENCRYPTION ON IDENTIFIED BY '' ONLY", 1210),
        ("SET ENCRYPTION ON IDENTIFIED BY 'secret\\n' ONLY", 1210),
        ("SET DECRYPTION IDENTIFIED BY 'secret', ''", 1210),
        ("SET DECRYPTION IDENTIFIED BY 'secret'" + ", 'secret'" * 16, 1210),
        ("SET ENCRYPTION ON IDENTIFIED BY 'secret' ALSO", 1064),
    ],
)
def test_passwords_that_are_refused(stage: Stage, sql: str, code: int) -> None:
    """Each says what to write, and none what was written; nothing is kept."""
    session = Asking()

    async def run() -> None:
        await _run(stage, sql, session)

    with pytest.raises(SqlError) as caught:
        play(run())

    assert caught.value.code == code
    assert "secret" not in caught.value.message
    assert "secret" not in str([*session.asked, session.kept])


def test_passwords_are_the_sessions(stage: Stage) -> None:
    """Those of a session are not another's; OFF forgets."""
    one, other = Asking(), Asking()

    async def run(*statements: str) -> None:
        for sql in statements:
            await _run(stage, sql, one)

    play(run("SET ENCRYPTION ON IDENTIFIED BY 'secret' ONLY", "SET DECRYPTION IDENTIFIED BY 'a', 'b'"))
    assert (encryption_of(one), decryption_of(one)) == ("secret", ("a", "b"))
    assert (encryption_of(other), decryption_of(other)) == ("", ())
    assert "secret" not in str(one.asked)
    play(run("SET ENCRYPTION OFF"))
    assert encryption_of(one) == ""
