"""The messages between the service and a job, as JSON lines: a request to the job; reports and an outcome back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from redoubt.messages.lines import Lines


@dataclass(frozen=True)
class TakeBase:
    """Request: take a data backup of one tenant, whose engine is in `base_dir` and of the kind `engine_kind`.

    `pause_limit` in seconds; `began_at` in ns since the epoch. With `encrypts`, the backup is encrypted; with a
    `password`, only that opens it. `net_limit` in bytes a second, 0 for no limit.
    """

    tenant_id: int
    tenant: str
    base_dir: str
    engine_kind: str
    destination: str
    cluster: str
    cluster_id: int
    identity: str
    set_id: int
    create_date: int
    began_at: int
    pause_limit: float
    encrypts: bool = False
    password: str = field(default="", repr=False)
    net_limit: int = 0


@dataclass(frozen=True)
class RestoreTenant:
    """Request: restore a tenant to `scn` (ns since the epoch; None: the newest moment) into a directory.

    `tenant` is a name or an id; `cluster` and `cluster_id` are needed if several clusters have archived there.
    `passwords`, one a line, open data backups. With `is_standby`, only the data backup and the log that it needs are
    laid: an engine will fetch the rest.
    """

    destination: str
    tenant: str
    directory: str
    scn: int | None
    cluster: str | None = None
    cluster_id: int | None = None
    passwords: str = field(default="", repr=False)
    is_standby: bool = False


@dataclass(frozen=True)
class CopyFolder:
    """Request: copy the folder of a complete piece or data backup of the cluster from `source` to `target`, two URIs.

    `net_limit` in bytes a second, 0 for no limit.
    """

    source: str
    target: str
    folder: str
    cluster: str
    cluster_id: int
    identity: str
    net_limit: int = 0


@dataclass(frozen=True)
class Progress:
    """Report: `done` of `total` bytes are done."""

    done: int
    total: int


@dataclass(frozen=True)
class BaseTaken:
    """Outcome: the data backup is complete. Fields as in its manifest (`archive.set_manifest.SetSummary`)."""

    start_lsn: int
    start_scn: int
    snapshot_lsn: int
    snapshot_scn: int
    pause_us: int
    passes: int
    method: str
    input_bytes: int
    output_bytes: int


@dataclass(frozen=True)
class TenantRestored:
    """Outcome: the directory is ready for its engine: restored from set `set_id` and the source's log to `end_scn`."""

    source: str
    set_id: int
    end_lsn: int
    end_scn: int


@dataclass(frozen=True)
class FolderCopied:
    """Outcome: the copy is complete. It has so many objects and bytes; `stored` of the objects had been missing."""

    objects: int
    size: int
    stored: int


@dataclass(frozen=True)
class Failed:
    """Outcome: the job failed, because of `text`. With `is_final`, trying again would not help."""

    text: str
    is_final: bool = False


Request = TakeBase | RestoreTenant | CopyFolder
Outcome = BaseTaken | TenantRestored | FolderCopied | Failed
Message = Request | Progress | Outcome
_LINES: Lines[Message] = Lines(*get_args(Request), Progress, *get_args(Outcome))
to_line = _LINES.dump
from_line = _LINES.load
