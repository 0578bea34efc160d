"""`log_archive_dest` and `log_archive_dest_state`: OceanBase 4.x's spelling of destination, mode and pieces.

`LOCATION=uri [BINDING=Optional|Mandatory] [PIECE_SWITCH_INTERVAL=1d]`: separated by spaces, with no space around `=`,
in any order and case, each at most once. A value replaces the whole setting: without BINDING the mode is Optional,
without an interval a piece is one day long.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from redoubt.sql.errors import SqlError, invalid_argument
from redoubt.sql.literals import parse_time, time_text
from redoubt.sql.log_archive_option import Mode
from redoubt.sql.tokens import fold

_NAME = "log_archive_dest"
_LONGEST_SHOWN = 40  # characters of a wrong word in an error's text
_DAY = 86400.0
_LEAST, _MOST, _SHORT = _DAY, 7 * _DAY, 1.0
_KEYS = ("location", "binding", "piece_switch_interval")


class DestState(StrEnum):
    """Whether rounds are archived to the destination."""

    ENABLE = "ENABLE"
    DEFER = "DEFER"


@dataclass(frozen=True)
class LogArchiveDest:
    """The destination of the log, the mode, and the length of a piece in seconds."""

    location: str
    binding: Mode = Mode.OPTIONAL
    piece_switch_interval: float = _DAY


def parse_log_archive_dest(text: str, *, short_intervals: bool) -> LogArchiveDest | None:
    """Parse the parameter's value `text`; None if the value is empty and clears the destination.

    With `short_intervals` a piece may be as short as 1 s. The location is not checked. Raises `SqlError` 1210.
    """
    words = [word for word in text.split(" ") if word]
    if not words:
        return None
    items: dict[str, str] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if fold(key) not in _KEYS or not sign or not value:
            raise _invalid(
                f"{_shown(word)} is not LOCATION=…, BINDING=… or PIECE_SWITCH_INTERVAL=…; write no spaces around ="
            )
        if fold(key) in items:
            raise _invalid(f"{key.upper()} is given twice")
        items[fold(key)] = value
    if "location" not in items:
        raise _invalid("LOCATION is missing; add LOCATION=file:///absolute/path or LOCATION=s3://bucket/path?host=…")
    return LogArchiveDest(
        items["location"],
        _binding(items.get("binding", Mode.OPTIONAL)),
        _interval(items.get("piece_switch_interval", "1d"), short_intervals=short_intervals),
    )


def as_text(dest: LogArchiveDest | None) -> str:
    """Return `dest` as a value of the parameter; `parse_log_archive_dest` reads it back."""
    if dest is None:
        return ""
    interval = time_text(dest.piece_switch_interval)
    return f"LOCATION={dest.location} BINDING={dest.binding.title()} PIECE_SWITCH_INTERVAL={interval}"


def parse_dest_state(text: str) -> DestState:
    """Return the state that `text` names, in any case. Raises `SqlError` 1210."""
    word = fold(text.strip(" ")).upper()
    if word not in set(DestState):
        raise invalid_argument("log_archive_dest_state", f"the state must be ENABLE or DEFER, not {_shown(text)}")
    return DestState(word)


def _binding(word: str) -> Mode:
    mode = fold(word).upper()
    if mode not in set(Mode):
        raise _invalid(f"BINDING must be Optional or Mandatory, not {_shown(word)}")
    return Mode(mode)


def _interval(word: str, *, short_intervals: bool) -> float:
    try:
        interval = parse_time(word)
    except SqlError as error:
        raise _invalid(f"PIECE_SWITCH_INTERVAL: {_shown(word)} is not a time; write 1d or 36h") from error
    if not (_SHORT if short_intervals else _LEAST) <= interval <= _MOST:
        least = "1s" if short_intervals else "1d"
        raise _invalid(f"PIECE_SWITCH_INTERVAL must be from {least} to 7d, not {_shown(word)}")
    return interval


def _invalid(hint: str) -> SqlError:
    return invalid_argument(_NAME, hint)


def _shown(word: str) -> str:
    return repr(word if len(word) <= _LONGEST_SHOWN else word[:_LONGEST_SHOWN] + "…")
