"""Freezes a piece that has ended: merges it for the last time and writes its manifest, after which nothing follows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from redoubt.archive.layout import PieceInfo
from redoubt.archive.listing import Listing
from redoubt.archive.manifest import Entry, Manifest, ManifestPiece, dump_manifest
from redoubt.archive.segment import SegmentError, SegmentHeader, SegmentName, check_stored, decode_header
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.archiver.merger import merge, remove, tidy
from redoubt.archiver.merging import Part, plan_final
from redoubt.archiver.opening import Tenure, valid_interruption, valid_manifest
from redoubt.model.seams import DestinationError, ObjectExistsError

Tell = Callable[[int, int], None]
"""Called with the number of objects read, and the number of objects to read."""


class Freezer:
    """Freezes one piece. If a call fails half-way, the next call continues and reads nothing twice.

    `tenure` is the writer's lock. `now()` gives ns since the epoch; `digests` are known SHA-256 by name; `tell` is
    called with the progress.
    """

    def __init__(
        self,
        store: PieceStore,
        tenure: Tenure,
        cluster: tuple[str, int],
        now: Callable[[], int],
        digests: Mapping[str, str],
        tell: Tell,
    ) -> None:
        self._store = store
        self._tenure = tenure
        self._cluster = cluster
        self._now = now
        self._digests = dict(digests)
        self._tell = tell

    def freeze(self, info: PieceInfo, end_lsn: int) -> Manifest:
        """The manifest of the claimed piece, which ends at `end_lsn`; written if it is missing.

        The caller must hold the writer's lock. Raises ArchiveError if an object of the piece is damaged, and
        DestinationError.
        """
        store, tenure = self._store, self._tenure
        listing = store.listing()
        if (manifest := valid_manifest(store, tenure, listing, end_lsn)) is not None:
            return manifest
        self._merge(listing)
        listing = store.listing()
        there = store.resume(info, listing).position.lsn
        if there != end_lsn:
            raise DestinationError(f"{store.path.folder} ends at LSN {there}, and must end at LSN {end_lsn}")
        tenure.check()
        manifest = Manifest(self._piece(info, listing), self._entries(listing))
        try:
            store.destination.put_if_absent(store.path.manifest, dump_manifest(manifest))
        except ObjectExistsError:  # an earlier call stored the manifest, but its answer was lost
            there_is = valid_manifest(store, tenure, listing, end_lsn)
            if there_is is None:
                raise DestinationError(f"{store.path.manifest} was a former writer's, and is written again") from None
            return there_is
        return manifest

    def _merge(self, listing: Listing) -> None:
        tidy(self._store, listing)
        ours = [each for each in listing.objects if self._tenure.may_replace(each.name)]
        for parts in plan_final([Part(each.name, each.size) for each in ours]):
            merged = merge(self._store, parts)
            self._digests[str(merged.name)] = merged.digest
            remove(self._store, parts)

    def _entries(self, listing: Listing) -> tuple[Entry, ...]:
        unread = [each.name for each in listing.objects if str(each.name) not in self._digests]
        for done, name in enumerate(unread):
            self._tell(done, len(unread))
            self._digests[str(name)] = self._digest(name)
        self._tell(len(unread), len(unread))
        return tuple(Entry(str(each.name), each.size, self._digests[str(each.name)]) for each in listing.objects)

    def _digest(self, name: SegmentName) -> str:
        """The SHA-256 of a segment, after a check of its stored bytes."""
        data = self._store.get(name)
        try:
            check_stored(name, data)
        except SegmentError as error:
            raise ArchiveError(f"{self._store.path.segment(name)} is damaged: {error}") from error
        return hashlib.sha256(data).hexdigest()

    def _piece(self, info: PieceInfo, listing: Listing) -> ManifestPiece:
        end_lsn = listing.objects[-1].name.end_lsn if listing.objects else info.start_lsn
        broken = valid_interruption(self._store, self._tenure, end_lsn)
        cluster, cluster_id = self._cluster
        empty = ManifestPiece(
            identity=info.identity,
            cluster=cluster,
            cluster_id=cluster_id,
            tenant_id=info.tenant_id,
            tenant=info.tenant,
            round=info.round,
            piece=info.piece,
            source=info.source,
            start_lsn=info.start_lsn,
            end_lsn=info.start_lsn,
            start_scn=info.start_scn,
            end_scn=info.start.scn,
            chain_before=info.start.chain,
            chain_after=info.start.chain,
            frozen_at=self._now(),
            broken_by="" if broken is None else broken.cause,
        )
        if not listing.objects:
            return empty
        first, last = self._header(listing.objects[0].name), self._header(listing.objects[-1].name)
        return replace(
            empty,
            end_lsn=last.end_lsn,
            end_scn=last.max_scn,
            chain_before=first.chain_before,
            chain_after=last.chain_after,
        )

    def _header(self, name: SegmentName) -> SegmentHeader:
        try:
            return decode_header(name, self._store.get(name))
        except SegmentError as error:
            raise ArchiveError(f"{self._store.path.segment(name)} is damaged: {error}") from error
