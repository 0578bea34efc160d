"""Wraps the data keys of an archive with the present master key, so that a former one is not needed any more.

Nothing is encrypted again. The new object is stored and read back before the old one is removed. Keys that a password
wraps stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redoubt.archive.encryption import Key
from redoubt.archive.folder_keys import FolderKeys, wrapped_keys
from redoubt.archive.inventory import clusters, tenant_ids
from redoubt.archive.set_layout import data_folder
from redoubt.model.bases import SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import Destination, DestinationError


@dataclass(frozen=True)
class Rewrapped:
    """The data keys of one folder: how many were wrapped again, and how many had been; `problem` names a failure."""

    folder: str
    again: int = 0
    before: int = 0
    problem: str = ""


def rewrap(destination: Destination, master: Key) -> Iterator[Rewrapped]:
    """Wrap all data keys with `master`, folder by folder; one folder's failure stops no other.

    Raises DestinationError if the destination cannot be listed.
    """
    for folder in _folders(destination):
        names = [each.name for each in destination.list(folder)]
        if found := wrapped_keys(names):
            yield _in_folder(destination, folder, found, master)


def _in_folder(destination: Destination, folder: str, found: dict[str, dict[str, str]], master: Key) -> Rewrapped:
    again = before = 0
    try:
        for data_key, masters in found.items():
            keys = FolderKeys(destination, folder)
            if keys.is_of_password(data_key):
                continue
            keys.wrap_again(data_key, master)
            others = [name for other, name in masters.items() if other != master.id]
            for name in others:
                destination.delete(name)
            again, before = again + bool(others), before + (not others)
    except DestinationError as error:
        return Rewrapped(folder, again, before, str(error))
    return Rewrapped(folder, again, before)


def _folders(destination: Destination) -> Iterator[str]:
    """The folders of all pieces and data backups."""
    for cluster in clusters(destination):
        for tenant_id in tenant_ids(destination, cluster):
            for parent, kind in ((cluster.clog(tenant_id), PieceKey), (data_folder(cluster, tenant_id), SetKey)):
                for name in destination.folders(parent):
                    if kind.parse(name) is not None:
                        yield f"{parent}/{name}"
