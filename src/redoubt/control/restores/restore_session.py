"""The restore state of a session: its named sources, and the result of its last preview."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from redoubt.control.session import Session
from redoubt.destinations.uri import UriError, destination_of, open_destination
from redoubt.sql.answers import Rows
from redoubt.sql.errors import SqlError, not_supported_text
from redoubt.sql.restore_errors import uri_error

_KEY = "restore"
_MOST_SOURCES = 64


@dataclass
class RestoreSession:
    """The restore state of one session."""

    sources: list[str] = field(default_factory=list)
    preview: Rows | None = None

    def add(self, uri: str) -> None:
        """`ADD RESTORE SOURCE`: a destination, or a path in one. Raises SqlError."""
        try:
            open_destination(uri)
        except UriError as error:
            raise uri_error(str(error)) from error
        if len(self.sources) >= _MOST_SOURCES:
            raise not_supported_text(
                f"more than {_MOST_SOURCES} restore sources", "run ALTER SYSTEM CLEAR RESTORE SOURCE first"
            )
        self.sources.append(uri)

    def destination(self) -> str | None:
        """The destination of all sources, None without sources. Raises SqlError if the sources have several."""
        return the_destination(self.sources)

    def shown(self) -> Rows:
        """`SHOW RESTORE PREVIEW`. Raises SqlError before any preview."""
        if self.preview is None:
            raise no_preview()
        return self.preview


def the_destination(uris: Sequence[str]) -> str | None:
    """The destination of all these paths, None without any. Raises SqlError if there are several."""
    found = {destination_of(uri) for uri in uris}
    if len(found) > 1:
        raise not_supported_text(
            f"restore sources in several destinations ({', '.join(sorted(found))})",
            "copy the backups into one destination and name that one",
        )
    return found.pop() if found else None


def restore_session(session: Session) -> RestoreSession:
    """The restore state of a session."""
    kept = session.kept.setdefault(_KEY, RestoreSession())
    assert isinstance(kept, RestoreSession)
    return kept


def no_preview() -> SqlError:
    """The error of SHOW RESTORE PREVIEW without a preview; in a user tenant always."""
    return not_supported_text(
        "show restore preview do not specify backup dest", "run ALTER SYSTEM RESTORE … PREVIEW in this session first"
    )
