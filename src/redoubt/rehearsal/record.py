"""The record of a drill, stored beside the drill's data backup. Records are never overwritten."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from redoubt.archive.encryption import KeyMissingError
from redoubt.archive.inventory import TenantPath
from redoubt.archive.record import INFO_FORMAT, Prose, RecordError, dump_record, load_record
from redoubt.archive.set_layout import data_folder, set_path
from redoubt.archive.set_store import SetStore
from redoubt.model.bases import SetKey
from redoubt.model.seams import Destination, ObjectMissingError

_NAME = re.compile(r"drill_[0-9]{8}T[0-9]{12}Z\Z", re.ASCII)
_NS = 1_000_000_000


class Verdict(StrEnum):
    """The verdict of a drill. OPENED: the engine replayed the log and opened, but no login succeeded."""

    PASSED = "PASSED"
    OPENED = "OPENED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class DrillRecord:
    """One drill. `started` in ns since the epoch, durations in microseconds; `end_scn` is the moment restored.

    `create_date` and `set_id` name the data backup; both are 0 if it is unknown, and the record is not stored then.
    """

    tenant_id: int
    tenant: str
    set_id: int
    create_date: int
    started: int
    host: str
    verdict: str
    checked: Prose
    cause: Prose
    end_lsn: int
    end_scn: int
    log_bytes: int
    laying_us: int
    opening_us: int
    checking_us: int
    format: int = INFO_FORMAT

    @property
    def seconds(self) -> float:
        """The total duration in seconds."""
        return (self.laying_us + self.opening_us + self.checking_us) / 1e6


def this_host() -> str:
    """The name of the machine, as stored in records."""
    return socket.gethostname()


def keep_record(destination: Destination, tenant: TenantPath, record: DrillRecord, *, encrypts: bool = False) -> str:
    """Store a record beside its data backup, perhaps encrypted; returns the object's name. Raises DestinationError."""
    path = set_path(tenant.cluster, tenant.tenant_id, SetKey(record.set_id, record.create_date))
    second, rest = divmod(record.started, _NS)
    name = path.drill(f"{datetime.fromtimestamp(second, UTC):%Y%m%dT%H%M%S}{rest // 1000:06d}Z")
    # Shared if possible: another drill or restore may be reading the same data backup.
    store = SetStore(destination, path)
    lock = destination.share(path.lock) or destination.lock(path.lock, f"pid {os.getpid()} on {this_host()}")
    try:
        store.put_remark(name, dump_record(record, indent=2), store.keys.for_remark() if encrypts else None)
    finally:
        lock.release()
    return name


def kept_records(destination: Destination, tenant: TenantPath) -> Iterator[DrillRecord]:
    """The recorded drills of a tenant, by set and time; unreadable records are left out.

    Raises DestinationError.
    """
    folder = data_folder(tenant.cluster, tenant.tenant_id)
    keys = [key for name in destination.folders(folder) if (key := SetKey.parse(name)) is not None]
    for key in sorted(keys):
        store = SetStore(destination, set_path(tenant.cluster, tenant.tenant_id, key))
        for each in destination.list(store.path.folder):
            if _NAME.match(each.name.rpartition("/")[2]):
                try:
                    yield load_record(DrillRecord, store.remark(each.name))
                except (RecordError, ObjectMissingError, KeyMissingError):
                    continue
