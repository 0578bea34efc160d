"""A job's process: reads one request on standard input, carries it out, and writes reports to standard output.

Composition root of the jobs, as `service.py` is of the service. The process ends when its standard input ends: the
requester is gone, or no longer wants the job.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from redoubt.archive.copying import CopyError, FolderCopy, check_apart
from redoubt.archive.layout import ClusterInfo
from redoubt.archive.master_keys import give_passwords
from redoubt.archive.owner import check_owner
from redoubt.archive.set_layout import SetIdentity, SetInfo, folder_of
from redoubt.archive.set_store import SetStore
from redoubt.backup.pace import Pace
from redoubt.backup.taking import Taking, TakingOptions
from redoubt.destinations.uri import open_destination
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.messages.jobs import (
    BaseTaken,
    CopyFolder,
    Failed,
    FolderCopied,
    Message,
    Outcome,
    Progress,
    RestoreTenant,
    TakeBase,
    TenantRestored,
    from_line,
    to_line,
)
from redoubt.model.bases import LogLayer
from redoubt.rehearsal.fingerprint import dump_fingerprint, take_fingerprint
from redoubt.restore.planning import find_tenant, make_plan
from redoubt.restore.restoring import Restoration, unfinished

_TELL_EVERY = 0.25


class Job:
    """One request, carried out in this process."""

    def __init__(self, reports: BinaryIO) -> None:
        self._reports = reports
        self._told_at = 0.0

    def run(self, request: Message) -> Outcome:
        """Carry out a request. A RedoubtError or OSError becomes the outcome `Failed`."""
        try:
            match request:
                case TakeBase():
                    return self._take_base(request)
                case RestoreTenant():
                    return self._restore(request)
                case CopyFolder():
                    return self._copy(request)
                case _:
                    return Failed(f"{type(request).__name__} is not a request")
        except CopyError as error:
            return Failed(str(error), is_final=True)
        except (RedoubtError, OSError) as error:
            return Failed(str(error))

    def tell(self, message: Message) -> None:
        """Write a report."""
        self._reports.write(to_line(message))

    def _take_base(self, request: TakeBase) -> BaseTaken:
        kind, directory = engine_kind(request.engine_kind), Path(request.base_dir)
        source = kind.base_source(directory)
        of = SetIdentity(
            identity=request.identity,
            cluster=request.cluster,
            cluster_id=request.cluster_id,
            tenant_id=request.tenant_id,
            tenant=request.tenant,
            source=source.source_id(),
            set_id=request.set_id,
            create_date=request.create_date,
            engine_kind=kind.name,
        )
        info, path = SetInfo(of, request.began_at), of.path
        destination = open_destination(request.destination)
        check_owner(destination, ClusterInfo(request.cluster, request.cluster_id, request.identity))
        lock = destination.lock(path.lock, _holder())
        try:
            store = SetStore(destination, path)
            terms = TakingOptions(
                request.pause_limit,
                encrypts=request.encrypts,
                password=request.password,
                net_limit=request.net_limit,
            )
            taking = Taking(
                *(source, store, info, terms, self._progress, time.sleep),
                lambda scn: dump_fingerprint(take_fingerprint(scn, kind.catalog(directory, scn))),
            )
            summary = taking.run().summary
        finally:
            lock.release()
        fields = BaseTaken.__dataclass_fields__
        return BaseTaken(**{name: getattr(summary, name) for name in fields})

    def _restore(self, request: RestoreTenant) -> TenantRestored:
        if request.passwords:
            give_passwords(request.passwords)
        destination = open_destination(request.destination)
        tenant = find_tenant(destination, request.tenant, request.cluster, request.cluster_id)
        directory = Path(request.directory)
        begun = unfinished(directory)
        kind = engine_kind(tenant.engine_kind)
        set_id = begun.of.set_id if begun else None
        plan = make_plan(destination, tenant, request.scn, kind.cutter, set_id, is_settled=not request.is_standby)
        if request.is_standby:
            base = plan.base.summary
            plan = make_plan(destination, tenant, base.snapshot_scn, kind.cutter, base.of.set_id, is_settled=False)
        layer: Callable[[int], LogLayer] = lambda lsn: kind.layer(directory, lsn)  # noqa: E731
        done = Restoration(plan, directory, layer, kind.cutter, self._progress).run()
        return TenantRestored(done.of.source, done.of.set_id, done.end.lsn, done.end.scn)

    def _copy(self, request: CopyFolder) -> FolderCopied | Failed:
        source, target = open_destination(request.source), open_destination(request.target)
        ours = ClusterInfo(request.cluster, request.cluster_id, request.identity)
        for destination in (source, target):
            check_owner(destination, ours)
        check_apart(source, target)
        folder = folder_of(request.folder)
        if folder is None:
            return Failed(f"{request.folder} is no folder of a piece or a data backup")
        copy = FolderCopy(source, target, folder, pace=Pace(request.net_limit).wait)
        done = copy.run(_holder(), self._progress)
        return FolderCopied(done.objects, done.size, done.stored)

    def _progress(self, done: int, total: int) -> None:
        if done == total or time.monotonic() - self._told_at >= _TELL_EVERY:
            self._told_at = time.monotonic()
            self.tell(Progress(done, total))


def _holder() -> str:
    return f"pid {os.getpid()} on {socket.gethostname()}"


def main() -> None:
    """`python -m redoubt.job`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the service
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # log lines and printed text must not mix with the reports
    job = Job(reports)
    request = from_line(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    job.tell(job.run(request))
    os._exit(0)


def _end_with_input() -> None:
    """End the process when standard input ends. The guard then resumes an engine that this job has paused."""
    while sys.stdin.buffer.readline():
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
