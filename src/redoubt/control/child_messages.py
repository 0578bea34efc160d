"""Reads what a child process says: one message a line, whatever the child writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

import structlog

from redoubt.printable import printable

LONGEST_LINE: Final = 1024 * 1024
"""Bytes; the limit for the child's output. A message has a few texts of 4,000 characters at most."""
_SHOWN = 200
T = TypeVar("T")
_log = structlog.get_logger("redoubt.control.child_messages")


async def messages_from(child: asyncio.StreamReader, load: Callable[[bytes], T]) -> AsyncIterator[T]:
    """Yield the messages up to the end of the child's output. A line that is no message is logged and left out.

    Such a line comes from another version, which was installed while the service ran, or from a library that prints.
    """
    while line := await _line(child):
        try:
            message = load(line)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            shown = printable(line[:_SHOWN].decode(errors="replace"))
            _log.error("a child process says what this version does not know", line=shown, cause=repr(error))
        else:
            yield message


async def _line(child: asyncio.StreamReader) -> bytes:
    """The next line; of one that is too long, its end. Empty at the end of the output."""
    while True:
        try:
            return await child.readuntil()
        except asyncio.IncompleteReadError as end:
            return end.partial
        except asyncio.LimitOverrunError as error:
            await child.readexactly(error.consumed)
