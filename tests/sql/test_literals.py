"""The literals of parameters: what is one, what is not, and what it is worth."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redoubt.sql.errors import SqlError
from redoubt.sql.literals import capacity_text, parse_bool, parse_capacity, parse_int, parse_time, time_text

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
    ("seconds", "text"),
    [(0, "0s"), (1, "1s"), (90, "90s"), (7200, "2h"), (86400 * 7, "7d"), (0.5, "500ms"), (1.000001, "1000001us")],
)
def test_a_time_as_a_person_writes_it(seconds: float, text: str) -> None:
    """In the largest unit in which it is whole, and read back."""
    assert time_text(seconds) == text
    assert parse_time(text) == pytest.approx(seconds, abs=1e-9)


@given(number=st.integers(1 - 10**18, 10**18 - 1))
def test_a_whole_number(number: int) -> None:
    """With a minus or without, blanks around it."""
    assert parse_int(f" {number} ") == number


@pytest.mark.parametrize("text", ["", "-", "+1", "1.0", "0x1", "1e3", "\u0663", "- 1", "9" * 5000])
def test_what_is_no_whole_number(text: str) -> None:
    """Is refused as 4147."""
    with pytest.raises(SqlError, match="is not a whole number") as refused:
        parse_int(text)
    assert refused.value.code == 4147


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
@example("0\x1f")
def test_whatever_is_typed_is_a_literal_or_refused(text: str) -> None:
    """Nothing else is raised, and the error does not repeat a long text."""
    for parse in (parse_time, parse_capacity, parse_bool, parse_int):
        message = ""
        try:
            assert isinstance(parse(text), int | float)
        except SqlError as error:
            message = error.message
        assert len(message) < 140
