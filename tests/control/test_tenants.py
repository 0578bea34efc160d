"""Making and dropping tenants with engines and a catalog that fail when told, and what may be a tenant's name."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from redoubt.catalog.session import CatalogError
from redoubt.catalog.tenants import TenantRecord, TenantStatus
from redoubt.control.cluster import EngineSource
from redoubt.control.rounds import archiving as archiving_module
from redoubt.control.tenants import register as register_module
from redoubt.control.tenants import tenants as tenants_module
from redoubt.control.tenants.names import Like, checked_name
from redoubt.sql.answers import Ok
from redoubt.sql.errors import SqlError
from redoubt.sql.statements import CreateTenant, DropTenant, ShowTenants
from tests.control.fakes import FakeSession
from tests.control.stage import Stage, play


class Town:
    """Tenants on a stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.table, self.engines = stage, stage.tenant_table, stage.engines
        self.background, self.register, self.tenants = stage.background, stage.register, stage.tenants

    async def start(self) -> None:
        """As the service does."""
        await self.register.load()
        await self.tenants.start()

    async def end(self) -> None:
        """As the service does."""
        await self.background.stop()
        await self.stage.archiving.close()

    def statuses(self) -> dict[str, TenantStatus]:
        """What the catalog has, sys aside."""
        return {row.name: row.status for row in self.table.rows.values() if row.tenant_id > 1}


