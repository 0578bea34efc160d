"""A folder in a bucket of an object store as backup destination (`s3://…`, `oss://…`, …), over OpenDAL.

A PUT makes an object visible whole or not at all, and durable when it is answered. With the precondition that no object
of that name exists (`If-None-Match: *`), it is put-if-absent. An answer may be lost after the object was stored: a
retry then finds its own object, and so may the caller's next call.

There are no folders to create: a folder is there while it holds an object. Objects whose names begin with `.lock-` are
leases, and are not listed.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple, TypeVar

import opendal
from opendal import exceptions
from opendal.layers import RetryLayer, TimeoutLayer
from opendal.types import Entry, EntryMode

from redoubt.destinations.access import Access, present_access
from redoubt.destinations.lease import Lease
from redoubt.destinations.store_errors import destination_error, is_refusal, passes_by_itself
from redoubt.destinations.store_uri import Addressing, Scheme, StorePlace
from redoubt.model.seams import DestinationError, Lock, ObjectExistsError, ObjectInfo, ObjectMissingError

T = TypeVar("T")

_HIDDEN = ".lock-"
_PATIENCE = 20.0
"""Seconds for which a request without content may be unanswered."""
_TRANSFER_PATIENCE = 120.0
"""Seconds for which an object may be under way: 16 MiB at 1.1 Mbit/s."""
_RETRIES = 2
_PAUSE = 0.1
"""Seconds before the first retry."""
_SMALL_READ = 64 * 1024
_MOST_ENTRIES = 1_000_000
"""The most names in a folder: a listing is kept in memory."""
_NAMES = {
    Scheme.S3: ("bucket", "access_key_id", "secret_access_key"),
    Scheme.OSS: ("bucket", "access_key_id", "access_key_secret"),
    Scheme.COS: ("bucket", "secret_id", "secret_key"),
    Scheme.AZBLOB: ("container", "account_name", "account_key"),
}
"""What the client calls the bucket and the two keys."""
_ONLY_THESE = {
    Scheme.S3: {"disable_config_load": "true", "disable_ec2_metadata": "true"},
    Scheme.COS: {"disable_config_load": "true"},
}
"""What keeps the client from looking for other keys."""
_CLIENT_ERRORS: tuple[type[Exception], ...] = (
    OSError,  # of an open object
    *(error for error in vars(exceptions).values() if isinstance(error, type) and issubclass(error, Exception)),
)


class _Client(NamedTuple):
    """The client as it is, and one that tries again by itself."""

    unlayered: opendal.Operator
    patient: opendal.Operator


class ObjectStoreDestination:
    """Objects under a folder of a bucket. `uri` names the destination in messages; it has no keys: `access_to` has."""

    def __init__(self, uri: str, place: StorePlace, access_to: Callable[[str], Access | None] = present_access) -> None:
        self.uri = uri
        self._access_to = access_to
        self.place = place
        self._client: tuple[Access | None, _Client] | None = None

    def put_if_absent(self, name: str, data: bytes) -> None:
        """See `Destination`."""
        self._asked(name, lambda client: _put_if_absent(client.unlayered, name, data))

    def replace(self, name: str, data: bytes) -> None:
        """See `LeaseObjects`."""
        self._asked(name, lambda client: client.patient.write(name, data))

    def get(self, name: str, offset: int, length: int) -> bytes:
        """See `Destination`."""
        if length <= 0:
            self._asked(name, lambda client: client.patient.stat(name), is_read=True)
            return b""
        return self._asked(name, lambda client: _read(client.patient, name, offset, length), is_read=True)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Destination`."""
        base = _folder(prefix)
        files = (entry for entry in self._entries(prefix) if entry.metadata.mode == EntryMode.File)
        named = ((entry.path, entry.metadata.content_length) for entry in files)
        found = (ObjectInfo(path, size) for path, size in named if not _is_hidden(path[len(base) :]) and path != base)
        return iter(sorted(found, key=lambda info: info.name))

    def folders(self, prefix: str) -> Iterator[str]:
        """See `Destination`."""
        base = _folder(prefix)
        folders = (entry for entry in self._entries(prefix) if entry.metadata.mode == EntryMode.Dir)
        names = (entry.path[len(base) :].rstrip("/") for entry in folders)
        return iter(sorted(name for name in names if name and not _is_hidden(name)))

    def delete(self, name: str) -> None:
        """See `Destination`."""
        self._asked(name, lambda client: client.patient.delete(name))

    def lock(self, name: str, holder: str, after: int = 0) -> Lock:
        """See `Destination`: a lease, see `lease`. It outlives a process that dies, by at most its term."""
        return Lease.take(self, self._lease(name), holder, after=after)

    def share(self, name: str) -> Lock | None:
        """See `Destination`. The reader's object needs the right to write: without the right, there is no lock."""
        return Lease.share(self, self._lease(name))

    def written_at(self, name: str) -> float:
        """See `LeaseObjects`."""
        written = self._asked(name, lambda client: client.patient.stat(name), is_read=True).last_modified
        if written is None:
            raise DestinationError(f"{self._named(name)}: the store does not say when it was written")
        return written.timestamp()

    def names(self, folder: str) -> builtins.list[str]:
        """See `LeaseObjects`."""
        base = _folder(folder)
        return sorted(path[len(base) :] for entry in self._entries(folder) if (path := entry.path) != base)

    def probe(self) -> None:
        """See `Destination`. Also whether the store keeps the precondition by which two writers are kept apart."""
        name, content = f"redoubt-probe-{os.urandom(16).hex()}", os.urandom(4096)
        try:
            self.put_if_absent(name, content)
            self._check_probe(name, content)
        except DestinationError:
            with suppress(DestinationError):  # the first failure says more; a leftover is not read
                self.delete(name)
            raise
        self.delete(name)
        with suppress(ObjectMissingError):
            self.get(name, 0, 1)
            raise DestinationError(f"{self._named(name)} is still there after it was deleted: allow deletions")

    def _check_probe(self, name: str, content: bytes) -> None:
        if self.get(name, 0, len(content) + 1) != content:
            raise DestinationError(f"{self.uri} returned other bytes than were written: choose another destination")
        if not any(info.name == name for info in self.list("")):
            raise DestinationError(f"{self.uri} does not list an object that was written: choose another destination")
        with suppress(ObjectExistsError):
            self.put_if_absent(name, b"")
            raise DestinationError(
                f"{self.uri} replaces an object although If-None-Match forbids that, so it cannot keep two writers "
                "apart: choose a store that supports conditional writes (Ceph does not in a bucket with versioning)"
            )

    def _entries(self, prefix: str) -> tuple[Entry, ...]:
        """What a folder holds. Raises DestinationError."""
        folder = _folder(prefix)
        found = self._asked(folder, lambda client: _listed(client.patient, folder))
        if len(found) > _MOST_ENTRIES:
            raise DestinationError(
                f"{self._named(prefix)} holds more than {_MOST_ENTRIES:,} objects; remove those that are no backup"
            )
        return found

    def _asked(self, name: str, question: Callable[[_Client], T], *, is_read: bool = False) -> T:
        """The store's answer. Keys that were changed meanwhile are taken up. Raises DestinationError."""
        try:
            used, client = self._client or self._opened(self._access_to(self.uri))
            try:
                return question(client)
            except _CLIENT_ERRORS as error:
                access = self._access_to(self.uri) if is_refusal(error) else used
                if access == used:
                    raise
                return question(self._opened(access)[1])
        except _CLIENT_ERRORS as error:
            raise destination_error(self._named(name), error, is_read=is_read) from None  # the client's text is long

    def _opened(self, access: Access | None) -> tuple[Access | None, _Client]:
        self._client = access, _client(self.place, access)
        return self._client

    def _named(self, name: str) -> str:
        return f"{self.uri.partition('?')[0]}/{name}"

    def _lease(self, name: str) -> str:
        folder, _, last = name.rpartition("/")
        return f"{folder}/{_HIDDEN}{last}" if folder else f"{_HIDDEN}{last}"


