"""The client's files that a text names; what the engine reads in the same texts is in tests/gateway."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.sql.bounds import LONGEST_TEXT
from redoubt.sql.local_files import local_files

PIECES = (
    b"load",
    b"data",
    b"xml",
    b"local",
    b"infile",
    b"'a'",
    b'"',
    b"/*!1",
    b"*/",
    b"--",
    b";",
    b"\\",
    b"\xff",
    b"(",
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"load data local infile 'a' into table t", {b"a"}),
        (b"LOAD XML CONCURRENT LOCAL INFILE \"a\" 'b' INTO TABLE t", {b"ab"}),
        (b"load data low_priority local infile 'a' ignore into table t", {b"a"}),
        (b"select 1; load data local infile 'a' into t; load data local infile 'it''s' into t", {b"a", b"it's"}),
        (b"/*!40000 load data */ local /* 'x' */ infile '\xff\\'' into table t", {b"\xff'"}),
        (b"load data infile 'a' into table t", set()),
        (b"load data local infile into table t", set()),
        (b"load data local infile '' into table t", set()),
        (b"select 'load data local infile ''a'''", set()),
        (b"/* load data local infile 'a' */ select 1", set()),
        (b"load index local infile 'a'", set()),
        (b"local infile 'a'", set()),
        (b"load data local infile 'a", set()),
        (b"(" * 5000 + b"load data local infile 'a'", set()),
        (b" " * LONGEST_TEXT + b"load data local infile 'a'", set()),
    ],
)
def test_names(text: bytes, names: set[bytes]) -> None:
    """Only what a LOAD … LOCAL reads, near the beginning of the text."""
    assert local_files(text) == names


def test_a_backslash_has_a_meaning_in_each_mode() -> None:
    """A name that one of them would read may be asked for."""
    assert local_files(rb"load data local infile 'c:\' into table t") == {b"c:\\"}
    assert local_files(rb"load data local infile 'c:\\x' into table t") == {rb"c:\x", rb"c:\\x"}


@given(st.lists(st.sampled_from(PIECES)))
def test_any_text_can_be_read(pieces: list[bytes]) -> None:
    """No text raises, and a name is one that the text holds."""
    assert local_files(b" ".join(pieces)) <= {b"a" * times for times in range(1, 99)}
