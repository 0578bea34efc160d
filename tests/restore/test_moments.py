"""Restores that end at every kind of place, each opened by an application that goes on writing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE
from redoubt.model.log import LogPosition

from .archived import opened, restore
from .conftest import Archive


def _base_itself(archive: Archive) -> LogPosition:
    """The last group that is not after the base's snapshot."""
    groups = archive.engine.groups
    return max((group for group in groups if group.scn <= archive.base.summary.snapshot_scn), key=lambda at: at.lsn)


def _middle_of_a_block(archive: Archive) -> LogPosition:
    """A group in the first block, among those with large rows."""
    groups = [group for group in archive.engine.groups if group.lsn < BLOCK_LOG_SIZE * 2 // 3]
    return groups[-1]


PLACES: dict[str, Callable[[Archive], LogPosition]] = {
    "the base itself": _base_itself,
    "the middle of a block": _middle_of_a_block,
    "a block's end": lambda archive: archive.block_end(),
    "a piece's end": lambda archive: archive.piece_end,
    "the newest archived byte": lambda archive: archive.engine.at,
}
SOAKED = {"a block's end", "a piece's end", "the newest archived byte"}
"""Places of the large dose only."""


@pytest.mark.parametrize(
    "place", [pytest.param(place, marks=[pytest.mark.soak] if place in SOAKED else []) for place in PLACES]
)
def test_a_restore_ends_exactly_there(archive: Archive, target: Path, place: str) -> None:
    """It has the rows of that moment, and no later ones; an application opens it and writes on.

    Large rows have redo in groups of their own: where the moment is among these, the end is before them.
    """
    end = PLACES[place](archive)
    which = ["--latest"] if place == "the newest archived byte" else ["--scn", str(end.scn)]
    run = restore(archive.uri, "--tenant", "Main", "--to", target, *which, "--json")
    assert run.returncode == 0, run.stdout + run.stderr
    said = json.loads(run.stdout)
    counted = "SELECT COUNT(*), COUNT(DISTINCT id), MAX(id) FROM rows_of_test"
    write = "INSERT INTO rows_of_test (content) VALUES ('written after the restore')"
    [[(rows, ids, _)], _, _, [(more, _, _)]] = opened(target, counted, write, "CREATE TABLE u (a INT)", counted)
    least, most = archive.rows_at(end.lsn)

    laid = LogPosition(said["plan"]["end_lsn"], said["plan"]["end_scn"], said["restored"]["end_chain"])
    assert laid in archive.engine.groups
    assert end.lsn - 4_000_000 < laid.lsn <= end.lsn
    assert said["restored"]["laid_lsn"] == laid.lsn
    assert least <= int(rows) == int(ids) <= most
    assert int(more) == int(rows) + 1
    assert not (target / "redoubt" / "restoring").exists()
    assert json.loads((target / "redoubt" / "restored_from").read_text())["end_scn"] == laid.scn
