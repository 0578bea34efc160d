"""What SET does: the destination's checks in their order, the 4.x spelling, pieces on and off, and all or nothing."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redoubt.control.parameters.parameter_list import (
    ALLOW_SHORT_INTERVALS,
    AUTO_DELETE,
    AUTO_RESTART,
    BACKUP_DEST,
    BACKUP_DEST_OPTION,
    LOG_ARCHIVE_OPTION,
    PARAMETERS,
)
from redoubt.model.rounds import RoundStatus
from redoubt.sql.answers import Ok, Rows
from redoubt.sql.errors import SqlError
from redoubt.sql.log_archive_option import Compression, Mode
from redoubt.sql.parser import parse
from redoubt.sql.statements import SetParameters
from tests.control.fakes import FakeSession
from tests.control.stage import Stage, play
from tests.dose import dose

PIECES = f"{BACKUP_DEST_OPTION} = 'log_archive_piece_switch_interval=%s'"


async def _set(stage: Stage, items: str, session: FakeSession | None = None) -> object:
    statement = parse(f"ALTER SYSTEM SET {items}")
    assert isinstance(statement, SetParameters)
    return await stage.handler.handle(statement, session or FakeSession())


async def _code(stage: Stage, items: str) -> tuple[int, str]:
    with pytest.raises(SqlError) as refused:
        await _set(stage, items)
    return refused.value.code, refused.value.message


@pytest.mark.parametrize(
    ("uri", "code", "text"),
    [
        ("file:///x?host=h", 1235, "backup device is nfs, additional parameters are not supported"),
        ("file:///x?", 1235, "backup device is nfs, setting '?' is not supported"),
        ("file:///" + "x" * 1020, 9026, "shorter than 1,024 bytes"),
        ("file:///" + "x" * 2050, 9026, "shorter than 2,048 bytes"),
        ("file://x", 9026, "the path must be absolute"),
        ("gs://bucket/x", 9026, "write the destination as file:///absolute/path"),
        ("file:///no/such/folder", 9026, "is not a directory"),
    ],
)
def test_a_destination_is_refused_with_oceanbases_code(stage: Stage, uri: str, code: int, text: str) -> None:
    """In 3.x's spelling and, where it can be written so, in 4.x's."""

    async def scene() -> None:
        found = await _code(stage, f"{BACKUP_DEST} = '{uri}'")
        assert found[0] == code
        assert text in found[1]
        assert (await _code(stage, f"LOG_ARCHIVE_DEST = 'LOCATION={uri}'"))[0] == code
        await stage.doing()
        assert (await _code(stage, f"{BACKUP_DEST} = '{uri}'"))[0] == 9036, "that comes first"
        assert (await _code(stage, f"LOG_ARCHIVE_DEST = 'LOCATION={uri}'"))[0] == 9036
        await stage.archiving.close()

    play(scene())


def test_no_engine_sees_a_key(stage: Stage) -> None:
    """OceanBase 4.x has other parameters that take one; an engine would write the statement into its log."""

    async def scene() -> None:
        for name in ("data_backup_dest", "log_archive_dest_1"):
            with pytest.raises(
                SqlError, match="only backup_dest, backup_backup_dest and LOG_ARCHIVE_DEST take"
            ) as refused:
                await _set(stage, f"{name} = 's3://b/p?host=h&access_id=AK&access_key=SECRET'")
            assert "SECRET" not in refused.value.message

    play(scene())


def test_the_4x_spelling_sets_destination_mode_and_interval(stage: Stage, tmp_path: Path) -> None:
    """As one change; the compression and the other keys of backup_dest_option stay."""
    (tmp_path / "new").mkdir()

    async def scene() -> None:
        await _set(
            stage, f"{LOG_ARCHIVE_OPTION} = 'compression=zstd_1.3.8', {BACKUP_DEST_OPTION} = 'recovery_window=3d'"
        )
        sql = f"LOG_ARCHIVE_DEST = 'LOCATION=file://{tmp_path}/new BINDING=Mandatory PIECE_SWITCH_INTERVAL=2d'"
        assert await _set(stage, f"{sql} TENANT = main") == Ok()

    play(scene())

    now = stage.parameters
    assert now.backup_dest == f"file://{tmp_path}/new"
    assert (now.log_archive_option.mode, now.log_archive_option.compression) == (Mode.MANDATORY, Compression.ZSTD)
    assert (now.piece_switch_interval, now.recovery_window) == (172800.0, 259200.0)
    assert now.value(BACKUP_DEST_OPTION) == "recovery_window=3d&log_archive_piece_switch_interval=2d"


def test_the_4x_spelling_goes_back_to_optional_and_a_day(stage: Stage) -> None:
    """What it does not name; and empty it clears the destination only."""
    uri = stage.parameters.backup_dest

    async def scene() -> None:
        await _set(stage, f"LOG_ARCHIVE_DEST = 'LOCATION={uri} BINDING=Mandatory PIECE_SWITCH_INTERVAL=7d'")
        await _set(stage, f"LOG_ARCHIVE_DEST = 'LOCATION={uri}'")
        assert (stage.parameters.is_mandatory, stage.parameters.piece_switch_interval) == (False, 86400.0)
        await _set(stage, "LOG_ARCHIVE_DEST = ''")

    play(scene())

    assert (stage.parameters.backup_dest, stage.parameters.piece_switch_interval) == ("", 86400.0)


def test_mode_and_interval_change_while_a_round_runs(stage: Stage) -> None:
    """With a LOCATION that stays, though it holds the round's archive; pieces as such go neither on nor off."""
    uri = stage.parameters.backup_dest

    async def scene() -> None:
        await stage.doing()
        whole = f"LOG_ARCHIVE_DEST = 'LOCATION={uri} BINDING=Mandatory PIECE_SWITCH_INTERVAL=%s'"
        refused = (1235, "change switch piece mode during log archive running is not supported")
        for items in (whole % "1d", PIECES % "1d"):
            code, text = await _code(stage, items)
            assert (code, text.partition(":")[0]) == refused
        await _set(stage, f"{BACKUP_DEST_OPTION} = 'recovery_window=1d'")
        await stage.stopped()
        await _set(stage, PIECES % "1d")
        await stage.archiving.start()
        await _set(stage, whole % "3d")
        assert (stage.parameters.is_mandatory, stage.parameters.piece_switch_interval) == (True, 259200.0)
        code, text = await _code(stage, f"{BACKUP_DEST_OPTION} = ''")
        assert (code, text.partition(":")[0]) == refused
        await stage.archiving.close()

    play(scene())


