"""KILL with the connection id from the gateway's greeting, the only id that many clients know.

A client that wants to stop its own query (Ctrl-C in the command line) logs in again and kills the id that it was
greeted with. That id is the gateway's, and unknown to the engine, so it is replaced with the engine's id. Ids from
`SHOW PROCESSLIST` are the engine's own and pass unchanged; the gateway's ids begin far above them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_CONNECTION_ID = 1 << 30

_KILL = re.compile(rb"\s*KILL\s+(?:(?:QUERY|CONNECTION)\s+)?(\d{1,10})\s*;?\s*", re.IGNORECASE)


def killed_id(text: bytes) -> int | None:
    """Return the id in a `KILL … id`; None for any other text."""
    match = _KILL.fullmatch(text)
    return int(match[1]) if match else None


def translate_kill_text(text: bytes, engine_id: Callable[[int], int | None]) -> bytes:
    """Return a `KILL … id` with the engine's id in place of the gateway's; any other text as it is."""
    match = _KILL.fullmatch(text)
    if not match:
        return text
    found = engine_id(int(match[1]))
    return text if found is None else text[: match.start(1)] + str(found).encode() + text[match.end(1) :]


def translate_kill_id(argument: bytes, engine_id: Callable[[int], int | None]) -> bytes:
    """Return the argument of COM_PROCESS_KILL likewise."""
    found = engine_id(int.from_bytes(argument, "little"))
    return argument if found is None else found.to_bytes(4, "little")
