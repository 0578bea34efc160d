"""SET ENCRYPTION and SET DECRYPTION; and no mistake in a statement with a secret sends it to an engine."""

from __future__ import annotations

import pytest

from redoubt.sql.parser import may_be_ours, parse
from redoubt.sql.statements import MisspelledSecret, SetDecryption, SetEncryption, Statement


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("SET ENCRYPTION ON IDENTIFIED BY 'pw' ONLY", SetEncryption("pw")),
        ('set encryption on identified by "p w" only;', SetEncryption("p w")),
        ("/* a */ SET /* b */ ENCRYPTION ON IDENTIFIED BY 'pw'", SetEncryption("pw", is_only=False)),
        ("SET ENCRYPTION OFF", SetEncryption()),
        ("SET DECRYPTION IDENTIFIED BY 'a'", SetDecryption(("a",))),
        ("SET DECRYPTION IDENTIFIED BY 'a' , 'b''c'", SetDecryption(("a", "b'c"))),
    ],
)
def test_what_is_ours(text: str, statement: Statement) -> None:
    """As OceanBase spells it; nothing shows the password."""
    assert parse(text) == statement
    assert may_be_ours(text.encode())
    assert "pw" not in repr(statement)


@pytest.mark.parametrize(
    "text",
    [
        "SET ENCRYPTION ON IDENTIFIED BY pw ONLY",
        "SET ENCRYPTION ON IDENTIFIED BY 'pw' ONLY x",
        "SET ENCRYPTION ON IDENTIFY BY 'pw' ONLY",
        "SET ENCRYPTION ON IDENTIFIED BY 'pw",
        "SET/**/DECRYPTION BY 'pw'",
        "SET DECRYPTION IDENTIFIED BY 'pw',",
        "ALTER SYSTEM CHANGE EXTERNAL_STORAGE_DEST PATH 's3://b' SET ACCESS_INFO='access_id=a&access_key=b',",
        "alter system modify external_storage_dest set access_info = 'access_id=a&access_key=b'",
        "ALTER SYSTEM SET backup_dest = 's3://b/p?host=h&access_id=a&access_key=b' x",
        "alter system backup backupset all backup_backup_dest='s3://b?access_key=b' not backed up 2 times",
        "alter system restore t from s at 's3://b?access_key = b' until",
    ],
)
def test_a_mistake_is_not_for_the_engine(text: str) -> None:
    """It would write the secret into its log."""
    assert parse(text) == MisspelledSecret()
    assert may_be_ours(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "SET NAMES utf8mb4",
        "SET @encryption = 'ON'",
        "SET encryption_mode = 1",
        "SET encryptions ON",
        "SET block_encryption_mode = 'aes-256-cbc'",
        "SELECT 'SET ENCRYPTION ON'",
        "ALTER SYSTEM CHANGE x",
    ],
)
def test_what_is_the_engines(text: str) -> None:
    """Its own variables."""
    assert parse(text) is None
