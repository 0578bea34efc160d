"""Reads the redo log of a seekdb directory while the engine writes it.

Blocks are read from the held links first, then from the engine's folder. At the live end a group may be half written: a
checksum that does not match there means "not yet". It is damage only if the engine's end of log, or a later block, lies
beyond it, and a second look finds it unchanged.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from redoubt.engines.seekdb.files import BaseDir, block_ids, block_of
from redoubt.engines.seekdb.palf import (
    BLOCK_LOG_SIZE,
    INFO_SIZE,
    BadLogError,
    BlockInfo,
    Tail,
    VerifiedGroups,
    parse_block_info,
    verify_groups,
)
from redoubt.engines.seekdb.tx_log import is_upkeep
from redoubt.model.log import LogBatch, LogDamagedError, LogGoneError, LogPosition

_QUIET_LIMIT = 15.0
"""Seconds without log after which the engine is asked for its end of log: an idle engine writes every 5 s."""
_SECOND_LOOK = 1.0
"""Seconds until a new reader asks the engine, and until it asks again about a log that ends too early."""
_SMALLEST_READ = 64 * 1024
_NO_BLOCK = "the block does not exist"
_BLANK_BLOCK = "the block header is blank"
_TOO_LARGE = "a group extends past the end of its block"


class SeekdbLogReader:
    """A LogReader over one base directory.

    `end_of_log()` asks a quiet engine: None if its answer is not there yet, OSError if it does not answer.
    `ends_now()` asks at once about log that is not sound: up to where the log is finished, and up to where there may be
    log of acknowledged commits. TimeoutError if the engine hangs, OSError if it is down.
    """

    def __init__(
        self,
        base: BaseDir,
        end_of_log: Callable[[], int | None],
        clock: Callable[[], float] = time.monotonic,
        *,
        ends_now: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        self._base = base
        self._end_of_log = end_of_log
        self._ends_now = ends_now or self._same_ends
        self._clock = clock
        self._quiet_since = clock() + _SECOND_LOOK - _QUIET_LIMIT  # a new reader that finds nothing asks soon
        self._behind_since: float | None = None
        self._block = -1
        self._descriptor = -1

    def read(self, position: LogPosition, limit: int) -> LogBatch | None:
        """See `LogReader`."""
        data, found = self._look(position, limit)
        if found.size == 0 and self._is_suspect(position, found):
            data, found = self._judge(position, limit, found.tail)
        if found.size == 0:
            return None
        self._quiet_since, self._behind_since = self._clock(), None
        end = LogPosition(position.lsn + found.size, found.max_scn, found.chain)
        log = data[: found.size]
        return LogBatch(log, position, end, found.min_scn, is_upkeep(log))

    def close(self) -> None:
        """See `LogReader`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._block = self._descriptor = -1

    def _look(self, position: LogPosition, limit: int) -> tuple[bytes, VerifiedGroups]:
        """The data at a position, and the verified groups in the data."""
        block = block_of(position.lsn)
        try:
            if why := self._open(block):
                return b"", VerifiedGroups(0, position.chain, 0, 0, Tail.BLANK, why=why)
        except BadLogError as error:
            return b"", VerifiedGroups(0, position.chain, 0, 0, Tail.BAD, why=str(error))
        offset = position.lsn - block * BLOCK_LOG_SIZE
        if not any(os.pread(self._descriptor, 2, INFO_SIZE + offset)):
            return b"", VerifiedGroups(0, position.chain, 0, 0, Tail.BLANK)
        room = BLOCK_LOG_SIZE - offset
        size = min(max(limit, _SMALLEST_READ), room)
        data = os.pread(self._descriptor, size, INFO_SIZE + offset)
        found = verify_groups(data, position.chain, position.scn)
        if found.needed > room and found.size == 0:
            return b"", VerifiedGroups(0, position.chain, 0, 0, Tail.BAD, why=_TOO_LARGE)
        if found.size == 0 and found.needed > size:
            data = os.pread(self._descriptor, found.needed, INFO_SIZE + offset)
            found = verify_groups(data, position.chain, position.scn)
        return data, found

    def _open(self, block: int) -> str:
        """Open the block's file and check its header; returns what is missing, empty if nothing."""
        if block == self._block:
            return ""
        self.close()
        descriptor = self._open_file(block)
        if descriptor is None:
            return _NO_BLOCK
        try:
            info = parse_block_info(os.pread(descriptor, INFO_SIZE, 0))
            _check_number(info, block)
        except BadLogError:
            os.close(descriptor)
            raise
        if info is None:
            os.close(descriptor)
            return _BLANK_BLOCK
        self._block, self._descriptor = block, descriptor
        return ""

    def _open_file(self, block: int) -> int | None:
        for folder in (self._base.held, self._base.log):
            with suppress(FileNotFoundError):
                return os.open(folder / str(block), os.O_RDONLY)
        return None

    def _is_suspect(self, position: LogPosition, found: VerifiedGroups) -> bool:
        """Whether an empty result at a position may be damage or a gap."""
        if found.tail is Tail.BAD or self._log_goes_on_after(block_of(position.lsn)):
            return True
        return self._clock() - self._quiet_since > _QUIET_LIMIT

    def _judge(self, position: LogPosition, limit: int, tail: Tail) -> tuple[bytes, VerifiedGroups]:
        """Ask for the end of the log, read once more, and raise if existing log is missing or not sound."""
        block = block_of(position.lsn)
        if self._log_goes_on_after(block):
            known_end = end_of_commits = (block + 1) * BLOCK_LOG_SIZE
        elif tail is Tail.BAD:
            known_end, end_of_commits = self._ask_ends(position)
        else:
            known_end = end_of_commits = self._ask_end(position)
        self.close()
        data, found = self._look(position, limit)
        if found.size > 0 or end_of_commits <= position.lsn:
            return data, found
        if known_end <= position.lsn:  # "no more log" would acknowledge a commit whose log may be what is not sound
            raise TimeoutError(f"the engine is still writing what is at LSN {position.lsn}")
        where = f"LSN {position.lsn} (redo block {block} of {self._base.path})"
        if found.why == _NO_BLOCK:
            raise LogGoneError(f"the engine recycled the log at {where} before it was archived")
        if self._is_other_history(position):
            raise LogDamagedError(
                f"the log at {where} is not the log that was read before: this directory was set back to an earlier "
                "state or is a copy, and was written to since. Begin a new round, or put the former directory back"
            )
        why = found.why or found.tail.value
        raise LogDamagedError(f"the log at {where} is damaged, and the log goes on to LSN {known_end}: {why}")

    def _is_other_history(self, position: LogPosition) -> bool:
        """Whether the block has sound log beyond a position at which the log read so far cannot have ended."""
        offset = position.lsn - block_of(position.lsn) * BLOCK_LOG_SIZE
        if self._descriptor < 0:
            return False
        data = os.pread(self._descriptor, BLOCK_LOG_SIZE, INFO_SIZE)
        before = verify_groups(data[:offset], None)
        if before.size == offset:
            return position.chain is not None and before.chain not in {None, position.chain}
        return verify_groups(data, None).size > offset

    def _ask_end(self, position: LogPosition) -> int:
        """The engine's end of its log, 0 if it is not known now. Raises LogDamagedError for an earlier end."""
        try:
            known_end = self._end_of_log()
        except OSError:  # the engine is down: the tail of its log may be torn, and its next start repairs the tail
            self._quiet_since = self._clock()
            return 0
        if known_end is None:
            return 0
        self._quiet_since = self._clock()
        self._refuse_earlier_end(position, known_end)
        return known_end

    def _ask_ends(self, position: LogPosition) -> tuple[int, int]:
        """As `_ask_end`, of log that is not sound, where it must be known. Raises TimeoutError too."""
        try:
            known_end, end_of_commits = self._ends_now()
        except TimeoutError:
            raise
        except OSError:  # as above
            known_end, end_of_commits = 0, 0
        else:
            self._refuse_earlier_end(position, known_end)
        self._quiet_since = self._clock()
        return known_end, end_of_commits

    def _same_ends(self) -> tuple[int, int]:
        if (known_end := self._end_of_log()) is None:
            raise TimeoutError("the engine does not say where its log ends")
        return known_end, known_end

    def _refuse_earlier_end(self, position: LogPosition, known_end: int) -> None:
        """Raise if the log ends, also at a second look, before a position up to which it was read."""
        now = self._clock()
        if known_end >= position.lsn:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
            self._quiet_since = now + _SECOND_LOOK - _QUIET_LIMIT
        elif now - self._behind_since >= _SECOND_LOOK:
            raise LogDamagedError(
                f"the engine's log ends at LSN {known_end}, but it was read up to LSN {position.lsn}: the engine in "
                f"{self._base.path} was set back to an earlier state"
            )

    def _log_goes_on_after(self, block: int) -> bool:
        """Whether a later block with log exists."""
        for later in reversed(block_ids(self._base.log)):
            if later <= block:
                return False
            with suppress(FileNotFoundError), (self._base.log / str(later)).open("rb", buffering=0) as file:
                if any(os.pread(file.fileno(), 2, INFO_SIZE)):
                    return True
        return False


def _check_number(info: BlockInfo | None, block: int) -> None:
    if info is not None and info.block_id != block:
        raise BadLogError(f"the block header has the wrong number, {info.block_id}")
