"""One data backup in a destination: its claim, its parts, its manifest. Nothing in it is ever overwritten."""

from __future__ import annotations

import hashlib

from redoubt.archive.part import PartError, PartHeader, decode_part
from redoubt.archive.record import RecordError, dump_record, load_record
from redoubt.archive.set_layout import SetInfo, SetPath, part_name
from redoubt.archive.set_manifest import SetManifest, SetPart, dump_set_manifest, load_set_manifest
from redoubt.archive.store import ArchiveError
from redoubt.model.seams import Destination, ObjectExistsError, ObjectMissingError


class SetStore:
    """The objects of one set."""

    def __init__(self, destination: Destination, path: SetPath) -> None:
        self.destination = destination
        self.path = path

    def claim(self, info: SetInfo) -> None:
        """Make the set ours. Raises ArchiveError if there is one of that number already."""
        try:
            self.destination.put_if_absent(self.path.info, dump_record(info, indent=2))
        except ObjectExistsError as error:
            raise ArchiveError(f"{self.path.info} exists already: a data backup is never written twice") from error

    def info(self) -> SetInfo:
        """The claim. Raises ArchiveError if it is damaged, ObjectMissingError if there is none."""
        try:
            return load_record(SetInfo, self.destination.get(self.path.info))
        except RecordError as error:
            raise ArchiveError(f"{self.path.info} is damaged ({error})") from error

    def put_part(self, number: int, data: bytes) -> SetPart:
        """Store a part durably; what the manifest says of it."""
        self.destination.put_if_absent(self.path.part(number), data)
        return SetPart(number, len(data), hashlib.sha256(data).hexdigest())

    def remove_part(self, number: int) -> None:
        """Take away a part of a set that is not complete; no error if there is none. Raises DestinationError."""
        self.destination.delete(self.path.part(number))

    def give_up(self, info: SetInfo) -> None:
        """Take away all of a set of ours that did not become complete; the claim last. Raises DestinationError."""
        try:
            if self.info() != info or self.manifest() is not None:
                return
        except (ArchiveError, ObjectMissingError):  # another's, or not even claimed
            return
        names = [each.name for each in self.destination.list(self.path.folder)]
        for name in (*(each for each in names if each != self.path.info), self.path.info):
            self.destination.delete(name)

    def put_fingerprint(self, data: bytes) -> None:
        """Store what was noted of the engine's content at the snapshot. Raises DestinationError."""
        self.destination.put_if_absent(self.path.fingerprint, data)

    def fingerprint(self) -> bytes | None:
        """What was noted of the engine's content at the snapshot, None if nothing was."""
        try:
            return self.destination.get(self.path.fingerprint)
        except ObjectMissingError:
            return None

    def read_part(self, part: SetPart) -> tuple[PartHeader, bytes]:
        """Header and content of a part, every check made. Raises ArchiveError."""
        name = self.path.part(part.number)
        try:
            data = self.destination.get(name, 0, part.size + 1)  # one that has grown is not read whole
        except ObjectMissingError as error:
            raise ArchiveError(f"{name} is missing") from error
        if len(data) != part.size or hashlib.sha256(data).hexdigest() != part.sha256:
            raise ArchiveError(f"{name} is damaged: it is not what was stored, by its SHA-256")
        try:
            header, content = decode_part(data)
        except PartError as error:
            raise ArchiveError(f"{name} is damaged: {error}") from error
        if header.number != part.number:
            raise ArchiveError(f"{name} says that it is {part_name(header.number)}")
        return header, content

    def put_manifest(self, manifest: SetManifest) -> None:
        """The set is complete. Raises ArchiveError if it was before."""
        try:
            self.destination.put_if_absent(self.path.manifest, dump_set_manifest(manifest))
        except ObjectExistsError as error:
            raise ArchiveError(f"{self.path.manifest} exists already") from error

    def manifest(self) -> SetManifest | None:
        """What the set consists of, None if it is not complete. Raises ArchiveError if it is damaged."""
        try:
            text = self.destination.get(self.path.manifest)
        except ObjectMissingError:
            return None
        try:
            return load_set_manifest(text)
        except RecordError as error:
            raise ArchiveError(f"{self.path.manifest} is damaged ({error})") from error
