"""The journal and its views, on a real sys engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pymysql
import pytest

from redoubt.catalog import journal as module
from redoubt.catalog import tables
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.journal import ArchiveEvent, Journal, TenantState
from redoubt.catalog.session import CatalogError, CatalogSession
from redoubt.engines.seekdb.account import connect
from redoubt.model.holes import Hole
from redoubt.model.rounds import Round, RoundStatus, TenantRound
from tests.seekdb.running import Seekdb, until

SECOND = 10**9
AT = 1_790_000_000 * SECOND + 123_456_789  # 2026-09-21 14:13:20 UTC and a bit
STATE = TenantState(
    tenant_id=1001,
    tenant_name="main",
    log_archive_round=3,
    status="DOING",
    mode="MANDATORY",
    sync_commit="SYNC",
    gate="OPEN",
    health="FINE",
    since=AT,
    cause="",
    backlog_bytes=0,
    spool_limit=2**32,
    waiting_since=0,
    checkpoint_scn=AT + SECOND,
    lag_target_us=120_500_000,
    compression="zstd_1.3.8",
    status_since=AT + 2 * SECOND,
    status_cause="a round was started",
)
EVENT = ArchiveEvent(AT, 1001, 3, "HEALTH", "FINE", "BEHIND", "no room")
HOLE = Hole(1001, 3, 10, AT, "too much log", opened_at=AT + SECOND)


def _view(seekdb: Seekdb, name: str, zone: str = "+00:00") -> list[dict[str, Any]]:
    """A view's rows as a client in a time zone gets them."""
    with connect(seekdb.base) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute("SET time_zone = %s", (zone,))
        cursor.execute(f"SELECT * FROM oceanbase.CDB_REDOUBT_ARCHIVELOG_{name}")
        return list(cursor.fetchall())


def _now(seekdb: Seekdb) -> int:
    with connect(seekdb.base) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT time_to_usec(now(6))")
        row = cursor.fetchone()
        assert row is not None
        return int(row[0]) * 1000


def _time(microseconds: int, hour: int = 14) -> datetime:
    return datetime(2026, 9, 21, hour, 13, 20, microseconds)  # noqa: DTZ001 - a client gets times without a zone


def test_the_state_of_a_tenant(sys_engine: Seekdb, journal: Journal) -> None:
    """One row a tenant, the last one written; times are those of the client's time zone."""
    journal.write([replace(STATE, health="BEHIND")], [], [])
    journal.write([STATE, replace(STATE, tenant_id=1002, since=0, checkpoint_scn=0)], [], [])

    main, other = sorted(_view(sys_engine, "STATUS"), key=lambda row: row["TENANT_ID"])
    assert main == {
        "TENANT_ID": 1001,
        "TENANT_NAME": "main",
        "LOG_ARCHIVE_ROUND": 3,
        "STATUS": "DOING",
        "STATUS_SINCE": _time(123456).replace(second=22),
        "STATUS_CAUSE": "a round was started",
        "MODE": "MANDATORY",
        "COMPRESSION": "zstd_1.3.8",
        "SYNC_COMMIT": "SYNC",
        "GATE": "OPEN",
        "HEALTH": "FINE",
        "SINCE": _time(123456),
        "CAUSE": "",
        "BACKLOG_BYTES": 0,
        "SPOOL_LIMIT": 2**32,
        "ARCHIVED_UP_TO": _time(123456).replace(second=21),
        "LAG_SECONDS": Decimal(0),
        "LAG_TARGET_SECONDS": Decimal("120.500"),
    }
    assert (other["SINCE"], other["ARCHIVED_UP_TO"]) == (None, None)
    assert {row["SINCE"] for row in _view(sys_engine, "STATUS", "+08:00")} == {_time(123456, 22), None}
    assert journal.last_states() == [STATE, replace(STATE, tenant_id=1002, since=0, checkpoint_scn=0)]


