"""From the words of a RESTORE to what it asks for, and OceanBase's error for what cannot be had."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.store import ArchiveError
from redoubt.control.restores import restore_planning
from redoubt.control.restores.restore_planning import RestorePlanning, UnreachableError, Wanted, error_for
from redoubt.control.restores.restore_session import RestoreSession, restore_session
from redoubt.control.session_time import checked_until, moment_text
from redoubt.model.bases import Base, SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun, NotRecoverableError, way_to
from redoubt.restore.planning import Plan, UnknownTenantError
from redoubt.sql.answers import Ok, Rows
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import parse
from redoubt.sql.restore_option import RestoreOption
from redoubt.sql.statements import RestoreTenant
from tests.control.fakes import FakeSession
from tests.control.stage import Stage

NOON = 1_795_435_200_000_000


class Clockwork(FakeSession):
    """A session whose engine answers with what it is told."""

    def __init__(self, value: str | None = str(NOON), error: int = 0) -> None:
        super().__init__()
        self.value = value
        self.error = error

    async def query(self, sql: str) -> Ok | Rows:
        """Answer."""
        self.asked.append(sql)
        if self.error:
            raise SqlError(self.error, "HY000", "Incorrect value")
        return Rows((), [(self.value,)])


def _statement(until: str = "2026-11-23 12:00:00", at: str = "", options: str = "pool_list=p") -> RestoreTenant:
    place = f"AT '{at}'" if at else ""
    statement = parse(f"ALTER SYSTEM RESTORE new FROM old {place} UNTIL '{until}' WITH '{options}'")
    assert isinstance(statement, RestoreTenant)
    return statement


def _wanted(
    planning: RestorePlanning,
    statement: RestoreTenant,
    kept: RestoreSession | None = None,
    session: Clockwork | None = None,
) -> Wanted:
    return asyncio.run(planning.wanted(statement, session or Clockwork(), kept or RestoreSession()))


def _refused(
    planning: RestorePlanning,
    statement: RestoreTenant,
    kept: RestoreSession | None = None,
    session: Clockwork | None = None,
) -> int:
    with pytest.raises(SqlError) as refused:
        _wanted(planning, statement, kept, session)
    return refused.value.code


def test_without_at_the_present_destination_and_this_cluster_are_meant(stage: Stage) -> None:
    """Unless the cluster is named; elsewhere any cluster is."""
    present = stage.parameters.backup_dest
    here = _wanted(stage.planning, _statement())
    named = _wanted(stage.planning, _statement(options="backup_cluster_name=d&backup_cluster_id=2"))
    there = _wanted(stage.planning, _statement(at="file:///there"))
    sources = RestoreSession(["file:///there/c/1/incarnation_1/1001/clog/1", "file:///there/"])
    added = _wanted(stage.planning, _statement(), sources)

    assert (here.uri, here.cluster, here.cluster_id, here.until_scn) == (present, "c", 1, NOON * 1000 + 999)
    assert (named.uri, named.cluster, named.cluster_id) == (present, "d", 2)
    assert (there.uri, there.cluster, there.cluster_id) == ("file:///there", None, None)
    assert added == there
    stage.parameters.change({"backup_dest": ""})
    assert _refused(stage.planning, _statement()) == 9026


def test_what_cannot_be_read_is_refused(stage: Stage) -> None:
    """In OceanBase's order: the sources, the time, the option."""
    several = RestoreSession(["file:///a", "file:///b"])

    assert _refused(stage.planning, _statement("noon", at="file:///there"), several) == 1235
    assert (
        _refused(stage.planning, _statement("2026-02-30", options="x"), session=Clockwork("-9223372022400000000"))
        == 1525
    )
    assert _refused(stage.planning, _statement("2026-02-30"), session=Clockwork(None)) == 1525
    assert _refused(stage.planning, _statement("2026-02-30"), session=Clockwork(error=1292)) == 1525
    assert _refused(stage.planning, _statement("2026-02-30"), session=Clockwork(error=1053)) == 1053
    assert _refused(stage.planning, _statement(options="x")) == 1210
    assert _refused(stage.planning, _statement(options="kms_encrypt=true")) == 1235
    assert _refused(stage.planning, _statement(), several) == 1235