def test_a_deferred_destination_begins_no_round(stage: Stage) -> None:
    """ENABLE lets it; a round that runs cannot be deferred."""

    async def scene() -> None:
        await _set(stage, "LOG_ARCHIVE_DEST_STATE = 'defer' TENANT = ALL")
        with pytest.raises(SqlError, match="log_archive_dest_state = 'ENABLE'") as refused:
            await stage.archiving.start()
        assert refused.value.code == 1235
        assert (await _code(stage, "LOG_ARCHIVE_DEST_STATE = 'pause'"))[0] == 1210
        await _set(stage, "LOG_ARCHIVE_DEST_STATE = 'ENABLE'")
        await stage.archiving.start()
        await _set(stage, "LOG_ARCHIVE_DEST_STATE = 'ENABLE'")
        code, text = await _code(stage, "LOG_ARCHIVE_DEST_STATE = 'DEFER'")
        assert code == 1235
        assert "NOARCHIVELOG" in text
        await stage.archiving.close()

    play(scene())

    assert stage.catalog.values["log_archive_dest_state"] == "ENABLE"


@pytest.mark.parametrize(("tenant", "code"), [("nobody", 5157), ("sys", 1235)])
def test_what_is_the_clusters_is_not_set_for_some_tenants(stage: Stage, tenant: str, code: int) -> None:
    """A part of them 1235, an unknown one its own error."""

    async def scene() -> None:
        for items in ("LOG_ARCHIVE_DEST = 'LOCATION=file:///x'", "LOG_ARCHIVE_DEST_STATE = 'ENABLE'"):
            assert (await _code(stage, f"{items} TENANT = {tenant}"))[0] == code

    play(scene())


