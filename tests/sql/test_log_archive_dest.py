"""`log_archive_dest` and its state, as OceanBase 4.x spells them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.sql.errors import SqlError
from redoubt.sql.log_archive_dest import (
    DestState,
    LogArchiveDest,
    as_text,
    parse_dest_state,
    parse_log_archive_dest,
)
from redoubt.sql.log_archive_option import Mode


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("   ", None),
        ("LOCATION=file:///a", LogArchiveDest("file:///a")),
        (
            "LOCATION=file:///a BINDING=Mandatory PIECE_SWITCH_INTERVAL=2d",
            LogArchiveDest("file:///a", Mode.MANDATORY, 172800.0),
        ),
        (
            "  piece_switch_interval=36h  binding=OPTIONAL location=FILE:///a ",
            LogArchiveDest("FILE:///a", Mode.OPTIONAL, 129600.0),
        ),
        ("LOCATION=oss://b/x?host=h&access_id=i", LogArchiveDest("oss://b/x?host=h&access_id=i")),
        ("LOCATION=file:///a PIECE_SWITCH_INTERVAL=7D", LogArchiveDest("file:///a", piece_switch_interval=604800.0)),
    ],
)
def test_what_is_taken(text: str, expected: LogArchiveDest | None) -> None:
    """Items in any order and case; what is not named is Optional and a day; an empty value clears."""
    assert parse_log_archive_dest(text, short_intervals=False) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("BINDING=Optional", "LOCATION is missing; add LOCATION=file:///absolute/path"),
        ("file:///a", "is not LOCATION=…"),
        ("LOCATION =file:///a", "write no spaces around ="),
        ("LOCATION= file:///a", "write no spaces around ="),
        ("LOCATION=", "write no spaces around ="),
        ("LOCATION=file:///a\tBINDING=Optional BINDING=", "write no spaces around ="),
        ("LOCATION=file:///a COMPRESSION=enable", "'COMPRESSION=enable' is not"),
        ("LOCATION=file:///a LOCATION=file:///b", "LOCATION is given twice"),
        ("LOCATION=file:///a BINDING=always", "BINDING must be Optional or Mandatory, not 'always'"),
        ("LOCATION=file:///a PIECE_SWITCH_INTERVAL=x", "'x' is not a time"),
        ("LOCATION=file:///a PIECE_SWITCH_INTERVAL=23h", "from 1d to 7d, not '23h'"),
        ("LOCATION=file:///a PIECE_SWITCH_INTERVAL=169h", "from 1d to 7d, not '169h'"),
        ("LOCATION=file:///a PIECE_SWITCH_INTERVAL=0", "from 1d to 7d"),
        ("x" * 999, "is not LOCATION"),
    ],
)
def test_what_is_refused(text: str, hint: str) -> None:
    """1210, saying what is wrong."""
    with pytest.raises(SqlError) as raised:
        parse_log_archive_dest(text, short_intervals=False)
    assert raised.value.code == 1210
    assert raised.value.message.startswith("Incorrect arguments to log_archive_dest: ")
    assert hint in raised.value.message
    assert len(raised.value.message) < 512


def test_short_intervals() -> None:
    """The lower bound falls to a second, the upper one stays."""
    text = "LOCATION=file:///a PIECE_SWITCH_INTERVAL="

    assert parse_log_archive_dest(f"{text}1s", short_intervals=True) == LogArchiveDest(
        "file:///a", piece_switch_interval=1.0
    )
    for interval in ("999ms", "8d"):
        with pytest.raises(SqlError, match="from 1s to 7d"):
            parse_log_archive_dest(text + interval, short_intervals=True)


@given(
    location=st.from_regex(r"[^ ]{1,30}", fullmatch=True),
    binding=st.sampled_from(Mode),
    interval=st.integers(86400, 604800).map(float),
)
def test_a_value_as_text_is_read_back(location: str, binding: Mode, interval: float) -> None:
    """Whatever the location."""
    dest = LogArchiveDest(location, binding, interval)

    assert parse_log_archive_dest(as_text(dest), short_intervals=False) == dest
    assert not as_text(None)


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["LOCATION=", "a", "BINDING", "PIECE_SWITCH_INTERVAL", "1d"])).map("".join)
)
def test_whatever_is_typed_is_a_value_or_refused(text: str) -> None:
    """Nothing else is raised."""
    for read in (lambda: parse_log_archive_dest(text, short_intervals=True), lambda: parse_dest_state(text)):
        error = None
        try:
            read()
        except SqlError as raised:
            error = raised
        assert error is None or (error.code == 1210 and len(error.message) < 512)


@pytest.mark.parametrize(("text", "state"), [("ENABLE", DestState.ENABLE), (" defer ", DestState.DEFER)])
def test_a_state(text: str, state: DestState) -> None:
    """In any case."""
    assert parse_dest_state(text) is state


@pytest.mark.parametrize("text", ["", "ENABLED", "on", "x" * 999])
def test_no_state(text: str) -> None:
    """1210, with the words that there are."""
    with pytest.raises(SqlError, match="must be ENABLE or DEFER") as raised:
        parse_dest_state(text)
    assert raised.value.code == 1210
