"""Keeping a seekdb directory closed: while we write into it, no engine opens it.

An engine lives under a shared lock on `run/seekdb.clients`. While we hold that lock alone, whoever calls
`pylibseekdb.open` waits in there (measured), and has the directory as soon as we let go, however that happens.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from redoubt.engines.seekdb.files import BaseDir
from redoubt.model.scratch_engine import OpenedError


@contextmanager
def kept_closed(base: BaseDir) -> Iterator[None]:
    """Keep engines out while the block runs. Raises OpenedError if one is in there, or ever was."""
    refuse_opened(base)
    base.clients.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(base.clients, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        refuse_opened(base)
        yield
    except BlockingIOError as error:
        raise OpenedError(f"another process uses {base.path}: an engine runs there, or it is being laid") from error
    finally:
        os.close(descriptor)


def refuse_opened(base: BaseDir) -> None:
    """Raise OpenedError if an engine was ever started there: it leaves files in `run`, and log of its own."""
    run = base.clients.parent
    if run.is_dir() and any(entry != base.clients for entry in run.iterdir()):
        raise OpenedError(
            f"an engine was started in {base.path}: its log goes on in its own way; follow into another directory"
        )