@pytest.mark.parametrize(
    "until",
    [
        *(
            "2026-11-23 20:00:00+08:00",
            "2026-11-23 12:00:00Z",
            " 2026-11-23T12:00:00.000000z ",
            "2026-11-23 07:00:00 -0500",
        ),
        *("2026-11-23T12:00+00:00", "2026-11-23 12:00+00:00"),
    ],
)
def test_an_offset_names_the_moment(stage: Stage, until: str) -> None:
    """Without the engine, which would pass over the offset, and in whatever time zone the session is."""
    session = Clockwork()
    wanted = _wanted(stage.planning, _statement(until), session=session)

    assert wanted.until_scn == NOON * 1000 + 999
    assert not session.asked


@pytest.mark.parametrize(
    "until",
    [
        *("", "  ", "noon", "12:00:00", "2026-11-23 12:00:00 noon", "2026-11-23 12:00:00 Europe/Berlin", "x" * 5000),
        *(
            "2026-11-23 12:00:00+2:00",
            "2026-11-23 12:00:00 UTC",
            "2026-11-23 12:00:00.1234567",
            "2026-11-23 12:00:00 1",
        ),
        *("2026-11-23 12:00:00.1234567Z", "2026-13-23 12:00:00Z", "2026-11-23 12:00:00\\'", "2026-11-23 + 1"),
        *("2026-11-23 10.5", "2026-11-23 10:30.5", "2026-11-23 10:30.5+01:00", "10:30+01:00"),
    ],
)
def test_what_is_more_than_a_time_is_not_passed_over(stage: Stage, until: str) -> None:
    """The engine would pass over what it does not understand: another moment would be restored."""
    session = Clockwork()

    assert _refused(stage.planning, replace(_statement(), until=until), session=session) == 1525
    assert not session.asked


@pytest.mark.parametrize(
    "until", ["2026-11-23 12:00:00", "2026-11-23T12:00", " 2026/1/2 1:2:3.5 ", "20261123", "20261123120000.25"]
)
def test_a_time_without_an_offset_is_the_sessions(stage: Stage, until: str) -> None:
    """The engine reads it, in the session's time zone."""
    session = Clockwork()
    _wanted(stage.planning, _statement(until), session=session)

    assert session.asked == [f"SELECT time_to_usec('{until}')"]


