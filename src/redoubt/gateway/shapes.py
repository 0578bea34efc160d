"""The structure of the reply to each command."""

from __future__ import annotations

from enum import Enum, auto

from redoubt.gateway.protocol import Command


class Shape(Enum):
    """The structure of the reply to a command."""

    SINGLE = auto()
    """One packet: OK, EOF, ERR, or a text."""
    RESULTS = auto()
    """Results of COM_QUERY: each an OK, an ERR, a request for a local file, or columns and rows."""
    EXECUTION = auto()
    """As RESULTS; but when the engine opens a cursor, the reply ends after the columns."""
    ROWS = auto()
    """Packets up to an EOF or ERR: COM_STMT_FETCH, COM_FIELD_LIST."""
    PREPARED = auto()
    """A statement's id and counts, then its parameters and columns."""


SHAPES = {
    Command.INIT_DB: Shape.SINGLE,
    Command.QUERY: Shape.RESULTS,
    Command.FIELD_LIST: Shape.ROWS,
    Command.STATISTICS: Shape.SINGLE,
    Command.PROCESS_INFO: Shape.RESULTS,
    Command.PROCESS_KILL: Shape.SINGLE,
    Command.DEBUG: Shape.SINGLE,
    Command.PING: Shape.SINGLE,
    Command.STMT_PREPARE: Shape.PREPARED,
    Command.STMT_EXECUTE: Shape.EXECUTION,
    Command.STMT_RESET: Shape.SINGLE,
    Command.SET_OPTION: Shape.SINGLE,
    Command.STMT_FETCH: Shape.ROWS,
    Command.RESET_CONNECTION: Shape.SINGLE,
}
"""The structure of the reply to each command that has one."""
