"""Keeps a plan's backups from being deleted while a restore reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from redoubt.archive.layout import PiecePath
from redoubt.archive.set_layout import SetPath
from redoubt.archive.store import exists
from redoubt.errors import RedoubtError
from redoubt.model.seams import Destination, LockedError
from redoubt.restore.planning import Plan


class BeingDeletedError(RedoubtError):
    """A backup that the restore needs is being deleted."""


@contextmanager
def in_use(plan: Plan) -> Iterator[None]:
    """Share the locks of the plan's data backup and complete pieces: a deletion needs these locks, and waits.

    The lock of a piece without manifest is left to its writer, which may be about to start again. A restore that may
    not open the locks' files protects nothing. Raises BeingDeletedError, DestinationError.
    """
    with ExitStack() as ends:
        _share(plan.base_store.destination, plan.base_store.path, ends)
        for part in plan.parts:
            if exists(part.store.destination, part.store.path.manifest):
                _share(part.store.destination, part.store.path, ends)
            _check_there(part.store.destination, part.store.path)
        yield


def _share(destination: Destination, path: PiecePath | SetPath, ends: ExitStack) -> None:
    try:
        lock = destination.share(path.lock)
    except LockedError as error:
        raise BeingDeletedError(f"{error}; try again when that has ended") from error
    if lock is not None:
        ends.callback(lock.release)
    _check_there(destination, path)


def _check_there(destination: Destination, path: PiecePath | SetPath) -> None:
    if exists(destination, path.deletion):
        raise BeingDeletedError(f"{path.folder} is being deleted; restore from a later data backup")
