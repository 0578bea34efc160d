"""Plans a RESTORE statement, or gives OceanBase's error for a moment that cannot be restored. Writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from redoubt.archive.encryption import KeyMissingError
from redoubt.archive.folder_keys import FolderKeys
from redoubt.archive.inventory import take_inventory
from redoubt.archive.master_keys import source_troubles
from redoubt.archive.store import ArchiveError
from redoubt.control.backup_passwords import decryption_of
from redoubt.control.cluster import Cluster
from redoubt.control.destination_questions import DestinationQuestions
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.restores.restore_session import RestoreSession, the_destination
from redoubt.control.session import Session
from redoubt.control.session_time import REST, moment_text, scn_of, until_microseconds
from redoubt.destinations.uri import UriError, inside, open_destination
from redoubt.model.bases import Base
from redoubt.model.engine_kind import EngineKind, UnknownEngineKindError
from redoubt.model.recovery import LogRun, NotRecoverableError, windows
from redoubt.model.seams import DestinationError
from redoubt.restore.planning import Plan, UnknownTenantError, find_tenant, make_plan
from redoubt.sql.answers import PREVIEW_COLUMNS, Rows
from redoubt.sql.errors import SqlError, backup_dest_not_valid, not_supported
from redoubt.sql.restore_errors import (
    archive_log_not_continuous,
    backup_file_not_exist,
    isolated_backup_set,
    log_archive_backup_info_not_exist,
    restore_sources_twice,
    uri_error,
)
from redoubt.sql.restore_option import RestoreOption, parse_restore_option
from redoubt.sql.statements import RestoreStandby, RestoreTenant


@dataclass(frozen=True)
class Wanted:
    """A RESTORE request: the tenant `source` as of `until_scn` (ns), from the destination `uri`.

    UNTIL names a microsecond; `until_scn` is the last nanosecond of that microsecond, None for the newest moment. With
    None, `source` is the only tenant in the destination. `is_standby`: the tenant is not activated.
    """

    source: str | None
    until_scn: int | None
    uri: str
    cluster: str | None
    cluster_id: int | None
    option: RestoreOption
    passwords: tuple[str, ...] = field(default=(), repr=False)
    is_standby: bool = False


class UnreachableError(Exception):
    """A moment cannot be restored: the cause, the nearest moments, and `make`, which makes the error from a hint."""

    def __init__(self, error: NotRecoverableError, make: Callable[[str], SqlError]) -> None:
        super().__init__(str(error))
        self.before = error.before
        self.after = error.after
        self.make = make


class RestorePlanning:
    """For the event loop. Requests to a destination have a time limit.

    `kind_of` gives the engine kind of a name; see `engine_kind`.
    """

    def __init__(self, cluster: Cluster, parameters: Parameters, kind_of: Callable[[str], EngineKind]) -> None:
        self._cluster = cluster
        self._parameters = parameters
        self._kind_of = kind_of
        self._questions = DestinationQuestions()

    async def wanted(self, statement: RestoreTenant, session: Session, kept: RestoreSession) -> Wanted:
        """The request of a statement, with the session's sources. Raises SqlError 1235, 1525, 1210, 9026."""
        if statement.at is not None and kept.sources:
            raise restore_sources_twice()
        until = await until_microseconds(statement.until, session)
        option = _checked_option(statement.options)
        uri = statement.at if statement.at is not None else kept.destination()
        cluster, cluster_id = option.cluster_name, option.cluster_id
        if uri is None:
            uri = self._parameters.backup_dest
            if not uri:
                raise backup_dest_not_valid(
                    "backup_dest is empty; name the destination: RESTORE … FROM … AT 'file:///…'"
                )
            if cluster is None and cluster_id is None:
                cluster, cluster_id = self._cluster.name, self._cluster.cluster_id
        return Wanted(statement.source, until * 1000 + REST, uri, cluster, cluster_id, option, decryption_of(session))

    async def wanted_standby(self, statement: RestoreStandby, session: Session, kept: RestoreSession) -> Wanted:
        """The request of a statement of 4.x, with the session's sources. Raises SqlError 1235, 1525, 1210, 9026."""
        if statement.uris is not None and kept.sources:
            raise restore_sources_twice()
        until = None if statement.until is None else await scn_of(statement.until, session)
        option = _checked_option(statement.options)
        named = [] if statement.uris is None else [each.strip() for each in statement.uris.split(",")]
        uri = kept.destination() if statement.uris is None else the_destination(named)
        if uri is None:
            raise backup_dest_not_valid("name the destination: RESTORE … FROM 'uri', or ADD RESTORE SOURCE 'uri'")
        where = uri, option.cluster_name, option.cluster_id, option
        return Wanted(option.tenant_name, until, *where, decryption_of(session), is_standby=True)

    async def plan(self, wanted: Wanted, session: Session) -> tuple[Plan, int]:
        """The plan and its SCN: `until_scn`, or the end of the archive if that is in the same microsecond.

        Raises SqlError 9001, 9011, 9025, 9026, 9048, 9064.
        """
        await asyncio.to_thread(source_troubles)  # the sources are read once: a slow command is no dead destination
        try:
            return await self._questions.ask(wanted.uri, _plan, wanted, self._kind_of)
        except KeyMissingError as error:
            raise backup_dest_not_valid(str(error)) from error
        except UriError as error:
            raise uri_error(str(error)) from error
        except UnknownTenantError as error:
            hint = f"{error}; name the cluster: WITH 'backup_cluster_name=…&backup_cluster_id=…'"
            if wanted.is_standby:
                hint += ", and the tenant: backup_tenant_name=…"
            raise backup_file_not_exist(hint) from error
        except (DestinationError, ArchiveError, UnknownEngineKindError) as error:
            raise backup_file_not_exist(str(error)) from error
        except UnreachableError as error:
            raise error.make(await _hint(error, session)) from error

    async def check_keys(self, plan: Plan, wanted: Wanted) -> None:
        """Check that what the plan reads can be decrypted. Raises SqlError 9026."""
        try:
            await self._questions.ask(wanted.uri, _check_keys, plan, wanted.passwords)
        except (DestinationError, ArchiveError) as error:
            raise backup_dest_not_valid(str(error)) from error


