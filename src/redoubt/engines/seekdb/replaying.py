"""The first start of an engine in a directory with a base and much log laid over the base.

Measured: an engine keeps all replayed data in memory until it has replayed all log; it flushes nothing meanwhile. Half
of its `memory_budget` is for this data. If that is not enough, the engine waits forever and does not tell its clients.
So the first start gets as much memory as the log needs. After the replay the engine flushes, and then needs no more
memory than usual.
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
    """The sizes for an engine that has to replay `log_bytes` of log. The memory budget is a limit, not reserved."""
    memory = max(_LEAST_MEMORY, _MEMORY_FOR_LOG * log_bytes)
    log_disk = max(_LEAST_LOG_DISK, 2 * log_bytes)
    return EngineSizes(f"{memory // _MIB}M", f"{log_disk // _MIB}M")


def laid_bytes(base: BaseDir) -> int:
    """Bytes of log in a directory, in whole blocks."""
    return len(block_ids(base.log)) * BLOCK_LOG_SIZE


def first_sizes(base: BaseDir, usual: EngineSizes) -> EngineSizes | None:
    """The sizes for the first start after a restore; None if the usual sizes suffice, or that start is over."""
    if not base.restored_from.exists() or base.replayed.exists():
        return None
    needed = sizes_for(laid_bytes(base))
    return needed if size_of(needed.memory_budget) > size_of(usual.memory_budget) else None


def size_of(text: str) -> int:
    """Bytes of a size in the engine's notation: 1G, 512M; a number alone is megabytes. 0: the engine chooses."""
    match = _SIZE.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write a size such as 512M or 4G")
    return int(match[1]) * _UNITS[match[2].upper() or "M"]


def flush_replayed(base: BaseDir, run: Run, clock: Callable[[], float] = time.monotonic) -> None:
    """Make the engine flush all replayed data into its files; returns after the flush, and leaves the mark `replayed`.

    Raises OSError, also if the engine does not finish in time.
    """
    ((end,),) = run("SELECT END_SCN FROM oceanbase.V$OB_LOG_STAT")
    deadline, freeze_at = clock() + _PATIENCE, clock()
    while run("SELECT checkpoint_scn FROM oceanbase.__all_virtual_ls_info")[0][0] < end:
        if clock() > deadline:
            raise TimeoutError(f"the engine in {base.path} did not flush the replayed data within {_PATIENCE:g} s")
        if clock() >= freeze_at:
            run("ALTER SYSTEM MINOR FREEZE")
            freeze_at = clock() + _FREEZE_AGAIN
        time.sleep(_POLL)
    base.replayed.touch(mode=0o600)
