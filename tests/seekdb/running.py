"""Starting a real engine for tests, and giving it something to do."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redoubt.engines.seekdb.account import connect, ensure_account
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import Instance
from redoubt.model.keeping import EngineSizes

from .template import copy_of_new


@dataclass(frozen=True)
class Seekdb:
    """A running engine."""

    base: BaseDir
    instance: Instance
    engine: SeekdbEngine

    def run(self, *statements: str) -> None:
        """Run statements as the service."""
        with connect(self.base) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def write_rows(self, number: int, size: int) -> None:
        """Have the engine write log: so many rows of so many random bytes, each committed."""
        with connect(self.base) as connection, connection.cursor() as cursor:
            for _ in range(number):
                cursor.execute("INSERT INTO test.rows_of_test (content) VALUES (%s)", (os.urandom(size // 2).hex(),))


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for what another process or thread brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)  # between two looks, not for something to have happened


def answers(instance: Instance, engine: SeekdbEngine) -> bool:
    """Whether the engine takes the service's questions now."""
    instance.check_alive()
    try:
        ensure_account(engine.base)
        engine.start_point()
    except OSError:
        return False
    return True


@contextmanager
def short_directory() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's, and which is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="seekdb-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def running_seekdb(*, is_new: bool = False) -> Iterator[Seekdb]:
    """An engine with a table to write to; a new one makes all that an engine makes by itself, and is not quiet."""
    with short_directory() as path:
        if not is_new:
            copy_of_new(path)
        base = BaseDir(path)
        seekdb = Seekdb(base, Instance(base, EngineSizes()), SeekdbEngine(base))
        try:
            seekdb.instance.start()
            until(lambda: answers(seekdb.instance, seekdb.engine))
            seekdb.run("CREATE TABLE test.rows_of_test (id INT PRIMARY KEY AUTO_INCREMENT, content LONGTEXT)")
            yield seekdb
        finally:
            seekdb.instance.stop()