@given(st.integers(-14 * 60, 14 * 60), st.integers(1, 10**18))
def test_a_moment_is_told_with_its_offset(minutes: int, scn: int) -> None:
    """So that UNTIL takes it back as it stands, in any session: property."""
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=scn // 1000, minutes=minutes)
    told = asyncio.run(moment_text(scn, Clockwork(f"{local:%Y-%m-%d %H:%M:%S.%f}")))
    text, _, in_utc = told[:-1].partition(" (")

    assert checked_until(text) == checked_until(in_utc) == scn // 1000


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownTenantError("no tenant"), 9011),
        (ArchiveError("damaged"), 9011),
        (UnreachableError(NotRecoverableError("why", 5000, 6001), error_for(7, [], [])), 9011),
    ],
)
def test_what_planning_finds_has_oceanbases_code(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    """With what to do."""

    def fail(*_: object) -> Plan:
        raise error

    monkeypatch.setattr(restore_planning, "_plan", fail)
    wanted = _wanted(stage.planning, _statement())
    with pytest.raises(SqlError) as refused:
        asyncio.run(stage.planning.plan(wanted, Clockwork("1970-01-01 08:00:00.000006")))

    assert refused.value.code == code
    if isinstance(error, UnreachableError):
        assert refused.value.message.endswith(
            "why; the latest restorable moment before it is 1970-01-01 08:00:00.000006+08:00 "
            "(1970-01-01T00:00:00.000005Z); the earliest after it is 1970-01-01 08:00:00.000006+08:00 "
            "(1970-01-01T00:00:00.000006Z)"
        )


def test_a_destination_that_is_none_has_its_code(stage: Stage, tmp_path: Path) -> None:
    """Or has nothing in it."""

    def code(uri: str) -> int:
        with pytest.raises(SqlError) as refused:
            asyncio.run(stage.planning.plan(Wanted("old", 1, uri, None, None, RestoreOption()), Clockwork()))
        return refused.value.code

    assert code("s3://bucket") == 9001
    assert code(f"file://{tmp_path}") == 9011
    assert code(f"file://{tmp_path}/nowhere") == 9011


def test_a_tenant_without_a_data_backup_cannot_be_restored(stage: Stage, tmp_path: Path) -> None:
    """Its log alone is not enough."""
    (tmp_path / "d" / "1" / "incarnation_1" / "1001" / "clog").mkdir(parents=True)
    wanted = Wanted("1001", 1, f"file://{tmp_path}", None, None, RestoreOption())
    with pytest.raises(SqlError, match="cannot find backup file: there is no data backup: run ALTER SYSTEM BACKUP"):
        asyncio.run(stage.planning.plan(wanted, Clockwork()))


def _run(number: int, start: int, end: int) -> LogRun:
    return LogRun(PieceKey(number, 0, 0), "s", start * 10, end * 10, start, end)


def _base(number: int, at: int) -> Base:
    return Base(SetKey(number, 20260101), "s", at * 10, at * 10 + 10, at + 1)


@pytest.mark.parametrize(
    ("scn", "bases", "runs", "code"),
    [
        (5, [], [_run(1, 0, 10)], 9011),
        (5, [_base(1, 20)], [_run(1, 0, 10)], 9064),
        (1, [_base(1, 2)], [_run(1, 0, 10)], 9011),
        (15, [_base(1, 2)], [_run(1, 0, 10), _run(2, 20, 30)], 9025),
        (25, [_base(1, 2)], [_run(1, 0, 10), _run(2, 20, 30)], 9048),
        (35, [_base(1, 2)], [_run(1, 0, 10)], 9025),
    ],
)
def test_each_reason_has_oceanbases_code(scn: int, bases: list[Base], runs: list[LogRun], code: int) -> None:
    """No base, no log behind it, before the first, in a hole, behind a hole, behind the end."""
    assert error_for(scn, bases, runs)("").code == code
    with pytest.raises(NotRecoverableError):
        way_to(scn, bases, runs)


@given(st.lists(st.text("abc/:1_."), max_size=4))
def test_any_sources_name_one_destination_or_are_refused(paths: list[str]) -> None:
    """A path in a destination stands for it."""
    kept = RestoreSession()
    for path in paths:
        kept.add(f"file:///{path}")
    if len({path.rstrip("/") for path in paths}) <= 1:
        assert (kept.destination() is None) == (not paths)
        return
    with suppress(SqlError):  # they may all lie in one, which begins like all of them
        found = kept.destination()
        assert found is not None
        assert all(uri.startswith(found) for uri in kept.sources)


def test_what_a_session_keeps_is_its_own_and_bounded() -> None:
    """And goes with it."""
    one, other = FakeSession(), FakeSession()
    restore_session(one).add("file:///a")

    assert (restore_session(one).sources, restore_session(other).sources) == (["file:///a"], [])
    for _ in range(63):
        restore_session(one).add("file:///a")
    for uri, code in (("file:///a", 1235), ("s3://a", 9001)):
        with pytest.raises(SqlError) as refused:
            restore_session(one).add(uri)
        assert refused.value.code == code
