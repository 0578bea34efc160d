"""One statement: which are Redoubt's, what they say, and which are left to the engine."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from redoubt.sql.parser import parse, split
from redoubt.sql.statements import (
    ALL_TENANTS,
    ArchiveLog,
    Assignment,
    MinorFreeze,
    NoArchiveLog,
    SetParameters,
    ShowParameters,
    Statement,
)

from .strategies import OTHER_TEXTS, Written, mutations, statements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALTER SYSTEM ARCHIVELOG", ArchiveLog()),
        ("ALTER SYSTEM ARCHIVELOG;", ArchiveLog()),
        ("  alter\n\tsystem/**/archivelog ; -- done", ArchiveLog()),
        ("/* app:1 */ Alter # x\n System /*+ hint */ ArchiveLog", ArchiveLog()),
        ("ALTER SYSTEM NOARCHIVELOG", NoArchiveLog()),
        ("ALTER SYSTEM ARCHIVELOG TENANT = ALL", ArchiveLog(ALL_TENANTS)),
        ("ALTER SYSTEM ARCHIVELOG TENANT = (all)", ArchiveLog(ALL_TENANTS)),
        ("ALTER SYSTEM ARCHIVELOG TENANT all;", ArchiveLog(ALL_TENANTS)),
        ("ALTER SYSTEM ARCHIVELOG TENANT = a, `b` ,'c'", ArchiveLog(("a", "b", "c"))),
        ("ALTER SYSTEM ARCHIVELOG TENANT(a,b)", ArchiveLog(("a", "b"))),
        ("ALTER SYSTEM NOARCHIVELOG TENANT t", NoArchiveLog(("t",))),
        ("ALTER SYSTEM NOARCHIVELOG TENANT = 'all'", NoArchiveLog(("all",))),
    ],
)
def test_archive_switches(text: str, expected: Statement) -> None:
    """The two statements that start and stop a round."""
    assert expected == parse(text)


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        ("", MinorFreeze()),
        ("TENANT = (a, b)", MinorFreeze(tenants=("a", "b"))),
        ("TENANT (a)", MinorFreeze(tenants=("a",))),
        ("TENANT a", MinorFreeze(tenants=("a",))),
        ("TENANT=`a`", MinorFreeze(tenants=("a",))),
        ("TENANT = 'a'", MinorFreeze(tenants=("a",))),
        ("TENANT = (`a`,'b',\"c\")", MinorFreeze(tenants=("a", "b", "c"))),
        ("TENANT = all", MinorFreeze(tenants=ALL_TENANTS)),
        ("TENANT = `all`", MinorFreeze(tenants=("all",))),
        ("SERVER = ('10.0.0.1:2882', '10.0.0.2:2882')", MinorFreeze(servers=("10.0.0.1:2882", "10.0.0.2:2882"))),
        ("SERVER '10.0.0.1:2882'", MinorFreeze(servers=("10.0.0.1:2882",))),
        ("ZONE = 'zone1'", MinorFreeze(zone="zone1")),
        ("ZONE 'zone1'", MinorFreeze(zone="zone1")),
        ("PARTITION_ID = '0%4@1099511677777'", MinorFreeze(partition_id="0%4@1099511677777")),
        ("PARTITION_ID '0%4@1'", MinorFreeze(partition_id="0%4@1")),
        ("TENANT a SERVER ('s:1') ZONE 'z'", MinorFreeze(("a",), ("s:1",), "z")),
        ("ZONE 'z' SERVER ('s:1') TENANT a", MinorFreeze(("a",), ("s:1",), "z")),
    ],
)
def test_minor_freeze(scopes: str, expected: Statement) -> None:
    """A minor freeze and what it is limited to."""
    assert expected == parse(f"ALTER SYSTEM MINOR FREEZE {scopes}")


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("a = 'v'", "v"),
        ('a="v"', "v"),
        ("a = 'it''s \\'so\\''", "it's 'so'"),
        ("a = ''", ""),
        ("a = word", "word"),
        ("a = True", "True"),
        ("a = 120s", "120s"),
        ("a = 1d", "1d"),
        ("a = 0", "0"),
        ("a = 0.5", "0.5"),
        ("a = -1", "-1"),
        ("a = - 1", "-1"),
        ("`a` = 1", "1"),
        ("A = 1", "1"),
        ("a /* why; */ = 1", "1"),
        ("a = 1 COMMENT 'x'", "1"),
        ("a = 1 SCOPE = memory", "1"),
        ("a = 1 scope=SPFILE", "1"),
        ("a = 1 SCOPE = BOTH", "1"),
        ("a = 1 SERVER = '10.0.0.1:2882'", "1"),
        ("a = 1 ZONE = 'z'", "1"),
        ("a = on COMMENT 'x' SCOPE = BOTH SERVER = 's' ZONE = 'z'", "on"),
    ],
)
def test_set_one_parameter(sql: str, value: str) -> None:
    """An item has its name in lower case, its plain value, its own text, and the first words of its clauses."""
    clauses = re.findall(r" (comment|scope|server|zone|tenant) ", sql.lower().replace("=", " = "))
    expected = SetParameters((Assignment("a", value, sql, tuple(clauses)),))

    assert expected == parse(f"ALTER SYSTEM SET {sql} ; ")


@pytest.mark.parametrize(
    ("clause", "tenants"),
    [
        ("TENANT = x", ("x",)),
        ("TENANT 'x'", ("x",)),
        ("TENANT = `x`", ("x",)),
        ("TENANT = ALL", ALL_TENANTS),
        ("TENANT = (x, y)", ("x", "y")),
        ("COMMENT 'x' TENANT = x", ("x",)),
    ],
)
def test_set_for_tenants(clause: str, tenants: tuple[str, ...]) -> None:
    """What a tenant clause names; a comma behind a single name begins the next item."""
    statement = parse(f"ALTER SYSTEM SET LOG_ARCHIVE_DEST = 'LOCATION=file:///a' {clause}, b = 1")

    assert isinstance(statement, SetParameters)
    assert [item.tenants for item in statement.assignments] == [tenants, ()]
    assert statement.assignments[0].clauses[-1] == "tenant"
    assert statement.assignments[0].name == "log_archive_dest"


def test_set_several_parameters() -> None:
    """Items stay in the order typed, the same name as often as it comes."""
    expected = SetParameters(
        (
            Assignment("backup_dest", "file:///b", "backup_dest='file:///b'"),
            Assignment("b", "2", "B = 2 COMMENT 'x, y'", ("comment",)),
            Assignment("b", "3", "b=3"),
        )
    )

    assert expected == parse("alter system set backup_dest='file:///b' , B = 2 COMMENT 'x, y' /* z */,b=3")


def test_a_parameters_name_beyond_ascii_is_kept() -> None:
    """Unicode's case rules do not make one of our names of another."""
    statement = parse("ALTER SYSTEM SET BAC\N{KELVIN SIGN}UP_DEST = 'x'")

    assert isinstance(statement, SetParameters)
    assert statement.assignments[0].name == "BAC\N{KELVIN SIGN}UP_DEST"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SHOW PARAMETERS", ShowParameters("SHOW PARAMETERS")),
        ("/* x */ show /* y */ parameters ; ", ShowParameters("show /* y */ parameters")),
        (
            "SHOW PARAMETERS LIKE '%log\\_archive%'",
            ShowParameters("SHOW PARAMETERS LIKE '%log\\_archive%'", r"%log\_archive%"),
        ),
        ('show parameters like "a"', ShowParameters('show parameters like "a"', "a")),
        (
            "SHOW PARAMETERS WHERE name = 'a;?' AND svr_port IN (1, 2) # x",
            ShowParameters(
                "SHOW PARAMETERS WHERE name = 'a;?' AND svr_port IN (1, 2)",
                where="name = 'a;?' AND svr_port IN (1, 2)",
            ),
        ),
    ],
)
def test_show_parameters(text: str, expected: Statement) -> None:
    """SHOW PARAMETERS keeps its text from the first word to the last."""
    assert expected == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        ";",
        "-- ALTER SYSTEM ARCHIVELOG",
        "SELECT 1",
        "'ALTER' SYSTEM ARCHIVELOG",
        "`ALTER` SYSTEM ARCHIVELOG",
        "ALTER",
        "ALTER SYSTEM",
        "ALTER TABLE archivelog",
        "ALTERSYSTEM ARCHIVELOG",
        "ALTER SYSTEM ARCHIVELOGS",
        "ALTER \N{LATIN SMALL LETTER LONG S}YSTEM ARCHIVELOG",
        "ALTER SYSTEM ARCHIVELOG now",
        "ALTER SYSTEM ARCHIVELOG TENANT",
        "ALTER SYSTEM ARCHIVELOG TENANT =",
        "ALTER SYSTEM ARCHIVELOG TENANT = a,",
        "ALTER SYSTEM ARCHIVELOG TENANT = (a",
        "ALTER SYSTEM ARCHIVELOG TENANT = a b",
        "ALTER SYSTEM ARCHIVELOG TENANT = 1",
        "ALTER SYSTEM ARCHIVELOG TENANTS = a",
        "ALTER SYSTEM ARCHIVELOG = ALL",
        "ALTER SYSTEM ARCHIVELOG;;",
        "ALTER SYSTEM ARCHIVELOG; SELECT 1",
        "ALTER SYSTEM ARCHIVELOG 'open",
        "ALTER SYSTEM ARCHIVELOG /* open",
        "ALTER SYSTEM /*! ARCHIVELOG */",
        "/*! ALTER SYSTEM ARCHIVELOG */",
        "ALTER SYSTEM /*!99999 NO */ ARCHIVELOG",
        "EXPLAIN ALTER SYSTEM ARCHIVELOG",
        "ALTER SYSTEM MAJOR FREEZE",
        "ALTER SYSTEM MINOR",
        "ALTER SYSTEM MINOR FREEZE now",
        "ALTER SYSTEM MINOR FREEZE TENANT",
        "ALTER SYSTEM MINOR FREEZE TENANT =",
        "ALTER SYSTEM MINOR FREEZE TENANT = ()",
        "ALTER SYSTEM MINOR FREEZE TENANT = (a",
        "ALTER SYSTEM MINOR FREEZE TENANT = (a,)",
        "ALTER SYSTEM MINOR FREEZE TENANT = a, b",
        "ALTER SYSTEM MINOR FREEZE TENANT = 1",
        "ALTER SYSTEM MINOR FREEZE TENANT a TENANT b",
        "ALTER SYSTEM MINOR FREEZE SERVER = s",
        "ALTER SYSTEM MINOR FREEZE ZONE = z",
        "ALTER SYSTEM MINOR FREEZE ZONE = ('z')",
        "ALTER SYSTEM MINOR FREEZE ZONE = 'z' ZONE = 'z'",
        "ALTER SYSTEM MINOR FREEZE PARTITION_ID = 1",
        "ALTER SYSTEM MINOR FREEZE ZONE = ?",
        "ALTER SYSTEM SET",
        "ALTER SYSTEM SET a",
        "ALTER SYSTEM SET a =",
        "ALTER SYSTEM SET = 1",
        "ALTER SYSTEM SET a := 1",
        "ALTER SYSTEM SET a 1",
        "ALTER SYSTEM SET a = ?",
        "ALTER SYSTEM SET a = `b`",
        "ALTER SYSTEM SET a = -x",
        "ALTER SYSTEM SET a = +1",
        "ALTER SYSTEM SET a = 1 + 1",
        "ALTER SYSTEM SET a = 'x' 'y'",
        "ALTER SYSTEM SET a = _utf8'x'",
        "ALTER SYSTEM SET a = 'x",
        "ALTER SYSTEM SET a.b = 1",
        "ALTER SYSTEM SET @@a = 1",
        "ALTER SYSTEM SET 'a' = 1",
        "ALTER SYSTEM SET a = 1,",
        "ALTER SYSTEM SET a = 1, , b = 1",
        "ALTER SYSTEM SET a = 1 b = 1",
        "ALTER SYSTEM SET a = 1 WHENEVER",
        "ALTER SYSTEM SET a = 1 COMMENT = 'x'",
        "ALTER SYSTEM SET a = 1 SCOPE = DISK",
        "ALTER SYSTEM SET a = 1 SCOPE BOTH",
        "ALTER SYSTEM SET a = 1 SERVER = s",
        "ALTER SYSTEM SET a = 1 TENANT =",
        "ALTER SYSTEM SET a = 1 TENANT = ()",
        "ALTER SYSTEM SET a = 1 TENANT = x TENANT = x",
        "ALTER SYSTEM SET a = 1 SCOPE = BOTH SCOPE = BOTH",
        "SET a = 1",
        "SHOW",
        "SHOW TABLES",
        "SHOW PARAMETERS LIKE",
        "SHOW PARAMETERS LIKE a",
        "SHOW PARAMETERS LIKE ?",
        "SHOW PARAMETERS LIKE 'a' TENANT = x",
        "SHOW PARAMETERS LIKE 'a' WHERE name = 'a'",
        "SHOW PARAMETERS TENANT = x",
        "SHOW PARAMETERS WHERE",
        "SHOW PARAMETERS WHERE ;",
        "SHOW PARAMETERS WHERE name = ?",
        "SHOW PARAMETERS WHERE name = 'a' TENANT = x",
        "SHOW PARAMETERS WHERE name = 'a",
        "SHOW PARAMETERS WHERE name /*! = */ 'a'",
        "SHOW PARAMETERS WHERE name = 'a'; SELECT 1",
    ],
)
def test_not_ours(text: str) -> None:
    """A statement that is almost one of ours is left to the engine."""
    assert parse(text) is None


@given(statements())
def test_every_way_of_writing(written: Written) -> None:
    """Case, white space, comments, quotes and order of clauses do not change what a statement says."""
    text, expected = written

    assert expected == parse(text)
    assert expected == parse(f"{text};\n")


@given(statements())
def test_what_is_kept_as_typed_says_the_same(written: Written) -> None:
    """The text of an item, and that of SHOW PARAMETERS, is parsed to what it stands in."""
    _, statement = written
    if isinstance(statement, ShowParameters):
        assert statement == parse(statement.sql)
    for item in statement.assignments if isinstance(statement, SetParameters) else ():
        assert SetParameters((item,)) == parse(f"ALTER SYSTEM SET {item.sql}")


@given(mutations())
def test_what_is_almost_a_statement_is_ours_or_not(text: str) -> None:
    """A changed statement is parsed or left to the engine, and what is parsed holds no endless number."""
    for piece in split(text):
        statement = parse(piece)
        assert isinstance(statement, Statement | None)
        assert all(not isinstance(figure, int) or figure < 2**63 for figure in vars(statement or parse).values())


@given(OTHER_TEXTS)
def test_any_text_is_answered(text: str) -> None:
    """No text makes the parser raise."""
    assert isinstance(parse(text), Statement | None)
