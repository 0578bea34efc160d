"""The data keys of one folder of an archive, a piece's or a set's: found, unwrapped, made.

A wrapped key is an object of the folder, named by the two keys, so nobody ever replaces one. Each encrypted object
names its data key. So two writers that make a key at the same time do no harm, and a new master key needs only one more
small object beside the others.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from redoubt.archive.bounded import read_record
from redoubt.archive.encryption import (
    SALT_SIZE,
    DecryptionError,
    Key,
    KeyLostError,
    KeyMissingError,
    WrappedKey,
    key_of,
    unwrap,
    wrap,
)
from redoubt.archive.master_keys import (
    FORMER_MASTER_KEYS,
    MASTER_KEY,
    PASSWORDS,
    master_key,
    master_keys,
    passwords,
)
from redoubt.archive.record import RecordError, dump_record
from redoubt.model.seams import Destination, DestinationError, ObjectExistsError, ObjectMissingError

_MOST_TRIED = 16
"""The most wrapped keys that passwords are tried with: each try takes a tenth of a second."""
_NAME = re.compile(r"data_key-(?P<data>[0-9a-f]{16})-(?P<master>[0-9a-f]{16})\Z", re.ASCII)


def wrapped_key_in(name: str) -> tuple[str, str] | None:
    """The ids of the data key and the master key in the name of an object, None if it is no wrapped key."""
    match = _NAME.match(name.rpartition("/")[2])
    return (match["data"], match["master"]) if match else None


def wrapped_keys(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The wrapped keys among the names of a folder's objects: their names by data key and master key."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        if ids := wrapped_key_in(name):
            found.setdefault(ids[0], {})[ids[1]] = name
    return found


class FolderKeys:
    """The keys of one folder. Any thread may use them. `with_passwords()` gives the passwords to unwrap with."""

    def __init__(
        self, destination: Destination, folder: str, with_passwords: Callable[[], Sequence[str]] = passwords
    ) -> None:
        self._destination = destination
        self._folder = folder
        self._passwords = with_passwords
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}

    def __call__(self, data_key: str) -> Key:
        """The data key of that id. Raises KeyMissingError, MasterKeyError, DestinationError."""
        with self._lock:
            if data_key not in self._keys:
                self._keys[data_key] = self._unwrapped(data_key, self._wrapped().get(data_key, {}))
            return self._keys[data_key]

    def present(self) -> Key | None:
        """A data key of the folder, None if it has none: nothing in it is encrypted. Raises as a call does."""
        with self._lock:
            for data_key, masters in self._wrapped().items():
                return self._keys.setdefault(data_key, self._unwrapped(data_key, masters))
        return None

    def for_writing(self) -> Key:
        """A data key that the present master key has wrapped; a new one if there is none. Raises as a call does.

        Without a master key, a new one that a password wraps.
        """
        master = master_key()
        if master is None and (known := self._passwords()):
            return self.for_password(known[0])
        if master is None:
            raise KeyMissingError(f"no master key is set: set {MASTER_KEY}, or master_key in the configuration file")
        with self._lock:
            for data_key, masters in self._wrapped().items():
                if master.id in masters:
                    return self._keys.setdefault(data_key, self._read(masters[master.id], master))
            key = Key.new()
            self.put(wrap(key, master))
            return self._keys.setdefault(key.id, key)

    def for_password(self, password: str) -> Key:
        """A new data key that only this password unwraps. Raises DestinationError."""
        key, salt = Key.new(), os.urandom(SALT_SIZE)
        self.put(wrap(key, key_of(password, salt), salt))
        with self._lock:
            return self._keys.setdefault(key.id, key)

    def put(self, wrapped: WrappedKey) -> None:
        """Store a wrapped key; the same one again is no error. Raises DestinationError."""
        name = f"{self._folder}/data_key-{wrapped.data_key}-{wrapped.master_key}"
        with suppress(ObjectExistsError):
            self._destination.put_if_absent(name, dump_record(wrapped, indent=2))

    def _wrapped(self) -> dict[str, dict[str, str]]:
        return wrapped_keys(each.name for each in self._destination.list(self._folder))

    def _unwrapped(self, data_key: str, masters: dict[str, str]) -> Key:
        known = master_keys()
        for master in masters.keys() & known.keys():
            return self._read(masters[master], known[master])
        if not masters:
            raise KeyLostError(
                f"{self._folder} is encrypted with the data key {data_key}, but the object with this key is gone"
            )
        if found := self._with_password(masters):
            return found
        wanted, given = " or ".join(sorted(masters)), ", ".join(sorted(known)) or "none"
        raise KeyMissingError(
            f"{self._folder} is encrypted: its master key is {wanted}, and those given are: {given}. Name the source "
            f"of the key in {MASTER_KEY} or {FORMER_MASTER_KEYS}, or in the configuration file of the service"
        )

    def _with_password(self, masters: dict[str, str]) -> Key | None:
        """The data key, unwrapped with a password; None if no password has wrapped it.

        Raises KeyMissingError if another one has than those given.
        """
        needs_password = False
        for name in list(masters.values())[:_MOST_TRIED]:
            wrapped = self._record(name)
            needs_password |= bool(wrapped.salt)
            for password in self._passwords() if wrapped.salt else ():
                master = key_of(password, bytes.fromhex(wrapped.salt))
                if master.id == wrapped.master_key:
                    return self._read(name, master)
        if needs_password:
            given = "the passwords that were given are others" if self._passwords() else "no password is given"
            raise KeyMissingError(
                f"{self._folder} is encrypted with a password, and {given}: run SET DECRYPTION IDENTIFIED BY '…' "
                f"before RESTORE, or put the password into {PASSWORDS}"
            )
        return None

    def _record(self, name: str) -> WrappedKey:
        try:
            return read_record(WrappedKey, self._destination, name)
        except ObjectMissingError as error:
            raise DestinationError(f"{name} has just been removed") from error
        except RecordError as error:
            raise KeyLostError(f"{name} is damaged: {error}") from error

    def _read(self, name: str, master: Key) -> Key:
        try:
            return unwrap(self._record(name), master)
        except DecryptionError as error:
            raise KeyLostError(f"{name} is damaged: {error}") from error
