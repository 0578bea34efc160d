"""Which destinations the cluster may use: checked when one is set, claimed before the first object is stored there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from redoubt.catalog.catalog import Catalog
from redoubt.control.cluster import Cluster
from redoubt.control.destination_questions import DestinationQuestions
from redoubt.control.rounds.claims import check_new, check_place, check_second, claim, claim_second
from redoubt.destinations.uri import is_same_place
from redoubt.model.pieces import PieceKey
from redoubt.sql.errors import SqlError, backup_dest_not_valid


class Destinations:
    """For the event loop.

    `backup_dest()` is the present one, empty if not set; `directories()` are the engines', by the names of tenants.
    Methods raise SqlError 9026, and CatalogError.
    """

    def __init__(
        self,
        cluster: Cluster,
        catalog: Catalog,
        backup_dest: Callable[[], str],
        home: Path,
        directories: Callable[[], Mapping[str, Path]],
    ) -> None:
        self._cluster = cluster
        self._catalog = catalog
        self._backup_dest = backup_dest
        self._home = home
        self._directories = directories
        self._questions = DestinationQuestions()

    async def check_source(self, tenant: str, directory: Path) -> None:
        """Check that the archive does not lie in the directory of a tenant that is to be created."""
        if uri := self._backup_dest():
            taken = {f"the directory of tenant {tenant}": directory}
            await self._questions.ask(uri, check_place, self._cluster, uri, taken)

    async def check_new(self, uri: str, second: str) -> None:
        """Check that `backup_dest` may become `uri`; `second` is the backup_backup_dest, empty if not set."""
        await self._check_place(uri)
        await self._check_other(uri, second, "backup_backup_dest")
        is_known = await asyncio.to_thread(self._catalog.knows_destination, uri)
        await self._questions.ask(uri, check_new, self._cluster, uri, is_known=is_known)

    async def check_second(self, uri: str, first: str) -> None:
        """Check that copies may be stored in `uri`; `first` is the backup_dest, empty if not set."""
        await self._check_place(uri)
        await self._check_other(uri, first, "backup_dest")
        await self._questions.ask(uri, check_second, self._cluster, uri)

    async def claim(self, uri: str, tenant_ids: list[int], key: PieceKey) -> None:
        """Claim a destination for a round that begins with that piece."""
        is_known = await asyncio.to_thread(self._catalog.knows_destination, uri)
        await self._questions.ask(uri, claim, self._cluster, uri, tenant_ids, key, is_known=is_known)

    async def claim_second(self, uri: str) -> None:
        """Claim a destination for copies."""
        is_known = await asyncio.to_thread(self._catalog.knows_destination, uri)
        await self._questions.ask(uri, claim_second, self._cluster, uri, is_known=is_known)

    async def _check_place(self, uri: str) -> None:
        engines = {f"the directory of tenant {name}": directory for name, directory in self._directories().items()}
        taken = engines | {"the home of this service": self._home}
        await self._questions.ask(uri, check_place, self._cluster, uri, taken)

    async def _check_other(self, uri: str, other: str, what: str) -> None:
        """Check that originals and copies lie apart. One that does not answer is taken for another place."""
        is_same = False
        with suppress(SqlError):
            is_same = bool(other) and await self._questions.ask(other, is_same_place, other, uri)
        if is_same:
            raise backup_dest_not_valid(f"{uri} is the {what}; choose another place, best on another machine")
