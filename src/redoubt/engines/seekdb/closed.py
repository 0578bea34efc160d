"""Keeping a seekdb directory closed: while Redoubt writes into the directory, no engine opens it.

An engine lives under a shared lock on `run/seekdb.clients`. While Redoubt holds this lock exclusively, a call of
`pylibseekdb.open` waits (measured), and continues when the lock is released for any reason.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.pausing import pid_of
from redoubt.model.scratch_engine import OpenedError


@contextmanager
def kept_closed(base: BaseDir) -> Iterator[None]:
    """Keep engines out while the block runs. Raises OpenedError if an engine runs there, or was ever started there."""
    refuse_opened(base)
    base.clients.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(base.clients, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        refuse_opened(base)
        yield
    except BlockingIOError as error:
        raise OpenedError(
            f"another process uses {base.path}: an engine runs there, or another redoubt writes log into it; end that "
            "process first"
        ) from error
    finally:
        os.close(descriptor)


def refuse_opened(base: BaseDir) -> None:
    """Raise OpenedError if an engine was ever started there: an engine leaves files in `run`, and writes log."""
    run = base.clients.parent
    if run.is_dir() and any(entry != base.clients for entry in run.iterdir()):
        raise OpenedError(
            f"an engine was started in {base.path} and has written log of its own, so it is no standby any more; to "
            "follow, name another directory"
        )


@contextmanager
def without_engine(base: BaseDir) -> Iterator[None]:
    """Keep engines out while the block runs, also where one was started before. Raises OSError if one runs there."""
    closed = f"an engine runs in {base.path}; end that engine first"
    descriptor = os.open(base.clients, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if pid_of(base) is not None:
            raise BlockingIOError(closed)  # noqa: TRY301  # the two are one for the caller
        yield
    except BlockingIOError as error:
        raise BlockingIOError(closed) from error
    finally:
        os.close(descriptor)
