"""Takes the keys of object stores out of statements, before anything else sees them. See `destinations.access`.

Keys are kept only when the store accepts them: a mistyped key must not replace the one with which a round archives.
"""

from __future__ import annotations

import re
from dataclasses import replace

from redoubt.control.destination_questions import DestinationQuestions
from redoubt.destinations.access import Access, AccessError, AccessFile
from redoubt.destinations.object_store import ObjectStoreDestination
from redoubt.destinations.store_uri import Scheme, UriError, parse_place, without_keys
from redoubt.model.seams import DestinationError
from redoubt.sql.errors import backup_dest_not_valid, not_supported
from redoubt.sql.statements import AddRestoreSource, ChangeDestinationAccess, RestoreTenant, Statement

_SCHEMES = "|".join(Scheme)
_KEYS = re.compile(r"access_(id|key)=[^&\s]+&access_(?!\1)(id|key)=[^&\s]+")
_URI = re.compile(rf"(?P<scheme>{_SCHEMES})://(?P<place>\S*)", re.IGNORECASE)


class DestinationKeys:
    """For the event loop. `file` keeps the keys."""

    def __init__(self, file: AccessFile) -> None:
        self._file = file
        self._questions = DestinationQuestions()

    async def taken_from(self, statement: Statement) -> Statement:
        """The statement of a restore without keys, which are kept from now on. Raises SqlError 9026."""
        match statement:
            case RestoreTenant() if statement.at is not None:
                return replace(statement, at=await self.without(statement.at))
            case AddRestoreSource():
                return replace(statement, uri=await self.without(statement.uri))
        return statement

    async def change(self, statement: ChangeDestinationAccess) -> None:
        """`CHANGE EXTERNAL_STORAGE_DEST`: a destination has other keys from now on, also under a running round.

        Raises SqlError 1235, 9026.
        """
        if statement.attribute is not None:
            raise not_supported("ATTRIBUTE", "Redoubt does not limit requests and bandwidth; leave ATTRIBUTE out")
        if not _URI.match(statement.path):
            raise backup_dest_not_valid("only object stores have keys: write PATH='s3://bucket/path?host=…'")
        mark = "&" if "?" in statement.path else "?"
        if not _KEYS.fullmatch(statement.access_info):
            raise backup_dest_not_valid("write ACCESS_INFO='access_id=…&access_key=…'")
        await self.without(f"{statement.path}{mark}{statement.access_info}")

    async def without(self, text: str) -> str:
        """A text with its URI of an object store, if there is one, without keys. Raises SqlError 9026."""
        match = _URI.search(text)
        if match is None:
            return text
        try:
            place, keys = without_keys(match["place"])
        except UriError as error:
            raise backup_dest_not_valid(str(error)) from error
        scheme = Scheme(match["scheme"].lower())
        uri = f"{scheme}://{place}"
        if keys is not None:
            await self._questions.ask(uri, self._keep, uri, scheme, place, Access(*keys))
        return f"{text[: match.start()]}{uri}{text[match.end() :]}"

    def _keep(self, uri: str, scheme: Scheme, place: str, access: Access) -> None:
        """Keep keys that the store accepts. Blocks. Raises SqlError."""
        try:
            store = ObjectStoreDestination(uri, parse_place(scheme, place), lambda _uri: access)
            any(store.list(""))
            self._file.remember(uri, access)
        except (UriError, DestinationError, AccessError) as error:
            raise backup_dest_not_valid(str(error)) from error
