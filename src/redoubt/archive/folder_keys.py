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
    MasterKeyError,
    key_from,
    key_sources,
    master_key,
    passwords,
)
from redoubt.archive.record import RecordError, dump_record
from redoubt.model.seams import Destination, ObjectExistsError, ObjectMissingError

_MOST_NAMED = 4
_MOST_TRIED = 64
"""The most tries of passwords in a folder: each takes a tenth of a second."""
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
    """The keys of one folder. Any thread may use them. `with_passwords()` gives the passwords to unwrap with.

    `listed` gives the names of the folder's objects. The default is a listing each time that an unknown key is asked
    for.
    """

    def __init__(
        self,
        destination: Destination,
        folder: str,
        with_passwords: Callable[[], Sequence[str]] = passwords,
        listed: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        self._destination = destination
        self._folder = folder
        self._passwords = with_passwords
        self._listed = listed or (lambda: (each.name for each in destination.list(folder)))
        self._lock = threading.Lock()
        self._keys: dict[str, Key] = {}
        self._tries = 0
        self.mine: WrappedKey | None = None
        """The key that `for_writing` or `for_password` gave, as stored."""
        self.password = ""
        """The password that unwrapped a key, empty if none did."""

    def __call__(self, data_key: str) -> Key:
        """The data key of that id. Raises KeyMissingError, DestinationError."""
        with self._lock:
            if data_key not in self._keys:
                self._keys[data_key] = self._unwrapped(data_key, wrapped_keys(self._listed()).get(data_key, {}))
            return self._keys[data_key]

    def for_writing(self) -> Key:
        """A data key that the present master key has wrapped; a new one if there is none. Raises as a call does."""
        master = master_key()
        if master is None:
            raise KeyMissingError(f"no master key is set: set {MASTER_KEY}, or master_key in the configuration file")
        with self._lock:
            for masters in wrapped_keys(self._listed()).values():
                with suppress(KeyLostError):  # damaged: another key is used, and verify names this one
                    if master.id in masters:
                        return self._use(self._record(masters[master.id]), master)
            return self._use(wrap(Key.new(), master), master)

    def for_password(self, password: str) -> Key:
        """A new data key that only this password unwraps. Raises DestinationError."""
        salt = os.urandom(SALT_SIZE)
        master = key_of(password, salt)
        with self._lock:
            return self._use(wrap(Key.new(), master, salt), master)

    def for_remark(self) -> Key:
        """A key for a remark on encrypted data: one that is there and can be had, else one as for writing."""
        with self._lock:
            for data_key, masters in wrapped_keys(self._listed()).items():
                with suppress(KeyMissingError):
                    return self._unwrapped(data_key, masters)
        return self.for_writing()

    def is_of_password(self, data_key: str) -> bool:
        """Whether only passwords unwrap a data key. Raises DestinationError."""
        names = wrapped_keys(self._listed()).get(data_key, {}).values()
        return bool(names) and all(self._record(name).salt for name in names)

    def wrap_again(self, data_key: str, master: Key) -> None:
        """Wrap a data key with `master` as well, and read that back. Raises as a call does."""
        wrapped = wrap(self(data_key), master)
        self.put(wrapped)
        unwrap_from(self._folder, self._record(self._name(wrapped)), master)

    def put(self, wrapped: WrappedKey) -> None:
        """Store a wrapped key, unless it is there. Raises DestinationError."""
        name = self._name(wrapped)
        try:
            self._destination.get(name, 0, 1)
        except ObjectMissingError:
            with suppress(ObjectExistsError):
                self._destination.put_if_absent(name, dump_record(wrapped, indent=2))

    def _name(self, wrapped: WrappedKey) -> str:
        return f"{self._folder}/data_key-{wrapped.data_key}-{wrapped.master_key}"

    def _use(self, wrapped: WrappedKey, master: Key) -> Key:
        """The key, which is stored now, for writing."""
        key = unwrap_from(self._folder, wrapped, master)
        self.put(wrapped)
        self.mine = wrapped
        return self._keys.setdefault(key.id, key)

    def _unwrapped(self, data_key: str, masters: dict[str, str]) -> Key:
        if not masters:
            raise KeyLostError(
                f"{self._folder} is encrypted with the data key {data_key}, but the object with this key is gone"
            )
        troubles, damage = list[str](), dict[str, KeyLostError]()
        for source in key_sources():
            try:
                master = key_from(source)
            except MasterKeyError as error:
                troubles.append(str(error))
                continue
            if name := masters.get(master.id):
                try:
                    return unwrap_from(self._folder, self._record(name), master)
                except KeyLostError as error:
                    damage[name] = error
        found, needs_password = self._with_passwords(masters, damage)
        if found is not None:
            return found
        if len(damage) == len(masters):
            raise next(iter(damage.values()))
        if needs_password:
            given = "the passwords that were given are others" if self._passwords() else "no password is given"
            raise KeyMissingError(
                f"{self._folder} is encrypted with a password, and {given}: run SET DECRYPTION IDENTIFIED BY '…' "
                f"before RESTORE, or put the password into {PASSWORDS}"
            )
        wanted = " or ".join(sorted(masters)[:_MOST_NAMED])
        troubles.append("none of the keys that are given is this one" if key_sources() else "no key is given")
        raise KeyMissingError(
            f"{self._folder} is encrypted, and its master key is {wanted}: {'; '.join(troubles)}. Name the source of "
            f"the key in {MASTER_KEY} or {FORMER_MASTER_KEYS}, or in the configuration file of the service"
        )

    def _with_passwords(self, masters: dict[str, str], damage: dict[str, KeyLostError]) -> tuple[Key | None, bool]:
        """The data key, unwrapped with a password, or None; and whether a password has wrapped it."""
        needs_password = False
        for name in list(masters.values())[:_MOST_TRIED]:
            try:
                wrapped = self._record(name)
            except KeyLostError as error:
                damage[name] = error
                continue
            needs_password |= bool(wrapped.salt)
            for password in self._passwords() if wrapped.salt else ():
                self._tries += 1
                if self._tries > _MOST_TRIED:
                    break
                master = key_of(password, bytes.fromhex(wrapped.salt))
                if master.id == wrapped.master_key:
                    self.password, self._tries = password, 0
                    return unwrap_from(self._folder, wrapped, master), True
        return None, needs_password

    def _record(self, name: str) -> WrappedKey:
        """A wrapped key. Raises KeyLostError if it is damaged, or another one than its name says."""
        try:
            wrapped = read_record(WrappedKey, self._destination, name)
        except ObjectMissingError as error:
            raise KeyLostError(f"{name} has just been removed") from error
        except RecordError as error:
            raise KeyLostError(f"{name} is damaged: {error}") from error
        if (wrapped.data_key, wrapped.master_key) != wrapped_key_in(name):
            raise KeyLostError(f"{name} is damaged: it names other keys")
        return wrapped


def unwrap_from(folder: str, wrapped: WrappedKey, master: Key) -> Key:
    """The data key of an object in a folder. Raises KeyLostError."""
    try:
        return unwrap(wrapped, master)
    except DecryptionError as error:
        raise KeyLostError(f"{folder}/data_key-{wrapped.data_key}-{wrapped.master_key} is damaged: {error}") from error
