"""Statements of standbys, as OceanBase's documentation has them and as its tools send them."""

from __future__ import annotations

import pytest

from redoubt.sql.errors import SqlError
from redoubt.sql.log_restore_source import parse_log_restore_source
from redoubt.sql.parser import parse, split
from redoubt.sql.statements import (
    ActivateStandby,
    CancelRestore,
    RecoverStandby,
    RestoreStandby,
    Statement,
    Switchover,
    Until,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALTER SYSTEM RESTORE s FROM 'a'", RestoreStandby("s", "", "a")),
        ("alter system restore `s` with 'o'", RestoreStandby("s", "o")),
        ('ALTER SYSTEM RESTORE s FROM "a, b" UNTIL TIME= "t" WITH \'o\'', RestoreStandby("s", "o", "a, b", Until("t"))),
        ("ALTER SYSTEM RESTORE s FROM 'a' UNTIL SCN='12' WITH 'o'", RestoreStandby("s", "o", "a", Until(scn=12))),
        (
            "ALTER SYSTEM RESTORE s UNTIL SCN = 9223372036854775807 DESCRIPTION 'd'",
            RestoreStandby("s", "", None, Until(scn=2**63 - 1), "d"),
        ),
        ("ALTER SYSTEM CANCEL RESTORE `s`", CancelRestore("s")),
        ("ALTER SYSTEM RECOVER STANDBY", RecoverStandby()),
        ("ALTER SYSTEM RECOVER STANDBY TENANT 's' UNTIL UNLIMITED", RecoverStandby("s", Until())),
        ("ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL Time='t'", RecoverStandby("s", Until("t"))),
        ("ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL SCN=5", RecoverStandby("s", Until(scn=5))),
        ("ALTER SYSTEM RECOVER STANDBY TENANT = s CANCEL", RecoverStandby("s", is_cancel=True)),
        ("ALTER SYSTEM ACTIVATE STANDBY TENANT s", ActivateStandby("s")),
        ("ALTER SYSTEM ACTIVATE STANDBY TENANT = `s` VERIFY", ActivateStandby("s", is_verify=True)),
        ("ALTER SYSTEM SWITCHOVER TO PRIMARY TENANT = s VERIFY", Switchover(True, "s", is_verify=True)),  # noqa: FBT003
        ("ALTER SYSTEM SWITCHOVER TO STANDBY", Switchover(False)),  # noqa: FBT003
    ],
)
def test_what_is_read(text: str, expected: Statement) -> None:
    """Each form, alone and among others."""
    assert expected == parse(text)
    assert [expected, None] == [parse(piece) for piece in split(f"{text};\nSELECT 1")]


@pytest.mark.parametrize(
    "text",
    [
        "ALTER SYSTEM RECOVER TENANT = s UNTIL UNLIMITED",
        "ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL",
        "ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL TIME t",
        "ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL SCN = '1 2'",
        "ALTER SYSTEM RECOVER STANDBY TENANT = s UNTIL SCN = 99999999999999999999",
        "ALTER SYSTEM RECOVER STANDBY TENANT = s UNLIMITED",
        "ALTER SYSTEM RECOVER STANDBY UNTIL UNLIMITED TENANT = s",
        "ALTER SYSTEM ACTIVATE STANDBY s",
        "ALTER SYSTEM ACTIVATE TENANT s",
        "ALTER SYSTEM SWITCHOVER PRIMARY",
        "ALTER SYSTEM SWITCHOVER TO TERTIARY",
        "ALTER SYSTEM CANCEL RESTORE 's'",
    ],
)
def test_what_is_the_engines(text: str) -> None:
    """A word too many, too few, or at the wrong place."""
    assert parse(text) is None


def test_the_value_of_log_restore_source() -> None:
    """A destination, or none; what has no counterpart is told apart from what is wrong."""
    assert parse_log_restore_source(" ") == ""
    assert parse_log_restore_source(" location = s3://b/p?host=h&s3_region=r ") == "s3://b/p?host=h&s3_region=r"
    for text, code in (
        ("SERVICE=10.0.0.1:2881 USER=u@t PASSWORD=p", 1235),
        ("LOCATION=", 1210),
        ("LOCATION=a b", 1210),
        ("PLACE=file:///b", 1210),
        ("file:///b", 1210),
        ("LOCATION=" + "x" * 4096, 1210),
    ):
        with pytest.raises(SqlError) as refusal:
            parse_log_restore_source(text)
        assert refusal.value.code == code, text
