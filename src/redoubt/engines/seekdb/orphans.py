"""Rolls back orphaned transactions: the log has redo of them, but neither a commit nor an abort.

An engine that opens such a log (after a restore to a moment, or after `kill -9`) takes these transactions over with all
their locks, and never ends them (measured). So Redoubt appends their abort records to the log while the engine does not
run, as the engine itself would write them. At its next start the engine replays the abort records, and the transactions
end. Redoubt writes only behind the end of the log, and changes no existing log.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from redoubt.engines.seekdb.closed import without_engine
from redoubt.engines.seekdb.files import BaseDir, block_ids
from redoubt.engines.seekdb.palf import (
    BLOCK_LOG_SIZE,
    BLOCK_SIZE,
    INFO_SIZE,
    BadLogError,
    VerifiedGroups,
    parse_block_info,
    verify_groups,
)
from redoubt.engines.seekdb.proven import installed_version, refuse_unproven
from redoubt.engines.seekdb.undo_log import LogEnd, Orphan, abort_groups, entry_numbers, last_log_id
from redoubt.model.log import LogDamagedError, LogPosition

Run = Callable[[str], tuple[tuple[Any, ...], ...]]
"""Runs a statement on the engine: its rows. Raises OSError."""

_ACTIVE = 10
"""The state of a transaction that is neither committing nor aborting, nor prepared by XA."""
_OPEN = f"""SELECT trans_id, start_scn FROM oceanbase.__all_virtual_trans_stat
  WHERE session_id = 0 AND is_decided = 0 AND is_exiting = 0 AND state = {_ACTIVE} AND expired_time IS NULL"""
_UNDECIDED = "SELECT start_scn FROM oceanbase.__all_virtual_trans_stat WHERE is_decided = 0"
_NO_SCN = 2**64 - 1
"""The `start_scn` of a transaction without redo in the log."""
_END = "SELECT END_LSN, END_SCN FROM oceanbase.V$OB_LOG_STAT"
_TAIL_ROOM = 4096
"""Bytes left free at a block's end: the engine never ends a group there, it fills these bytes with padding."""
_ROUNDS = 5
_PATIENCE = 600.0
"""Seconds for an engine to fill the rest of a block: an idle engine wrote 10 KB in 55 s."""
_PATIENCE_WITH_LIVING = 10.0
_POLL = 0.1


class OrphansLeftError(Exception):
    """Orphaned transactions are still open; the text says why."""


class NoRoomError(Exception):
    """The last block is nearly full; there is room again after the engine has begun the next block."""


