"""Texts of several statements: where they are cut, and the cheap look for one of ours."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.sql.bounds import LONGEST_TEXT, MOST_STATEMENTS, MOST_WORDS
from redoubt.sql.parser import may_be_ours, parse, split
from redoubt.sql.statements import NoArchiveLog
from redoubt.sql.tokens import BLANKS, Modes

from .strategies import OTHER_TEXTS, Written, statements


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ;\n; ", []),
        (" ;a", [" ", "a"]),
        ("a;;b", ["a", "", "b"]),
        ("a", ["a"]),
        ("a;", ["a"]),
        ("a; b ;c", ["a", " b ", "c"]),
        ("a 'x;y' \"x;y\" `x;y`; b", ["a 'x;y' \"x;y\" `x;y`", " b"]),
        ("a 'x\\';y'; b", ["a 'x\\';y'", " b"]),
        ("a /* ; */ -- ;\n # \n ; b", ["a /* ; */ -- ;\n # \n ", " b"]),
        ("a -- ;\r\n; b # '\r\n; c", ["a -- ;\r\n", " b # '\r\n", " c"]),
        ("a; b # '\r; c", ["a", " b # '\r; c"]),
        ("a -- '\r; b", ["a -- '\r; b"]),
        ("a; # b; c\n; d", ["a", " # b; c\n; d"]),
        ("a /*! x y */; b", ["a /*! x y */", " b"]),
        ("a; b /*! x; y */; c", ["a", " b /*! x; y */; c"]),
        ('a "x\\"y"; b', ['a "x\\"y"; b']),
        ("a - 1 --1; b", ["a - 1 --1", " b"]),
        ("a --;b --", ["a --", "b --"]),
        ("a 'open; b", ["a 'open; b"]),
        ("a /* open; b", ["a /* open; b"]),
        ("a; -- end", ["a", " -- end"]),
        ("a;\u3000", ["a", "\u3000"]),
    ],
)
def test_split(text: str, expected: list[str]) -> None:
    """A semicolon cuts unless a string, a name or a comment holds it; the pieces are as typed."""
    assert expected == split(text)


def test_where_strings_end_depends_on_the_mode() -> None:
    """A correct text of one mode, with a statement of ours within its string, is another text in the other."""
    text = "insert into t values ('a\\', '; alter system noarchivelog; ')"

    assert split(text, Modes(backslash_escapes=False)) == [text]
    assert [parse(piece) for piece in split(text)] == [None, NoArchiveLog(), None]


@pytest.mark.parametrize("end", ["--", "--;", "-- ;--"])
def test_two_dashes_alone_open_no_comment(end: str) -> None:
    """What is an error to the engine must not become a statement of ours by being cut off."""
    text = f"alter system archivelog{end}"

    assert parse(text) is None or end == "-- ;--"
    assert [parse(piece) for piece in split(text)] == [parse(text)]


def test_bounds() -> None:
    """Beyond each of them a text is the engine's, whole."""
    items = ",".join(["a=1"] * (MOST_WORDS // 4))
    gap = " " * (LONGEST_TEXT - len("show tenants"))

    assert parse(f"alter system set {items[:-4]}") is not None
    assert parse(f"alter system set {items}, a=1") is None
    assert parse(f"show{gap} tenants") == parse("show tenants")
    assert parse(f"show{gap}  tenants") is None
    assert len(split("a;" * MOST_STATEMENTS)) == MOST_STATEMENTS
    assert split("a;" * MOST_STATEMENTS + "a") == ["a;" * MOST_STATEMENTS + "a"]
    assert split(f"show{gap} tenants;") == [f"show{gap} tenants;"]
    assert not may_be_ours(f"show{gap}  tenants".encode())


@pytest.mark.parametrize(
    "head",
    [
        "CREATE PROCEDURE p()",
        "/* x */ create\nprocedure p()",
        "CREATE OR REPLACE PROCEDURE p()",
        "CREATE DEFINER = `root`@`%` PROCEDURE p()",
        "CREATE DEFINER='root'@'localhost' FUNCTION f()",
        "CREATE DEFINER = root@db-1.eu.example.com TRIGGER t",
        "CREATE DEFINER=CURRENT_USER() EVENT e",
        "CREATE AGGREGATE FUNCTION f()",
        "CREATE FUNCTION IF NOT EXISTS f()",
        "CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO",
        "ALTER DEFINER = a@b EVENT e DO",
        "ALTER EVENT e DO",
        "/*!50003 CREATE*/ /*!50020 DEFINER=`root`@`%`*/ TRIGGER t BEFORE INSERT ON x FOR EACH ROW",
        "CREATE /*!50003 PROCEDURE*/ p()",
        "CREATE DEFINER = " + "a " * MOST_WORDS + " PROCEDURE p()",
    ],
)
def test_stored_programs_are_not_cut(head: str) -> None:
    """The body of a stored program, and what follows it, stay in one piece."""
    program = f"{head} BEGIN SELECT 1; SELECT 2; END; SELECT 3;"

    assert [program] == split(program)
    assert ["USE d", program] == split(f"USE d;{program}")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE event (a int)",
        "CREATE",
        "CREATE DEFINER = a@b",
        "CREATE DEFINER = a@b VIEW procedure AS SELECT 1",
        "CREATE DEFINER = a@b SQL SECURITY INVOKER VIEW event AS SELECT 1",
        "ALTER PROCEDURE p COMMENT 'x'",
        "ALTER TABLE t",
        "DROP PROCEDURE p",
        "CALL procedure",
        "CREATED PROCEDURE p",
    ],
)
def test_other_statements_are_cut(statement: str) -> None:
    """What only resembles a stored program is a statement like any other."""
    assert [statement, " DROP EVENT e"] == split(f"{statement}; DROP EVENT e")


