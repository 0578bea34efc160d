"""A new base of an older one and the log after it: it is planned with, opens, and has what the source has."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from redoubt.engines.seekdb.account import connect
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey
from tests.seekdb.running import running_seekdb, short_directory, until

from .archived import ArchivedEngine, opened, restore

pytestmark = pytest.mark.soak
_SUMS = "SELECT COUNT(*), SUM(CRC32(content)) FROM test.rows_of_test"


@dataclass(frozen=True)
class _Source:
    """What was archived: a base early, DDL on both sides of `cut`, and a transaction that is open there."""

    engine: ArchivedEngine
    cut: LogPosition
    sums: list[str]

    def sets(self) -> list[str]:
        """The sets that count."""
        return sorted(path.parent.name for path in self.engine.root.rglob("single_backup_set_info"))


@pytest.fixture(scope="module")
def source() -> Iterator[_Source]:
    """The source's engine has ended when this is there.

    Own engine: a transaction of it is open in the midst of its log.
    """
    with short_directory() as root:
        with running_seekdb() as seekdb:
            engine = ArchivedEngine(seekdb, root)
            engine.begin_piece(PieceKey(1, 1, 20261123))
            engine.write_rows(20, 100)
            engine.take_base(1)
            seekdb.run("CREATE TABLE test.early (a INT PRIMARY KEY)", "INSERT INTO test.early VALUES (1)")
            with connect(seekdb.base) as open_one, open_one.cursor() as cursor:
                cursor.execute("BEGIN")
                for number in range(600):
                    cursor.execute("INSERT INTO test.early VALUES (%s)", (number + 10,))
                engine.write_rows(200, 20_000)
                engine.archive()
                cut = engine.at
                cursor.execute("INSERT INTO test.early VALUES (2)")
                cursor.execute("COMMIT")
            seekdb.run("CREATE TABLE test.late (a INT PRIMARY KEY)", "INSERT INTO test.late VALUES (7)")
            seekdb.run("CREATE INDEX later ON test.early (a)")
            engine.write_rows(50, 1000)
            engine.archive()
            with connect(seekdb.base) as connection, connection.cursor() as cursor:
                cursor.execute(_SUMS)
                sums = list(map(str, cursor.fetchall()[0]))
        yield _Source(engine, cut, sums)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for scratch directories."""
    with short_directory() as folder:
        yield folder


def _begun(uri: str, scratch: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "redoubt", "roll-forward", uri, "--scratch", str(scratch), "--json", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _roll(uri: str, scratch: Path, *more: str) -> tuple[int | None, str, str]:
    run = _begun(uri, scratch, *more)
    out, said = run.communicate(timeout=300)
    return run.returncode, out, said


def test_the_source_s_later_log_goes_on_over_a_base_that_was_rolled_forward(source: _Source, scratch: Path) -> None:
    """A transaction is open at the moment to which it is rolled, and commits later; DDL lies on both sides."""
    at = ("--scn", str(source.cut.scn))
    status, out, said = _roll(source.engine.uri, scratch, *at)
    assert status == 0, said
    made = json.loads(out)
    assert (made["from_set"], made["snapshot_scn"]) == (1, source.cut.scn)
    assert list(scratch.iterdir()) == []

    status, _, said = _roll(source.engine.uri, scratch, *at)
    assert (status, "nothing to roll forward" in said) == (1, True)

    drill = [sys.executable, "-m", "redoubt", "drill", source.engine.uri, "--scratch", str(scratch), "--json"]
    drilled = json.loads(subprocess.run(drill, capture_output=True, text=True, check=True).stdout)
    assert drilled["set_id"] == made["set_id"]
    assert "the schema at the snapshot matches the fingerprint" in drilled["checked"]

    target = scratch / "r"
    restored = restore(source.engine.uri, "--tenant", "main", "--to", target, "--latest", "--json", "--no-start")
    assert restored.returncode == 0, restored.stderr
    assert json.loads((target / "redoubt" / "restored_from").read_bytes())["set_id"] == made["set_id"]
    early = "SELECT COUNT(*), SUM(a) FROM early"
    found = opened(target, _SUMS, early, "SELECT a FROM late", "INSERT INTO late VALUES (8)")
    assert found[:3] == [[source.sums], [["602", str(3 + sum(range(10, 610)))]], [["7"]]]


def _engines(scratch: Path) -> Iterator[int]:
    """The engines that run in a scratch directory."""
    for path in scratch.glob("*/d/run/seekdb.pid"):
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):
            pid = int(path.read_text())
            if str(scratch) in Path(f"/proc/{pid}/cmdline").read_text():
                yield pid


def test_a_command_that_is_killed_while_it_rolls_leaves_no_set_that_counts(source: _Source, scratch: Path) -> None:
    """Its engine ends by itself."""
    before = source.sets()
    run = _begun(source.engine.uri, scratch)
    until(lambda: bool(list(scratch.glob("*/d/run/sql.sock"))))
    run.kill()
    run.communicate(timeout=200)
    until(lambda: not any(_engines(scratch)))
    assert source.sets() == before


def test_an_engine_that_is_killed_again_and_again_is_told_of(source: _Source, scratch: Path) -> None:
    """At its start it is started again, some times."""
    before = source.sets()
    run = _begun(source.engine.uri, scratch)

    def is_over() -> bool:
        for pid in _engines(scratch):
            with suppress(ProcessLookupError):  # it has ended by itself meanwhile
                os.kill(pid, signal.SIGKILL)
        return run.poll() is not None

    until(is_over, 200)
    _, said = run.communicate()
    assert (run.returncode, source.sets()) == (1, before)
    assert "ended with status -9" in said


def test_nobody_who_may_ask_the_engine_is_a_reason(source: _Source, scratch: Path) -> None:
    """It says what to give, and nothing is stored."""
    before = source.sets()
    status, _, said = _roll(source.engine.uri, scratch, "--user", "nobody")
    assert (status, source.sets()) == (1, before)
    assert "no login succeeded (nobody)" in said


def test_damaged_log_is_not_rolled(source: _Source, scratch: Path) -> None:
    """A flipped bit is found before an engine is started."""
    root = scratch / "b"
    shutil.copytree(source.engine.root, root)
    segment = max(root.rglob("*.zst"), key=lambda path: path.stat().st_size if "data" not in path.parts else 0)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    status, _, said = _roll(f"file://{root}", scratch / "s")
    assert (status, "damaged" in said) == (1, True)
