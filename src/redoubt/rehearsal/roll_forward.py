"""Makes a new base from an older base and the log after it, without the source: restore, roll, take.

The engine that rolls writes no log, so the source's later log continues the new base. Before the engine ends, a drill's
check is run. Nothing is deleted. The new set counts only once its manifest is stored, which is the last step.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from redoubt.archive.encryption import KeyMissingError
from redoubt.archive.inventory import TenantPath, last_set_id
from redoubt.archive.master_keys import MASTER_KEY, master_key
from redoubt.archive.set_layout import SetInfo, set_path
from redoubt.archive.set_manifest import SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.backup.taking import Taking, TakingOptions
from redoubt.model.bases import BaseSource, LogCutter, Progress, SetKey
from redoubt.model.engine_kind import EngineKind
from redoubt.model.scratch_engine import Login, NotRolledError, ScratchEngine
from redoubt.model.seams import Destination, DestinationError
from redoubt.rehearsal.checks import CheckFailedError, EveryTable
from redoubt.rehearsal.fingerprint import Fingerprint, dump_fingerprint, fingerprint_of, take_fingerprint
from redoubt.rehearsal.scratch_directory import check_room, room_for, scratch_directory
from redoubt.restore.planning import Plan, make_plan
from redoubt.restore.restoring import Restoration

METHOD = "rolled"


@dataclass(frozen=True)
class Rolled:
    """The new set, its folder, the checks that passed, and the seconds of each step."""

    summary: SetSummary
    folder: str
    checked: str
    laying: float
    rolling: float
    storing: float


def plan_roll(destination: Destination, tenant: TenantPath, scn: int | None, cutter: LogCutter) -> Plan:
    """The plan of a roll-forward. Raises NotRolledError if there is nothing to roll, and the errors of make_plan."""
    plan = make_plan(destination, tenant, scn, cutter, is_settled=False)
    if plan.end.lsn <= plan.base.summary.snapshot_lsn:
        raise NotRolledError(
            f"set {plan.base.summary.of.set_id} already holds all log up to that moment: nothing to roll forward"
        )
    return plan


def roll_forward(
    destination: Destination,
    plan: Plan,
    folder: Path | None,
    kind: EngineKind,
    logins: Callable[[SetSummary], Sequence[Login]],
    progress: Progress,
    say: Callable[[str], None],
) -> Rolled:
    """Carry out a plan in a scratch directory in `folder`. `logins` says who tries to log in to the engine.

    Raises NotRolledError, NoScratchError, ArchiveError, DestinationError, RestoreError, BackupFailedError, OSError.
    After an exception there is no new set.
    """
    began_at = time.time_ns()
    with scratch_directory(folder, keep=False) as directory:
        check_room(directory, room_for(plan) + 2 * plan.log_bytes)  # in the files, 654 MB of log took 1,067 MB
        terms = _terms(plan)
        look = _Look(fingerprint_of(plan.base_store), plan.end.scn)
        times = [time.monotonic()]
        say("restoring the base and its log")
        Restoration(plan, directory, lambda lsn: kind.layer(directory, lsn), kind.cutter, progress).run()
        times.append(time.monotonic())
        say("replaying the log in the engine")
        old = plan.base.summary
        roller = kind.restored(directory).roller(say)
        source = roller.roll(plan.end, logins(old), old.of.source, old.engine, look)
        times.append(time.monotonic())
        say("storing the new data backup")
        summary, path = _take(destination, plan, source, terms, look.fingerprint, began_at, progress)
        times.append(time.monotonic())
    laying, rolling, storing = (after - before for before, after in pairwise(times))
    return Rolled(summary, path, look.checked, laying, rolling, storing)


class _Look:
    """The check before the engine's files make a base: every table opens, and the schema is as recorded."""

    def __init__(self, recorded: Fingerprint | None, scn: int) -> None:
        self._check = EveryTable(recorded, whole=False)
        self._scn = scn
        self.checked = ""
        self.fingerprint = b""

    def __call__(self, engine: ScratchEngine) -> None:
        """Run the check. Raises NotRolledError if it fails, ScratchError, StatementError."""
        try:
            self.checked = self._check(engine)
        except CheckFailedError as error:
            raise NotRolledError(f"the rolled-forward data failed its check: {error}") from error
        self.fingerprint = dump_fingerprint(take_fingerprint(self._scn, engine.catalog(self._scn)))


def _take(
    destination: Destination,
    plan: Plan,
    source: BaseSource,
    terms: TakingOptions,
    fingerprint: bytes,
    began_at: int,
    progress: Progress,
) -> tuple[SetSummary, str]:
    old = plan.base.summary.of
    today = int(datetime.now().astimezone().strftime("%Y%m%d"))
    key = SetKey(last_set_id(destination, plan.tenant.cluster) + 1, today)
    path = set_path(plan.tenant.cluster, old.tenant_id, key)
    whose = replace(old, source=source.source_id(), set_id=key.set_id, create_date=key.create_date)
    info = SetInfo(whose, began_at)
    lock = destination.lock(path.lock, f"pid {os.getpid()} on {socket.gethostname()}")
    try:
        store = SetStore(destination, path)
        try:
            taking = Taking(source, store, info, terms, progress, time.sleep, lambda _scn: fingerprint)
            return taking.run().summary, path.folder
        except BaseException:
            with suppress(DestinationError):  # leftovers have no manifest and do not count
                store.give_up(info)
            raise
    finally:
        lock.release()


def _terms(plan: Plan) -> TakingOptions:
    """How the new set is taken: encrypted if anything is that it is made of, and as the base is.

    Raises KeyMissingError, before hours of work: the base cannot be opened, or nothing can be encrypted here.
    """
    keys, data_key = plan.base_store.keys, plan.base.summary.data_key
    if data_key:
        keys(data_key)
    encrypts = plan.is_encrypted() and not keys.password
    if encrypts and master_key() is None:
        raise KeyMissingError(f"no master key is set to encrypt the new data backup with: set {MASTER_KEY}")
    return TakingOptions(may_clone=False, method=METHOD, encrypts=encrypts, password=keys.password)
