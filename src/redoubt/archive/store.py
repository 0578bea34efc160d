"""One piece of one tenant's round in a destination: its claim, its segments, and its end.

The destination alone decides where archiving continues: `resume` reads the end from there. A piece is a chain of
segments without holes and overlaps. Each segment continues the checksum of the one before. Anything else is refused,
and nothing is overwritten. While another process merges segments, a listing of the folder may miss both a new merged
object and its parts. So a hole counts only if a second listing shows the same hole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from redoubt.archive.bounded import read_record, read_text
from redoubt.archive.encryption import KeyLostError, KeyMissingError
from redoubt.archive.folder_keys import FolderKeys
from redoubt.archive.framing import LONGEST_HEAD
from redoubt.archive.layout import ClusterPath, Interruption, PieceInfo, PiecePath
from redoubt.archive.listing import HoleError, Listing, segments_in_order
from redoubt.archive.manifest import Manifest, load_manifest
from redoubt.archive.record import Record, RecordError, dump_record
from redoubt.archive.segment import (
    SegmentError,
    SegmentHeader,
    SegmentName,
    check_range,
    check_stored,
    decode_header,
    decode_segment,
    most_stored,
)
from redoubt.errors import RedoubtError
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.model.seams import Destination, ObjectExistsError, ObjectMissingError

T = TypeVar("T", bound=Record)


class ArchiveError(RedoubtError):
    """Objects in the destination cannot be used or continued; the text names the object and says why."""


def piece_keys(destination: Destination, path: ClusterPath, tenant_id: int, round_id: int) -> list[PieceKey]:
    """The pieces of a tenant's round that have a folder in the destination, in order."""
    keys = (PieceKey.parse(name) for name in destination.folders(path.clog(tenant_id)))
    return sorted(key for key in keys if key is not None and key.round == round_id)


def exists(destination: Destination, name: str) -> bool:
    """Whether an object exists."""
    try:
        destination.get(name, 0, 1)
    except ObjectMissingError:
        return False
    return True


@dataclass(frozen=True)
class ArchiveEnd:
    """The end of a piece's log, and its sizes: bytes of log, bytes of objects, number of segments."""

    position: LogPosition
    input_bytes: int = 0
    output_bytes: int = 0
    segments: int = 0


