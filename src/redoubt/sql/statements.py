"""The statements that Redoubt takes out of a session, as typed values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

ALL_TENANTS = ("ALL",)
"""The tenants of a TENANT clause with `ALL`, typed in any case."""


@dataclass(frozen=True)
class ArchiveLog:
    """`ALTER SYSTEM ARCHIVELOG [TENANT [=] …]`: start a round; `tenants` is empty without the clause (4.x has it)."""

    tenants: tuple[str, ...] = ()


@dataclass(frozen=True)
class NoArchiveLog:
    """`ALTER SYSTEM NOARCHIVELOG [TENANT [=] …]`: stop the round; `tenants` as in ArchiveLog."""

    tenants: tuple[str, ...] = ()


@dataclass(frozen=True)
class MinorFreeze:
    """`ALTER SYSTEM MINOR FREEZE …`; an empty tuple or None means that the clause was not given."""

    tenants: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    zone: str | None = None
    partition_id: str | None = None


@dataclass(frozen=True)
class Assignment:
    """One `name = value` of a SET, name in lower case; `sql` is the item as typed, to hand to the engine.

    `clauses` are the first words of what follows the value: any of comment, scope, server, zone, tenant. `tenants` is
    what a tenant clause names.
    """

    name: str
    value: str
    sql: str
    clauses: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetParameters:
    """`ALTER SYSTEM SET a = b, …`, in the order typed."""

    assignments: tuple[Assignment, ...]


@dataclass(frozen=True)
class ShowParameters:
    """`SHOW PARAMETERS [LIKE 'pattern' | WHERE …]`; `sql` is the whole statement as typed."""

    sql: str
    like: str | None = None
    where: str | None = None


@dataclass(frozen=True)
class BackupDatabase:
    """`ALTER SYSTEM BACKUP [INCREMENTAL] DATABASE`: a data backup."""

    is_incremental: bool = False


@dataclass(frozen=True)
class CancelBackup:
    """`ALTER SYSTEM CANCEL BACKUP`: of a data backup."""


@dataclass(frozen=True)
class SuspendBackup:
    """`ALTER SYSTEM SUSPEND BACKUP`."""


@dataclass(frozen=True)
class ResumeBackup:
    """`ALTER SYSTEM RESUME BACKUP`."""


@dataclass(frozen=True)
class CancelAllBackup:
    """`ALTER SYSTEM CANCEL ALL BACKUP FORCE`: stop everything without touching the destination; clear `backup_dest`."""


class BackupPart(StrEnum):
    """The object that a statement of deletion or validation names by number."""

    SET = "BACKUPSET"
    PIECE = "BACKUPPIECE"
    ROUND = "BACKUPROUND"
    DATABASE = "DATABASE"


@dataclass(frozen=True)
class DeleteBackup:
    """`ALTER SYSTEM DELETE BACKUPSET|BACKUPPIECE|BACKUPROUND n [COPY m]`."""

    part: BackupPart
    number: int
    copy_id: int = 0


@dataclass(frozen=True)
class DeleteObsoleteBackup:
    """`ALTER SYSTEM DELETE OBSOLETE BACKUP`: delete backups that the recovery window does not need."""


@dataclass(frozen=True)
class PreviewObsolete:
    """`ALTER SYSTEM DELETE OBSOLETE BACKUP PREVIEW`: list what DELETE OBSOLETE BACKUP would delete now."""


@dataclass(frozen=True)
class KeepBackup:
    """`ALTER SYSTEM CHANGE BACKUPSET n KEEP [UNTIL 'time'] | NOKEEP`: no deletion takes the set, until a time or ever.

    `until` is as typed and not checked yet, None for ever. With `ends`, the set is kept no longer.
    """

    number: int
    until: str | None = None
    ends: bool = False


@dataclass(frozen=True)
class DeleteExpiredBackup:
    """`ALTER SYSTEM DELETE EXPIRED BACKUP [COPY m]`."""

    copy_id: int = 0


@dataclass(frozen=True)
class CancelDeleteBackup:
    """`ALTER SYSTEM CANCEL DELETE BACKUP`."""


@dataclass(frozen=True)
class ValidateBackup:
    """`ALTER SYSTEM VALIDATE DATABASE [COPY m]` (number 0) or `VALIDATE BACKUPSET n [COPY m]`."""

    part: BackupPart
    number: int = 0
    copy_id: int = 0


@dataclass(frozen=True)
class CancelValidate:
    """`ALTER SYSTEM CANCEL VALIDATE n [COPY m]`."""

    number: int
    copy_id: int = 0


@dataclass(frozen=True)
class SecondBackup:
    """`ALTER SYSTEM BACKUP BACKUPSET|BACKUPPIECE …`: copy complete backups to a second destination.

    `number` is None for ALL; with `max_copies`, those that have as many copies are left out. `tenant` is a name or an
    id, `destination` that of BACKUP_BACKUP_DEST; both are None if not given.
    """

    part: BackupPart
    number: int | None = None
    max_copies: int | None = None
    has_active: bool = False
    tenant: str | None = None
    destination: str | None = None


@dataclass(frozen=True)
class CancelSecondBackup:
    """`ALTER SYSTEM CANCEL BACKUP BACKUPSET|BACKUPPIECE`."""

    part: BackupPart


@dataclass(frozen=True)
class SecondLogBackup:
    """`ALTER SYSTEM START|STOP BACKUP ARCHIVELOG`: a continuous second backup of the log."""

    is_start: bool


@dataclass(frozen=True)
class RestoreTenant:
    """`ALTER SYSTEM RESTORE name FROM source [AT 'at'] UNTIL 'until' WITH 'options' [PREVIEW]`.

    `until`, a time, and `options`, for `parse_restore_option`, are as typed and not checked yet. Without AT, `at` is
    None, and the sources are those of AddRestoreSource.
    """

    name: str
    source: str
    until: str
    options: str
    at: str | None = None
    is_preview: bool = False


@dataclass(frozen=True)
class Until:
    """A moment: `TIME = 'time'`, as typed and not checked yet, or `SCN = scn` (ns since the epoch); or neither."""

    time: str | None = None
    scn: int | None = None


@dataclass(frozen=True)
class RestoreStandby:
    """4.x's `ALTER SYSTEM RESTORE name [FROM 'uris'] [UNTIL …] WITH 'options' [DESCRIPTION 'text']`.

    The tenant becomes a standby, which follows no further, and can be activated. `uris` are as typed, with commas
    between; None without FROM. `until` is None for the newest moment.
    """

    name: str
    options: str
    uris: str | None = None
    until: Until | None = None
    description: str = ""


@dataclass(frozen=True)
class CancelRestore:
    """`ALTER SYSTEM CANCEL RESTORE name`."""

    name: str


@dataclass(frozen=True)
class RecoverStandby:
    """`ALTER SYSTEM RECOVER STANDBY [TENANT = name] UNTIL … | CANCEL`: up to where a standby follows.

    `until` is an empty `Until` for UNLIMITED, None without UNTIL.
    """

    tenant: str | None = None
    until: Until | None = None
    is_cancel: bool = False


@dataclass(frozen=True)
class ActivateStandby:
    """`ALTER SYSTEM ACTIVATE STANDBY [TENANT = name] [VERIFY]`: a standby takes over."""

    tenant: str | None = None
    is_verify: bool = False


@dataclass(frozen=True)
class Switchover:
    """`ALTER SYSTEM SWITCHOVER TO PRIMARY|STANDBY [TENANT = name] [VERIFY]`."""

    is_to_primary: bool
    tenant: str | None = None
    is_verify: bool = False


@dataclass(frozen=True)
class RestoreTables:
    """`ALTER SYSTEM RESTORE tables FOR name FROM source [AT 'at'] UNTIL 'until' WITH 'options'`.

    A table is (database, table), the database empty if none was typed; the others are as in RestoreTenant.
    """

    tables: tuple[tuple[str, str], ...]
    name: str
    source: str
    until: str
    options: str
    at: str | None = None


@dataclass(frozen=True)
class AddRestoreSource:
    """`ALTER SYSTEM ADD RESTORE SOURCE 'uri'`: add a source for this session's next restore."""

    uri: str


