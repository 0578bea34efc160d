"""The round as it is now, and as the catalog has it.

What a statement changes is in the catalog before it counts; what the worker tells counts at once, and is in the catalog
within half a second. The catalog may lag: the destination decides where archiving goes on, so nothing hangs on it.
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
    """For the event loop. `statement` is held by whoever writes: a statement, or the saving of what the worker told."""

    def __init__(self, catalog: Catalog, chronicle: Chronicle) -> None:
        self.statement = asyncio.Lock()
        self.round = Round()
        """The present round, or the last one."""
        self._catalog = catalog
        self._chronicle = chronicle
        self._saved = self.round
        self._changed = asyncio.Event()

    async def load(self) -> Round:
        """Take over the round that the catalog has. Raises CatalogError."""
        loaded = await asyncio.to_thread(self._catalog.load_round)
        assert loaded is not None, "the catalog has been prepared"
        self.round = self._saved = loaded
        return loaded

    async def begin(self, begun: Round) -> None:
        """A new round takes the place of the last one, whose end is in the history first. Raises CatalogError."""
        if self.round is not self._saved:
            await asyncio.to_thread(self._catalog.save_round, self.round, self._saved)
        await asyncio.to_thread(self._catalog.save_round, begun)
        self.round = self._saved = begun

    async def change(self, change: Callable[[Round], Round]) -> None:
        """Change the round as a statement wants it: in the catalog first. Raises CatalogError."""
        then = change(self.round)
        await asyncio.to_thread(self._catalog.save_round, then, self._saved)
        self.round, self._saved = change(self.round), then  # the worker may have told something since
        self.note()

    def note(self) -> None:
        """The round is not as it was."""
        self._changed.set()

    async def write(self) -> None:
        """Bring the catalog up to date whenever the round is not as it was; runs until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self.round is not self._saved:
                await self._chronicle.write()  # who reads INTERRUPTED finds the hole
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
