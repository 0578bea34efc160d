"""Statements of restore: which are read, and which are left to the engine."""

from __future__ import annotations

import pytest

from redoubt.sql.parser import parse, split
from redoubt.sql.statements import (
    AddRestoreSource,
    ChangeDestinationAccess,
    ClearRestoreSource,
    RestoreTables,
    RestoreTenant,
    ShowRestorePreview,
    Statement,
)

UNTIL = "2026-11-23 10:00:00.123456"
OPTIONS = "backup_cluster_name=redoubt&backup_cluster_id=1&pool_list=p1"
TAIL = f"UNTIL '{UNTIL}' WITH '{OPTIONS}'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"ALTER SYSTEM RESTORE shop2 FROM shop {TAIL}", RestoreTenant("shop2", "shop", UNTIL, OPTIONS)),
        (
            f"ALTER SYSTEM RESTORE Shop2 FROM `sh;op` AT 'file:///b;c' {TAIL} PREVIEW",
            RestoreTenant("Shop2", "sh;op", UNTIL, OPTIONS, "file:///b;c", is_preview=True),
        ),
        (
            'alter/**/system restore t from s until"x"with"y"preview # z',
            RestoreTenant("t", "s", "x", "y", is_preview=True),
        ),
        ("ALTER SYSTEM RESTORE t FROM s UNTIL '' WITH ''", RestoreTenant("t", "s", "", "")),
        ("ALTER SYSTEM RESTORE t FROM s UNTIL 'u'", RestoreTenant("t", "s", "u", "")),
        ("ALTER SYSTEM RESTORE t FROM s UNTIL 'u' PREVIEW", RestoreTenant("t", "s", "u", "", is_preview=True)),
        ("ALTER SYSTEM RESTORE at FROM until UNTIL 'u' WITH 'o'", RestoreTenant("at", "until", "u", "o")),
        (
            f"ALTER SYSTEM RESTORE d.t, `d` . `T`,x FOR shop2 FROM shop AT 'file:///b' {TAIL}",
            RestoreTables((("d", "t"), ("d", "T"), ("", "x")), "shop2", "shop", UNTIL, OPTIONS, "file:///b"),
        ),
        (
            f"ALTER SYSTEM RESTORE x FOR shop2 FROM shop {TAIL}",
            RestoreTables((("", "x"),), "shop2", "shop", UNTIL, OPTIONS),
        ),
        ("ALTER SYSTEM ADD RESTORE SOURCE 'file:///b'", AddRestoreSource("file:///b")),
        (
            "ALTER SYSTEM CHANGE EXTERNAL_STORAGE_DEST PATH='s3://b' SET ACCESS_INFO='access_id=a&access_key=b'",
            ChangeDestinationAccess("s3://b", "access_id=a&access_key=b"),
        ),
        (
            "alter system modify external_storage_dest path 's3://b' access_info 'x' attribute = 'max_iops=1'",
            ChangeDestinationAccess("s3://b", "x", "max_iops=1"),
        ),
        (
            "ALTER SYSTEM ALTER EXTERNAL_STORAGE_DEST PATH = 's3://b' SET ACCESS_INFO = 'x'",
            ChangeDestinationAccess("s3://b", "x"),
        ),
        ("ALTER SYSTEM CLEAR RESTORE SOURCE", ClearRestoreSource()),
        ("SHOW RESTORE PREVIEW", ShowRestorePreview()),
    ],
)
def test_what_is_read(text: str, expected: Statement) -> None:
    """With each clause or without; names are bare or in backticks, and strings are kept as they are meant."""
    assert expected == parse(text)
    assert [expected, None] == [parse(piece) for piece in split(f"{text}\n; SELECT 1")]


@pytest.mark.parametrize(
    "text",
    [
        "ALTER SYSTEM RESTORE",
        f"ALTER SYSTEM RESTORE 't' FROM s {TAIL}",
        f"ALTER SYSTEM RESTORE t FROM 's' {TAIL}",
        "ALTER SYSTEM RESTORE t FROM 's' UNTIL TIME 'u' WITH 'o'",
        "ALTER SYSTEM RESTORE t FROM 's' UNTIL SCN = 1.5 WITH 'o'",
        "ALTER SYSTEM RESTORE t FROM 's' UNTIL SCN = -1 WITH 'o'",
        "ALTER SYSTEM RESTORE t FROM 's' UNTIL SCN = 9223372036854775808 WITH 'o'",
        "ALTER SYSTEM RESTORE t FROM 's' WITH 'o' PREVIEW",
        "ALTER SYSTEM RESTORE t FROM 's', 's2' WITH 'o'",
        "ALTER SYSTEM RESTORE t FROM 's' WITH 'o' DESCRIPTION",
        f"ALTER SYSTEM RESTORE t FROM s AT uri {TAIL}",
        f"ALTER SYSTEM RESTORE t FROM s AT = 'uri' {TAIL}",
        "ALTER SYSTEM RESTORE t FROM s WITH 'o'",
        "ALTER SYSTEM RESTORE t FROM s UNTIL 'u' WITH",
        "ALTER SYSTEM RESTORE t FROM s UNTIL now() WITH 'o'",
        "ALTER SYSTEM RESTORE t FROM s UNTIL TIMESTAMP '2026-11-23' WITH 'o'",
        "ALTER SYSTEM RESTORE t FROM s UNTIL ? WITH 'o'",
        "ALTER SYSTEM RESTORE t FROM s UNTIL 'u' WITH o",
        "ALTER SYSTEM RESTORE t FROM s WITH 'o' UNTIL 'u'",
        f"ALTER SYSTEM RESTORE t FROM s {TAIL} AT 'uri'",
        f"ALTER SYSTEM RESTORE t FROM s {TAIL} PREVIEW PREVIEW",
        f"ALTER SYSTEM RESTORE TENANT t FROM s {TAIL}",
        f"ALTER SYSTEM RESTORE d.t FROM s {TAIL}",
        f"ALTER SYSTEM RESTORE t, u FROM s {TAIL}",
        f"ALTER SYSTEM RESTORE .t FROM s {TAIL}",
        f"ALTER SYSTEM RESTORE d.t FOR 'x' FROM s {TAIL}",
        f"ALTER SYSTEM RESTORE d.t FOR x IN s {TAIL}",
        f"ALTER SYSTEM RESTORE d.t, FOR x FROM s {TAIL}",
        f"ALTER SYSTEM RESTORE (d.t) FOR x FROM s {TAIL}",
        f"ALTER SYSTEM RESTORE a.b.c FOR x FROM s {TAIL}",
        f"ALTER SYSTEM RESTORE d.* FOR x FROM s {TAIL}",
        f"ALTER SYSTEM RESTORE d.t FOR x FROM s {TAIL} PREVIEW",
        "ALTER SYSTEM ADD RESTORE SOURCE",
        "ALTER SYSTEM ADD RESTORE SOURCE uri",
        "ALTER SYSTEM ADD RESTORE SOURCE 'a', 'b'",
        "ALTER SYSTEM CLEAR RESTORE SOURCE 'a'",
        "SHOW RESTORE PREVIEW LIKE 'a'",
        "SHOW RESTORE",
        "CREATE RESTORE POINT p",
    ],
)
def test_not_ours(text: str) -> None:
    """What is almost one of them is left to the engine."""
    assert parse(text) is None
