"""Holds on data backups: no deletion takes a set that is kept, nor the log that a restore to its snapshot needs."""

from __future__ import annotations

import asyncio
import time

import structlog

from redoubt.catalog.backups import Backups
from redoubt.catalog.set_table import SetTable
from redoubt.catalog.tables import MAX_SCN
from redoubt.control.rounds.archiving import Archiving
from redoubt.control.session import Session
from redoubt.control.session_time import until_microseconds
from redoubt.sql.errors import invalid_argument, not_supported
from redoubt.sql.statements import KeepBackup

_log = structlog.get_logger("redoubt.control.backups.holds")


class Holds:
    """For the event loop."""

    def __init__(self, archiving: Archiving, backups: Backups, table: SetTable) -> None:
        self._archiving = archiving
        self._backups = backups
        self._table = table

    async def change(self, statement: KeepBackup, session: Session) -> None:
        """`CHANGE BACKUPSET n KEEP [UNTIL …] | NOKEEP`. Raises SqlError, CatalogError."""
        until = 0 if statement.ends else MAX_SCN
        if statement.until is not None:
            until = await until_microseconds(statement.until, session) * 1000
            if until <= time.time_ns():
                raise invalid_argument("keep until", "the time is over; name a later one, or write NOKEEP")
        async with self._archiving.statement:
            sets = await asyncio.to_thread(self._backups.sets)
            found = next((each for each in sets if each.set_id == statement.number and each.is_usable), None)
            if found is None:
                raise not_supported(
                    f"keep of a data backup that is not there: set {statement.number}",
                    "only sets with STATUS SUCCESS and FILE_STATUS AVAILABLE in CDB_OB_BACKUP_SET_FILES can be kept",
                )
            await asyncio.to_thread(self._table.keep, statement.number, until)
            _log.info("a data backup is kept", set=statement.number, until=until)
