"""The parameters: what they may be, together and alone, and that a change is whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.catalog.catalog import Catalog
from redoubt.catalog.session import CatalogError
from redoubt.control.parameters.parameter_list import (
    ALLOW_SHORT_INTERVALS,
    AUTO_DELETE,
    AUTO_RESTART,
    BACKUP_DEST,
    BACKUP_DEST_OPTION,
    CHECKPOINT_INTERVAL,
    CONCURRENCY,
    LAG_TARGET,
    LOG_ARCHIVE_OPTION,
    PARAMETERS,
    RECOVERY_WINDOW,
    SPOOL_LIMIT,
    SYNC_COMMIT,
    SYNC_FALLBACK,
    SYNC_TIMEOUT,
)
from redoubt.control.parameters.parameters import Parameters
from redoubt.model.valve import MIN_LIMIT
from redoubt.sql.errors import SqlError
from redoubt.sql.log_archive_option import LogArchiveOption, Mode
from redoubt.sql.parser import parse
from redoubt.sql.statements import SetParameters
from tests.control.fakes import FakeCatalog, FakeSession
from tests.control.stage import DISK, Stage, play

BOOLS = (SYNC_COMMIT, SYNC_FALLBACK, AUTO_RESTART)


def parameters(catalog: FakeCatalog | None = None) -> Parameters:
    """Those of a new cluster."""
    return Parameters(cast("Catalog", catalog or FakeCatalog()), lambda: DISK)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (SPOOL_LIMIT, "64M"),
        (SPOOL_LIMIT, "64"),
        (SPOOL_LIMIT, str(64 * 1024) + "k"),
        (SPOOL_LIMIT, "1T"),
        (LAG_TARGET, "1s"),
        (LAG_TARGET, "1"),
        (LAG_TARGET, "2h"),
        (SYNC_TIMEOUT, "100ms"),
        (SYNC_TIMEOUT, "1h"),
        (CHECKPOINT_INTERVAL, "5s"),
        (CHECKPOINT_INTERVAL, "1h"),
        (CONCURRENCY, "0"),
        (CONCURRENCY, "100"),
        (RECOVERY_WINDOW, "0"),
        (RECOVERY_WINDOW, "3650d"),
        (BACKUP_DEST_OPTION, ""),
        (BACKUP_DEST_OPTION, "recovery_window=7d&log_archive_piece_switch_interval=1d"),
        *((name, word) for name in (SYNC_FALLBACK, AUTO_RESTART) for word in ("True", "on", "1", "no", "F", "0")),
        (SYNC_COMMIT, "False"),
        (BACKUP_DEST, "whatever: looked at elsewhere"),
    ],
)
def test_what_a_parameter_may_be(name: str, text: str) -> None:
    """Both ends of a range are in it."""
    parameters().check({name: text})


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (SPOOL_LIMIT, "0", r"out of range \[64M, 1048576M\]"),
        (SPOOL_LIMIT, "63M", "out of range"),
        (SPOOL_LIMIT, f"{MIN_LIMIT - 1}b", "out of range"),
        (SPOOL_LIMIT, f"{DISK + 1}B", "out of range"),
        (SPOOL_LIMIT, "2T", "out of range"),
        (SPOOL_LIMIT, "999999999999999999P", "out of range"),
        (SPOOL_LIMIT, "", "not a capacity"),
        (SPOOL_LIMIT, "-1G", "not a capacity"),
        (SPOOL_LIMIT, "4.5G", "not a capacity"),
        (SPOOL_LIMIT, "much", "not a capacity"),
        (LAG_TARGET, "0", r"out of range \[1s, 7200s\]"),
        (LAG_TARGET, "7201s", "out of range"),
        (LAG_TARGET, "999ms", "out of range"),
        (LAG_TARGET, "soon", "not a time"),
        (SYNC_TIMEOUT, "99ms", r"out of range \[0.1s, 3600s\]"),
        (SYNC_TIMEOUT, "1d", "out of range"),
        *((name, word, "is not a truth value") for name in BOOLS for word in ("", "2", "maybe", "truee")),
        (LOG_ARCHIVE_OPTION, "sometimes", "is not an option"),
        (CHECKPOINT_INTERVAL, "4999ms", r"out of range \[5s, 3600s\]"),
        (CHECKPOINT_INTERVAL, "3601s", "out of range"),
        (CONCURRENCY, "101", r"out of range \[0, 100\]"),
        (CONCURRENCY, "-1", "out of range"),
        (CONCURRENCY, "1.5", "not a whole number"),
        (RECOVERY_WINDOW, "-1d", "not a time"),
        (SYNC_COMMIT, "True", "needs the mode MANDATORY"),
    ],
)
def test_what_a_parameter_may_not_be(name: str, text: str, why: str) -> None:
    """It is refused with what it may be."""
    with pytest.raises(SqlError, match=why) as refused:
        parameters().check({name: text})
    assert refused.value.code == 4147


@given(st.text(max_size=10), st.sampled_from(sorted(set(PARAMETERS) - {BACKUP_DEST})))
def test_whatever_is_typed_is_taken_or_refused(text: str, name: str) -> None:
    """As 4147, by `backup_dest_option` also as its own errors; and what was taken can be used."""
    now = parameters()
    code = None
    try:
        now.check({name: text})
    except SqlError as error:
        code = error.code
    assert code in ({None, 1210, 1235} if name == BACKUP_DEST_OPTION else {None, 4147})
    if code:
        return
    now.change({name: text})
    use: dict[str, Callable[[str], object]] = {
        "TIME": now.seconds,
        "INT": lambda name: int(now.value(name)),
        "CAPACITY": now.size,
        "BOOL": now.is_on,
        "STRING": now.value,
    }
    use[PARAMETERS[name].data_type](name)


@pytest.mark.parametrize("names", [(LOG_ARCHIVE_OPTION, SYNC_COMMIT), (SYNC_COMMIT, LOG_ARCHIVE_OPTION)])
def test_a_synchronous_commit_needs_mandatory_also_in_one_set(names: tuple[str, str]) -> None:
    """In either order the two are judged together."""
    now = parameters()
    good = {LOG_ARCHIVE_OPTION: "mandatory", SYNC_COMMIT: "on"}
    now.check({name: good[name] for name in names})
    now.change(good)
    now.check({SYNC_COMMIT: "True"})

    bad = {LOG_ARCHIVE_OPTION: "optional", SYNC_COMMIT: "on"}
    with pytest.raises(SqlError, match="needs the mode MANDATORY"):
        now.check({name: bad[name] for name in names})
    now.check({LOG_ARCHIVE_OPTION: "optional"})


def test_a_change_is_whole_and_survives(stage: Stage) -> None:
    """What the catalog did not take is not in effect; what it took is there after a restart."""
    catalog = stage.catalog
    catalog.failures = 1
    with pytest.raises(CatalogError):
        stage.parameters.change({LOG_ARCHIVE_OPTION: "mandatory", SPOOL_LIMIT: "1G"})
    assert (stage.parameters.is_mandatory, stage.parameters.size(SPOOL_LIMIT)) == (False, 2**32)
    stage.parameters.change({LOG_ARCHIVE_OPTION: "mandatory", SPOOL_LIMIT: "1G"})

    again = parameters(catalog)
    assert again.log_archive_option is LogArchiveOption.DEFAULT
    again.load()
    assert (again.is_mandatory, again.size(SPOOL_LIMIT), again.value(LOG_ARCHIVE_OPTION)) == (True, 2**30, "mandatory")
    fresh = parameters()
    fresh.load()
    assert (fresh.seconds(LAG_TARGET), fresh.is_on(SYNC_COMMIT), fresh.backup_dest) == (120.0, False, "")


def test_two_changes_at_once_are_both_in_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """The option that each makes is that of the other, changed."""
    catalog = FakeCatalog()
    now = parameters(catalog)
    keep = catalog.set_parameters
    second = threading.Thread(target=now.change, args=({LOG_ARCHIVE_OPTION: "compression=zstd_1.3.8"},))

    def keep_meanwhile(values: dict[str, str]) -> None:
        monkeypatch.setattr(catalog, "set_parameters", keep)
        second.start()
        keep(values)

    monkeypatch.setattr(catalog, "set_parameters", keep_meanwhile)
    now.change({LOG_ARCHIVE_OPTION: "mandatory"})
    second.join()

    assert (now.log_archive_option.mode, str(now.log_archive_option.compression)) == (Mode.MANDATORY, "zstd_1.3.8")


def test_the_defaults_are_values_that_may_be_set() -> None:
    """All of them, and together."""
    parameters().check({name: parameter.default for name, parameter in PARAMETERS.items()})


@pytest.mark.parametrize(
    "wrong",
    [f"{SPOOL_LIMIT} = '1M'", f"{SYNC_COMMIT} = True", f"{BACKUP_DEST} = 'nonsense'", f"{LAG_TARGET} = 'x'"],
)
def test_one_wrong_value_in_a_set_keeps_all_from_being_set(stage: Stage, wrong: str) -> None:
    """Ours and the engine's."""
    session = FakeSession()
    before = dict(stage.catalog.values)
    statement = parse(f"ALTER SYSTEM SET {AUTO_RESTART} = True, an_engines_own = 1, {wrong}")
    assert isinstance(statement, SetParameters)

    async def scene() -> None:
        with pytest.raises(SqlError):
            await stage.handler.handle(statement, session)

    play(scene())

    assert stage.catalog.values == before
    assert len(session.asked) == 1  # whether it may