def _client(place: StorePlace, access: Access | None) -> _Client:
    bucket, access_id, access_key = _NAMES[place.scheme]
    options = {bucket: place.bucket, "root": f"/{place.folder}", "endpoint": place.endpoint}
    if place.scheme is Scheme.S3:
        is_in_host = place.addressing is Addressing.VIRTUAL_HOST
        options |= {"region": place.region, "enable_virtual_host_style": str(is_in_host).lower()}
    if access is not None:
        options |= {access_id: access.access_id, access_key: access.access_key} | _ONLY_THESE.get(place.scheme, {})
    client = opendal.Operator(str(place.scheme), **options)
    client = client.layer(TimeoutLayer(timeout=_PATIENCE, io_timeout=_TRANSFER_PATIENCE))
    return _Client(client, client.layer(RetryLayer(max_times=_RETRIES, min_delay=_PAUSE, jitter=True)))


def _put_if_absent(client: opendal.Operator, name: str, data: bytes) -> None:
    """Store an object, and try again after failures that pass.

    The answer to a try may have been lost. Then the next try finds an object, and it is ours if it has our content.
    """
    for retry in range(_RETRIES + 1):
        try:
            client.write(name, data, if_not_exists=True)
        except (exceptions.AlreadyExists, exceptions.ConditionNotMatch):
            if not retry or _read(client, name, 0, len(data) + 1) != data:
                raise
        except _CLIENT_ERRORS as error:
            if retry == _RETRIES or not passes_by_itself(error):
                raise
            time.sleep(_PAUSE * 2**retry)
            continue
        return


def _read(client: opendal.Operator, name: str, offset: int, length: int) -> bytes:
    """Part of an object, in one request if that can be.

    A small part is asked for by its range. The store may then say that the object ends before. A large part from the
    beginning is mostly a limit, so that the whole object is wanted.
    """
    if offset or length <= _SMALL_READ:
        with suppress(exceptions.Unexpected, exceptions.RangeNotSatisfied):
            return bytes(client.read(name, offset=offset, size=length))
        size = client.stat(name).content_length
        if offset >= size:
            return b""
        return bytes(client.read(name, offset=offset, size=min(length, size - offset)))
    with client.open(name, "rb") as file:
        parts = []
        while length > 0 and (part := file.read(length)):
            parts.append(bytes(part))
            length -= len(part)
        return b"".join(parts)


def _listed(client: opendal.Operator, folder: str) -> tuple[Entry, ...]:
    """What a folder holds, at most one entry more than is allowed."""

    async def listed() -> tuple[Entry, ...]:
        found: list[Entry] = []
        async for entry in await client.to_async_operator().list(folder):
            found.append(entry)
            if len(found) > _MOST_ENTRIES:
                break
        return tuple(found)

    # The client's blocking list keeps the interpreter's lock while it waits, so that no thread would run.
    return asyncio.run(listed())


def _folder(prefix: str) -> str:
    return f"{prefix}/" if prefix else ""


def _is_hidden(name: str) -> bool:
    return name.startswith(_HIDDEN)
