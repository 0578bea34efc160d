"""Starts a new round automatically after an interruption, if `log_archive_auto_restart` is on."""

from __future__ import annotations

import asyncio
import time

import structlog

from redoubt.catalog.session import CatalogError
from redoubt.control.parameters.parameter_list import AUTO_RESTART
from redoubt.control.parameters.parameters import Parameters
from redoubt.control.rounds.archiving import Archiving
from redoubt.model.rounds import RoundStatus
from redoubt.sql.errors import SqlError

_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_log = structlog.get_logger("redoubt.control.rounds.auto_restart")


class AutoRestart:
    """For the event loop. Runs the steps of a user: NOARCHIVELOG, wait for STOP, ARCHIVELOG."""

    def __init__(self, archiving: Archiving, parameters: Parameters) -> None:
        self._archiving = archiving
        self._parameters = parameters
        self._stopped_round = 0
        self._not_before = float("-inf")

    async def run(self) -> None:
        """Check repeatedly, less often after failures; runs until cancelled."""
        pause = _PAUSE
        while True:
            await asyncio.sleep(pause)
            if self._is_wished():
                try:
                    pause = _PAUSE if await self._restart() else min(pause * 2, _LONGEST_PAUSE)
                except (SqlError, CatalogError) as error:
                    _log.warning("cannot start a new round, retrying", cause=str(error))
                    pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _PAUSE
                self._forget()

    def _forget(self) -> None:
        """Forget the stopped round when the parameter is off, so that turning it on later does not restart it."""
        if not self._parameters.is_on(AUTO_RESTART):
            self._stopped_round = 0

    def _is_wished(self) -> bool:
        now = self._archiving.round
        is_broken = now.shown_status is RoundStatus.INTERRUPTED
        is_ours = now.status in {RoundStatus.STOPPING, RoundStatus.STOP} and now.round_id == self._stopped_round
        return self._parameters.is_on(AUTO_RESTART) and (is_broken or is_ours)

    async def _restart(self) -> bool:
        """Take one step towards a new round; False if the destination does not work or the pause is not over.

        At most one round a minute: a cause that breaks every round must not fill the destination with rounds.
        """
        now = self._archiving.round
        if now.shown_status is RoundStatus.INTERRUPTED:
            if time.monotonic() < self._not_before or not await self._archiving.destination_works():
                return False
            await self._archiving.stop()
            self._stopped_round = now.round_id  # only now: somebody else may have stopped the round meanwhile
        elif now.status is RoundStatus.STOP:
            await self._archiving.start()
            self._not_before = time.monotonic() + _LONGEST_PAUSE
            _log.info("new round started automatically", round=self._archiving.round.round_id)
        return True
