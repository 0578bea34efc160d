"""Statements of data backups, deletion and validation: which are read, and which are left to the engine."""

from __future__ import annotations

import pytest

from redoubt.sql.parser import parse
from redoubt.sql.statements import (
    BackupDatabase,
    BackupPart,
    CancelValidate,
    DeleteBackup,
    DeleteExpiredBackup,
    SecondBackup,
    Statement,
    ValidateBackup,
)

from .strategies import FIXED


@pytest.mark.parametrize(("text", "expected"), FIXED.items(), ids=FIXED)
def test_statements_of_words_alone(text: str, expected: Statement) -> None:
    """Each is known, and is not with one word more, or another in a word's place."""
    assert expected == parse(text)
    assert parse(f"{text} now") is None
    assert parse(f"explain {text}") is None
    words = text.split()
    for at in range(len(words)):
        if words[at] != "t":
            assert parse(" ".join([*words[:at], "xyz", *words[at + 1 :]])) is None


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("DELETE BACKUPSET 3", DeleteBackup(BackupPart.SET, 3)),
        ("DELETE BACKUPPIECE 3 COPY 1", DeleteBackup(BackupPart.PIECE, 3, 1)),
        ("DELETE BACKUPROUND 0 COPY 0", DeleteBackup(BackupPart.ROUND, 0)),
        ("DELETE BACKUPPIECE 007", DeleteBackup(BackupPart.PIECE, 7)),
        (f"DELETE BACKUPPIECE {'9' * 18}", DeleteBackup(BackupPart.PIECE, 10**18 - 1)),
        ("DELETE EXPIRED BACKUP", DeleteExpiredBackup()),
        ("DELETE EXPIRED BACKUP COPY 2", DeleteExpiredBackup(2)),
        ("VALIDATE DATABASE", ValidateBackup(BackupPart.DATABASE)),
        ("VALIDATE DATABASE COPY 1", ValidateBackup(BackupPart.DATABASE, copy_id=1)),
        ("VALIDATE BACKUPSET 4 COPY 1", ValidateBackup(BackupPart.SET, 4, 1)),
        ("CANCEL VALIDATE 5", CancelValidate(5)),
        ("CANCEL VALIDATE 5 COPY 6", CancelValidate(5, 6)),
        ("BACKUP DATABASE", BackupDatabase()),
        (
            "BACKUP BACKUPSET = 3 TENANT = `t` BACKUP_BACKUP_DEST = 'file:///x'",
            SecondBackup(BackupPart.SET, 3, tenant="t", destination="file:///x"),
        ),
        (
            "BACKUP BACKUPPIECE 3 TENANT 't' BACKUP_BACKUP_DEST 'file:///x'",
            SecondBackup(BackupPart.PIECE, 3, tenant="t", destination="file:///x"),
        ),
        (
            "BACKUP BACKUPPIECE ALL NOT BACKED UP 2 TIMES WITH ACTIVE TENANT_ID = 1",
            SecondBackup(BackupPart.PIECE, max_copies=2, has_active=True, tenant="1"),
        ),
    ],
)
def test_statements_with_figures(rest: str, expected: Statement) -> None:
    """Whole numbers, names and copies."""
    assert expected == parse(f"ALTER SYSTEM {rest};")


@pytest.mark.parametrize(
    "rest",
    [
        "DELETE",
        "DELETE BACKUPSET",
        "DELETE BACKUPSET -1",
        "DELETE BACKUPSET 1.5",
        "DELETE BACKUPSET 0x1",
        "DELETE BACKUPSET '1'",
        "DELETE BACKUPSET = 1",
        "DELETE BACKUPSET \u0663",
        "DELETE BACKUPSET ?",
        "DELETE BACKUPSET 1, 2",
        "DELETE BACKUPSET 1 COPY",
        "DELETE BACKUPSET 1 COPY = 1",
        f"DELETE BACKUPSET {'9' * 19}",
        f"DELETE BACKUPSET {'9' * 5000}",
        "DELETE BACKUP 1",
        "DELETE OBSOLETE BACKUP COPY 1",
        "DELETE EXPIRED",
        "VALIDATE BACKUPSET",
        "VALIDATE BACKUPPIECE 1",
        "CANCEL VALIDATE",
        "CANCEL ALL BACKUP",
        "CHANGE BACKUPSET 1",
        "CHANGE BACKUPSET KEEP",
        "CHANGE BACKUPSET 1 KEEP UNTIL",
        "CHANGE BACKUPSET 1 KEEP UNTIL 5",
        "CHANGE BACKUPSET 1 NOKEEP UNTIL '2027-01-01'",
        "CHANGE BACKUPPIECE 1 KEEP",
        "DELETE BACKUPSET 1 PREVIEW",
        "CANCEL",
        "BACKUP",
        "BACKUP ARCHIVELOG",
        "BACKUP TENANT t",
        "BACKUP FULL DATABASE",
        "BACKUP BACKUPSET",
        "BACKUP BACKUPSET ALL WITH ACTIVE",
        "BACKUP BACKUPSET ALL NOT BACKED UP TIMES",
        "BACKUP BACKUPSET ALL BACKUP_BACKUP_DEST x",
        "BACKUP BACKUPPIECE 1 TENANT t TENANT_ID 1",
        "BACKUP BACKUPROUND 1",
        "CANCEL BACKUP BACKUPROUND",
        "START BACKUP",
        "STOP",
    ],
)
def test_not_ours(rest: str) -> None:
    """What is almost one of them is left to the engine."""
    assert parse(f"ALTER SYSTEM {rest}") is None
