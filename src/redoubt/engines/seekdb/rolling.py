"""Makes an engine in the STANDBY role flush all log that was laid into a directory into its files, and nothing else.

Measured: in that role an engine flushes while it replays, its checkpoint reaches the end of the log exactly, and it
writes no log. The first flush comes about a minute after the start. Every roll checks the checkpoint and the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import xxhash

from redoubt.engines.seekdb.files import BaseDir, block_ids, block_of
from redoubt.engines.seekdb.palf import INFO_SIZE
from redoubt.engines.seekdb.proven import UnprovenEngineError, installed_version, refuse_unproven
from redoubt.engines.seekdb.replaying import laid_bytes, sizes_for
from redoubt.engines.seekdb.scratch_seekdb import ScratchSeekdb
from redoubt.engines.seekdb.standby_role import RoleError, become_primary_again, become_standby
from redoubt.engines.seekdb.still_source import StillSource
from redoubt.model.bases import BaseSource
from redoubt.model.keeping import EngineSizes
from redoubt.model.log import LogPosition
from redoubt.model.scratch_engine import Login, NotRolledError, ScratchEngine, ScratchError, StatementError

_MEMORY = "2G"
_OFTEN = "_advance_checkpoint_interval=1s"
_NO_SCN = 4611686018427387903
"""The engine shows this, the largest SCN, in place of a missing SCN."""
_STARTS = 12
_LOGIN_PATIENCE = 15.0
"""Seconds to wait for an account that is not in the base, but in the log that is being replayed."""
_STALLED = 600.0
"""Seconds without progress after which the roll fails."""
_POLL = 0.5
_REPLAY = "SELECT unsubmitted_lsn, pending_cnt FROM oceanbase.__all_virtual_replay_stat"
_CHECKPOINT = "SELECT checkpoint_lsn, checkpoint_scn FROM oceanbase.__all_virtual_ls_info"
_END = "SELECT END_LSN FROM oceanbase.V$OB_LOG_STAT"
_PIECE = 8 * 1024 * 1024
_ZEROES = bytes(_PIECE)


class SeekdbRoller:
    """See `Roller`. `say` receives the engine's progress as text."""

    def __init__(self, base: BaseDir, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._base = base
        self._say = say
        self._clock = clock

    def roll(
        self,
        end: LogPosition,
        logins: Sequence[Login],
        source: str,
        version: str,
        look: Callable[[ScratchEngine], None],
    ) -> BaseSource:
        """See `Roller`."""
        try:
            refuse_unproven(f"rolling {self._base.path} forward", installed_version())
            before = {block: _digest(self._base, block) for block in block_ids(self._base.log)}
            become_standby(self._base)
            try:
                checkpoint = self._replay(end, logins, look)
            finally:
                become_primary_again(self._base)
        except (RoleError, ScratchError, StatementError, UnprovenEngineError) as error:
            raise NotRolledError(str(error)) from error
        self._check_log(before, checkpoint, end)
        return StillSource(self._base, source, version, checkpoint, end)

    def _replay(self, end: LogPosition, logins: Sequence[Login], look: Callable[[ScratchEngine], None]) -> int:
        """Run the engine until its files hold the log up to `end`; the LSN of its checkpoint."""
        engine = self._opened(EngineSizes(_MEMORY, sizes_for(laid_bytes(self._base)).log_disk_size, (_OFTEN,)), logins)
        try:
            checkpoint = self._wait(engine, end)
            _check_tables(engine, end)
            look(engine)
            engine.end_in_order()
        finally:
            engine.stop()
        return checkpoint

    def _opened(self, sizes: EngineSizes, logins: Sequence[Login]) -> ScratchSeekdb:
        """An engine that has started and lets somebody in. Raises ScratchError, NotRolledError.

        In this role the engine does not wait for its replay. It reads system tables that are half replayed, and may
        fail on them, most often if the base is from the source's first minute and the log has all of these tables.
        Whether a start fails is chance (16 of 25 starts failed beside other work); nothing is flushed by then. The
        engine accepts connections before it has started all of its services, so it may also end during the login.
        """
        tries, deadline = 0, self._clock() + _STALLED
        while True:
            engine, tries = ScratchSeekdb(self._base, sizes), tries + 1
            try:
                engine.start()
                self._log_in(engine, logins)
            except ScratchError:
                engine.stop()
                if tries == _STARTS or self._clock() > deadline:
                    raise
                self._say(f"the engine ended at its start, retrying ({tries} of {_STARTS - 1})")
            except BaseException:
                engine.stop()
                raise
            else:
                return engine

    def _log_in(self, engine: ScratchSeekdb, logins: Sequence[Login]) -> None:
        deadline = self._clock() + _LOGIN_PATIENCE
        while engine.log_in(logins) is None:
            if self._clock() > deadline:
                names = ", ".join(dict.fromkeys(each.user for each in logins))
                raise NotRolledError(
                    f"no login succeeded ({names}), so the progress of the engine is unknown; "
                    "give --user and REDOUBT_PASSWORD, or the service's home with --home"
                )
            time.sleep(_POLL)

    def _wait(self, engine: ScratchSeekdb, end: LogPosition) -> int:
        seen, since = None, self._clock()
        while True:
            replayed, pending = _row(engine, _REPLAY)
            lsn, scn = _row(engine, _CHECKPOINT)
            (there,) = _row(engine, _END)
            if int(there) != end.lsn or int(scn) > end.scn:
                raise NotRolledError(
                    f"the engine's log ends at LSN {there} and its checkpoint is SCN {scn}, "
                    f"but the laid log ends at LSN {end.lsn} and SCN {end.scn}"
                )
            if int(replayed) == end.lsn and not int(pending) and int(scn) == end.scn:
                return int(lsn)
            if (now := (replayed, pending, lsn, scn)) != seen:
                seen, since = now, self._clock()
                self._say(f"replayed up to LSN {replayed} of {end.lsn}, flushed up to LSN {lsn}")
            if self._clock() - since > _STALLED:
                raise NotRolledError(f"the engine stopped at LSN {replayed}: it made no progress for {_STALLED:g} s")
            time.sleep(_POLL)

    def _check_log(self, before: dict[int, bytes], checkpoint: int, end: LogPosition) -> None:
        """Check that the engine has recycled only log before its checkpoint, and has written no log."""
        now = block_ids(self._base.log)
        for block in now:
            if block not in before:
                _refuse_log(self._base, block)
                (self._base.log / str(block)).unlink()  # the engine made this block for future log
            elif _digest(self._base, block) != before[block]:
                raise NotRolledError(f"the engine has changed the log in block {block}")
        if missing := set(range(block_of(checkpoint), block_of(end.lsn - 1) + 1)) - set(now):
            raise NotRolledError(f"the engine has removed the log in blocks {sorted(missing)}")


def _check_tables(engine: ScratchSeekdb, end: LogPosition) -> None:
    """Check that no table claims to hold log from behind the end: later replays would skip that log."""
    beyond = (
        "SELECT COUNT(*) FROM oceanbase.__all_virtual_table_mgr "
        f"WHERE end_log_scn > {end.scn} AND end_log_scn < {_NO_SCN}"
    )
    if (count := int(_row(engine, beyond)[0])) > 0:
        raise NotRolledError(f"{count} tables of the engine claim to hold log from behind SCN {end.scn}")


def _row(engine: ScratchSeekdb, sql: str) -> tuple[Any, ...]:
    rows = next(engine.results(sql))
    if not rows:
        raise StatementError(f"the engine returned no row for: {sql}")
    return rows[0]


def _digest(base: BaseDir, block: int) -> bytes:
    """The digest of a block file without its header, also of the bytes behind the end of the log."""
    digest = xxhash.xxh3_128()
    with (base.log / str(block)).open("rb") as file:
        file.seek(INFO_SIZE)
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.digest()


def _refuse_log(base: BaseDir, block: int) -> None:
    with (base.log / str(block)).open("rb") as file:
        file.seek(INFO_SIZE)
        while piece := file.read(_PIECE):
            if piece != _ZEROES[: len(piece)]:
                raise NotRolledError(f"the engine has written log of its own, into block {block}")
