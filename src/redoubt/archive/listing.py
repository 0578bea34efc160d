"""Interprets a listing of a piece's folder: which objects hold the log, and which ones a merged object replaces. Pure.

A merged object is stored before its parts are removed. If both are present, the parts are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from redoubt.archive.segment import SegmentName
from redoubt.model.seams import ObjectInfo


class HoleError(Exception):
    """Two objects do not follow each other; the text names them."""


@dataclass(frozen=True)
class Listed:
    """A segment's name, and its object's size in bytes."""

    name: SegmentName
    size: int


@dataclass(frozen=True)
class Listing:
    """`objects` hold the log in order; the log of `covered` is also in merged objects, so they may be removed."""

    objects: tuple[Listed, ...]
    covered: tuple[Listed, ...]


def segments_in_order(entries: Iterable[ObjectInfo]) -> Listing:
    """The segments in a folder's entries; ignores other names. Raises HoleError at a hole or an overlap."""
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
