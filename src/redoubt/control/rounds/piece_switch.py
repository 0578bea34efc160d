"""Switches pieces when their interval is over, and advances a round without tenants."""

from __future__ import annotations

import asyncio
import time

import structlog

from redoubt.catalog.session import CatalogError
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.rounds.archiving import Archiving
from redoubt.model import rounds

_PAUSE = 0.25
_log = structlog.get_logger("redoubt.control.rounds.piece_switch")


class PieceSwitch:
    """For the event loop; `run` runs until it is cancelled."""

    def __init__(self, archiving: Archiving, parameters: Parameters) -> None:
        self._archiving = archiving
        self._parameters = parameters

    async def run(self) -> None:
        """Check repeatedly whether a switch is due."""
        while True:
            await asyncio.sleep(_PAUSE)
            if not self._archiving.round.tenants:
                self._archiving.tick()
            if not self._is_due():
                continue
            try:
                await self._archiving.switch_piece()
            except CatalogError as error:
                _log.warning("cannot switch the piece, retrying", cause=str(error))

    def _is_due(self) -> bool:
        """Whether the last piece is older than the interval, and a new one may begin."""
        now, interval = self._archiving.round, self._parameters.piece_switch_interval
        if interval <= 0 or not rounds.may_switch(now):
            return False
        return time.time_ns() >= now.pieces[-1].start_scn + int(interval * 1e9)
