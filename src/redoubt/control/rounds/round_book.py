"""The current round, in memory and in the catalog.

A statement's change is in the catalog before it takes effect. A worker's event takes effect at once, and is in the
catalog within half a second. The catalog may lag, because the destination decides where archiving resumes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from redoubt.catalog.catalog import Catalog
from redoubt.catalog.session import CatalogError
from redoubt.control.modes.chronicle import Chronicle
from redoubt.model.rounds import Round

_SAVE_PAUSE = 0.5
_log = structlog.get_logger("redoubt.control.rounds.round_book")


class RoundBook:
    """For the event loop. The lock `statement` is held by writers: a statement, or the saving of worker events."""

    def __init__(self, catalog: Catalog, chronicle: Chronicle) -> None:
        self.statement = asyncio.Lock()
        self.round = Round()
        """The current round, or the last one."""
        self._catalog = catalog
        self._chronicle = chronicle
        self._saved = self.round
        self._changed = asyncio.Event()

    async def load(self) -> Round:
        """Load the round from the catalog. Raises CatalogError."""
        loaded = await asyncio.to_thread(self._catalog.load_round)
        assert loaded is not None, "the catalog has been prepared"
        self.round = self._saved = loaded
        return loaded

    async def begin(self, begun: Round) -> None:
        """Replace the last round by a new one; first write the last round's end to the history. Raises CatalogError."""
        if self.round is not self._saved:
            await asyncio.to_thread(self._catalog.save_round, self.round, self._saved)
        await asyncio.to_thread(self._catalog.save_round, begun)
        self.round = self._saved = begun

    async def change(self, change: Callable[[Round], Round]) -> None:
        """Change the round for a statement, in the catalog first. Raises CatalogError."""
        then = change(self.round)
        await asyncio.to_thread(self._catalog.save_round, then, self._saved)
        self.round, self._saved = change(self.round), then  # worker events may have changed the round since
        self.note()

    def note(self) -> None:
        """Note that the round has changed."""
        self._changed.set()

    async def write(self) -> None:
        """Write the round to the catalog whenever it has changed; runs until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self.round is not self._saved:
                await self._chronicle.write()  # a reader of INTERRUPTED must find the hole
                await self._save()
            await asyncio.sleep(_SAVE_PAUSE)

    async def _save(self) -> None:
        async with self.statement:
            now = self.round
            try:
                await asyncio.to_thread(self._catalog.save_round, now, self._saved)
                self._saved = now
            except CatalogError as error:
                _log.warning("cannot write the round to the catalog, retrying", cause=str(error))
                self.note()