CLOCK = Decimal("0.1")
"""Seconds by which two readings of the engine's clock may differ: a thread of the engine keeps the time for all."""


@pytest.mark.parametrize("zone", ["+00:00", "+08:00", "-11:00"])
def test_the_lag_grows_while_nobody_writes(sys_engine: Seekdb, journal: Journal, zone: str) -> None:
    """It is counted when it is read, in any time zone; log that is dated in the future has none."""
    before = _now(sys_engine)
    waits = replace(STATE, backlog_bytes=5, waiting_since=before - 100 * SECOND)
    journal.write([waits, replace(waits, tenant_id=1002, waiting_since=before + 3600 * SECOND)], [], [])

    lag, none = (row["LAG_SECONDS"] for row in sorted(_view(sys_engine, "STATUS", zone), key=lambda r: r["TENANT_ID"]))
    assert 100 - CLOCK <= lag <= 100 + Decimal(_now(sys_engine) - before) / SECOND + CLOCK
    assert none == 0


def test_events_are_kept_in_order(sys_engine: Seekdb, journal: Journal) -> None:
    """As they came, by their number."""
    journal.write([], [replace(EVENT, cause=str(number)) for number in range(3)], [])
    journal.write([], [replace(EVENT, cause="3", state_before="BEHIND", state_after="FINE")], [])

    rows = sorted(_view(sys_engine, "EVENTS"), key=lambda row: row["EVENT_ID"])
    assert [row["CAUSE"] for row in rows] == ["0", "1", "2", "3"]
    del rows[3]["EVENT_ID"]
    assert rows[3] == {
        "HAPPENED_AT": _time(123456),
        "TENANT_ID": 1001,
        "LOG_ARCHIVE_ROUND": 3,
        "WHAT": "HEALTH",
        "STATE_BEFORE": "BEHIND",
        "STATE_AFTER": "FINE",
        "CAUSE": "3",
    }


