"""The literals of parameters: times, capacities, whole numbers, truth values, as OceanBase writes them."""

from __future__ import annotations

import re

from redoubt.sql.errors import invalid_config
from redoubt.sql.tokens import fold

_TIME = re.compile(r"(\d{1,18})(us|ms|s|m|h|d|)", re.ASCII)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TIME_UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1000, "us": 1}
_CAPACITY = re.compile(r"(\d{1,18})(?:(b|)|([kmgtp])b?)", re.ASCII)
_BYTES: dict[str, int] = {"": 1 << 20, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_INT = re.compile(r"-?\d{1,18}", re.ASCII)
_TRUE = frozenset({"true", "on", "yes", "t", "1"})
_FALSE = frozenset({"false", "off", "no", "f", "0"})


def parse_time(text: str) -> float:
    """A time in seconds: a whole number with us, ms, s (or nothing), m, h, d. Raises SqlError 4147."""
    match = _TIME.fullmatch(fold(text.strip()))
    if match is None:
        raise invalid_config(f"'{text[:40]}' is not a time; write it as 500ms, 10s, 2m, 1h or 1d")
    return int(match[1]) * _SECONDS[match[2]]


def parse_capacity(text: str) -> int:
    """A capacity in bytes: a whole number with B, K, M (or nothing), G, T, P. Raises SqlError 4147."""
    match = _CAPACITY.fullmatch(fold(text.strip()))
    if match is None:
        raise invalid_config(f"'{text[:40]}' is not a capacity; write it as 512M, 4G or 1T")
    return int(match[1]) * _BYTES[match[3] or match[2]]


def parse_int(text: str) -> int:
    """A whole number in decimal digits, a minus before it or not. Raises SqlError 4147."""
    match = _INT.fullmatch(text.strip())
    if match is None:
        raise invalid_config(f"'{text[:40]}' is not a whole number")
    return int(match[0])  # `int` takes fewer characters for white space than `strip`


def parse_bool(text: str) -> bool:
    """A truth value: true, on, yes, t, 1 or false, off, no, f, 0. Raises SqlError 4147."""
    word = fold(text.strip())
    if word not in _TRUE | _FALSE:
        raise invalid_config(f"'{text[:40]}' is not a truth value; write True or False")
    return word in _TRUE


def time_text(seconds: float) -> str:
    """A time to the microsecond, as a whole number of the largest unit that fits."""
    microseconds = int(seconds) * 1_000_000 + round(seconds % 1 * 1e6)
    unit, size = next((unit, size) for unit, size in _TIME_UNITS.items() if microseconds % size == 0)
    return f"{microseconds // size}{unit}" if microseconds else "0s"


def capacity_text(size: int) -> str:
    """A capacity as a whole number of the largest unit that fits."""
    for unit in "PTGMK":
        if size and size % _BYTES[unit.lower()] == 0:
            return f"{size // _BYTES[unit.lower()]}{unit}"
    return f"{size}B"
