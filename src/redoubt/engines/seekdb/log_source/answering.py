"""Answers calls of `fetch_log` with log of a feed. Each run of log is read and encoded once for all who ask."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator

from redoubt.engines.seekdb.log_source.encoded import EncodedLog
from redoubt.engines.seekdb.log_source.messages import FetchLog, encode_answer
from redoubt.model.log import LogPosition
from redoubt.model.standby import FedLog, LogFeed

MOST_BYTES = 16 * 1024 * 1024
"""The most bytes of log in an answer: what a standby asks for. It asks again for more."""
_CACHE = 96 * 1024 * 1024
"""The most bytes of encoded log that are kept, beside the run that is being sent: a merged object has up to 64 MiB."""


class Answers:
    """The answers from one feed. For one event loop; the feed is asked in threads, by one call at a time."""

    def __init__(self, feed: LogFeed) -> None:
        self._feed = feed
        self._turn = asyncio.Lock()
        self._kept: OrderedDict[int, EncodedLog] = OrderedDict()
        self._limit: int | None = None
        self._last: EncodedLog | None = None
        self.received = LogPosition(0)
        """See `LogSource`; with the SCN if the place is the end of a run."""

    async def to(self, call: FetchLog) -> AsyncIterator[bytes | memoryview]:
        """The messages of an answer, in parts. Raises NoLogError, NotAGroupError, ArchiveError, DestinationError."""
        self._note(call.start_lsn)
        lsn, left = call.start_lsn, min(call.max_bytes or MOST_BYTES, MOST_BYTES)
        while left > 0 and (run := await self._run_at(lsn)) is not None:
            most = left if self._limit is None or run is self._last else min(left, self._limit - lsn)
            messages, after = run.messages(lsn, most)
            yield messages
            lsn, left = after, left - (after - lsn)
        end = self._last.end if self._last else await asyncio.to_thread(self._feed.end)
        yield encode_answer(b"", 0, end.scn)

    def stop_at(self, lsn: int | None) -> None:
        """See `LogSource`."""
        self._limit = lsn

    def append(self, last: FedLog) -> None:
        """See `LogSource`."""
        self._last = EncodedLog(last)

    def _note(self, lsn: int) -> None:
        if lsn != self.received.lsn:
            ends = [run.end for run in (*self._kept.values(), self._last) if run is not None]
            self.received = next((end for end in ends if end.lsn == lsn), LogPosition(lsn))

    async def _run_at(self, lsn: int) -> EncodedLog | None:
        """The run that holds the log at `lsn`, None if there is none yet."""
        if self._limit is not None and lsn >= self._limit:
            return self._last if self._last is not None and lsn < self._last.end.lsn else None
        async with self._turn:
            for start, kept in self._kept.items():
                if start <= lsn < kept.end.lsn:
                    self._kept.move_to_end(start)
                    return kept
            run = await asyncio.to_thread(self._read, lsn)
            if run is not None:
                self._keep(run)
            return run

    def _read(self, lsn: int) -> EncodedLog | None:
        fed = self._feed.log_at(lsn)
        return None if fed is None else EncodedLog(fed)

    def _keep(self, run: EncodedLog) -> None:
        self._kept[run.start_lsn] = run
        while len(self._kept) > 1 and sum(each.size for each in self._kept.values()) > _CACHE:
            self._kept.popitem(last=False)
