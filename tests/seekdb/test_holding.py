"""Holding log: links that keep a block when the engine unlinks it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from unittest import mock

import pytest

from redoubt.engines.seekdb import holding
from redoubt.engines.seekdb.files import BaseDir, block_ids, block_of
from redoubt.engines.seekdb.holding import LogHolder

from .written import LOG


@pytest.fixture
def base(tmp_path: Path) -> BaseDir:
    """A base directory with the blocks 0 to 2."""
    base = BaseDir(tmp_path)
    base.log.mkdir(parents=True)
    write_blocks(base, 0, 1, 2)
    return base


@pytest.fixture
def holder(base: BaseDir) -> LogHolder:
    """Holds nothing yet."""
    return LogHolder(base)


def write_blocks(base: BaseDir, *blocks: int) -> None:
    """The engine makes blocks."""
    for block in blocks:
        (base.log / str(block)).write_bytes(b"log of block %d" % block)


def recycle(base: BaseDir, *blocks: int) -> None:
    """The engine unlinks blocks."""
    for block in blocks:
        (base.log / str(block)).unlink()


def held(base: BaseDir) -> list[int]:
    """The blocks that are held."""
    return block_ids(base.held)


def copy_links(base: BaseDir) -> None:
    """What `cp -r` or `rsync` without -H make of links."""
    for block in held(base):
        content = (base.held / str(block)).read_bytes()
        (base.held / str(block)).unlink()
        (base.held / str(block)).write_bytes(content)


def test_a_copied_directory_holds_log_again(base: BaseDir, holder: LogHolder) -> None:
    """The block that grows is linked again; a reader would not see how it grows."""
    holder.hold()
    copy_links(base)
    write_blocks(base, 2)
    holder.keep_up()
    with (base.log / "2").open("ab") as file:
        file.write(b", more")
    recycle(base, 0, 1, 2)

    assert held(base) == [0, 1, 2]
    assert (base.held / "2").read_bytes() == b"log of block 2, more"


def test_a_held_block_with_other_log_stays(base: BaseDir, holder: LogHolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine was set back: what is held may not be archived yet. The blocks are compared once."""
    monkeypatch.setattr(holding, "INFO_SIZE", 0)
    holder.hold()
    copy_links(base)
    (base.log / "2").write_bytes(b"log of another history")
    holder.keep_up()
    with mock.patch.object(holding, "_begins_with") as compared:
        holder.keep_up()

    assert (base.held / "2").read_bytes() == b"log of block 2"
    assert not compared.called


def test_every_block_is_held_and_outlives_its_recycling(base: BaseDir, holder: LogHolder) -> None:
    """With its content, also what was written after it was linked."""
    holder.hold()
    with (base.log / "1").open("ab") as file:
        file.write(b", more")
    recycle(base, 0, 1)

    assert holder.is_holding()
    assert held(base) == [0, 1, 2]
    assert (base.held / "1").read_bytes() == b"log of block 1, more"


def test_nothing_of_ours_is_in_the_engines_folder(base: BaseDir, holder: LogHolder) -> None:
    """The engine would refuse to start."""
    holder.hold()

    assert [base.log / str(block) for block in (0, 1, 2)] == sorted(base.log.iterdir())


def test_holding_again_takes_what_has_come_since(base: BaseDir, holder: LogHolder) -> None:
    """And changes nothing else."""
    holder.hold()
    write_blocks(base, 3)
    holder.hold()
    holder.hold()

    assert held(base) == [0, 1, 2, 3]


def test_keeping_up_takes_what_has_come_since_if_log_is_held(base: BaseDir, holder: LogHolder) -> None:
    """And does not begin to hold."""
    holder.keep_up()
    before = holder.is_holding()
    holder.hold()
    write_blocks(base, 3)
    holder.keep_up()

    assert not before
    assert held(base) == [0, 1, 2, 3]