def test_a_set_takes_effect_at_once(stage: Stage) -> None:
    """The valve looks, the worker is told."""
    statement = parse(f"ALTER SYSTEM SET {SYNC_COMMIT} = True, {LOG_ARCHIVE_OPTION} = 'mandatory'")
    assert isinstance(statement, SetParameters)

    async def scene() -> None:
        await stage.handler.handle(statement, FakeSession())

    play(scene())

    assert stage.archive.kicked.is_set()
    assert (stage.parameters.is_mandatory, stage.parameters.is_on(SYNC_COMMIT)) == (True, True)


def test_what_the_option_does_not_name_falls_back_to_the_parameters() -> None:
    """And a piece interval to none."""
    now = parameters()
    assert (now.checkpoint_interval, now.recovery_window, now.auto_delete) == (120.0, 0.0, False)
    assert (now.piece_switch_interval, now.concurrency) == (0.0, 0)
    now.change({CHECKPOINT_INTERVAL: "60s", RECOVERY_WINDOW: "1d", AUTO_DELETE: "1", CONCURRENCY: "3"})
    assert (now.checkpoint_interval, now.recovery_window, now.auto_delete) == (60.0, 86400.0, True)
    assert now.concurrency == 3
    now.change(
        {
            BACKUP_DEST_OPTION: "log_archive_checkpoint_interval=7s&recovery_window=2d&"
            "auto_delete_obsolete_backup=false&log_archive_piece_switch_interval=3d"
        }
    )
    assert (now.checkpoint_interval, now.recovery_window, now.auto_delete) == (7.0, 172800.0, False)
    assert now.piece_switch_interval == 259200.0


