"""`redoubt replay`, and what `redoubt restore` ends with: the first start of a directory over whose base log was laid.

The engine replays, with as much memory as the log needs; what was open where the log ends is rolled back; and where
there is much log, what was replayed is flushed, so that the next start needs no more memory than any other.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from redoubt.cli.printing import complain, console
from redoubt.engines.seekdb.account import connect_as
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import EngineSizes
from redoubt.engines.seekdb.orphans import OrphansLeftError, await_own_work, end_orphans
from redoubt.engines.seekdb.replaying import first_sizes, flush_replayed, laid_bytes, sizes_for
from redoubt.engines.seekdb.scratch_seekdb import LOG_AT_LEISURE, ScratchSeekdb
from redoubt.model.log import LogDamagedError
from redoubt.model.scratch_engine import ScratchError

_STATEMENT_PATIENCE = 60.0


@dataclass(frozen=True)
class FirstStart:
    """What came of it: whether the engine opened, how many transactions were rolled back (None: not known), trouble."""

    is_open: bool
    rolled_back: int | None = None
    trouble: str = ""


def needs_flush(directory: Path) -> bool:
    """Whether an engine of the usual size would wait for ever in a directory that was restored."""
    return first_sizes(BaseDir(directory), EngineSizes()) is not None


def replay(directory: Path, user: str, password: str) -> int:
    """Have an engine replay the log in a directory and bring it into its files; the exit status."""
    base, began = BaseDir(directory), time.monotonic()
    if not base.log.is_dir():
        complain(f"{directory} is no seekdb directory: there is no log in {base.log}")
        return 1
    if base.restoring.exists():
        complain(f"{directory} holds an unfinished restore; repeat redoubt restore, which goes on with it")
        return 1
    started = start_once(directory, user, password, flush=True)
    if started.trouble:
        complain(started.trouble)
        return 1
    console(error=True).print(
        f"replayed and flushed in {time.monotonic() - began:.1f} s; transactions that were open and are rolled back: "
        f"{started.rolled_back}",
        markup=False,
    )
    return 0


def start_once(directory: Path, user: str, password: str, *, flush: bool) -> FirstStart:
    """Start an engine in a directory once, and end it."""
    base, out, rolled_back = BaseDir(directory), console(error=True), None
    size, sizes = laid_bytes(base), sizes_for(laid_bytes(base))
    engine = _Engine(base, sizes, user, password)
    try:
        with out.status(f"an engine replays up to {size >> 20} MiB of log, with memory_budget={sizes.memory_budget}"):
            rolled_back = len(end_orphans(base, engine))
        if flush:
            with out.status("the engine flushes what it has replayed"):
                flush_replayed(base, engine.run)
        await_own_work(engine.run)
    except ScratchError as error:
        return FirstStart(is_open=False, trouble=str(error))
    except (LogDamagedError, OrphansLeftError) as error:
        return FirstStart(is_open=True, trouble=str(error))
    except OSError as error:
        budget = f", or open it first with memory_budget={sizes.memory_budget}" if flush else ""
        missed = "flushed" if rolled_back is not None else "looked through for transactions that were open"
        text = (
            f"replayed, but not {missed}, since {user} could not log in or was refused ({error}): run redoubt replay "
            f"{directory} with --user and --password{budget}"
        )
        return FirstStart(is_open=True, rolled_back=rolled_back, trouble=text)
    finally:
        engine.stop()
    return FirstStart(is_open=True, rolled_back=rolled_back)


class _Engine:
    """See `Restartable`."""

    def __init__(self, base: BaseDir, sizes: EngineSizes, user: str, password: str) -> None:
        self._base = base
        self._scratch = ScratchSeekdb(base, sizes)
        self._account = user, password
        self._connection: Connection[Any] | None = None

    def start(self) -> None:
        """See `Restartable`. Raises ScratchError."""
        self._scratch.start()

    def stop(self) -> None:
        """See `Restartable`."""
        if self._connection is not None:
            self._log_at_leisure()
            with suppress(pymysql.err.Error, OSError):  # it may be broken already
                self._connection.close()
            self._connection = None
        self._scratch.end_in_order()

    def _log_at_leisure(self) -> None:
        try:
            self.run(LOG_AT_LEISURE)
        except OSError as error:
            complain(
                f"the engine in {self._base.path} goes on writing its own log at once, which costs some speed, until "
                f"somebody who may runs {LOG_AT_LEISURE} there: {error}"
            )

    def run(self, sql: str) -> tuple[tuple[Any, ...], ...]:
        """See `Restartable`."""
        try:
            if self._connection is None:
                self._connection = connect_as(self._base, *self._account, _STATEMENT_PATIENCE)
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                return tuple(cursor.fetchall())
        except pymysql.err.Error as error:
            raise OSError(str(error)) from error
