"""A bucket that keeps what an object store promises, and no more; and the client by which a process reaches it.

A PUT is whole and durable when it is carried out, which may be long after its sender gave up, or died. A listing comes
page by page, and others write between two pages.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Self

from opendal import exceptions
from opendal.types import EntryMode

from .faults import Faults
from .fibers import CrashError, Turns

LONGEST_WAY = 360.0
"""The most seconds for which a request is under way."""
_PAGE = 4
"""Entries in a page of a listing."""
_CODES = {errno.EIO: "InternalError", errno.ENOSPC: "QuotaExceeded", errno.EDQUOT: "QuotaExceeded"}


@dataclass(frozen=True)
class Stored:
    """An object, and when it was written, in seconds."""

    data: bytes
    written_at: float


class Bucket:
    """Objects by name, and the requests that are still under way."""

    def __init__(self, turns: Turns, rng: random.Random) -> None:
        self.objects: dict[str, Stored] = {}
        self.under_way: list[tuple[float, Callable[[Bucket], None]]] = []
        self._turns = turns
        self._rng = rng

    def put(self, name: str, data: bytes, *, if_not_exists: bool) -> None:
        """See `Operator.write`."""
        if if_not_exists and name in self.objects:
            raise exceptions.ConditionNotMatch('ConditionNotMatch (permanent) at write => code: "PreconditionFailed"')
        self.objects[name] = Stored(data, self._turns.now)

    def delete(self, name: str) -> None:
        """See `Operator.delete`."""
        self.objects.pop(name, None)

    def send(self, request: Callable[[Bucket], None]) -> None:
        """A request that nobody waits for any more will be carried out some time."""
        self.under_way.append((self._turns.now + self._rng.uniform(0, LONGEST_WAY), request))

    def deliver(self, index: int) -> None:
        """A request arrives."""
        _due, request = self.under_way.pop(index)
        _carry_out(request, self)

    def deliver_due(self) -> None:
        """The requests arrive that may not be under way any longer."""
        due = [each for each in self.under_way if each[0] <= self._turns.now]
        for each in due:
            self.under_way.remove(each)
            _carry_out(each[1], self)

    def as_it_may_be(self) -> Bucket:
        """The bucket when some of the requests under way have arrived; this one stays as it is."""
        found = Bucket(self._turns, self._rng)
        found.objects = dict(self.objects)
        for _due, request in self.under_way:
            if self._rng.random() < 0.5:
                _carry_out(request, found)
        return found

    def page(self, folder: str, after: str) -> list[str]:
        """The next entries of a folder in order: objects, and folders with a `/` at the end."""
        names = (name[len(folder) :] for name in self.objects if name.startswith(folder))
        entries = {folder + name.partition("/")[0] + ("/" if "/" in name else "") for name in names}
        return sorted(entry for entry in entries if entry > after)[:_PAGE]

    # how the checker looks at it

    def files(self, path: str) -> dict[str, bytes]:
        """See `Disk.files`; paths are as on the disk."""
        folder = _folder_of(path)
        found = {name[len(folder) :]: each.data for name, each in self.objects.items() if name.startswith(folder)}
        return {name: data for name, data in found.items() if "/" not in name}

    def folders(self, path: str) -> list[str]:
        """See `Disk.folders`."""
        folder = _folder_of(path)
        names = (name[len(folder) :] for name in self.objects if name.startswith(folder))
        return sorted({name.partition("/")[0] for name in names if "/" in name})


def _folder_of(path: str) -> str:
    """`/backup/c/1` on the disk is `c/1/` in the bucket."""
    return f"{path[1:].partition('/')[2]}/"


def _carry_out(request: Callable[[Bucket], None], bucket: Bucket) -> None:
    try:
        request(bucket)
    except exceptions.ConditionNotMatch:  # nobody hears of it
        return


class Client:
    """What the product asks of OpenDAL's `Operator`. `lease_taken` is called with the name of a lease's new object."""

    def __init__(self, bucket: Bucket, fate: Faults, lease_taken: Callable[[str], None]) -> None:
        self._lease_taken = lease_taken
        self._bucket = bucket
        self._fate = fate

    def write(self, name: str, data: bytes, *, if_not_exists: bool = False) -> None:
        """See `Operator`."""
        if if_not_exists and "/.lock-" in name and name[-1].isdigit():
            self._lease_taken(name)
        self._change("create", name, lambda bucket: bucket.put(name, data, if_not_exists=if_not_exists))

    def delete(self, name: str) -> None:
        """See `Operator`."""
        self._change("unlink", name, lambda bucket: bucket.delete(name))

    def read(self, name: str, *, offset: int = 0, size: int | None = None) -> bytes:
        """See `Operator`."""
        data = self._found("pread", name).data
        if offset > len(data):
            raise exceptions.RangeNotSatisfied('RangeNotSatisfied (permanent) at read => code: "InvalidRange"')
        return data[offset:] if size is None else data[offset : offset + size]

    def stat(self, name: str) -> Any:
        """See `Operator`."""
        found = self._found("stat", name)
        return SimpleNamespace(
            content_length=len(found.data), last_modified=datetime.fromtimestamp(found.written_at, UTC)
        )

    def open(self, name: str, _mode: str) -> _Opened:
        """See `Operator`."""
        return _Opened(self._found("pread", name).data)

    def listed(self, folder: str) -> tuple[Any, ...]:
        """The entries of a folder, page by page."""
        found: list[str] = []
        while True:
            self._ask("scandir", folder)
            page = self._bucket.page(folder, found[-1] if found else "")
            found += page
            if len(page) < _PAGE:
                return tuple(self._entry(path) for path in found)

    def _entry(self, path: str) -> Any:
        is_folder = path.endswith("/")
        stored = self._bucket.objects.get(path)
        size = len(stored.data) if stored else 0
        mode = EntryMode.Dir if is_folder else EntryMode.File
        return SimpleNamespace(path=path, metadata=SimpleNamespace(mode=mode, content_length=size))

    def _found(self, call: str, name: str) -> Stored:
        self._ask(call, name)
        found = self._bucket.objects.get(name)
        if found is None:
            raise exceptions.NotFound('NotFound (permanent) at stat => code: "NoSuchKey"')
        return found

    def _ask(self, call: str, name: str) -> None:
        try:
            self._fate.before(call, name)
        except OSError as error:
            raise _refused(error) from None

    def _change(self, call: str, name: str, change: Callable[[Bucket], None]) -> None:
        kind = f"{call} {_kind(name)}"
        try:
            self._fate.before(kind, name)
        except CrashError:
            if self._fate.is_sent():
                self._bucket.send(change)
            raise
        except OSError as error:
            raise _refused(error) from None
        if self._fate.is_slow(kind, name):
            self._bucket.send(change)
            raise exceptions.Unexpected("Unexpected (temporary) at write => io timeout reached")
        change(self._bucket)
        try:
            self._fate.after(kind, name)
        except OSError as error:
            raise _refused(error) from None


class _Opened:
    """An open object."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def read(self, size: int) -> bytes:
        """See `File`."""
        found, self._data = self._data[:size], self._data[size:]
        return found


def _refused(error: OSError) -> Exception:
    code = _CODES.get(error.errno or 0)
    if code is None:
        return exceptions.PermissionDenied('PermissionDenied (permanent) at write => code: "AccessDenied"')
    how = "temporary" if code == "InternalError" else "permanent"
    return exceptions.Unexpected(f'Unexpected ({how}) at write => code: "{code}"')


def _kind(name: str) -> str:
    """What sort of object a name is, for the count of crash points."""
    if "/.lock-" in name:
        return "lease"
    return "segment" if name.rpartition("/")[2][:1].isdigit() else "record"