def test_released_blocks_are_those_that_end_at_or_below(base: BaseDir, holder: LogHolder) -> None:
    """A block of which a byte is needed stays."""
    holder.hold()
    after = {}
    for lsn in (0, LOG - 1, LOG, LOG + 1, 3 * LOG - 1, 3 * LOG):
        holder.release(lsn)
        after[lsn] = held(base)

    assert after == {
        0: [0, 1, 2],
        LOG - 1: [0, 1, 2],
        LOG: [1, 2],
        LOG + 1: [1, 2],
        3 * LOG - 1: [2],
        3 * LOG: [],
    }
    assert holder.is_holding()


def test_a_released_block_is_not_held_again(base: BaseDir, holder: LogHolder) -> None:
    """Though the engine still has it; an older release changes nothing."""
    holder.hold()
    holder.release(2 * LOG)
    holder.release(LOG)
    holder.keep_up()
    holder.hold()

    assert held(base) == [2]


def test_another_process_goes_on_holding(base: BaseDir, holder: LogHolder) -> None:
    """The folder is the state; what was released and is still there is held again until the next release."""
    holder.hold()
    holder.release(LOG)
    recycle(base, 0)
    write_blocks(base, 3)
    restarted = LogHolder(base)
    restarted.keep_up()

    assert restarted.is_holding()
    assert held(base) == [1, 2, 3]


def test_releasing_all_ends_the_holding(base: BaseDir, holder: LogHolder) -> None:
    """Doing it again is no error, and holding may begin anew, from the first block."""
    holder.hold()
    holder.release(LOG)
    holder.release_all()
    holder.release_all()
    after = (holder.is_holding(), held(base))
    holder.keep_up()
    kept_up = holder.is_holding()
    holder.hold()

    assert after == (False, [])
    assert not kept_up
    assert held(base) == [0, 1, 2]


def test_releasing_what_is_not_held_is_no_error(base: BaseDir, holder: LogHolder) -> None:
    """Nothing has been held, or somebody took it away."""
    holder.release(LOG)
    holder.hold()
    (base.held / "1").unlink()
    holder.release(3 * LOG)

    assert held(base) == []


def test_a_block_that_is_recycled_in_this_instant_is_passed_over(base: BaseDir, holder: LogHolder) -> None:
    """The others are held; the reader names the gap if the block was needed."""
    recycle(base, 1)
    listed = {base.log: [0, 1, 2], base.held: []}
    base.held.mkdir(parents=True)
    with mock.patch.object(holding, "block_ids", lambda folder: listed[folder]):
        holder.hold()

    assert held(base) == [0, 2]


def test_a_full_disk_is_told(base: BaseDir, holder: LogHolder) -> None:
    """Log that cannot be held is an error."""
    with (
        mock.patch.object(os, "link", side_effect=OSError("No space left on device")),
        pytest.raises(OSError, match="No space"),
    ):
        holder.hold()


def test_an_engine_without_log_has_nothing_to_hold(tmp_path: Path) -> None:
    """It has never been started; that log is to be held is kept all the same."""
    base = BaseDir(tmp_path)
    LogHolder(base).hold()
    base.log.mkdir(parents=True)
    write_blocks(base, 0)
    LogHolder(base).keep_up()

    assert held(base) == [0]


def test_threads_do_not_disturb_each_other(base: BaseDir, holder: LogHolder) -> None:
    """Holding, keeping up and releasing at the same time."""
    errors: list[OSError] = []

    def work(lsn: int) -> None:
        try:
            for _ in range(100):
                holder.hold()
                holder.keep_up()
                holder.release(lsn)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(lsn,)) for lsn in (0, LOG, LOG)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert held(base) == [1, 2]


def test_only_numbers_are_blocks(tmp_path: Path) -> None:
    """In the order of the numbers."""
    for name in ("10", "9", "x", "1.tmp"):
        (tmp_path / name).touch()

    assert block_ids(tmp_path) == [9, 10]
    assert block_ids(tmp_path / "missing") == []
    assert [block_of(lsn) for lsn in (0, LOG - 1, LOG)] == [0, 0, 1]