class Restartable(Protocol):
    """An engine that only Redoubt starts and stops."""

    def start(self) -> None:
        """Start the engine; returns when it accepts statements, and thus has replayed its log."""

    def stop(self) -> None:
        """Stop the engine; it has ended when this returns."""

    def run(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        """The rows of a statement. Raises OSError."""


def may_have_orphans(base: BaseDir) -> bool:
    """Whether a directory was restored, and its open transactions have not been rolled back yet."""
    return base.restored_from.exists() and not base.settled.exists()


def end_orphans(base: BaseDir, engine: Restartable) -> list[Orphan]:
    """Start the engine, which must not run, and roll back orphaned transactions; the engine runs at the return.

    Returns the transactions that were rolled back. Restarts the engine only if there were any, and again if the stop
    left work of the engine's own open. May be repeated after an interruption. Raises OrphansLeftError, LogDamagedError,
    OSError, and the errors of `engine`; then the engine may run or not. Raises UnprovenEngineError before any change.
    """
    refuse_unproven(f"rolling back open transactions in {base.path}", installed_version())
    ended: list[Orphan] = []
    for _ in range(_ROUNDS):
        end = end_of_log(base)
        engine.start()
        found = orphans(engine.run, end.at.scn) if end else []
        if end is None or not found:
            if may_have_orphans(base):
                base.settled.touch(mode=0o600)
            return ended
        if set(found) & set(ended):
            break
        await_own_work(engine.run, end.at.scn)
        _append_when_there_is_room(base, engine, found)
        ended += found
    raise OrphansLeftError(
        f"transactions are still open in the engine in {base.path}, although its log has their abort records: "
        f"{', '.join(str(orphan.tx_id) for orphan in found)}"
    )


def orphans(run: Run, started_at: int) -> list[Orphan]:
    """The orphaned transactions on a running engine, in the order in which they began.

    `started_at` is the SCN at which the log ended before the engine was started. An open transaction with redo from
    before `started_at` cannot belong to a live session or to the engine's own work.
    """
    first, second = ({Orphan(tx_id, scn) for tx_id, scn in run(_OPEN) if 0 < scn <= started_at} for _ in range(2))
    return sorted(first & second, key=lambda orphan: orphan.start_scn)


def append_aborts(base: BaseDir, found: list[Orphan], known_end: int) -> LogPosition:
    """Append the abort record of each transaction durably; returns the new end of the log. The engine must not run.

    The engine is known to have written the log up to the LSN `known_end`. A crash may leave some of the abort records,
    but never half of one: the engine ignores an incomplete group. Raises NoRoomError, LogDamagedError,
    UnprovenEngineError, and OSError, also if an engine runs.
    """
    with without_engine(base):
        end = end_of_log(base)
        if end is None or end.at.lsn < known_end:
            raise LogDamagedError(
                f"cannot read the log in {base.path} up to its end at LSN {known_end}; nothing was written"
            )
        numbers = next_numbers(base, found)
        groups = abort_groups({orphan: numbers[orphan.tx_id] for orphan in found}, end, installed_version())
        return _write(base, end.at, groups)


def end_of_log(base: BaseDir) -> LogEnd | None:
    """The end of the log that an engine would find there, None without log. The engine must not run."""
    for block, log, verified in _verified_blocks(base, reversed(block_ids(base.log))):
        if verified.size:
            lsn = block * BLOCK_LOG_SIZE + verified.size
            return LogEnd(LogPosition(lsn, verified.max_scn, verified.chain), last_log_id(log[: verified.size]))
    return None


def await_own_work(run: Run, started_at: int = 0) -> None:
    """Give the engine's own transactions time to end: a stop of the engine would make them orphans.

    These transactions have redo from after `started_at`. Raises OSError.
    """
    deadline = time.monotonic() + _PATIENCE_WITH_LIVING
    while time.monotonic() < deadline and any(started_at < scn < _NO_SCN for (scn,) in run(_UNDECIDED)):
        time.sleep(_POLL)


def _append_when_there_is_room(base: BaseDir, engine: Restartable, found: list[Orphan]) -> None:
    """Stop the engine and append; if the last block is nearly full, first let the engine fill the block."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        ((known_end, _),) = engine.run(_END)
        engine.stop()
        try:
            append_aborts(base, found, known_end)
        except NoRoomError as error:
            if time.monotonic() > deadline:
                raise OrphansLeftError(str(error)) from error
        else:
            return
        engine.start()
        _await_room(engine.run)


def _await_room(run: Run) -> None:
    """Wait until an engine has begun the next block: an engine writes by itself, and writes most after its start."""
    deadline = time.monotonic() + _PATIENCE
    while not has_room(run(_END)[0][0], _TAIL_ROOM) and time.monotonic() < deadline:
        run("ALTER SYSTEM MINOR FREEZE")
        time.sleep(_POLL)


def next_numbers(base: BaseDir, found: list[Orphan]) -> dict[int, int]:
    """The number of each transaction's next entry; 0 if the log of the transaction is recycled.

    In that case the engine knows the transaction from its tables, and ignores the number.
    """
    wanted = frozenset(orphan.tx_id for orphan in found)
    next_numbers = dict.fromkeys(wanted, 0)
    for _, log, verified in _verified_blocks(base, iter(block_ids(base.log))):
        for tx_id, number in entry_numbers(log[: verified.size], wanted).items():
            next_numbers[tx_id] = max(next_numbers[tx_id], number + 1)
    return next_numbers


def _verified_blocks(base: BaseDir, blocks: Iterator[int]) -> Iterator[tuple[int, bytes, VerifiedGroups]]:
    """Each of these blocks with a block header: the number, the log, and the verified groups of the log.

    Raises LogDamagedError for a header that is damaged.
    """
    for block in blocks:
        path = base.log / str(block)
        data = path.read_bytes()
        try:
            is_written = parse_block_info(data[:INFO_SIZE]) is not None
        except BadLogError as error:
            raise LogDamagedError(f"the redo block {path} is damaged: {error}") from error
        if is_written:
            log = data[INFO_SIZE:]
            yield block, log, verify_groups(log, None)


def _write(base: BaseDir, end: LogPosition, groups: bytes) -> LogPosition:
    """Write groups at the end of the log, with zeros behind them; read them back."""
    block, offset = divmod(end.lsn, BLOCK_LOG_SIZE)
    if not has_room(end.lsn, len(groups)):
        raise NoRoomError(f"the last block of the log in {base.path} has no room for abort records")
    descriptor = os.open(base.log / str(block), os.O_RDWR)
    try:
        _blank(descriptor, INFO_SIZE + offset)
        os.pwrite(descriptor, groups, INFO_SIZE + offset)
        os.fsync(descriptor)
        written = os.pread(descriptor, len(groups) + 1, INFO_SIZE + offset)
    finally:
        os.close(descriptor)
    verified = verify_groups(written, end.chain, end.scn)
    if verified.size != len(groups):
        raise LogDamagedError(
            f"abort records were written at LSN {end.lsn} of the log in {base.path}, but cannot be read back: "
            f"{verified.why or verified.tail.value}"
        )
    return LogPosition(end.lsn + len(groups), verified.max_scn, verified.chain)


def has_room(lsn: int, size: int) -> bool:
    """Whether `size` bytes fit behind an LSN into its block. A block without a group may have no file."""
    offset = lsn % BLOCK_LOG_SIZE
    return 0 < offset <= BLOCK_LOG_SIZE - size - _TAIL_ROOM


def _blank(descriptor: int, at: int) -> None:
    """Fill a block's file with zeros from `at` on: a crash may have left a half-written group there."""
    rest = os.pread(descriptor, BLOCK_SIZE - at, at)
    if rest.count(0) != len(rest):
        os.ftruncate(descriptor, at)
        os.ftruncate(descriptor, BLOCK_SIZE)
        os.fsync(descriptor)
