"""Reading a round's log out of a destination, in order, while another process may be archiving and merging it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redoubt.archive.listing import Listed
from redoubt.archive.segment import SegmentError, SegmentHeader, decode_log, decode_stored
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.model.seams import ObjectMissingError

_LOOKS = 10
"""How often in a row an object may vanish between its listing and its reading."""


@dataclass(frozen=True)
class Run:
    """A run of log: the segment that it is from, the LSN at which it begins, its bytes a part at a time.

    The bytes must be taken before the next run is. They are sound as stored when the first is there; that they are
    the log that was stored is certain when the last is (ArchiveError otherwise). The run may begin inside the segment.
    """

    header: SegmentHeader
    start_lsn: int
    chunks: Iterator[bytes]


def walk(store: PieceStore, from_lsn: int) -> Iterator[Run]:
    """The round's log from `from_lsn` to where it ends when the walk gets there, without hole and without doubles.

    Objects that vanish on the way have been merged: what replaces them is found, and the walk goes on where it was.
    Raises ArchiveError at a hole, at damage, and when the round does not reach back to `from_lsn`.
    """
    lsn, chain, vanished = from_lsn, None, 0
    while ahead := _ahead(store, lsn):
        for each in ahead:
            try:
                data = store.get(each.name)
            except ObjectMissingError:
                vanished += 1
                if vanished == _LOOKS:
                    raise
                break
            try:
                header, stored = decode_stored(each.name, data)
            except SegmentError as error:
                raise _damaged(store, each, error) from error
            if chain is not None and header.start_lsn == lsn and header.chain_before != chain:
                raise _damaged(store, each, SegmentError(f"it does not continue the log that ends at LSN {lsn}"))
            yield Run(header, lsn, _after(lsn - header.start_lsn, _checked(store, each, decode_log(header, stored))))
            lsn, chain, vanished = header.end_lsn, header.chain_after, 0


def _ahead(store: PieceStore, lsn: int) -> list[Listed]:
    """The objects that hold the log from `lsn` on, the first of which holds it or begins there.

    What is not there is looked for again: a merged object may have been missed, but not twice.
    """
    ahead = list[Listed]()
    for _ in range(2):
        ahead = [each for each in store.listing().objects if each.name.end_lsn > lsn]
        if ahead and ahead[0].name.start_lsn <= lsn:
            return ahead
    if ahead:
        raise ArchiveError(f"{store.path.folder}: the log from LSN {lsn} to {ahead[0].name.start_lsn} is missing")
    return ahead


def _after(skipped: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes after the first `skipped`."""
    for chunk in chunks:
        if len(chunk) > skipped:
            yield chunk[skipped:]
        skipped = max(skipped - len(chunk), 0)


def _checked(store: PieceStore, of: Listed, chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except SegmentError as error:
        raise _damaged(store, of, error) from error


def _damaged(store: PieceStore, of: Listed, error: SegmentError) -> ArchiveError:
    return ArchiveError(f"{store.path.segment(of.name)} is damaged: {error}")
