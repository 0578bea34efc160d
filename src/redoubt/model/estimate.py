"""What a destination will need in a month at the present rate: requests and bytes, and what they cost. Pure.

The figures of requests are measured: `docs/OBJECT_STORAGE.md` says how.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

HOURS = 730.0
"""Hours of a month."""
_SECONDS = HOURS * 3600
_WATCH_PUTS = 5 / 480
"""PUTs a second with which the writer of a piece renews its lease."""
_WATCH_GETS = 21 / 480
"""GETs a second with which it looks whether the destination is still the same."""
_GETS_OF_A_SEGMENT = 1.0
"""Merging reads each segment once, and removes it."""
_BYTES_OF_A_MERGE = 16 * 1024 * 1024
_SEGMENTS_OF_A_MERGE = 64
_INFOS_OF_A_SET = 4
"""Claim, fingerprint, manifest, and the end of the lease."""
_GB = 1e9


@dataclass(frozen=True)
class Use:
    """What a tenant has in a destination, and stores there at present.

    `stored_bytes` in `objects`. Log is stored in `segments` and `log_bytes` a second, both 0 if none is archived. The
    data backups of the last 30 days have `set_bytes` in `set_parts`; there were `sets` of them.
    """

    objects: int
    stored_bytes: int
    segments: float = 0.0
    log_bytes: float = 0.0
    sets: int = 0
    set_bytes: int = 0
    set_parts: int = 0


@dataclass(frozen=True)
class Month:
    """A month's requests, and the bytes that it adds if nothing is deleted."""

    puts: float = 0.0
    gets: float = 0.0
    deletes: float = 0.0
    added_bytes: float = 0.0


@dataclass(frozen=True)
class Prices:
    """The store's prices, in any currency: for 1,000 PUTs, for 1,000 GETs, for a GB (10^9 bytes) and a month."""

    puts: float = 0.0
    gets: float = 0.0
    storage: float = 0.0


def month(use: Use) -> Month:
    """A month of one tenant."""
    is_archived = use.segments > 0
    segments = use.segments * _SECONDS
    merged = max(segments / _SEGMENTS_OF_A_MERGE, use.log_bytes * _SECONDS / _BYTES_OF_A_MERGE) if is_archived else 0.0
    watching = _SECONDS if is_archived else 0.0
    return Month(
        puts=segments + min(merged, segments) + watching * _WATCH_PUTS + use.set_parts + use.sets * _INFOS_OF_A_SET,
        gets=segments * _GETS_OF_A_SEGMENT + min(merged, segments) + watching * _WATCH_GETS,
        deletes=segments,
        added_bytes=use.log_bytes * _SECONDS + use.set_bytes,
    )


def together(months: Iterable[Month]) -> Month:
    """The sum."""
    every = list(months)
    return Month(*(sum(getattr(each, field.name) for each in every) for field in fields(Month)))


def cost(of: Month, stored_bytes: int, prices: Prices) -> float:
    """The price of a month's requests, and of all that is stored at its end."""
    requests = of.puts / 1000 * prices.puts + of.gets / 1000 * prices.gets
    return requests + (stored_bytes + of.added_bytes) / _GB * prices.storage
