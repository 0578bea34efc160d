"""Moments and durations as the command line shows and takes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DURATION = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhdw])\Z", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NS = 1_000_000_000


class DurationError(ValueError):
    """A text that is no duration; the message says how to write one."""


def utc(scn: int) -> str:
    """An SCN (ns since the epoch) as text: the instant in UTC with microseconds, as ISO 8601 has it."""
    seconds, rest = divmod(scn, _NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def duration(text: str) -> int:
    """The ns that `7d` or `90s` stand for. Raises DurationError."""
    match = _DURATION.match(text)
    if match is None:
        raise DurationError(f"{text!r} is no duration: write a number and s, m, h, d or w, such as 7d")
    return int(match["number"]) * _SECONDS[match["unit"]] * _NS


def span(start_scn: int, end_scn: int) -> dict[str, str | int]:
    """The moments from one SCN to another, both included, as the JSON answers have them."""
    return {"from": utc(start_scn), "to": utc(end_scn), "from_scn": start_scn, "to_scn": end_scn}
