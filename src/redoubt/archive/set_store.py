"""One data backup in a destination: its claim, its parts, its manifest. No object is ever overwritten."""

from __future__ import annotations

import hashlib

from redoubt.archive.bounded import largest, read_record, read_text
from redoubt.archive.encryption import Key, KeyLostError, decrypt_text, encrypt_text
from redoubt.archive.folder_keys import FolderKeys
from redoubt.archive.layout import ClusterPath
from redoubt.archive.part import PartError, PartHeader, decode_part
from redoubt.archive.record import RecordError, dump_record
from redoubt.archive.set_layout import SetInfo, SetPath, part_name, set_path
from redoubt.archive.set_manifest import SetManifest, SetPart, dump_set_manifest, load_set_manifest
from redoubt.archive.store import ArchiveError
from redoubt.model.bases import SetKey
from redoubt.model.seams import Destination, ObjectExistsError, ObjectMissingError


class SetStore:
    """The objects of one set. `keys` finds the data keys of those that are encrypted."""

    def __init__(self, destination: Destination, path: SetPath) -> None:
        self.destination = destination
        self.path = path
        self.keys = FolderKeys(destination, path.folder)

    def claim(self, info: SetInfo) -> None:
        """Claim the set. Raises ArchiveError if a set with that number exists."""
        try:
            self.destination.put_if_absent(self.path.info, dump_record(info, indent=2))
        except ObjectExistsError as error:
            raise ArchiveError(f"{self.path.info} exists already; a data backup is never overwritten") from error

    def info(self) -> SetInfo:
        """The claim. Raises ArchiveError if the claim is damaged, ObjectMissingError if it is missing."""
        try:
            return read_record(SetInfo, self.destination, self.path.info)
        except RecordError as error:
            raise ArchiveError(f"{self.path.info} is damaged ({error})") from error

    def put_part(self, number: int, data: bytes) -> SetPart:
        """Store a part durably; returns its entry in the manifest."""
        self.destination.put_if_absent(self.path.part(number), data)
        return SetPart(number, len(data), hashlib.sha256(data).hexdigest())

    def remove_part(self, number: int) -> None:
        """Remove a part of an incomplete set; a missing part is no error. Raises DestinationError."""
        self.destination.delete(self.path.part(number))

    def give_up(self, info: SetInfo) -> None:
        """Remove all objects of an incomplete set that `info` claims; the claim last. Raises DestinationError."""
        try:
            if self.info() != info or self.manifest() is not None:
                return
        except (ArchiveError, ObjectMissingError):  # damaged, or not claimed
            return
        names = [each.name for each in self.destination.list(self.path.folder)]
        for name in (*(each for each in names if each != self.path.info), self.path.info):
            self.destination.delete(name)

    def put_remark(self, name: str, text: bytes, key: Key | None = None) -> None:
        """Store an info object that no restore needs, encrypted if there is a key. Raises DestinationError."""
        data = encrypt_text(key, name, text) if key else text
        self.destination.put_if_absent(name, data)

    def remark(self, name: str) -> bytes:
        """An info object that no restore needs, decrypted. Raises RecordError, ObjectMissingError, KeyMissingError."""
        return decrypt_text(self.keys, name, read_text(self.destination, name))

    def read_part(self, part: SetPart) -> tuple[PartHeader, bytes]:
        """Header and content of a part, after all checks. Raises ArchiveError."""
        name = self.path.part(part.number)
        try:
            data = self.destination.get(name, 0, part.size + 1)  # a larger object is not read completely
        except ObjectMissingError as error:
            raise ArchiveError(f"{name} is missing") from error
        if len(data) != part.size or hashlib.sha256(data).hexdigest() != part.sha256:
            raise ArchiveError(f"{name} is damaged: its size or SHA-256 differs from the manifest")
        try:
            header, content = decode_part(data, self.keys)
        except (PartError, KeyLostError) as error:
            raise ArchiveError(f"{name} is damaged: {error}") from error
        place = set_path(ClusterPath(header.cluster, header.cluster_id), header.tenant_id, SetKey(header.set_id, 0))
        if header.number != part.number or not self.path.folder.startswith(place.folder.removesuffix("0")):
            raise ArchiveError(
                f"{name} is damaged: its header names {part_name(header.number)} of set {header.set_id} of tenant "
                f"{header.tenant_id}"
            )
        return header, content

    def put_manifest(self, manifest: SetManifest) -> None:
        """Store the manifest: the set is complete. Raises ArchiveError if a manifest exists, or no reader took it."""
        text = dump_set_manifest(manifest)
        if len(text) > (limit := largest(self.path.manifest)):
            raise ArchiveError(f"{self.path.manifest} would have {len(text)} bytes, but at most {limit} can be read")
        try:
            self.destination.put_if_absent(self.path.manifest, text)
        except ObjectExistsError as error:
            raise ArchiveError(f"{self.path.manifest} exists already") from error

    def manifest(self) -> SetManifest | None:
        """The manifest, None if the set is incomplete. Raises ArchiveError if the manifest is damaged."""
        try:
            return load_set_manifest(read_text(self.destination, self.path.manifest))
        except ObjectMissingError:
            return None
        except RecordError as error:
            raise ArchiveError(f"{self.path.manifest} is damaged ({error})") from error
