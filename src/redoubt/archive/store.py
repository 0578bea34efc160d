"""One tenant's round in a destination: its claim, its segments, and where it ends.

The destination alone decides where archiving goes on: `resume` reads it from there. A round is a chain of segments
without hole or overlap, each continuing its predecessor's checksum; anything else is refused, nothing is overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass

from redoubt.archive.layout import RoundInfo, RoundPath
from redoubt.archive.record import RecordError, dump_record, load_record
from redoubt.archive.segment import SegmentError, SegmentHeader, SegmentName, decode_segment
from redoubt.model.log import LogPosition
from redoubt.model.seams import Destination, ObjectExistsError


class ArchiveError(Exception):
    """What lies in the destination cannot be continued; the text names the object and says why."""


@dataclass(frozen=True)
class ArchiveEnd:
    """Where a round's archive ends, and what it holds: bytes of log, bytes of objects, number of segments."""

    position: LogPosition
    input_bytes: int = 0
    output_bytes: int = 0
    segments: int = 0


class RoundStore:
    """The objects of one round of one tenant."""

    def __init__(self, destination: Destination, path: RoundPath) -> None:
        self._destination = destination
        self._path = path

    def claim(self, info: RoundInfo) -> RoundInfo:
        """Make the round ours, or find that it is: the info that stands there. ArchiveError if it is another's."""
        try:
            self._destination.put_if_absent(self._path.info, dump_record(info, indent=2))
        except ObjectExistsError:
            return self.claimed(info.identity, info.source)
        return info

    def claimed(self, identity: str, source: str) -> RoundInfo:
        """The info of a round that was claimed before. Raises ArchiveError, and ObjectMissingError if there is none."""
        try:
            info = load_record(RoundInfo, self._destination.get(self._path.info))
        except RecordError as error:
            raise ArchiveError(f"{self._path.info} is damaged ({error})") from error
        if info.identity != identity:
            raise ArchiveError(f"{self._path.info} belongs to another cluster; choose another backup_dest")
        if info.source != source:
            raise ArchiveError(f"{self._path.info} belongs to another engine's log; start a new round")
        return info

    def segments(self) -> list[tuple[SegmentName, int]]:
        """The segments in order, each with its object's size in bytes. Raises ArchiveError at a hole or overlap."""
        found: list[tuple[SegmentName, int]] = []
        for entry in self._destination.list(self._path.folder):
            name = SegmentName.parse(entry.name.rpartition("/")[2])
            if name is None:
                continue
            if found and name.start_lsn != found[-1][0].end_lsn:
                raise ArchiveError(
                    f"{self._path.segment(name)} does not follow {found[-1][0]}: log between them is missing or double"
                )
            found.append((name, entry.size))
        return found

    def read(self, name: SegmentName) -> tuple[SegmentHeader, bytes]:
        """Header and log of a segment, every check made. Raises ArchiveError."""
        try:
            return decode_segment(name, self._destination.get(self._path.segment(name)))
        except SegmentError as error:
            raise ArchiveError(f"{self._path.segment(name)} is damaged: {error}") from error

    def resume(self, info: RoundInfo) -> ArchiveEnd:
        """Where the claimed round ends; its last segment has been read and checked. Raises ArchiveError."""
        segments = self.segments()
        if not segments:
            return ArchiveEnd(LogPosition(info.start_lsn))
        first, last = segments[0][0], segments[-1][0]
        if first.start_lsn != info.start_lsn:
            raise ArchiveError(f"the round begins at LSN {info.start_lsn}, but its first segment is {first}")
        header, _ = self.read(last)
        if (header.source, header.round) != (info.source, info.round):
            raise ArchiveError(f"{self._path.segment(last)} is of round {header.round} of engine {header.source}")
        return ArchiveEnd(
            position=header.end,
            input_bytes=last.end_lsn - first.start_lsn,
            output_bytes=sum(size for _, size in segments),
            segments=len(segments),
        )

    def put(self, name: SegmentName, data: bytes) -> None:
        """Store a segment durably. Finding the same bytes there already is success; other bytes raise ArchiveError."""
        object_name = self._path.segment(name)
        try:
            self._destination.put_if_absent(object_name, data)
        except ObjectExistsError as error:
            if self._destination.get(object_name) != data:
                raise ArchiveError(f"{object_name} exists with other content: is another redoubt archiving?") from error