def test_enable_log_archive_follows_the_round(stage: Stage) -> None:
    """It can be set to what it is in STOP, and to nothing else."""

    async def scene() -> None:
        for value in ("false", "0", "False"):
            assert await _set(stage, f"enable_log_archive = {value}") == Ok()
        true = "set enable log archive true without archivelog is not supported"
        for value in ("true", "1", "off", "maybe"):
            assert (await _code(stage, f"enable_log_archive = {value}"))[1].startswith(true)
        await stage.doing()
        code, text = await _code(stage, "enable_log_archive = false")
        assert code == 1235
        assert "NOARCHIVELOG" in text
        assert (await _code(stage, "enable_log_archive = true"))[1].startswith(true)
        await stage.archiving.close()

    play(scene())

    assert "enable_log_archive" not in stage.catalog.values


def test_nothing_is_deleted_by_itself_from_a_deletion_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """auto_delete_expired_backup is not turned on while a job is under way, as in OceanBase."""
    monkeypatch.setattr(type(stage.deletion), "is_running", True)

    async def scene() -> None:
        assert (await _code(stage, f"{AUTO_DELETE} = true"))[0] == 1235
        assert await _set(stage, f"{AUTO_DELETE} = false") == Ok()

    play(scene())


def test_a_round_does_not_begin_between_a_sets_check_and_its_effect(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ARCHIVELOG waits, and archives to the new destination."""
    (tmp_path / "new").mkdir()
    uri = f"file://{tmp_path}/new"
    begun: list[asyncio.Task[None]] = []
    check = stage.archiving.destinations.check_new

    async def check_and_archivelog(wished: str, second: str) -> None:
        await check(wished, second)
        begun.append(asyncio.create_task(stage.archiving.start()))
        await asyncio.sleep(0)

    monkeypatch.setattr(stage.archiving.destinations, "check_new", check_and_archivelog)

    async def scene() -> None:
        await _set(stage, f"{BACKUP_DEST} = '{uri}'")
        await begun[0]
        await stage.archiving.close()

    play(scene())

    assert stage.archiving.round.destination == uri


def test_backup_dest_is_in_nobody_elses_directory(stage: Stage) -> None:
    """Neither in the home nor in a tenant's directory; the message names the directory, and nothing changes."""
    tenant, before = stage.archiving.archives[0].tenant, stage.parameters.backup_dest
    for place, what in ((stage.home, "the home of this"), (tenant.base_dir / "b", "tenant main")):

        async def scene(uri: str = f"file://{place}") -> None:
            await _set(stage, f"{BACKUP_DEST} = '{uri}'")

        with pytest.raises(SqlError, match=f"is inside .*{what}") as refused:
            play(scene())
        assert refused.value.code == 9026

    assert stage.parameters.backup_dest == before


class Engine(FakeSession):
    """A session whose engine has a parameter that is one of three words, and remembers what was set."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}

    async def query(self, sql: str) -> Ok | Rows:
        """Check all of a SET, then set all of it."""
        await super().query(sql)
        statement = parse(sql)
        assert isinstance(statement, SetParameters)
        for item in statement.assignments:
            if item.name != "syslog_level":
                raise SqlError(5099, "42000", "System config unknown")
            if item.value not in {"INFO", "WARN", "ERROR"}:
                raise SqlError(4147, "HY000", "Invalid config")
        self.values |= {item.name: item.value for item in statement.assignments}
        return Ok()


DOCUMENTED = {1210, 1235, 4147, 5099, 5157, 9026, 9036}
TIMES = ["0", "1", "7s", "5s", "120s", "1h", "3601s", "1d", "7d", "8d", "-1", "soon", "1us", ""]
OPTIONS = st.lists(
    st.builds(
        "{}={}".format,
        st.sampled_from(
            [
                *("log_archive_checkpoint_interval", "recovery_window", "log_archive_piece_switch_interval"),
                *("backup_copies", "auto_delete_obsolete_backup", "auto_update_reserved_backup_timestamp", "Other", ""),
            ]
        ),
        st.sampled_from([*TIMES, "true", "false", "a=b", " 1d"]),
    ),
    max_size=3,
).map("&".join)
DESTS = st.lists(
    st.sampled_from(
        [
            *("LOCATION=file://HERE", "location=file://HERE/new", "LOCATION=file:///x?y", "LOCATION=", "LOCATION"),
            *("BINDING=Optional", "binding=mandatory", "BINDING=x", "PIECE_SWITCH_INTERVAL=1d"),
            *("PIECE_SWITCH_INTERVAL=2s", "PIECE_SWITCH_INTERVAL=x", "=", "COMPRESSION=lz4_1.0"),
        ]
    ),
    max_size=4,
).map(" ".join)
URIS = st.sampled_from(
    ["", "file://HERE", "file://HERE/new", "file://HERE/none", "nonsense", "file:///?", "file:///a?b"]
)
WORDS = st.sampled_from(
    [*TIMES, "True", "off", "mandatory", "optional compression= disable", "4G", "64M", "100", "101"]
)
VALUES = {BACKUP_DEST: URIS, BACKUP_DEST_OPTION: OPTIONS, "log_archive_dest": DESTS} | {
    "log_archive_dest_state": st.sampled_from(["enable", "DEFER", "x", ""]),
    "syslog_level": st.sampled_from(["INFO", "WARN", "x"]),
    "no_such_parameter": st.just("1"),
}
ITEMS = st.sampled_from(sorted({*PARAMETERS, *VALUES})).flatmap(
    lambda name: st.tuples(
        st.just(name),
        VALUES.get(name, WORDS)
        | st.text(alphabet=st.characters(codec="utf-8", exclude_characters="'\\\0"), max_size=8),
        st.sampled_from(["", "", "", " TENANT = ALL", " TENANT = main", " TENANT = sys", " TENANT = nobody"]),
    )
)


@settings(max_examples=dose(50, 1500))
@given(items=st.lists(ITEMS, min_size=1, max_size=4), is_doing=st.booleans(), are_short_allowed=st.booleans())
def test_a_set_is_whole_or_refused_with_a_documented_code(
    *, items: list[tuple[str, str, str]], is_doing: bool, are_short_allowed: bool
) -> None:
    """Good and bad mixed: no half of it is ever in effect or kept, of ours or of the engine's."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "new").mkdir()
        stage, session = Stage(Path(folder)), Engine()
        text = ", ".join(f"{name} = '{value.replace('HERE', folder)}'{clause}" for name, value, clause in items)

        async def scene() -> None:
            if are_short_allowed:
                stage.parameters.change({ALLOW_SHORT_INTERVALS: "True"})
            if is_doing:
                await stage.doing()
            before = _state(stage)
            refusal, answer = None, None
            try:
                answer = await _set(stage, text, session)
            except SqlError as error:
                refusal = error.code
            if refusal is None:
                _check_taken(stage, {name: value for name, value, _ in items}, session, answer)
            else:
                assert (refusal in DOCUMENTED, _state(stage), session.values) == (True, before, {}), refusal
            await stage.archiving.close()

        play(scene())


def _state(stage: Stage) -> object:
    """What is kept, and what is in effect."""
    now = stage.parameters
    effects = (now.piece_switch_interval, now.checkpoint_interval, now.recovery_window, now.log_archive_option)
    return dict(stage.catalog.values), now.rows_sql(["name", "value"], repr, {}), effects, now.is_deferred


def _check_taken(stage: Stage, values: dict[str, str], session: Engine, answer: object) -> None:
    """What was accepted is in effect, the last of several, and can be loaded again."""
    if answer is None:
        assert not set(values) & {*PARAMETERS, "log_archive_dest", "log_archive_dest_state"}
        return
    assert answer == Ok()
    assert session.values == {name: value for name, value in values.items() if name == "syslog_level"}
    if AUTO_RESTART in values:
        assert stage.parameters.is_on(AUTO_RESTART) == (values[AUTO_RESTART] in {"1", "True"})
    before = _state(stage)
    stage.parameters.load()
    assert before == _state(stage)
    if stage.archiving.round.status is not RoundStatus.STOP:
        assert stage.parameters.piece_switch_interval == 0, "the round began without pieces"
        assert BACKUP_DEST not in values
