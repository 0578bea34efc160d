"""`redoubt replay`: the first start of a restored directory, with as much memory as the log that was laid needs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pymysql

from redoubt.cli.printing import complain, console
from redoubt.engines.seekdb.account import connect_as
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import EngineSizes
from redoubt.engines.seekdb.replaying import first_sizes, flush_replayed, laid_bytes, sizes_for
from redoubt.engines.seekdb.scratch import ScratchSeekdb
from redoubt.model.scratch import ScratchError

_STATEMENT_PATIENCE = 60.0


def needs_replay(directory: Path) -> bool:
    """Whether an engine of the usual size would wait for ever in a directory that was restored."""
    return first_sizes(BaseDir(directory), EngineSizes()) is not None


def replay(directory: Path, user: str, password: str) -> int:
    """Have an engine replay the log in a directory and bring it into its files; the exit status."""
    base = BaseDir(directory)
    if not base.log.is_dir():
        complain(f"{directory} is no seekdb directory: there is no log in {base.log}")
        return 1
    if base.restoring.exists():
        complain(f"{directory} holds an unfinished restore; repeat redoubt restore, which goes on with it")
        return 1
    size, sizes, began = laid_bytes(base), sizes_for(laid_bytes(base)), time.monotonic()
    out, engine = console(error=True), ScratchSeekdb(base, sizes)
    try:
        with out.status(f"an engine replays up to {size >> 20} MiB of log, with memory_budget={sizes.memory_budget}"):
            engine.start()
        with (
            out.status("the engine flushes what it has replayed"),
            connect_as(base, user, password, _STATEMENT_PATIENCE) as connection,
        ):
            flush_replayed(base, lambda sql: _rows(connection, sql))
    except ScratchError as error:
        complain(error)
        return 1
    except (pymysql.err.Error, OSError) as error:
        complain(
            f"replayed, but not flushed, since {user} could not log in or was refused ({error}): run redoubt replay "
            f"{directory} with --user and --password, or open it first with memory_budget={sizes.memory_budget}"
        )
        return 1
    finally:
        engine.stop()
    out.print(f"replayed and flushed in {time.monotonic() - began:.1f} s", markup=False)
    return 0


def _rows(connection: Any, sql: str) -> tuple[tuple[Any, ...], ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return tuple(cursor.fetchall())
