"""What a fuzz target is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

Fix = Callable[[bytes], bytes]


def unfixed(data: bytes) -> bytes:
    """The fix of a format without checksums."""
    return data


@dataclass(frozen=True)
class Target:
    """One reader and its oracle.

    `check` takes any bytes and returns what became of them in a few words: few different ones, since an input with a
    new answer is kept to be mutated further. It raises when the reader's contract is broken. `seeds` are valid or
    otherwise telling inputs by name, `words` are bytes that mean something in the format, and `fix` makes an input's
    checksums right, so that mutations reach what lies behind them. `executions` is the share of `make test`. `report`
    says what was measured beside, over all inputs so far.
    """

    name: str
    check: Callable[[bytes], str]
    seeds: Callable[[], Iterable[tuple[str, bytes]]]
    words: tuple[bytes, ...] = ()
    fix: Fix = unfixed
    longest: int = 64 * 1024
    executions: int = 500
    report: Callable[[], str] = str
