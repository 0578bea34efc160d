"""Joins several segments into one: their frames, one after another, under one header. Pure.

Nothing is compressed again. Each part is decoded and checked, and must continue the part before.
"""

from __future__ import annotations

from dataclasses import replace

import google_crc32c

from redoubt.archive.encryption import Key, Keys, no_keys
from redoubt.archive.segment import (
    SegmentError,
    SegmentHeader,
    SegmentName,
    assemble_segment,
    decode_log,
    decode_stored,
    suffix_of,
)


class Joined:
    """A merged segment under construction. Keeps its parts in memory as stored, but not encrypted.

    `keys` finds the parts' data keys. The merged segment is encrypted with the key of its last part.
    """

    def __init__(self, keys: Keys = no_keys) -> None:
        self._keys = keys
        self._key: Key | None = None
        self._header: SegmentHeader | None = None
        self._stored: list[bytes] = []
        self._epoch = 0

    def add(self, name: SegmentName, data: bytes) -> None:
        """Add the next part. Raises SegmentError if the part is damaged, or does not continue the part before.

        Raises KeyMissingError if it is encrypted with an unknown key.
        """
        header, stored = decode_stored(name, data, self._keys)
        self._key = self._keys(header.data_key) if header.data_key else None
        header = replace(header, data_key="", nonce="")
        before = self._header
        crc = 0 if before is None else before.log_crc
        for chunk in decode_log(header, stored):
            crc = google_crc32c.extend(crc, chunk)
        if before is None:
            self._header = header
        else:
            self._header = replace(_continued(before, header), log_crc=crc)
        self._stored.append(stored)
        self._epoch = max(self._epoch, name.epoch)

    def finish(self) -> tuple[SegmentName, bytes]:
        """The name and the bytes of the merged segment."""
        header, parts = self._header, self._stored
        assert header is not None, "there are parts"
        self._header, self._stored = None, []
        suffix = suffix_of(header.codec, self._key)
        name = SegmentName(header.start_lsn, header.end_lsn, suffix, is_merged=True, epoch=self._epoch)
        return name, assemble_segment(header, _joined(parts), self._key)


def _joined(parts: list[bytes]) -> bytes:
    """The parts in one; the list is emptied, so that they are not in memory twice."""
    stored = b"".join(parts)
    parts.clear()
    return stored


def _continued(before: SegmentHeader, header: SegmentHeader) -> SegmentHeader:
    """The common header of both. Raises SegmentError unless the second continues the first."""
    both = replace(
        before,
        end_lsn=header.end_lsn,
        max_scn=header.max_scn,
        chain_after=header.chain_after,
        log_crc=header.log_crc,
        stored_crc=header.stored_crc,
    )
    follows = (before.end_lsn, before.chain_after) == (header.start_lsn, header.chain_before)
    same = replace(header, start_lsn=before.start_lsn, min_scn=before.min_scn, chain_before=before.chain_before)
    if not follows or same != both:
        raise SegmentError(f"its log does not continue the log that ends at LSN {before.end_lsn}")
    return both
