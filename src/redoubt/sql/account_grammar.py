"""CREATE USER and RENAME USER with a host part, which Redoubt refuses; all others are the engine's.

    create  := CREATE USER … name '@' host …
    rename  := RENAME USER … TO name '@' host …
    host    := a name or number other than '%'

The engine does not know from where a client comes: it would make the account, and then let nobody in with it.
"""

from __future__ import annotations

from redoubt.sql.cursor import NAME, Cursor, NotOurs
from redoubt.sql.statements import AccountWithHost
from redoubt.sql.tokens import Kind

_ANY_HOST = "%"


def create_user(cursor: Cursor) -> AccountWithHost:
    """Parse the text after CREATE USER. Raises NotOurs unless an account has a host part."""
    name = cursor.expect(*NAME).value
    while not cursor.at_end():
        if not cursor.take_symbol("@"):
            name = cursor.advance().value
        elif (host := _host(cursor)) != _ANY_HOST:
            return _rest(cursor, AccountWithHost(name, host))
    raise NotOurs


def rename_user(cursor: Cursor) -> AccountWithHost:
    """Parse the text after RENAME USER. Raises NotOurs unless a new account has a host part."""
    while not cursor.at_end():
        while not cursor.at_end() and not cursor.take_word("to"):
            cursor.advance()
        name = cursor.expect(*NAME).value
        if cursor.take_symbol("@") and (host := _host(cursor)) != _ANY_HOST:
            return _rest(cursor, AccountWithHost(name, host))
    raise NotOurs


def _host(cursor: Cursor) -> str:
    return cursor.expect(*NAME, Kind.NUMBER).value


def _rest(cursor: Cursor, found: AccountWithHost) -> AccountWithHost:
    while not cursor.at_end():
        cursor.advance()
    return found
