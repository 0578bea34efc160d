"""Durations, and spans of time, as the command line takes and shows them."""

from __future__ import annotations

import re

from redoubt.cli.moments import instant

_DURATION = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhdw])\Z", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NS = 1_000_000_000


class DurationError(ValueError):
    """A text that is no duration; the message says how to write one."""


def duration(text: str) -> int:
    """The ns that `7d` or `90s` stand for. Raises DurationError."""
    match = _DURATION.match(text)
    if match is None:
        raise DurationError(f"{text!r} is no duration: write a number and s, m, h, d or w, such as 7d")
    return int(match["number"]) * _SECONDS[match["unit"]] * _NS


def span(start_scn: int, end_scn: int) -> dict[str, str | int]:
    """The moments from one SCN to another, both included, as the JSON answers have them."""
    return {"from": instant(start_scn), "to": instant(end_scn), "from_scn": start_scn, "to_scn": end_scn}
