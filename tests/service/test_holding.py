"""The holder's process: holds new blocks whatever the service does, names what it cannot hold, and is begun again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pymysql
import pytest

from redoubt.engines.registry import engine_kind
from redoubt.engines.seekdb.account import connect_as
from redoubt.engines.seekdb.files import BaseDir, block_ids
from redoubt.holder_process import HolderProcess
from redoubt.messages.holding import Hold, HoldingMessage, HoldingTrouble, from_line, to_line
from tests.service.cluster import ServiceUnderTest, assert_archive_equals_engine, wait_until

BLOCK = b"REDO" * 10


def directory(path: Path, *blocks: int) -> BaseDir:
    """A directory whose log is held from now on, with these blocks."""
    base = BaseDir(path)
    base.log.mkdir(parents=True)
    base.held.mkdir(parents=True)
    write(base, *blocks)
    return base


def write(base: BaseDir, *blocks: int) -> None:
    """The engine makes blocks."""
    for block in blocks:
        (base.log / str(block)).write_bytes(BLOCK)


class Talk:
    """A conversation with a holder's process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "redoubt.holder"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def hold(self, *bases: BaseDir) -> None:
        """Tell it what there is."""
        assert self.process.stdin
        self.process.stdin.write(to_line(Hold([["seekdb", str(base.path)] for base in bases])))

    def hear(self) -> HoldingMessage:
        """What it says next."""
        assert self.process.stdout
        return from_line(self.process.stdout.readline())


@pytest.fixture
def talk() -> Iterator[Talk]:
    """A holder's process; it ends when its input ends."""
    talk = Talk()
    yield talk
    with talk.process:
        assert talk.process.stdin
        talk.process.stdin.close()
        assert talk.process.wait(20) == 0


def test_new_blocks_are_held_where_log_is_held(talk: Talk, tmp_path: Path) -> None:
    """In each directory that it was told last; where nothing is to be held, nothing is."""
    first, second = directory(tmp_path / "1", 0), directory(tmp_path / "2", 5)
    idle = BaseDir(tmp_path / "3")
    idle.log.mkdir(parents=True)
    write(idle, 0)
    talk.hold(first, second, idle)
    wait_until("they are held", lambda: (block_ids(first.held), block_ids(second.held)) == ([0], [5]))
    talk.hold(second)
    write(second, 6)
    wait_until("the new one is held", lambda: block_ids(second.held) == [5, 6])
    write(first, 1)
    write(second, 7)
    wait_until("the next one is held", lambda: block_ids(second.held) == [5, 6, 7])

    assert (second.held / "7").samefile(second.log / "7")
    assert block_ids(first.held) == [0]
    assert not idle.held.exists()


def test_what_cannot_be_held_is_named_once_and_held_when_it_can_be(talk: Talk, tmp_path: Path) -> None:
    """The other directories go on meanwhile."""
    broken, sound = directory(tmp_path / "1"), directory(tmp_path / "2")
    broken.log.rmdir()
    broken.log.write_text("")
    talk.hold(broken, sound)
    trouble = talk.hear()
    write(sound, 0)
    wait_until("the other's is held", lambda: block_ids(sound.held) == [0])
    broken.log.unlink()
    broken.log.mkdir()
    write(broken, 3)

    assert isinstance(trouble, HoldingTrouble)
    assert trouble.directory == str(broken.path)
    assert "Not a directory" in trouble.cause
    assert talk.hear() == HoldingTrouble(str(broken.path), "")
    wait_until("it is held", lambda: block_ids(broken.held) == [3])


def test_a_kind_that_is_not_installed_is_named(talk: Talk, tmp_path: Path) -> None:
    """As any other trouble."""
    assert talk.process.stdin
    talk.process.stdin.write(to_line(Hold([["tripled", str(tmp_path)]])))
    trouble = talk.hear()

    assert isinstance(trouble, HoldingTrouble)
    assert "'tripled' is not installed" in trouble.cause


def test_a_holder_that_is_killed_is_told_all_again(tmp_path: Path) -> None:
    """Its end is an error, after which it is begun again."""
    base = directory(tmp_path / "1", 0)

    async def scene() -> None:
        holding = HolderProcess(engine_kind)
        holding.add("seekdb", base.path)
        for block in (0, 1):
            write(base, block)
            running = asyncio.ensure_future(holding.run())
            await asyncio.to_thread(wait_until, "it is held", lambda held=block: held in block_ids(base.held))
            assert holding._process
            holding._process.kill()
            with pytest.raises(ChildProcessError, match="ended with status -9"):
                await running

    asyncio.run(scene())


def test_without_a_process_the_service_holds_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has no room for another process: the log is held all the same, and the trouble is told."""
    base = directory(tmp_path / "1", 0)

    async def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    async def scene() -> None:
        holding = HolderProcess(engine_kind)
        holding.add("seekdb", base.path)
        holding.add("seekdb", tmp_path / "gone")
        monkeypatch.setattr("redoubt.holder_process._STAND_IN_PAUSE", 0)
        monkeypatch.setattr("redoubt.holder_process.asyncio.create_subprocess_exec", refuse)
        with pytest.raises(BlockingIOError):
            await holding.run()
        holding.remove(base.path)
        write(base, 1)
        with suppress(BlockingIOError):
            await holding.run()

    asyncio.run(scene())

    assert block_ids(base.held) == [0]


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_log_is_held_while_the_service_stands_still(service: ServiceUnderTest) -> None:
    """Whatever keeps the service busy: the engine recycles blocks meanwhile, and the archive gets them all.

    Own service: it is stopped with SIGSTOP, and so is its worker.
    """
    service.keep_engine_log()
    service.archive()
    assert service.process
    base = BaseDir(service.main_dir)
    stopped = (service.process.pid, service.worker_pid())
    first = max(block_ids(base.log))
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        with closing(connect_as(base, "root", "", 120.0)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE test.large (id INT AUTO_INCREMENT PRIMARY KEY, content LONGTEXT)")
            while max(block_ids(base.log)) < first + 3:
                cursor.execute("INSERT INTO test.large (content) VALUES (%s)", (os.urandom(500_000).hex(),))
            wait_until("blocks are recycled", lambda: _is_recycled(cursor, base, first + 1))
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    service.stop_archiving()

    assert_archive_equals_engine(service)


def _is_recycled(cursor: pymysql.cursors.Cursor, base: BaseDir, block: int) -> bool:
    cursor.execute("ALTER SYSTEM MINOR FREEZE")
    return min(block_ids(base.log)) > block
