"""What a listing of a round's folder says: which objects hold the round now, and which a merged one has replaced. Pure.

A merged object is stored before its parts are removed, so that both may be there: the parts are passed over then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from redoubt.archive.segment import SegmentName
from redoubt.model.seams import ObjectInfo


class HoleError(Exception):
    """Two objects that do not follow each other; the text says which."""


@dataclass(frozen=True)
class Listed:
    """A segment's name, and its object's size in bytes."""

    name: SegmentName
    size: int


@dataclass(frozen=True)
class Listing:
    """`objects` hold the round, each continuing the one before; `covered` are in larger ones, and may go."""

    objects: tuple[Listed, ...]
    covered: tuple[Listed, ...]


def segments_in_order(entries: Iterable[ObjectInfo]) -> Listing:
    """The round in a folder's entries; foreign names are passed over. Raises HoleError at a hole or an overlap."""
    names = ((SegmentName.parse(entry.name.rpartition("/")[2]), entry.size) for entry in entries)
    found = [Listed(name, size) for name, size in names if name is not None]
    objects: list[Listed] = []
    covered: list[Listed] = []
    for each in sorted(found, key=lambda each: (each.name.start_lsn, -each.name.end_lsn, not each.name.is_merged)):
        last = objects[-1].name if objects else None
        if last is None or each.name.start_lsn == last.end_lsn:
            objects.append(each)
        elif last.is_merged and each.name.end_lsn <= last.end_lsn:
            covered.append(each)
        else:
            raise HoleError(f"{each.name} does not follow {last}: log between them is missing or double")
    return Listing(tuple(objects), tuple(covered))
