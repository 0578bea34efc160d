"""Reads a piece's log from a destination in order; another process may be archiving and merging meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from redoubt.archive.encryption import KeyLostError
from redoubt.archive.layout import ClusterPath
from redoubt.archive.listing import Listed
from redoubt.archive.segment import SegmentError, SegmentHeader, decode_log, decode_stored
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.model.seams import ObjectMissingError

_LOOKS = 10
"""The number of times in a row after which an object that vanishes between listing and reading is an error."""


@dataclass(frozen=True)
class Run:
    """The log of one segment: the segment's header, the LSN at which the run begins, its bytes in chunks.

    Read all chunks before the next run. The stored bytes are verified before the first chunk, the decoded log only with
    the last one (ArchiveError if it does not match). The run may begin inside the segment.
    """

    header: SegmentHeader
    start_lsn: int
    chunks: Iterator[bytes]


def walk(store: PieceStore, from_lsn: int) -> Iterator[Run]:
    """The piece's log from `from_lsn` to its end when the walk reaches it, without holes and overlaps.

    An object that vanishes meanwhile has been merged: the walk finds the merged object, and continues at the same LSN.
    Raises ArchiveError at a hole, at damage, and if the piece begins after `from_lsn`.
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
                header, stored = decode_stored(each.name, data, store.keys)
            except (SegmentError, KeyLostError) as error:
                raise _damaged(store, each, error) from error
            if not _is_of(store, header):
                raise _damaged(store, each, SegmentError(f"its header names {header.of}"))
            if chain is not None and header.start_lsn == lsn and header.chain_before != chain:
                raise _damaged(store, each, SegmentError(f"its log does not continue the log that ends at LSN {lsn}"))
            yield Run(header, lsn, _after(lsn - header.start_lsn, _checked(store, each, decode_log(header, stored))))
            lsn, chain, vanished = header.end_lsn, header.chain_after, 0


def _ahead(store: PieceStore, lsn: int) -> list[Listed]:
    """The objects that hold the log from `lsn` on; the first one contains `lsn` or begins there.

    Lists the folder a second time if log is missing: one listing may miss a new merged object, but two do not.
    """
    ahead = list[Listed]()
    for _ in range(2):
        ahead = [each for each in store.listing().objects if each.name.end_lsn > lsn]
        if ahead and ahead[0].name.start_lsn <= lsn:
            return ahead
    if ahead:
        raise ArchiveError(f"{store.path.folder}: the log from LSN {lsn} to {ahead[0].name.start_lsn} is missing")
    return ahead


def _is_of(store: PieceStore, header: SegmentHeader) -> bool:
    """Whether a header's owner is the folder's."""
    of = header.of
    key = f"{of.round}_{of.piece}_" if of.piece else f"{of.round}"
    folder = f"{ClusterPath(of.cluster, of.cluster_id).clog(of.tenant_id)}/{key}"
    return store.path.folder.startswith(folder) if of.piece else store.path.folder == folder


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


def _damaged(store: PieceStore, of: Listed, error: Exception) -> ArchiveError:
    return ArchiveError(f"{store.path.segment(of.name)} is damaged: {error}")
