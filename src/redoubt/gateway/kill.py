"""KILL with the connection id from the gateway's greeting, the only id that many clients know.

A client that wants to stop its own query (Ctrl-C in the command line) logs in again and kills the id that it was
greeted with. That id is the gateway's, and unknown to the engine, so it is replaced with the engine's id. Ids from
`SHOW PROCESSLIST` are the engine's own and pass unchanged; the gateway's ids begin far above them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redoubt.sql.bounds import LONGEST_TEXT
from redoubt.sql.cursor import Cursor, NotOurs
from redoubt.sql.tokens import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from redoubt.sql.tokens import Token

FIRST_CONNECTION_ID = 1 << 30

_MOST_DIGITS = 10


def killed_id(text: bytes) -> int | None:
    """Return the id in a `KILL … id`; None for any other text."""
    token = _id_token(text)
    return int(token.raw) if token else None


def translate_kill_text(text: bytes, engine_id: Callable[[int], int | None]) -> bytes:
    """Return a `KILL … id` with the engine's id in place of the gateway's; any other text as it is."""
    token = _id_token(text)
    found = engine_id(int(token.raw)) if token else None
    if token is None or found is None:
        return text
    return text[: token.start] + str(found).encode() + text[token.end :]


def _id_token(text: bytes) -> Token | None:
    """Find the id, at its offset in bytes; the text may be in any character set that extends ASCII."""
    if len(text) > LONGEST_TEXT:
        return None
    cursor = Cursor(text.decode("latin-1"))
    try:
        cursor.expect_word("kill")
        cursor.take_word("query", "connection")
        token = cursor.expect(Kind.NUMBER)
    except NotOurs:
        return None
    cursor.take_symbol(";")
    is_id = token.raw.isascii() and token.raw.isdigit() and len(token.raw) <= _MOST_DIGITS
    return token if is_id and cursor.token.kind is Kind.END else None


def translate_kill_id(argument: bytes, engine_id: Callable[[int], int | None]) -> bytes:
    """Return the argument of COM_PROCESS_KILL likewise."""
    found = engine_id(int.from_bytes(argument, "little"))
    return argument if found is None else found.to_bytes(4, "little")
