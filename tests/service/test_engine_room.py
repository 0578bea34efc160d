"""Restored engines in the engine room: moved in, started, kept; what somebody has to see to, and what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path

import pytest

from redoubt.archive.record import dump_record
from redoubt.control.background import Background
from redoubt.control.cluster import EngineRefusedError, EngineSource, Tenant
from redoubt.engine_room import EngineRoom
from redoubt.engines.registry import engine_kind
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.keeping import Keeper
from redoubt.home import Home
from redoubt.model.engine_kind import UnknownEngineKindError
from redoubt.model.keeping import AccountError, EngineSizes, EngineStartError
from redoubt.model.log import LogPosition
from redoubt.restore.restoring import Origin, Restored

SOURCE = "a" * 32
RESTORED = Restored(Origin("redoubt", 1, 1001, "main", SOURCE, 1), LogPosition(0, 0))


class Room:
    """An engine room whose engines start as they are told, with a tenant that has been restored."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.starts: list[Exception | None] = []
        self.background = Background()
        self.room = EngineRoom(home, EngineSizes(), self.background, engine_kind, is_exposed=False)
        self.tenant: Tenant = self.room.place(1002, "new", EngineSource(), is_new=False)
        home.restoring(1002).ours.mkdir(parents=True)
        home.restoring(1002).restored_from.touch()

    def begin(self, keeper: Keeper) -> None:
        """What `Keeper.start` comes to."""
        keeper.was_tried.set()
        error = self.starts.pop(0) if self.starts else None
        keeper.trouble = str(error) if error else ""
        if error is not None:
            raise error

    def play(self, scene: Coroutine[None, None, object]) -> object:
        """Run a scene, and end what runs in the background."""

        async def whole() -> object:
            try:
                return await scene
            finally:
                await self.background.stop()

        return asyncio.run(whole())


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    """A room."""
    home = Home(tmp_path)
    home.prepare()
    made = Room(home)

    async def start(keeper: Keeper) -> None:
        made.begin(keeper)

    monkeypatch.setattr(Keeper, "start", start)
    return made


def test_a_restored_engine_moves_in_and_is_kept(room: Room) -> None:
    """Also when it is said twice, as after a crash."""

    async def scene() -> list[object]:
        assert room.room.restoring(room.tenant).name == "1002.restoring"
        before = await room.room.is_restored(room.tenant)
        return [before, *[await room.room.move_in(room.tenant, SOURCE) for _ in range(2)]]

    assert room.play(scene()) == [True, "", ""]
    assert room.home.tenant_ids() == [1002]


def test_an_engine_that_does_not_let_the_service_in_is_kept_all_the_same(room: Room) -> None:
    """It is tried again until somebody has seen to it."""
    room.starts = [AccountError("log in as root"), AccountError("log in as root")]

    assert room.play(room.room.move_in(room.tenant, SOURCE)) == "log in as root"


def test_an_engine_that_does_not_start_is_not_kept(room: Room) -> None:
    """The reason is the restore's."""
    room.starts = [EngineStartError("it said nothing")]
    with pytest.raises(EngineRefusedError, match="it said nothing"):
        room.play(room.room.move_in(room.tenant, SOURCE))


def test_what_is_not_there_cannot_move_in(room: Room) -> None:
    """The home's disk may fail as well."""

    async def scene() -> None:
        await room.room.remove_restoring(room.tenant)
        await room.room.move_in(room.tenant, SOURCE)

    with pytest.raises(EngineRefusedError, match="No such file"):
        room.play(scene())


def test_an_engine_that_is_being_restored_is_not_started_yet(room: Room) -> None:
    """When the service starts; what is nobody's is let go."""

    async def scene() -> str:
        room.room.place(1003, "nobodys", EngineSource(), is_new=False)
        await room.room.settle([], [room.tenant])
        return room.room.trouble(room.tenant)

    assert room.play(scene()) == "the engine has not been started yet"


def test_an_account_that_cannot_be_kept_is_logged(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    """It is no reason to do without the engine."""
    (room.home.path / "accounts").touch()
    room.home.tenant(1002).ours.mkdir(parents=True)
    room.home.tenant(1002).account.write_text("secret\n")
    keeper = room.room._keepers[1002]
    keeper.reached(keeper.engine)

    assert "cannot keep the password for restores" in capsys.readouterr().out
    (room.home.path / "accounts").unlink()
    keeper.reached(keeper.engine)
    assert len(list((room.home.path / "accounts").iterdir())) == 1


def test_an_engine_whose_kind_is_not_known_yet_is_not_started(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the catalog is read, a directory says its kind; it may be damaged, or name one that is not installed."""
    sys = BaseDir(room.home.sys.path)
    sys.log.mkdir(parents=True)
    for number, content in (
        (1003, b"{"),
        (1004, dump_record(replace(RESTORED, of=replace(RESTORED.of, engine_kind="tripled")))),
    ):
        room.home.tenant(number).ours.mkdir(parents=True)
        room.home.tenant(number).restored_from.write_bytes(content)
    room.home.tenant(1005).path.mkdir()
    room.play(room.room.start_sys())
    said = capsys.readouterr().out

    assert sorted(room.room._keeping) == [1005]
    assert "cannot be read (not JSON" in said
    assert "the engine kind 'tripled' is not installed" in said
    with pytest.raises(UnknownEngineKindError, match="tripled"):
        room.room.place(1004, "other", EngineSource(engine_kind="tripled"), is_new=False)
