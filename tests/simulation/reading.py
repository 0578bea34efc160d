"""Somebody else who reads a round while it is being written: a step a call, each object at a moment of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from redoubt.archive.layout import ClusterPath, PieceInfo
from redoubt.archive.reading import walk
from redoubt.archive.store import ArchiveError, PieceStore, piece_keys
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import Destination, DestinationError

from .engine import SimEngine
from .promises import Promises
from .segments import ViolationError
from .service import TENANT

_PATH = ClusterPath("c", 1)


def reading(
    number: int, destination: Destination, promises: Promises, engine: SimEngine, counts: Counter[str]
) -> Iterator[None]:
    """A walk through a round from where it was reported to begin. Raises ViolationError."""
    first = next((key for key in promises.pieces if key[0] == number), (number, 0))
    at_least, start = promises.durable.get(number, 0), promises.starts.get(first)
    if start is None:
        return
    parts: list[bytes] = []
    try:
        yield from _walk_pieces(number, destination, start, parts, counts)
    except (ArchiveError, DestinationError) as error:
        raise ViolationError(f"a reader of round {number} was told: {error}") from error
    counts["read by another"] += 1
    log = b"".join(parts)
    if start + len(log) < at_least:
        raise ViolationError(f"a reader of round {number} found {start} to {start + len(log)}, durable is {at_least}")
    if not any(history.holds(start, log) for history in engine.histories()):
        raise ViolationError(f"a reader of round {number} found what is no log that the engine ever had")


def compare(number: int, destination: Destination, log: bytes) -> None:
    """The product's own reading of a round must come to this log. Raises ViolationError."""
    keys = piece_keys(destination, _PATH, TENANT, number)
    stores = [PieceStore(destination, _PATH.piece(TENANT, key)) for key in keys]
    try:
        found = b"".join(store.read(name)[1] for store in stores for name, _size in store.segments())
    except (ArchiveError, DestinationError) as error:
        raise ViolationError(f"round {number} is right, and not to be read by PieceStore: {error}") from error
    if found != log:
        raise ViolationError(f"PieceStore reads other log of round {number} than lies there")


def _walk_pieces(
    number: int, destination: Destination, lsn: int, parts: list[bytes], counts: Counter[str]
) -> Iterator[None]:
    """One piece after the other; one that another was seen to follow is complete, and is read to its end."""
    at = PieceKey(number)
    while keys := _claimed_from(destination, at):
        for run in walk(PieceStore(destination, _PATH.piece(TENANT, keys[0])), lsn):
            parts += run.chunks
            lsn = run.header.end_lsn
            yield
        if len(keys) == 1:
            return
        at = keys[1]
        counts["read on in the next piece"] += 1
        yield


def _claimed_from(destination: Destination, first: PieceKey) -> list[PieceKey]:
    """The claimed pieces of a round in order, from one of them on."""
    found = []
    for key in piece_keys(destination, _PATH, TENANT, first.round):
        path = _PATH.piece(TENANT, key)
        if key >= first and PieceStore(destination, path).recorded(PieceInfo, path.info) is not None:
            found.append(key)
    return found