@given(OTHER_TEXTS)
def test_nothing_is_lost(text: str) -> None:
    """The pieces come in order, and between them there are only semicolons and white space."""
    at = 0
    between = ""
    for piece in split(text):
        start = text.index(piece, at)
        between += text[at:start]
        at = start + len(piece)
    between += text[at:]

    assert between.strip(BLANKS + ";") == ""


@pytest.mark.parametrize(
    "repeated",
    [
        *(";", " ;", "a;", "alter;", "create;", "/**/;", "#\n;", "'';", "/*", "/*/", "--\n", " "),
        *(
            "create tenant;",
            "drop;",
            "show tenants x;",
            "create tenant t charset=a,",
            "alter system archivelog tenant a,",
        ),
        *("alter system backup backupset all;", "a,", "alter system restore a,", "show restore x;"),
    ],
)
def test_a_long_text_takes_no_longer_than_it_is(repeated: str) -> None:
    """Sixteen times the text takes about sixteen times as long, not its square: the event loop waits for it."""

    def took(size: int) -> float:
        text = (repeated * size)[:size]
        started = time.thread_time()
        assert len([parse(piece) for piece in split(text)]) <= size
        return time.thread_time() - started

    small = min(took(16 * 1024) for _ in range(3))
    assert took(256 * 1024) < 100 * max(small, 0.001)


@given(st.lists(statements(), max_size=4))
def test_pieces_are_the_statements(written: list[Written]) -> None:
    """Statements that are joined with semicolons come back, whatever their comments and strings hold."""
    text = "\n;".join(text for text, _ in written)

    assert [statement for _, statement in written] == [parse(piece) for piece in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"SELECT 1", False),
        (b"INSERT INTO t VALUES ('alter the show')", False),
        (b"SELECT 'system parameters'", False),
        (b"alter/**/SYSTEM archivelog", True),
        (b"SELECT '\xff'; Show\nParameters", True),
        (b"create tenant t", True),
        (b"DROP/**/TENANT t", True),
        (b"show Tenants", True),
        (b"drop -- x\n tenant t", True),
        (b"show/**/Restore Preview", True),
        (b"SELECT preview, restored_at FROM t", False),
        (b"SELECT tenant_id, created_at, shown, dropped FROM t", False),
        (b"INSERT INTO t (tenant) VALUES ('create or drop or show')", False),
        (b"CREATE TABLE t (a int)", False),
    ],
)
def test_may_be_ours(text: bytes, expected: bool) -> None:  # noqa: FBT001 - a table's column
    """Only texts with the words of one of our statements are worth parsing."""
    assert expected is may_be_ours(text)


@given(st.lists(statements().map(lambda written: written[0]) | OTHER_TEXTS, max_size=4).map(";".join))
def test_may_be_ours_never_misses(text: str) -> None:
    """A text in which any statement parses is one that may be ours."""
    ours = any(parse(piece) is not None for piece in split(text))

    assert may_be_ours(text.encode()) or not ours
