"""Takes the keys of object stores out of statements, before anything else sees them. See `destinations.access`.

Keys are kept only when the store accepts them: a mistyped key must not replace the one with which a round archives.
"""

from __future__ import annotations

import re
from dataclasses import replace

from redoubt.control.destination_questions import DestinationQuestions
from redoubt.destinations.access import Access, AccessFile
from redoubt.destinations.object_store import ObjectStoreDestination
from redoubt.destinations.store_uri import Scheme, UriError, parse_place, without_keys
from redoubt.destinations.uri import destination_of
from redoubt.model.seams import DestinationError
from redoubt.sql.errors import backup_dest_not_valid, not_supported
from redoubt.sql.statements import (
    AddRestoreSource,
    ChangeDestinationAccess,
    RestoreStandby,
    RestoreTenant,
    SecondBackup,
    Statement,
)

_SCHEMES = "|".join(Scheme)
_KEYS = re.compile(r"access_(id|key)=[^&\s]+&access_(?!\1)(id|key)=[^&\s]+")
_LEFT = re.compile(r"access_(id|key)\s*=", re.IGNORECASE)
_URI = re.compile(rf"(?P<scheme>{_SCHEMES})://(?P<place>\S*)", re.IGNORECASE)


class DestinationKeys:
    """For the event loop. `file` keeps the keys."""

    def __init__(self, file: AccessFile) -> None:
        self._file = file
        self._questions = DestinationQuestions()

    async def taken_from(self, statement: Statement) -> Statement:
        """The statement of a restore or a second backup without keys. Raises SqlError 9026.

        Keys that a restore names do not replace keys that work: with those, a round may be archiving.
        """
        match statement:
            case SecondBackup() if statement.destination is not None:
                return replace(statement, destination=await self.without(statement.destination))
            case RestoreTenant() if statement.at is not None:
                return replace(statement, at=await self.without(statement.at, replaces=False))
            case RestoreStandby() if statement.uris is not None:
                uris = [await self.without(each.strip(), replaces=False) for each in statement.uris.split(",")]
                return replace(statement, uris=",".join(uris))
            case AddRestoreSource():
                return replace(statement, uri=await self.without(statement.uri, replaces=False))
        return statement

    async def change(self, statement: ChangeDestinationAccess) -> None:
        """`CHANGE EXTERNAL_STORAGE_DEST`: a destination has other keys from now on, also under a running round.

        Raises SqlError 1235, 9026.
        """
        if statement.attribute is not None:
            raise not_supported("ATTRIBUTE", "Redoubt does not limit requests and bandwidth; leave ATTRIBUTE out")
        if not _URI.fullmatch(statement.path):
            raise backup_dest_not_valid("only object stores have keys: write PATH='s3://bucket/path?host=…'")
        mark = "&" if "?" in statement.path else "?"
        if not _KEYS.fullmatch(statement.access_info):
            raise backup_dest_not_valid("write ACCESS_INFO='access_id=…&access_key=…'")
        await self.without(f"{statement.path}{mark}{statement.access_info}")

    async def without(self, text: str, *, replaces: bool = True) -> str:
        """A text with its URI of an object store, if there is one, without keys, which are kept. Raises SqlError 9026.

        The keys of a destination may replace others only if they let this account write, too.
        """
        match = _URI.search(text)
        if match is None:
            return _checked(text)
        try:
            place, keys = without_keys(match["place"])
        except UriError as error:
            raise backup_dest_not_valid(str(error)) from error
        uri = f"{match['scheme'].lower()}://{place}"
        if keys is not None:
            destination = destination_of(uri)
            await self._questions.ask(destination, self._keep, destination, Access(*keys), replaces)
        return _checked(f"{text[: match.start()]}{uri}{text[match.end() :]}")

    def _keep(self, uri: str, access: Access, replaces: bool) -> None:  # noqa: FBT001 - asked in a thread
        """Keep keys that the store accepts. Blocks. Raises SqlError."""
        try:
            store = _opened(uri, access)
            if replaces:
                store.probe()
            else:
                any(store.list(""))
                kept = self._file.of(uri)
                if kept is not None and _works(_opened(uri, kept)):
                    return
            self._file.remember(uri, access)
        except (UriError, DestinationError) as error:
            raise backup_dest_not_valid(str(error)) from error


def _checked(text: str) -> str:
    """A text without keys. Raises SqlError 9026 if it has some nevertheless: no message may quote it."""
    if _LEFT.search(text):
        raise backup_dest_not_valid(
            "the text holds keys outside of the URI of an object store: write s3://bucket/path?host=…&access_id=…&"
            "access_key=…, without blanks"
        )
    return text


def _opened(uri: str, access: Access) -> ObjectStoreDestination:
    scheme, _, place = uri.partition("://")
    return ObjectStoreDestination(uri, parse_place(Scheme(scheme), place), lambda _uri: access)


def _works(store: ObjectStoreDestination) -> bool:
    try:
        any(store.list(""))
    except DestinationError:
        return False
    return True
