"""The literals of parameters: what is one, what is not, and what it is worth."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.sql.errors import SqlError
from redoubt.sql.literals import capacity_text, parse_bool, parse_capacity, parse_time

SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {"": 2**20, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
NUMBERS = st.integers(0, 10**18 - 1)


@given(number=NUMBERS, unit=st.sampled_from(sorted(SECONDS)), upper=st.booleans(), blanks=st.sampled_from(["", " "]))
def test_a_time(number: int, unit: str, blanks: str, *, upper: bool) -> None:
    """A whole number with a unit in any case."""
    text = f"{blanks}{number}{unit.upper() if upper else unit}{blanks}"

    assert parse_time(text) == number * SECONDS[unit]


@given(number=NUMBERS, unit=st.sampled_from(sorted(BYTES)), b=st.booleans(), upper=st.booleans())
def test_a_capacity(number: int, unit: str, *, b: bool, upper: bool) -> None:
    """A whole number with a unit, to which a B may be put."""
    text = f"{number}{unit}{'b' if b and unit not in {'', 'b'} else ''}"

    assert parse_capacity(text.upper() if upper else text) == number * BYTES[unit]


@given(NUMBERS)
def test_a_capacity_as_text_is_read_back(size: int) -> None:
    """Whatever its size."""
    assert parse_capacity(capacity_text(size)) == size


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1, "1B"), (1023, "1023B"), (1024, "1K"), (2**26, "64M"), (2**32, "4G"), (3 * 2**40, "3T")],
)
def test_a_capacity_as_a_person_writes_it(size: int, text: str) -> None:
    """In the largest unit that fits."""
    assert capacity_text(size) == text


@pytest.mark.parametrize(
    ("words", "value"), [("true True TRUE on yes t 1", True), ("false False FALSE off no f 0", False)]
)
def test_a_truth_value(words: str, value: bool) -> None:  # noqa: FBT001 - what is expected
    """Each of OceanBase's words, in any case, blanks around it."""
    assert {parse_bool(f" {word} ") for word in words.split()} == {value}


@pytest.mark.parametrize(
    "text",
    ["", " ", "s", "M", "-1s", "+1", "1.5s", "1 s", "1x", "1e3", "5bb", "5mm", "1\n2", "9" * 19, "٣s", "4\u212a"],
)
@pytest.mark.parametrize("parse", [parse_time, parse_capacity])
def test_what_is_no_literal(parse: Callable[[str], float], text: str) -> None:
    """Is refused as 4147: other digits and letters that merely look like one, too."""
    with pytest.raises(SqlError, match="is not a") as refused:
        parse(text)
    assert refused.value.code == 4147


@given(st.text(max_size=100))
def test_whatever_is_typed_is_a_literal_or_refused(text: str) -> None:
    """Nothing else is raised, and the error does not repeat a long text."""
    for parse in (parse_time, parse_capacity, parse_bool):
        message = ""
        try:
            assert parse(text) >= 0
        except SqlError as error:
            message = error.message
        assert len(message) < 140
