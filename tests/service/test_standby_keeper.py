"""Keeping the process that follows: a script plays the process, and does what the destination's name says."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from redoubt import standby_keeper
from redoubt.messages.following import Follow
from redoubt.model.keeping import Keeper
from redoubt.model.standby import TakeOverError
from redoubt.standby_keeper import StandbyKeeper
from tests.double.kind import DoubleKeeper

_FOLLOWER = """
import sys
from redoubt.messages.following import *

def tell(report):
    sys.stdout.buffer.write(to_line(report)); sys.stdout.buffer.flush()

def commands():
    for line in sys.stdin.buffer:
        yield from_line(line)

told = commands()
how = next(told).destination
if how == "ends":
    tell(FollowTrouble("no network")); sys.exit(1)
tell(FollowTrouble("")); tell(Follows(is_open_door=True)); tell(Following(10, 20, 15, is_complete=False))
print("what a library prints", flush=True)
for command in told:
    if isinstance(command, FollowUntil):
        tell(Following(10, 20, 15, is_complete=command.until_scn == 20))
    if isinstance(command, Activate):
        if how == "dies early": sys.exit(1)
        if how == "refuses": tell(NotTakenOver("wrong password")); continue
        tell(LogComplete())
        assert isinstance(next(told), Decided)
        if how == "dies late": sys.exit(1)
        if how == "fails late": tell(NotTakenOver("no room")); continue
        tell(TakenOver())
"""


def _request(how: str, until: int | None = None) -> Follow:
    return Follow("/nowhere", "double", "1G", how, "c", 1, 1001, "source", until)


def _played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, test: Callable[[StandbyKeeper], Awaitable[None]]
) -> StandbyKeeper:
    """Let a keeper keep the played process, while a test runs."""
    script = tmp_path / "follower.py"
    script.write_text(_FOLLOWER)
    monkeypatch.setattr(standby_keeper, "COMMAND", (sys.executable, str(script)))
    monkeypatch.setattr(standby_keeper, "_FIRST_PAUSE", 0.01)
    primary = DoubleKeeper(tmp_path, lambda: None)
    keeper = StandbyKeeper(cast("Keeper", primary), is_exposed=True)

    async def scene() -> None:
        async def keep() -> None:
            await keeper.keep()
            await primary.start()

        keeping = asyncio.create_task(keep())
        keeper.follow(_request(how))
        try:
            async with asyncio.timeout(60):
                await keeper.was_tried.wait()
                await test(keeper)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await keeper.kill()

    asyncio.run(scene())
    return keeper


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.01)


async def _decide() -> None:
    """The catalog takes it."""


def test_it_says_where_the_engine_is_and_tells_it_how_far_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another end needs no other process, another source does; an open door is told."""

    async def test(keeper: StandbyKeeper) -> None:
        await _until(lambda: keeper.place.lsn == 10)
        assert (keeper.trouble, keeper.source_trouble, keeper.is_open_door) == ("", "", True)
        process = keeper._process
        keeper.follow(_request("well", 20))
        await _until(lambda: keeper.place.is_complete)
        assert keeper._process is process
        keeper.follow(_request("elsewhere", 20))
        await _until(lambda: keeper._process is not process and keeper._process is not None)

    _played(tmp_path, monkeypatch, "well", test)


def test_one_that_ends_is_begun_again_and_its_cause_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing takes over meanwhile; what cannot be started at all is a trouble, too."""

    async def test(keeper: StandbyKeeper) -> None:
        await _until(lambda: keeper.trouble == "no network")
        with pytest.raises(TakeOverError, match="no network"):
            await keeper.activate(_decide, without_archive=False)
        monkeypatch.setattr(standby_keeper, "COMMAND", (str(tmp_path / "nothing"),))
        await _until(lambda: "cannot start the process" in keeper.trouble)

    _played(tmp_path, monkeypatch, "ends", test)


@pytest.mark.parametrize("how", ["well", "dies late", "fails late"])
def test_once_it_is_decided_the_engine_takes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """By its process, or else by whoever keeps a primary."""

    async def test(keeper: StandbyKeeper) -> None:
        await _until(lambda: keeper.place.lsn == 10)
        await keeper.activate(_decide, without_archive=False)
        assert keeper.primary.was_tried.is_set() == (how != "well")

    _played(tmp_path, monkeypatch, how, test)


@pytest.mark.parametrize("how", ["refuses", "dies early", "well"])
def test_before_that_it_follows_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """After a refusal, a death, and when the catalog does not take it."""

    async def never() -> None:
        raise OSError("the catalog is away")

    async def test(keeper: StandbyKeeper) -> None:
        await _until(lambda: keeper.place.lsn == 10)
        with pytest.raises((TakeOverError, OSError), match=r"wrong password|ended meanwhile|catalog is away"):
            await keeper.activate(never, without_archive=False)
        await _until(lambda: keeper._process is not None and not keeper.trouble)
        assert not keeper.primary.was_tried.is_set()

    _played(tmp_path, monkeypatch, how, test)
