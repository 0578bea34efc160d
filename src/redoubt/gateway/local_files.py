"""A session's memory of the client's files that its statements name: an engine may ask for no others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from redoubt.gateway.session_grammar import Execute, parse_session_statement
from redoubt.sql.bounds import LONGEST_TEXT
from redoubt.sql.local_files import local_files
from redoubt.sql.parser import split

if TYPE_CHECKING:
    from collections.abc import Callable

    NamedFiles = Callable[[], frozenset[bytes]]

_LIMIT = 1024


class LocalFiles:
    """One per session. Only texts that were prepared are read at once; all others when an engine asks for a file."""

    def __init__(self) -> None:
        self._prepared: dict[int | str, frozenset[bytes]] = {}

    def of_text(self, text: bytes) -> NamedFiles:
        """Return what tells the files of a text, and of the prepared statements that the text executes."""
        return partial(self._of_text, text)

    def of_prepared(self, key: int | str) -> NamedFiles:
        """Return what tells the files of a prepared statement."""
        return lambda: self._prepared.get(key, frozenset())

    def remember(self, key: int | str, text: bytes) -> None:
        """Remember the files of a prepared statement, by its id or its name; beyond a limit, forget the oldest."""
        self._prepared.pop(key, None)
        if files := local_files(text):
            self._prepared[key] = files
        if len(self._prepared) > _LIMIT:
            del self._prepared[next(iter(self._prepared))]

    def forget(self, key: int | str) -> None:
        """Forget a closed statement."""
        self._prepared.pop(key, None)

    def clear(self) -> None:
        """Forget all prepared statements."""
        self._prepared.clear()

    def _of_text(self, text: bytes) -> frozenset[bytes]:
        files = local_files(text)
        if not self._prepared or len(text) > LONGEST_TEXT:
            return files
        parsed = (parse_session_statement(one) for one in split(text.decode("utf-8", "surrogateescape")))
        executed = (statement.name for statement in parsed if isinstance(statement, Execute))
        return files.union(*(self._prepared.get(name, frozenset()) for name in executed))