def test_the_option_is_in_effect_after_a_restart_and_told_to_the_views() -> None:
    """As typed, and its interval in seconds; truth values as OceanBase writes them."""
    catalog = FakeCatalog()
    parameters(catalog).change({BACKUP_DEST_OPTION: "log_archive_piece_switch_interval=1d", AUTO_DELETE: "on"})

    assert catalog.values["_effective_piece_switch_interval"] == "86400"
    again = parameters(catalog)
    again.load()
    assert (again.piece_switch_interval, again.value(AUTO_DELETE)) == (86400.0, "True")


def test_short_intervals_are_for_tests_only() -> None:
    """They need the hidden parameter, which then cannot be turned off under them."""
    now = parameters()
    short = "log_archive_piece_switch_interval=2s"
    for values in ({BACKUP_DEST_OPTION: short}, {CHECKPOINT_INTERVAL: "1s"}):
        with pytest.raises(SqlError, match=r"out of range|less than 10s"):
            now.check(values)
        now.check(values | {ALLOW_SHORT_INTERVALS: "True"})
    now.change({ALLOW_SHORT_INTERVALS: "True"})
    now.check({BACKUP_DEST_OPTION: short, CHECKPOINT_INTERVAL: "1s"})
    with pytest.raises(SqlError, match=r"out of range|less than 10s"):
        now.check({CHECKPOINT_INTERVAL: "999ms"})
    now.change({BACKUP_DEST_OPTION: short})
    with pytest.raises(SqlError, match=r"out of range|less than 10s"):
        now.check({ALLOW_SHORT_INTERVALS: "False"})
    now.change({BACKUP_DEST_OPTION: "", CHECKPOINT_INTERVAL: "1s"})
    with pytest.raises(SqlError, match=r"out of range|less than 10s"):
        now.check({ALLOW_SHORT_INTERVALS: "False"})
    now.check({ALLOW_SHORT_INTERVALS: "False", CHECKPOINT_INTERVAL: "5s"})


def test_objects_are_not_kept_alive_by_touching_them() -> None:
    """1235: a directory has no such thing."""
    with pytest.raises(SqlError, match="auto_update_reserved_backup_timestamp"):
        parameters().check({BACKUP_DEST_OPTION: "auto_update_reserved_backup_timestamp=true"})