class PieceStore:
    """The objects of one piece. `keys` finds the data keys of those that are encrypted."""

    def __init__(self, destination: Destination, path: PiecePath) -> None:
        self.destination = destination
        self.path = path
        self.keys = FolderKeys(destination, path.folder)

    def claim(self, info: PieceInfo) -> PieceInfo:
        """Claim the piece; returns the claim in the destination. Raises ArchiveError if another owner claimed it."""
        try:
            self.destination.put_if_absent(self.path.info, dump_record(info, indent=2))
        except ObjectExistsError:
            return self.claimed(info.identity, info.source)
        return info

    def claimed(self, identity: str, source: str | None) -> PieceInfo:
        """The existing claim, which must be of that cluster and engine (any engine if `source` is None).

        Raises ArchiveError, and ObjectMissingError without a claim.
        """
        info = self.record(PieceInfo, self.path.info)
        if info.identity != identity:
            raise ArchiveError(f"{self.path.info} belongs to another cluster; choose another backup_dest")
        if source not in {None, info.source}:
            raise ArchiveError(f"{self.path.info} belongs to another engine's log; start a new round")
        return info

    def record(self, kind: type[T], name: str) -> T:
        """A record in the destination. Raises ArchiveError if it is damaged, ObjectMissingError if it is missing."""
        try:
            return read_record(kind, self.destination, name)
        except RecordError as error:
            raise ArchiveError(f"{name} is damaged ({error})") from error

    def recorded(self, kind: type[T], name: str) -> T | None:
        """A record in the destination, None if it is missing. Raises ArchiveError if it is damaged."""
        try:
            return self.record(kind, name)
        except ObjectMissingError:
            return None

    def manifest(self) -> Manifest | None:
        """The manifest, None if the piece is not frozen. Raises ArchiveError if it is damaged.

        None also if it is a former writer's that was stored late, and the log is another or goes on; see `listing`.
        """
        manifest = self.stored_manifest()
        if manifest is None or not (listing := self._listing_with_epochs()):
            return manifest
        goes_on = bool(listing.objects) and listing.objects[-1].name.end_lsn > manifest.piece.end_lsn
        return None if goes_on or listing.has_void(manifest.names) else manifest

    def interruption(self) -> Interruption | None:
        """The record of an interruption, None without one, or if a later writer has continued the log.

        Raises ArchiveError if the record is damaged.
        """
        record = self.recorded(Interruption, self.path.interruption)
        if record is None or not (listing := self._listing_with_epochs()):
            return record
        return None if listing.objects and listing.objects[-1].name.end_lsn > record.end_lsn else record

    def _listing_with_epochs(self) -> Listing | None:
        """A listing, if its names have epochs and it has no hole: only then can a record be a former writer's."""
        try:
            listing = self.listing()
        except ArchiveError:
            return None
        return listing if listing.epoch else None

    def stored_manifest(self) -> Manifest | None:
        """The manifest as it lies there. Raises ArchiveError if it is damaged."""
        try:
            return load_manifest(read_text(self.destination, self.path.manifest))
        except ObjectMissingError:
            return None
        except RecordError as error:
            raise ArchiveError(f"{self.path.manifest} is damaged ({error})") from error

    def is_deleted(self) -> bool:
        """Whether the piece has a record of its deletion, readable or not."""
        return exists(self.destination, self.path.deletion)

    def put_record(self, record: T, name: str) -> T:
        """Store a record unless one exists; returns the record in the destination."""
        try:
            self.destination.put_if_absent(name, dump_record(record, indent=2))
        except ObjectExistsError:
            return self.record(type(record), name)
        return record

    def listing(self) -> Listing:
        """The segments of the piece in order. Raises ArchiveError at a hole or overlap.

        While another process merges, the listing may miss objects at either end; `reading.walk` finds them.
        """
        return look_until_settled(self._listing, self.path.folder)

    def _listing(self) -> Listing:
        try:
            return segments_in_order(self.destination.list(self.path.folder))
        except HoleError as error:
            raise ArchiveError(f"{self.path.folder}: {error}") from error

    def segments(self) -> list[tuple[SegmentName, int]]:
        """The names of the segments in order, each with its size in bytes. See `listing`."""
        return [(each.name, each.size) for each in self.listing().objects]

    def get(self, name: SegmentName) -> bytes:
        """A segment's object as stored; of an object that is too large, one byte more than is valid.

        Raises ObjectMissingError, also if it has just been merged.
        """
        return self.destination.get(self.path.segment(name), 0, most_stored(name) + 1)

    def read(self, name: SegmentName) -> tuple[SegmentHeader, bytes]:
        """Header and log of a segment, after all checks. Raises ArchiveError."""
        try:
            return decode_segment(name, self.get(name), self.keys)
        except (SegmentError, KeyLostError) as error:
            raise ArchiveError(f"{self.path.segment(name)} is damaged: {error}") from error

    def header(self, name: SegmentName) -> SegmentHeader:
        """A segment's header; reads only the header. Raises ArchiveError, ObjectMissingError."""
        try:
            check_range(name)
            offset = name.end_lsn - name.start_lsn if name.suffix == ".redo" else 0
            return decode_header(name, self.destination.get(self.path.segment(name), offset, LONGEST_HEAD))
        except SegmentError as error:
            raise ArchiveError(f"{self.path.segment(name)} is damaged: {error}") from error

    def resume(self, info: PieceInfo, listing: Listing | None = None) -> ArchiveEnd:
        """The end of the claimed piece, after reading and checking its last segment. Raises ArchiveError.

        Without the key of an encrypted segment, only its header and the checksum of its stored bytes are checked.
        """
        objects = (listing or self.listing()).objects
        if not objects:
            return ArchiveEnd(info.start)
        first, last = objects[0].name, objects[-1].name
        if first.start_lsn != info.start_lsn:
            raise ArchiveError(f"the piece begins at LSN {info.start_lsn}, but its first segment is {first}")
        header = self._checked(last)
        if (header.of.source, header.of.round) != (info.source, info.round):
            raise ArchiveError(f"{self.path.segment(last)} names round {header.of.round} of engine {header.of.source}")
        return ArchiveEnd(
            position=header.end,
            input_bytes=last.end_lsn - first.start_lsn,
            output_bytes=sum(each.size for each in objects),
            segments=len(objects),
        )

    def _checked(self, name: SegmentName) -> SegmentHeader:
        """A segment's header, after all checks that are possible with the keys at hand. Raises ArchiveError."""
        data = self.get(name)
        try:
            try:
                return decode_segment(name, data, self.keys)[0]
            except KeyMissingError:
                return check_stored(name, data)
        except SegmentError as error:
            raise ArchiveError(f"{self.path.segment(name)} is damaged: {error}") from error

    def put(self, name: SegmentName, data: bytes) -> None:
        """Store a segment durably. An existing equal object is success; a different object raises ArchiveError."""
        object_name = self.path.segment(name)
        try:
            self.destination.put_if_absent(object_name, data)
        except ObjectExistsError as error:
            if self.destination.get(object_name, 0, len(data) + 1) != data:
                raise ArchiveError(
                    f"{object_name} exists with other content; check that no other redoubt archives there"
                ) from error

    def remove(self, name: SegmentName) -> None:
        """Remove a segment whose log is also in a merged one."""
        self.destination.delete(self.path.segment(name))


_LOOKS = 10
"""The number of readings without a settled result after which reading fails."""
_Found = TypeVar("_Found")


def look_until_settled(look: Callable[[], _Found], what: str) -> _Found:
    """The result of `look`, repeated while objects vanish during the reading.

    Raises an ArchiveError that `look` raises twice in a row, or a new ArchiveError after ten failed readings. Passes on
    other errors of `look`.
    """
    seen: Exception | None = None
    for _ in range(_LOOKS):
        try:
            return look()
        except ObjectMissingError as error:  # just merged, or deleted
            seen = error
        except ArchiveError as error:
            if str(error) == str(seen):
                raise
            seen = error
    raise ArchiveError(f"{what} could not be read in {_LOOKS} attempts: {seen}")
