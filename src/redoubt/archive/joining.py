"""Joins several segments into one: their frames, one after another, under one header. Pure.

Nothing is compressed again. Each part is decoded and checked, and must continue the part before.
"""

from __future__ import annotations

from dataclasses import replace

import google_crc32c

from redoubt.archive.codec import codec_named
from redoubt.archive.segment import (
    SegmentError,
    SegmentHeader,
    SegmentName,
    assemble_segment,
    decode_log,
    decode_stored,
)


class Joined:
    """A merged segment under construction. Keeps its parts in memory as stored."""

    def __init__(self) -> None:
        self._header: SegmentHeader | None = None
        self._stored: list[bytes] = []
        self._epoch = 0

    def add(self, name: SegmentName, data: bytes) -> None:
        """Add the next part. Raises SegmentError if the part is damaged, or does not continue the part before."""
        header, stored = decode_stored(name, data)
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
        suffix = codec_named(header.codec).suffix
        name = SegmentName(header.start_lsn, header.end_lsn, suffix, is_merged=True, epoch=self._epoch)
        return name, assemble_segment(header, b"".join(parts))


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