def preview_of(plan: Plan, uri: str) -> Rows:
    """The backups that a plan reads, in OceanBase's form: the data backup, then the pieces."""
    return Rows(
        PREVIEW_COLUMNS,
        [
            ("BACKUP_SET", plan.base.summary.of.set_id, 0, set_path_of(plan, uri), "AVAILABLE"),
            *(
                ("BACKUP_PIECE", part.key.piece, 0, path, "AVAILABLE")
                for part, path in zip(plan.parts, piece_paths_of(plan, uri), strict=True)
            ),
        ],
    )


def set_path_of(plan: Plan, uri: str) -> str:
    """The path of the plan's data backup."""
    return inside(uri, plan.base_store.path.folder)


def piece_paths_of(plan: Plan, uri: str) -> list[str]:
    """The paths of the plan's pieces."""
    return [inside(uri, part.store.path.folder) for part in plan.parts]


def _plan(wanted: Wanted, kind_of: Callable[[str], EngineKind]) -> tuple[Plan, int]:
    """Make the plan; blocks."""
    destination = open_destination(wanted.uri)
    tenant = find_tenant(destination, wanted.source, wanted.cluster, wanted.cluster_id)
    cutter, scn = kind_of(tenant.engine_kind).cutter, wanted.until_scn

    def planned(until: int | None) -> tuple[Plan, int]:
        plan = make_plan(destination, tenant, until, cutter, is_settled=not wanted.is_standby)
        return plan, plan.end.scn if until is None else until

    try:
        try:
            return planned(scn)
        except NotRecoverableError as error:
            if scn is None or error.before is None or error.before // 1000 != scn // 1000:
                raise
            return planned(error.before)
    except NotRecoverableError as error:
        held = take_inventory(destination, tenant)
        bases = [each.manifest.summary.base for each in held.sets if each.manifest is not None]
        raise UnreachableError(error, error_for(scn, bases, held.runs)) from error


def _check_keys(plan: Plan, passwords: tuple[str, ...]) -> None:
    """Find the keys of the data backup, and of the end of each piece's log. Blocks. Raises DestinationError."""
    if data_key := plan.base.summary.data_key:
        FolderKeys(plan.base_store.destination, plan.base_store.path.folder, lambda: passwords)(data_key)
    for part in plan.parts:
        for name, _ in part.store.segments()[-1:]:
            if data_key := part.store.header(name).data_key:
                part.store.keys(data_key)


def _checked_option(text: str) -> RestoreOption:
    """The text behind WITH. Raises SqlError 1210, 1235."""
    option = parse_restore_option(text)
    if option.kms_encrypt is not None:
        raise not_supported(
            "restore with kms_encrypt", "the service finds keys by its configuration; leave kms_encrypt out"
        )
    return option


def error_for(scn: int | None, bases: Sequence[Base], runs: Sequence[LogRun]) -> Callable[[str], SqlError]:
    """OceanBase's error for a moment that cannot be restored from these data backups and this log. Pure.

    9011: no data backup before the moment. 9064: no data backup has the log that follows it. 9048: the moment's log
    exists, but log between the data backup and the moment is missing. 9025: the moment's log is missing.
    """
    found = windows(bases, runs)
    if not bases:
        return backup_file_not_exist
    if not found:
        return archive_log_not_continuous
    if scn is None or not any(run.start_scn <= scn <= run.end_scn for run in runs):
        return log_archive_backup_info_not_exist
    return backup_file_not_exist if scn < found[0].start_scn else isolated_backup_set


async def _hint(error: UnreachableError, session: Session) -> str:
    """The cause, and the nearest restorable moments."""
    nearest = []
    if error.before is not None:
        nearest.append(f"the latest restorable moment before it is {await moment_text(error.before, session)}")
    if error.after is not None:
        nearest.append(f"the earliest after it is {await moment_text(error.after, session)}")
    return "; ".join([str(error), *nearest])