@pytest.fixture
def town(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Town:
    """Tenants on a stage whose only tenant is main, with short pauses."""
    monkeypatch.setattr(register_module, "_WRITE_PAUSE", 0.01)
    monkeypatch.setattr(tenants_module, "_RETRY_PAUSE", 0.01)
    monkeypatch.setattr(archiving_module, "_WORKER_PATIENCE", 0.05)
    return Town(stage)


def _row(status: TenantStatus, tenant_id: int = 1001, name: str = "main") -> TenantRecord:
    made = register_module.new_record(tenant_id, name, EngineSource(), {}, TenantStatus.NORMAL)
    return replace(made, status=status)


async def _refused(work: object) -> SqlError:
    with pytest.raises(SqlError) as refused:
        await work  # type: ignore[misc]
    return refused.value


def test_the_first_start_has_sys_and_main(town: Town) -> None:
    """In the catalog as well."""

    async def scene() -> None:
        await town.start()
        rows = (await town.tenants.show(ShowTenants(), FakeSession())).rows
        await town.end()

        assert [row[:4] for row in rows] == [(1, "sys", "NORMAL", "SYS"), (1001, "main", "NORMAL", "EMBEDDED")]
        created = datetime.fromisoformat(f"{rows[1][4]}+08:00").timestamp()
        assert created == pytest.approx(town.table.rows[1001].created_at / 1e9, abs=1e-5)

    play(scene())

    assert sorted(town.table.rows) == [1, 1001]
    assert town.statuses() == {"main": TenantStatus.NORMAL}


def test_a_tenant_is_made_joined_shown_and_dropped(town: Town) -> None:
    """While a round runs; ids go up."""

    async def scene() -> None:
        await town.start()
        await town.stage.doing()
        assert await town.tenants.create(CreateTenant("New", options=(("CHARSET", "utf8mb4"),))) == Ok()
        assert town.tenants.named("NEW") in town.tenants.all
        assert 1002 in town.stage.archiving.round.tenants
        town.engines.troubles[1002] = "it ended"
        shown = (await town.tenants.show(ShowTenants("n_W"), FakeSession())).rows
        assert shown[0][:4] == (1002, "new", "UNAVAILABLE", "EMBEDDED")
        assert len(shown) == 1
        assert (await _refused(town.tenants.create(CreateTenant("new")))).code == 5156
        made = await town.tenants.create(CreateTenant("sys", if_not_exists=True))
        dropped = await town.tenants.drop(DropTenant("nobody", if_exists=True))
        assert [(done.warnings, done.notes[0].code) for done in (made, dropped)] == [(1, 5156), (1, 5157)]
        assert (await _refused(town.tenants.drop(DropTenant("nobody")))).code == 5157
        assert (await _refused(town.tenants.drop(DropTenant("sys")))).code == 4179
        await town.tenants.drop(DropTenant("new", force=True))
        assert town.tenants.named("new") is None
        await town.tenants.create(CreateTenant("new"))
        await town.end()

    play(scene())

    assert sorted(town.table.rows) == [1, 1001, 1002, 1003]
    assert dict(town.table.rows[1002].options) == {"CHARSET": "utf8mb4"}
    assert town.engines.calls == ["start new", "end_sessions new", "remove new", "start new"]


@pytest.mark.parametrize("failing", ["check", "start"])
def test_what_the_engine_refuses_leaves_nothing(town: Town, failing: str) -> None:
    """The error says why."""

    async def scene() -> None:
        await town.start()
        town.engines.refusals = [failing]
        error = await _refused(town.tenants.create(CreateTenant("new")))
        await town.end()

        assert (error.code, error.message) == (4179, f"create tenant new not allowed: no {failing}")

    play(scene())

    assert town.statuses() == {"main": TenantStatus.NORMAL}
    assert town.tenants.named("new") is None


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("failing", [1, 2, 4])
@pytest.mark.parametrize("passing", [0, 1])
def test_a_catalog_that_fails_leaves_nothing(town: Town, passing: int, failing: int, keeps: bool) -> None:  # noqa: FBT001
    """Whether it had taken the row or not, at the first or at the second writing, and for how long."""

    async def scene() -> None:
        await town.start()
        town.table.keeps, town.table.passing, town.table.failures = keeps, passing, failing
        town.background.keep("register", town.register.write)
        with pytest.raises(CatalogError):
            await town.tenants.create(CreateTenant("new"))
        await town.stage.until(lambda: not town.table.failures and "new" not in town.statuses())
        await town.tenants.create(CreateTenant("new"))
        await town.end()

    play(scene())

    assert town.statuses() == {"main": TenantStatus.NORMAL, "new": TenantStatus.NORMAL}
    assert town.engines.calls[-1] == "start new"


def test_a_drop_that_the_catalog_does_not_take_has_not_begun(town: Town) -> None:
    """Also if it had."""

    async def scene() -> None:
        await town.start()
        town.table.keeps, town.table.failures = True, 1
        with pytest.raises(CatalogError):
            await town.tenants.drop(DropTenant("main"))
        assert town.tenants.named("main") is not None
        town.background.keep("register", town.register.write)
        await town.stage.until(lambda: town.statuses() == {"main": TenantStatus.NORMAL})
        await town.end()

    play(scene())


def test_a_drop_that_was_refused_can_be_repeated(town: Town) -> None:
    """It goes on where it was; nobody can use the tenant meanwhile."""

    async def scene() -> None:
        await town.start()
        town.engines.refusals = ["remove"]
        error = await _refused(town.tenants.drop(DropTenant("main")))
        assert "add FORCE" in error.message
        assert town.tenants.named("main") is None
        assert town.statuses() == {"main": TenantStatus.DROPPING}
        await town.tenants.drop(DropTenant("main"))
        await town.end()

    play(scene())

    assert town.statuses() == {"main": TenantStatus.DROPPED}
    assert not town.stage.archiving.archives


def test_a_drop_tells_what_it_left(town: Town) -> None:
    """As a note: the tenant is gone."""

    async def scene() -> None:
        await town.start()
        town.engines.left = "run DROP USER"
        answer = await town.tenants.drop(DropTenant("main"))
        await town.end()

        assert [(note.code, note.message) for note in answer.notes] == [(1003, "run DROP USER")]
        assert not town.tenants.all

    play(scene())


def test_what_a_crash_left_is_ended_at_the_start(town: Town) -> None:
    """What was being made is removed, what was being dropped is dropped, as often as it takes."""
    town.table.rows = {
        1001: _row(TenantStatus.DROPPING),
        1002: _row(TenantStatus.CREATING, 1002, "half"),
        1003: _row(TenantStatus.DROPPED, 1003, "gone"),
    }
    town.engines.refusals = ["remove"]

    async def scene() -> None:
        await town.start()
        await town.stage.until(lambda: not town.register.entries)
        await town.tenants.create(CreateTenant("next"))
        await town.end()

    play(scene())

    assert town.statuses() == {
        "main": TenantStatus.DROPPED,
        "gone": TenantStatus.DROPPED,
        "next": TenantStatus.NORMAL,
    }
    assert town.tenants.named("next") == town.register.entries[0].tenant
    assert town.register.entries[0].record.tenant_id == 1004


def test_a_tenant_that_was_made_just_before_a_crash_joins_the_round(town: Town) -> None:
    """As soon as the catalog takes it."""

    async def scene() -> None:
        await town.stage.doing()
        town.table.rows = {number: _row(TenantStatus.NORMAL, number, f"t{number}") for number in (1001, 1002)}
        town.stage.catalog.failures = 1
        await town.start()
        assert sorted(town.stage.archiving.round.tenants) == [1001, 1002]
        await town.end()

    play(scene())


def test_a_directory_is_one_tenants_only(town: Town) -> None:
    """An application's."""

    async def scene() -> None:
        await town.start()
        await town.tenants.create(CreateTenant("app", source="/data"))
        error = await _refused(town.tenants.create(CreateTenant("other", source="/data")))
        await town.end()

        assert "/data is already archived, as tenant app" in error.message

    play(scene())


def test_troubles_are_put_on_record(town: Town) -> None:
    """Also those that end; a catalog that does not answer gets them later."""

    async def scene() -> None:
        await town.start()
        town.background.keep("register", town.register.write)
        town.table.failures, town.engines.troubles = 2, {1001: "it ended"}
        await town.stage.until(lambda: town.table.troubles == {1001: "it ended"})
        town.engines.troubles = {}
        await town.stage.until(lambda: town.table.troubles == {1001: ""})
        await town.end()

    play(scene())


@pytest.mark.parametrize(
    ("name", "code"), [("x" * 64, 1059), ("ü" * 32, 1059), ("", 5160), ("a-b", 5160), ("ALL", 5160)]
)
def test_names_that_no_tenant_may_have(name: str, code: int) -> None:
    """Too long in bytes, other characters, words of SQL."""
    with pytest.raises(SqlError) as refused:
        checked_name(name)

    assert refused.value.code == code


def test_names_are_kept_in_lower_case() -> None:
    """Digits and underscores may stand anywhere."""
    assert checked_name("1_Tenant" + "X" * 55) == "1_tenant" + "x" * 55


@pytest.mark.parametrize(
    ("text", "pattern", "is_so"),
    [
        ("main", "M%", True),
        ("main", "_ain", True),
        ("main", "ain", False),
        ("a_b", r"a\_b", True),
        ("axb", r"a\_b", False),
        ("a.b", "a.b", True),
        ("axb", "a.b", False),
        ("a\\", "a\\", True),
        ("a%b", r"a\%%", True),
        ("axb", r"a\%%", False),
        ("a" * 63, "%" * 160, True),
        ("a" * 63, "%a" * 63, True),
        ("a" * 63, "%a" * 64, False),
        ("a" * 63, "%a_" * 20 + "%b", False),
    ],
)
def test_patterns_of_like(text: str, pattern: str, is_so: bool) -> None:  # noqa: FBT001
    """As in SQL."""
    assert Like(pattern).matches(text) is is_so
