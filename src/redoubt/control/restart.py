"""Begins a new round by itself after one was interrupted, where that is wished (`log_archive_auto_restart`)."""

from __future__ import annotations

import asyncio

import structlog

from redoubt.catalog.session import CatalogError
from redoubt.control import claims
from redoubt.control.archiving import Archiving
from redoubt.control.parameters import AUTO_RESTART, Parameters
from redoubt.model.rounds import RoundStatus
from redoubt.sql.errors import SqlError

_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_log = structlog.get_logger("redoubt.control.restart")


class AutoRestart:
    """For the event loop; does what a person would: NOARCHIVELOG, wait for STOP, ARCHIVELOG."""

    def __init__(self, archiving: Archiving, parameters: Parameters) -> None:
        self._archiving = archiving
        self._parameters = parameters
        self._stopped_round = 0

    async def run(self) -> None:
        """Look again and again, less often while it does not help; runs until cancelled."""
        pause = _PAUSE
        while True:
            await asyncio.sleep(pause)
            if self._is_wished():
                try:
                    pause = _PAUSE if await self._restart() else min(pause * 2, _LONGEST_PAUSE)
                except (SqlError, CatalogError) as error:
                    _log.warning("no new round yet, trying again", cause=str(error))
                    pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _PAUSE

    def _is_wished(self) -> bool:
        now = self._archiving.round
        is_broken = now.status is RoundStatus.INTERRUPTED
        is_ours = now.status in {RoundStatus.STOPPING, RoundStatus.STOP} and now.round_id == self._stopped_round
        return self._parameters.is_on(AUTO_RESTART) and (is_broken or is_ours)

    async def _restart(self) -> bool:
        """One step on the way to a new round; False if the destination does not allow it now."""
        now = self._archiving.round
        if now.status is RoundStatus.INTERRUPTED:
            if not await asyncio.to_thread(claims.works, now.destination):
                return False
            self._stopped_round = now.round_id
            await self._archiving.stop()
        elif now.status is RoundStatus.STOP:
            await self._archiving.start()
            _log.info("a new round begins by itself", round=self._archiving.round.round_id)
        return True