def test_the_newest_events_are_kept(
    sys_engine: Seekdb, journal: Journal, session: CatalogSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many, counted: numbers leap by a million when the engine was restarted."""
    assert module._EVENTS_KEPT == 10_000
    monkeypatch.setattr(module, "_EVENTS_KEPT", 100)
    journal.write([], [replace(EVENT, cause=str(number)) for number in range(100)], [])
    with session.cursor() as cursor:
        cursor.execute(f"UPDATE {tables.EVENT_TABLE} SET event_id = event_id - 1000000 WHERE cause + 0 < 50")
    journal.write([STATE], [], [])
    assert len(_view(sys_engine, "EVENTS")) == 100
    journal.write([], [replace(EVENT, cause=str(number)) for number in range(100, 103)], [])

    causes = [int(row["CAUSE"]) for row in sorted(_view(sys_engine, "EVENTS"), key=lambda row: row["EVENT_ID"])]
    assert causes == list(range(3, 103))


def test_events_survive_a_restart_of_the_engine(sys_engine: Seekdb, journal: Journal) -> None:
    """The session goes on by itself, and the first event after it takes none away."""
    journal.write([], [EVENT], [])
    sys_engine.instance.stop()
    with pytest.raises(CatalogError, match="the catalog in the sys engine is unavailable"):
        journal.write([], [EVENT], [])
    sys_engine.instance.start()

    def is_written() -> bool:
        try:
            journal.write([], [replace(EVENT, cause="after")], [])
        except CatalogError:
            return False
        return True

    until(is_written)

    assert [row["CAUSE"] for row in _view(sys_engine, "EVENTS")] == ["no room", "after"]


def test_the_life_of_a_hole(sys_engine: Seekdb, journal: Journal) -> None:
    """Open without an end, closed with one, read back as it was; and taken back."""
    closed = replace(HOLE, after=4, end_lsn=20, end_scn=AT + 2 * SECOND, closed_at=AT + 3 * SECOND)
    journal.write([], [], [HOLE, replace(HOLE, after=4, opened_at=0)])
    journal.write([], [], [closed])

    opened_row, closed_row = sorted(_view(sys_engine, "HOLES"), key=lambda row: row["AFTER_ROUND"])
    assert opened_row == {
        "TENANT_ID": 1001,
        "AFTER_ROUND": 3,
        "STATUS": "OPEN",
        "START_LSN": 10,
        "START_TIME": _time(123456),
        "START_SCN": AT,
        "END_LSN": None,
        "END_TIME": None,
        "END_SCN": None,
        "OPENED_AT": _time(123456).replace(second=21),
        "CLOSED_AT": None,
        "CAUSE": "too much log",
    }
    assert (closed_row["STATUS"], closed_row["END_LSN"], closed_row["END_SCN"]) == ("CLOSED", 20, AT + 2 * SECOND)
    assert closed_row["CLOSED_AT"] == _time(123456).replace(second=23)
    assert journal.holes() == [HOLE, closed]
    journal.remove_hole(1001, 3)
    journal.remove_hole(1001, 99)
    assert journal.holes() == [closed]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("é" * 9000, "é" * 4000),
        ("\U0001f4be" * 9000, "\U0001f4be" * 4000),
        ("of a file \udcff", "of a file ?"),
        ("it's 100% \\'\"\n", "it's 100% \\'\"\n"),
    ],
)
def test_any_cause_can_be_written(sys_engine: Seekdb, journal: Journal, text: str, kept: str) -> None:
    """Cut to what the column takes; a name that is no text with a stand-in."""
    journal.write(
        [replace(STATE, cause=text, status_cause=text)], [replace(EVENT, cause=text)], [replace(HOLE, cause=text)]
    )

    assert {row["CAUSE"] for view in ("STATUS", "EVENTS", "HOLES") for row in _view(sys_engine, view)} == {kept}
    assert _view(sys_engine, "STATUS")[0]["STATUS_CAUSE"] == kept


def test_what_is_written_together_is_there_together(sys_engine: Seekdb, journal: Journal) -> None:
    """If one row is refused, none is there, and the session goes on."""
    with pytest.raises(CatalogError):
        journal.write([STATE], [EVENT], [replace(HOLE, start_lsn=2**70)])

    assert (_view(sys_engine, "STATUS"), _view(sys_engine, "EVENTS"), journal.holes()) == ([], [], [])
    journal.write([STATE], [EVENT], [HOLE])
    assert len(_view(sys_engine, "EVENTS")) == 1


def test_a_round_is_loaded_as_it_was_saved(session: CatalogSession) -> None:
    """Whatever its comment; the rounds before it are known by their destination."""
    catalog = Catalog(session)
    part = TenantRound(1001, RoundStatus.DOING, AT, 10, 5, "of a file \udcff" + "x" * 5000)
    now = Round(1, RoundStatus.DOING, AT, 20260921, "file:///b", tenants={1001: part})
    catalog.save_round(now)
    loaded = catalog.load_round()
    assert loaded is not None
    assert loaded.tenants[1001].comment == ("of a file ?" + "x" * 5000)[:4000]
    assert replace(loaded, comment="", tenants={}) == replace(now, tenants={})

    broken = replace(part, tenant_id=1002, status=RoundStatus.INTERRUPTED, comment="damaged")
    now = replace(now, tenants={1001: replace(part, comment=""), 1002: broken})
    catalog.save_round(now)
    assert catalog.load_round() == now, "the tenants that go on are not interrupted by a restart"

    for number, destination in ((1, "file:///b"), (2, "file:///c"), (3, "file:///b")):
        catalog.save_round(replace(now, round_id=number, status=RoundStatus.STOP, destination=destination))
    assert [catalog.round_before(number, "file:///b") for number in (1, 2, 3, 4)] == [None, 1, 1, 3]
    assert catalog.round_before(9, "file:///d") is None
    catalog.save_round(Round())
