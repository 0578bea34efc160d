"""Statements of data backups, deletion, validation, the second backup, and the keys of destinations.

After ALTER SYSTEM:

    backup     := BACKUP [INCREMENTAL] DATABASE | CANCEL BACKUP | SUSPEND BACKUP | RESUME BACKUP
                | CANCEL ALL BACKUP FORCE | CANCEL RESTORE name
    deletion   := DELETE (BACKUPSET | BACKUPPIECE | BACKUPROUND) n [COPY m] | DELETE OBSOLETE BACKUP [PREVIEW]
                | DELETE EXPIRED BACKUP [COPY m] | CANCEL DELETE BACKUP
    validation := VALIDATE DATABASE [COPY m] | VALIDATE BACKUPSET n [COPY m] | CANCEL VALIDATE n [COPY m]
    second     := BACKUP BACKUPSET which [tenant] [dest] | BACKUP BACKUPPIECE which [WITH ACTIVE [BACKUPPIECE]] [tenant]
                  [dest] | CANCEL BACKUP (BACKUPSET | BACKUPPIECE) | (START | STOP) BACKUP ARCHIVELOG
    keeping    := (ALTER | CHANGE | MODIFY) BACKUPSET ['='] n (KEEP [UNTIL string] | NOKEEP)
    access     := (ALTER | CHANGE | MODIFY) EXTERNAL_STORAGE_DEST PATH ['='] string [SET] ACCESS_INFO ['='] string
                  [ATTRIBUTE ['='] string]
    which      := ALL | ['='] n | ALL NOT BACKED UP n TIMES
    tenant     := TENANT_ID ['='] n | TENANT ['='] name
    dest       := BACKUP_BACKUP_DEST ['='] string

Numbers are whole and not negative.
"""

from __future__ import annotations

from redoubt.sql.cursor import NAME, Cursor
from redoubt.sql.statements import (
    BackupDatabase,
    BackupPart,
    CancelAllBackup,
    CancelBackup,
    CancelDeleteBackup,
    CancelRestore,
    CancelSecondBackup,
    CancelValidate,
    ChangeDestinationAccess,
    DeleteBackup,
    DeleteExpiredBackup,
    DeleteObsoleteBackup,
    KeepBackup,
    PreviewObsolete,
    ResumeBackup,
    SecondBackup,
    SecondLogBackup,
    SuspendBackup,
    ValidateBackup,
)
from redoubt.sql.tokens import Kind

Cancellation = CancelBackup | CancelAllBackup | CancelDeleteBackup | CancelRestore | CancelValidate | CancelSecondBackup
Deletion = DeleteBackup | DeleteObsoleteBackup | PreviewObsolete | DeleteExpiredBackup

_SET_OR_PIECE = {"backupset": BackupPart.SET, "backuppiece": BackupPart.PIECE}
_PARTS = {"backupset": BackupPart.SET, "backuppiece": BackupPart.PIECE, "backupround": BackupPart.ROUND}


def backup(cursor: Cursor) -> BackupDatabase | SecondBackup:
    """Parse the text after BACKUP."""
    if cursor.at_word(*_SET_OR_PIECE):
        return _second_backup(cursor)
    is_incremental = cursor.take_word("incremental")
    cursor.expect_word("database")
    return BackupDatabase(is_incremental)


def change(cursor: Cursor) -> ChangeDestinationAccess | KeepBackup:
    """Parse the text after CHANGE, ALTER and MODIFY."""
    if cursor.take_word("backupset"):
        return _keeping(cursor)
    cursor.expect_words("external_storage_dest", "path")
    path = _value(cursor)
    cursor.take_word("set")
    cursor.expect_word("access_info")
    return ChangeDestinationAccess(path, _value(cursor), _value(cursor) if cursor.take_word("attribute") else None)


