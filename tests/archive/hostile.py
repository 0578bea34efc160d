"""Objects as somebody makes them who can write into a destination: sealed, and with any value in any field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from redoubt.archive.framing import FrameError, head_first, head_last, split_head_first, split_head_last
from redoubt.archive.record import seal

ESCAPE = "\x1b[2J\x1b]0;title\x07sound"
"""What clears a terminal, names its window, and writes a line of ours."""
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, -(2**63), 10**4000, 1.5, float("nan")),
    *("", "..", "../x", "/etc/passwd", "redoubt/account", "a\nb", "a\0b", "\ud800", "\u202e", ESCAPE, "x" * 300),
    *("x" * 100_000, "[/red]", [], {}, [[[[[[[[1]]]]]]]], ["x" * 1000] * 100, {"x" * 1000: 1}),
)
Place = tuple[str | int, ...]


def places_in(data: bytes) -> list[Place]:
    """Every place of a value in the JSON of an object; none if it has no JSON."""
    _, text, _ = _taken_apart(data)
    return list(_places(json.loads(text), ())) if text else []


def with_value(data: bytes, place: Place, value: object) -> bytes:
    """The object with another value at a place, and all checksums of its header or its seal right again."""
    kind, text, stored = _taken_apart(data)
    values = json.loads(text)
    inner = values
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    if kind == "first":
        return head_first(json.dumps(values, separators=(",", ":")).encode(), stored)
    if kind == "last":
        return head_last(json.dumps(values, separators=(",", ":")).encode(), stored)
    del values["crc"]
    return seal(json.dumps(values, indent=2).encode())


def _places(value: Any, place: Place) -> Iterator[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inner:
        if name != "crc":
            yield (*place, name)
            yield from _places(each, (*place, name))


def _taken_apart(data: bytes) -> tuple[str, bytes, bytes]:
    """Where the JSON stands, the JSON, and the bytes beside it."""
    for kind, split in (("first", split_head_first), ("last", split_head_last)):
        try:
            return kind, *split(data)
        except FrameError:
            continue
    return "whole", data if data.startswith(b"{") else b"", b""