@dataclass(frozen=True)
class ClearRestoreSource:
    """`ALTER SYSTEM CLEAR RESTORE SOURCE`: forget this session's sources."""


@dataclass(frozen=True)
class ShowRestorePreview:
    """`SHOW RESTORE PREVIEW`: the backups that this session's last RestoreTenant with PREVIEW would read."""


@dataclass(frozen=True)
class ChangeDestinationAccess:
    """`ALTER SYSTEM CHANGE EXTERNAL_STORAGE_DEST PATH='uri' SET ACCESS_INFO='access_id=…&access_key=…'` (4.3.3).

    `attribute` is the value of ATTRIBUTE, None without it. No text of the statement shows the keys.
    """

    path: str
    access_info: str = field(repr=False)
    attribute: str | None = None


@dataclass(frozen=True)
class CreateTenant:
    """`CREATE TENANT [IF NOT EXISTS] name [options]`.

    `source` is the value of `SOURCE='seekdb:///absolute/path'`, None without it. `options` are the others, as (name in
    upper case, value as typed without quotes): kept for display.
    """

    name: str
    if_not_exists: bool = False
    source: str | None = None
    options: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class DropTenant:
    """`DROP TENANT [IF EXISTS] name [FORCE]`."""

    name: str
    if_exists: bool = False
    force: bool = False