def cancel(cursor: Cursor) -> Cancellation:
    """Parse the text after CANCEL."""
    if cursor.take_word("backup"):
        return CancelSecondBackup(_set_or_piece(cursor)) if cursor.at_word(*_SET_OR_PIECE) else CancelBackup()
    if cursor.take_word("delete"):
        cursor.expect_word("backup")
        return CancelDeleteBackup()
    if cursor.take_word("restore"):
        return CancelRestore(cursor.expect(Kind.WORD, Kind.BACKTICK).value)
    if cursor.take_word("validate"):
        return CancelValidate(cursor.expect_number(), _copy_id(cursor))
    cursor.expect_words("all", "backup", "force")
    return CancelAllBackup()


def suspend(cursor: Cursor) -> SuspendBackup:
    """Parse the text after SUSPEND."""
    cursor.expect_word("backup")
    return SuspendBackup()


def resume(cursor: Cursor) -> ResumeBackup:
    """Parse the text after RESUME."""
    cursor.expect_word("backup")
    return ResumeBackup()


def delete(cursor: Cursor) -> Deletion:
    """Parse the text after DELETE."""
    if cursor.take_word("obsolete"):
        cursor.expect_word("backup")
        return PreviewObsolete() if cursor.take_word("preview") else DeleteObsoleteBackup()
    if cursor.take_word("expired"):
        cursor.expect_word("backup")
        return DeleteExpiredBackup(_copy_id(cursor))
    part = cursor.word
    cursor.expect_word(*_PARTS)
    return DeleteBackup(_PARTS[part], cursor.expect_number(), _copy_id(cursor))


def validate(cursor: Cursor) -> ValidateBackup:
    """Parse the text after VALIDATE."""
    if cursor.take_word("database"):
        return ValidateBackup(BackupPart.DATABASE, copy_id=_copy_id(cursor))
    cursor.expect_word("backupset")
    return ValidateBackup(BackupPart.SET, cursor.expect_number(), _copy_id(cursor))


def start(cursor: Cursor) -> SecondLogBackup:
    """Parse the text after START."""
    cursor.expect_words("backup", "archivelog")
    return SecondLogBackup(is_start=True)


def stop(cursor: Cursor) -> SecondLogBackup:
    """Parse the text after STOP."""
    cursor.expect_words("backup", "archivelog")
    return SecondLogBackup(is_start=False)


def _keeping(cursor: Cursor) -> KeepBackup:
    cursor.take_symbol("=")
    number = cursor.expect_number()
    if cursor.take_word("nokeep"):
        return KeepBackup(number, ends=True)
    cursor.expect_word("keep")
    return KeepBackup(number, cursor.expect(Kind.STRING).value if cursor.take_word("until") else None)


def _copy_id(cursor: Cursor) -> int:
    return cursor.expect_number() if cursor.take_word("copy") else 0


def _set_or_piece(cursor: Cursor) -> BackupPart:
    part = _SET_OR_PIECE[cursor.word]
    cursor.advance()
    return part


def _second_backup(cursor: Cursor) -> SecondBackup:
    part = _set_or_piece(cursor)
    number, max_copies = _which(cursor)
    has_active = part is BackupPart.PIECE and cursor.take_word("with")
    if has_active:
        cursor.expect_word("active")
        cursor.take_word("backuppiece")
    return SecondBackup(part, number, max_copies, has_active, _tenant(cursor), _second_destination(cursor))


def _which(cursor: Cursor) -> tuple[int | None, int | None]:
    """The number, None for all; and the most copies, None if not given."""
    if not cursor.take_word("all"):
        cursor.take_symbol("=")
        return cursor.expect_number(), None
    if not cursor.take_word("not"):
        return None, None
    cursor.expect_words("backed", "up")
    most = cursor.expect_number()
    cursor.expect_word("times")
    return None, most


def _tenant(cursor: Cursor) -> str | None:
    if cursor.take_word("tenant_id"):
        cursor.take_symbol("=")
        return str(cursor.expect_number())
    if cursor.take_word("tenant"):
        cursor.take_symbol("=")
        return cursor.expect(*NAME).value
    return None


def _second_destination(cursor: Cursor) -> str | None:
    return _value(cursor) if cursor.take_word("backup_backup_dest") else None


def _value(cursor: Cursor) -> str:
    cursor.take_symbol("=")
    return cursor.expect(Kind.STRING).value
