"""Moments and durations as people write and read them. All values are whole nanoseconds, never fractions."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from redoubt.errors import RedoubtError

_FRACTION = re.compile(r"(?P<before>.*\d:\d\d)[.,](?P<digits>\d+)(?P<after>\D.*)?\Z", re.ASCII)
_DIGITS = 9
"""The greatest number of digits after the point: nanoseconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MomentError(RedoubtError):
    """The text is not a moment; the message says how to write one."""


def moment(text: str, *, utc: bool) -> int:
    """The SCN (ns since the epoch) of an ISO 8601 text with an offset. With `utc`, a text without offset is UTC.

    Raises MomentError.
    """
    match = _FRACTION.match(text.strip())
    whole = match["before"] + (match["after"] or "") if match else text.strip()
    digits = match["digits"] if match else ""
    try:
        parsed = datetime.fromisoformat(whole)
    except ValueError as error:
        raise MomentError(f"{text!r} is not a time; write it as 2026-11-23T14:26:47.494062+08:00") from error
    if len(digits) > _DIGITS:
        raise MomentError(f"{text!r} is more precise than a nanosecond; give at most {_DIGITS} digits")
    if parsed.tzinfo is None:
        if not utc:
            raise MomentError(f"{text!r} has no offset; add the offset (+08:00, or Z for UTC), or give --utc")
        parsed = parsed.replace(tzinfo=UTC)
    microseconds = (parsed - _EPOCH) // timedelta(microseconds=1)
    return microseconds * 1000 + int(digits.ljust(_DIGITS, "0"))


def instant(scn: int) -> str:
    """An SCN as an instant in UTC, cut to microseconds."""
    at = _EPOCH + timedelta(microseconds=scn // 1000)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}Z"


_DURATION = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhdw])\Z", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NS = 1_000_000_000


class DurationError(RedoubtError):
    """The text is not a duration; the message says how to write one."""


def duration(text: str) -> int:
    """The duration in ns of a text such as `7d` or `90s`. Raises DurationError."""
    match = _DURATION.match(text)
    if match is None:
        raise DurationError(f"{text!r} is not a duration; write a number and s, m, h, d or w, such as 7d")
    return int(match["number"]) * _SECONDS[match["unit"]] * _NS


def span(start_scn: int, end_scn: int) -> dict[str, str | int]:
    """The moments from one SCN to another, both included, as a JSON object."""
    return {"from": instant(start_scn), "to": instant(end_scn), "from_scn": start_scn, "to_scn": end_scn}