@dataclass(frozen=True)
class ShowTenants:
    """`SHOW TENANTS [LIKE 'pattern']`."""

    like: str | None = None


@dataclass(frozen=True)
class AccountWithHost:
    """CREATE USER or RENAME USER with a new account `'user'@'host'` whose host part is not `%`."""

    user: str
    host: str


@dataclass(frozen=True)
class SetEncryption:
    """`SET ENCRYPTION ON IDENTIFIED BY 'password' ONLY`, or `SET ENCRYPTION OFF`: of the session's data backups.

    The password is None for OFF. Without ONLY, `is_only` is False.
    """

    password: str | None = field(default=None, repr=False)
    is_only: bool = True


@dataclass(frozen=True)
class SetDecryption:
    """`SET DECRYPTION IDENTIFIED BY 'password' [, 'password']…`: for the session's restores."""

    passwords: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class MisspelledSecret:
    """A statement that may hold a password or a key, and that has no valid form: no engine may log it."""


Statement = (
    ArchiveLog
    | NoArchiveLog
    | MinorFreeze
    | SetParameters
    | ShowParameters
    | BackupDatabase
    | CancelBackup
    | SuspendBackup
    | ResumeBackup
    | CancelAllBackup
    | DeleteBackup
    | DeleteObsoleteBackup
    | PreviewObsolete
    | KeepBackup
    | DeleteExpiredBackup
    | CancelDeleteBackup
    | ValidateBackup
    | CancelValidate
    | SecondBackup
    | CancelSecondBackup
    | SecondLogBackup
    | RestoreTenant
    | RestoreStandby
    | CancelRestore
    | RecoverStandby
    | ActivateStandby
    | Switchover
    | RestoreTables
    | AddRestoreSource
    | ClearRestoreSource
    | ChangeDestinationAccess
    | ShowRestorePreview
    | CreateTenant
    | DropTenant
    | ShowTenants
    | AccountWithHost
    | SetEncryption
    | SetDecryption
    | MisspelledSecret
)

SECRET = (SetEncryption, SetDecryption, ChangeDestinationAccess, MisspelledSecret)
"""The statements that hold a password or a key."""
