"""A drill: restore, start the engine, check the data, end the engine, remove the directory, return the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from redoubt.archive.inventory import TenantPath, take_inventory
from redoubt.archive.set_manifest import SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError
from redoubt.model.bases import Progress
from redoubt.model.engine_kind import EngineKind
from redoubt.model.recovery import NotRecoverableError, way_to
from redoubt.model.scratch_engine import Login, ScratchEngine, ScratchError
from redoubt.model.seams import Destination
from redoubt.printable import printable
from redoubt.rehearsal.checks import Check, CheckFailedError
from redoubt.rehearsal.record import DrillRecord, Verdict, this_host
from redoubt.rehearsal.scratch_directory import check_room, keep_directory, room_for, scratch_directory
from redoubt.restore.planning import Plan, make_plan
from redoubt.restore.restoring import Restoration

_SHUT_OUT = (
    "the engine replayed all of the log and opened, but its tables were not checked: no login succeeded ({names}); "
    "give --user and REDOUBT_PASSWORD, or the service's home with --home"
)


@dataclass(frozen=True)
class DrillRequest:
    """The options of a drill: the SCN (None: the newest), the folder of its directory, whether to keep the directory.

    `logins` and `check` give the logins to try and the check, once the drill's data backup is known.
    """

    scn: int | None
    folder: Path | None
    keep: bool
    logins: Callable[[SetSummary], Sequence[Login]]
    check: Callable[[SetStore], Check]


class Drill:
    """One drill of one tenant. `kept` is the kept directory, None if the directory was removed."""

    def __init__(
        self,
        destination: Destination,
        tenant: TenantPath,
        terms: DrillRequest,
        kind: EngineKind,
        progress: Progress,
        say: Callable[[str], None],
    ) -> None:
        self._destination = destination
        self._tenant = tenant
        self._terms = terms
        self._kind = kind
        self._progress = progress
        self._say = say
        self.kept: Path | None = None
        self.is_encrypted = False
        """Whether anything that was restored is encrypted: the record tells of it."""

    def run(self) -> DrillRecord:
        """Run the drill; stores nothing.

        Raises NotRecoverableError and NoScratchError if the drill cannot begin, OSError and DestinationError if it
        cannot be carried out. A problem of the backup is a verdict, not an exception.
        """
        record = self._blank()
        try:
            self._refuse_damage()
            plan = make_plan(self._destination, self._tenant, self._terms.scn, self._kind.cutter)
        except ArchiveError as error:
            return _failed(self._with_set(record), str(error))
        summary = plan.base.summary
        self.is_encrypted = plan.is_encrypted()
        record = replace(
            record,
            set_id=summary.of.set_id,
            create_date=summary.of.create_date,
            end_lsn=plan.end.lsn,
            end_scn=plan.end.scn,
            log_bytes=plan.log_bytes,
        )
        with scratch_directory(self._terms.folder, keep=self._terms.keep) as directory:
            check_room(directory, room_for(plan))
            record = self._restore(plan, directory, record)
            if self._terms.keep:
                self.kept = keep_directory(directory)
        return record

    def _restore(self, plan: Plan, directory: Path, record: DrillRecord) -> DrillRecord:
        """Restore, and check the restored data."""
        self._say(f"restoring {self._tenant} into {directory}")
        began, kind = time.monotonic(), self._kind
        restoration = Restoration(plan, directory, lambda lsn: kind.layer(directory, lsn), kind.cutter, self._progress)
        try:
            restoration.run()
        except ArchiveError as error:
            return _failed(replace(record, laying_us=_since(began)), str(error))
        record = replace(record, laying_us=_since(began))
        engine = kind.restored(directory).scratch_engine(plan.log_bytes)
        try:
            return self._look(engine, plan, record)
        finally:
            engine.stop()

    def _look(self, engine: ScratchEngine, plan: Plan, record: DrillRecord) -> DrillRecord:
        self._say("starting the engine")
        began = time.monotonic()
        try:
            engine.start()
            record, began = replace(record, opening_us=_since(began)), time.monotonic()
            self._say("checking the restored data")
            if not engine.goes_on_from(plan.end):
                return _failed(record, f"the engine opened, but its log does not continue from LSN {plan.end.lsn}")
            logins = self._terms.logins(plan.base.summary)
            if engine.log_in(logins) is None:
                names = ", ".join(dict.fromkeys(login.user for login in logins))
                return replace(record, verdict=Verdict.OPENED, cause=_SHUT_OUT.format(names=names))
            checked = self._terms.check(plan.base_store)(engine)
        except (ArchiveError, CheckFailedError, ScratchError) as error:
            return _failed(replace(record, checking_us=_since(began) if record.opening_us else 0), str(error))
        return replace(record, verdict=Verdict.PASSED, checked=checked, checking_us=_since(began))

    def _refuse_damage(self) -> None:
        """Raise ArchiveError if the newest moment is wanted, but pieces or sets are unreadable: it is unknown then."""
        damage = take_inventory(self._destination, self._tenant).damage
        if damage and self._terms.scn is None:
            raise ArchiveError("; ".join(damage))

    def _with_set(self, record: DrillRecord) -> DrillRecord:
        """The record, with the set from which the restore would have begun."""
        inventory = take_inventory(self._destination, self._tenant)
        bases = [each.manifest.summary.base for each in inventory.sets if each.manifest is not None]
        try:
            key = way_to(self._terms.scn, bases, inventory.runs).base.key
        except NotRecoverableError:  # for what is damaged
            return record
        return replace(record, set_id=key.set_id, create_date=key.create_date)

    def _blank(self) -> DrillRecord:
        return DrillRecord(
            tenant_id=self._tenant.tenant_id,
            tenant=self._tenant.name,
            set_id=0,
            create_date=0,
            started=time.time_ns(),
            host=this_host(),
            verdict=Verdict.FAILED,
            checked="",
            cause="",
            end_lsn=0,
            end_scn=0,
            log_bytes=0,
            laying_us=0,
            opening_us=0,
            checking_us=0,
        )


def _failed(record: DrillRecord, cause: str) -> DrillRecord:
    return replace(record, verdict=Verdict.FAILED, cause=printable(cause))


def _since(began: float) -> int:
    """Microseconds."""
    return round((time.monotonic() - began) * 1e6)
