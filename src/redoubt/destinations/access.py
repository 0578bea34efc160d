"""Keys of object stores: kept apart from the destination's URI, so that no view, log, message or object shows them.

A key that comes with a URI, in SQL, is taken out of the text at once and kept in the file `access.json` of the home,
which only the service's user can read. The URI without keys names the destination everywhere else. The service's child
processes find the file by an environment variable; so can commands. Without an entry, the keys come from the
environment (`REDOUBT_ACCESS_ID`, `REDOUBT_ACCESS_KEY`), and without these from where the provider's own tools look:
its environment variables, its configuration files, and the role of the machine.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from redoubt.durable import replace_file
from redoubt.model.seams import DestinationError

ACCESS_FILE: Final = "REDOUBT_ACCESS_FILE"
"""The environment variable that names the file with the keys."""
ACCESS_ID: Final = "REDOUBT_ACCESS_ID"
ACCESS_KEY: Final = "REDOUBT_ACCESS_KEY"
_LONGEST_FILE = 1024 * 1024
_changing = threading.Lock()


class AccessError(DestinationError):
    """The file with the keys cannot be read or written; the text says why."""


@dataclass(frozen=True)
class Access:
    """The keys of an account in an object store. `repr` and `str` show neither."""

    access_id: str = field(repr=False)
    access_key: str = field(repr=False)


class AccessFile:
    """The file with the keys, by the destination's URI without keys."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def remember(self, uri: str, access: Access) -> None:
        """Keep the keys of a destination, in place of former ones. Raises AccessError."""
        with _changing:
            entries = self._read() | {uri: {"access_id": access.access_id, "access_key": access.access_key}}
            try:
                replace_file(self.path, json.dumps(entries, indent=1).encode())
            except OSError as error:
                raise AccessError(f"cannot keep the keys in {self.path}: {error.strerror}") from error

    def of(self, uri: str) -> Access | None:
        """The keys of a destination, None if the file has none. Raises AccessError."""
        entry = self._read().get(uri)
        return None if entry is None else Access(entry["access_id"], entry["access_key"])

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            with self.path.open("rb") as file:
                entries = json.loads(file.read(_LONGEST_FILE))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise AccessError(f"cannot read the keys in {self.path}: {error.strerror}") from error
        except ValueError as error:
            raise self._damaged() from error
        if not _is_well_formed(entries):
            raise self._damaged()
        return dict(entries)

    def _damaged(self) -> AccessError:
        return AccessError(f"{self.path} is damaged: remove it, and set the destinations with their keys again")


def present_access(uri: str) -> Access | None:
    """The keys to use for a destination now; None leaves the search to the provider's own rules. Raises AccessError."""
    file = os.environ.get(ACCESS_FILE)
    if file and (kept := AccessFile(Path(file)).of(uri)) is not None:
        return kept
    access_id, access_key = os.environ.get(ACCESS_ID), os.environ.get(ACCESS_KEY)
    return Access(access_id, access_key) if access_id and access_key else None


def _is_well_formed(entries: object) -> bool:
    return isinstance(entries, dict) and all(
        isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("access_id", "access_key"))
        for entry in entries.values()
    )
