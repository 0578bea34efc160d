"""A new base of an older one and the log after it: it is planned with, opens, and has what the source has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from redoubt.engines.seekdb.account import connect
from redoubt.model.pieces import PieceKey
from tests.seekdb.running import running_seekdb, short_directory

from .archived import ArchivedEngine, opened, restore

_SUMS = "SELECT COUNT(*), SUM(CRC32(content)) FROM rows_of_test"


def _roll(uri: str, scratch: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "redoubt", "roll-forward", uri, "--scratch", str(scratch), "--json", *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_the_source_s_later_log_goes_on_over_a_base_that_was_rolled_forward() -> None:
    """A transaction is open at the moment to which it is rolled, and commits later; DDL lies on both sides."""
    with short_directory() as root, short_directory() as scratch:
        with running_seekdb() as seekdb:
            engine = ArchivedEngine(seekdb, root)
            engine.begin_piece(PieceKey(1, 1, 20261123))
            engine.write_rows(20, 100)
            engine.take_base(1)
            seekdb.run("CREATE TABLE test.early (a INT PRIMARY KEY)", "INSERT INTO test.early VALUES (1)")
            with connect(seekdb.base) as open_one, open_one.cursor() as cursor:
                cursor.execute("BEGIN")
                for number in range(600):  # more than stays out of the log until the commit
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
                cursor.execute(_SUMS.replace("rows_of_test", "test.rows_of_test"))
                wanted = [list(map(str, row)) for row in cursor.fetchall()]

        rolled = _roll(engine.uri, scratch, "--scn", str(cut.scn))
        assert rolled.returncode == 0, rolled.stderr
        said = json.loads(rolled.stdout)
        assert (said["from_set"], said["set_id"], said["snapshot_scn"]) == (1, 2, cut.scn)
        assert list(scratch.iterdir()) == []

        again = _roll(engine.uri, scratch, "--scn", str(cut.scn))
        assert again.returncode == 1
        assert "nothing to roll forward" in again.stderr

        target = scratch / "r"
        restored = restore(engine.uri, "--tenant", "main", "--to", target, "--latest", "--json", "--no-replay")
        assert restored.returncode == 0, restored.stderr
        assert json.loads((target / "redoubt" / "restored_from").read_bytes())["set_id"] == 2
        found = opened(
            target,
            _SUMS,
            "SELECT COUNT(*), SUM(a) FROM early",
            "SELECT a FROM late",
            "INSERT INTO late VALUES (8)",
        )
        early = [602, 1 + 2 + sum(range(10, 610))]
        assert found[:3] == [wanted, [list(map(str, early))], [["7"]]]
