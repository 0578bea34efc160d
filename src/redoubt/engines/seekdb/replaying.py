"""The first start of a directory over whose base much log was laid.

Measured: what an engine replays stays in memory until all of it is replayed; nothing is flushed meanwhile. Half of its
`memory_budget` is for that, and where it does not suffice the engine waits for ever, without a word to its clients. So
it is started with as much as the log needs, once; when it has replayed, it flushes, and needs no more than usual.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from redoubt.engines.seekdb.files import BaseDir, block_ids
from redoubt.engines.seekdb.palf import BLOCK_LOG_SIZE
from redoubt.model.keeping import EngineSizes

_MIB = 1024**2
_LEAST_MEMORY = 1024 * _MIB
_LEAST_LOG_DISK = 2048 * _MIB
_MEMORY_FOR_LOG = 16
"""Bytes of budget for a byte of log: half counts, and log of rows of 100 bytes took 3.4 times its size in memory."""
_UNITS = {"K": 1024, "M": _MIB, "G": 1024 * _MIB, "T": 1024**2 * _MIB}
_SIZE = re.compile(r"([0-9]+)([KMGT]?)B?\Z", re.IGNORECASE)
_FREEZE_AGAIN = 15.0
_PATIENCE = 900.0
_POLL = 0.1

Run = Callable[[str], tuple[tuple[Any, ...], ...]]
"""Runs a statement on the engine: its rows. Raises OSError."""


def sizes_for(log_bytes: int) -> EngineSizes:
    """How much an engine needs that finds so much log to replay. The budget is a limit, and not taken at once."""
    memory = max(_LEAST_MEMORY, _MEMORY_FOR_LOG * log_bytes)
    log_disk = max(_LEAST_LOG_DISK, 2 * log_bytes)
    return EngineSizes(f"{memory // _MIB}M", f"{log_disk // _MIB}M")


def laid_bytes(base: BaseDir) -> int:
    """Bytes of log in a directory, whole blocks counted."""
    return len(block_ids(base.log)) * BLOCK_LOG_SIZE


def first_sizes(base: BaseDir, usual: EngineSizes) -> EngineSizes | None:
    """What a restored directory's engine needs at its first start; None where the usual suffices, or it has been."""
    if not base.restored_from.exists() or base.replayed.exists():
        return None
    needed = sizes_for(laid_bytes(base))
    return needed if size_of(needed.memory_budget) > size_of(usual.memory_budget) else None


def size_of(text: str) -> int:
    """Bytes of a size as the engine spells it: 1G, 512M; a number alone is megabytes. 0 is the engine's own choice."""
    match = _SIZE.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no size; write it as 512M or 4G")
    return int(match[1]) * _UNITS[match[2].upper() or "M"]


def flush_replayed(base: BaseDir, run: Run, clock: Callable[[], float] = time.monotonic) -> None:
    """Have all that the engine has replayed brought into its files; returns when they hold it, which is on record.

    Raises OSError, also if the engine does not get there.
    """
    ((end,),) = run("SELECT END_SCN FROM oceanbase.V$OB_LOG_STAT")
    deadline, freeze_at = clock() + _PATIENCE, clock()
    while run("SELECT checkpoint_scn FROM oceanbase.__all_virtual_ls_info")[0][0] < end:
        if clock() > deadline:
            raise TimeoutError(f"the engine in {base.path} does not flush what it has replayed")
        if clock() >= freeze_at:
            run("ALTER SYSTEM MINOR FREEZE")
            freeze_at = clock() + _FREEZE_AGAIN
        time.sleep(_POLL)
    base.replayed.touch(mode=0o600)
