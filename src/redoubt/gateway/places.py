"""How many clients may be there at once: sessions, and logins under way, which cost as much but have no name yet.

A client takes two descriptors of the service. The bounds come from the number of descriptors, so that clients never
take those that the service needs for the log. Logins have a bound of their own: clients that connect and say nothing
crowd out each other, not the sessions, and not `root@sys`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from redoubt.gateway.accounts import ROOT, SYS, Account

_SERVICES_DESCRIPTORS = 256
"""Descriptors for everything but clients: the catalog, engines, worker, jobs, log."""
_MOST_SESSIONS, _FEWEST_SESSIONS = 1000, 8
_MOST_LOGINS, _FEWEST_LOGINS = 256, 8
_KEPT = 4
"""Sessions of root@sys beyond the bound, so that somebody can end the others."""
_GRACE, _SILENT_GRACE = 1.0, 0.1
"""Seconds that a login may take, however many others wait; the second if the client has not said anything yet."""


class Login(Protocol):
    """A login under way."""

    @property
    def host(self) -> str:
        """The client's address, without its port."""

    @property
    def since(self) -> float:
        """When the client came, in seconds of any clock."""

    @property
    def has_spoken(self) -> bool:
        """Whether anything has come from the client."""

    def end(self) -> None:
        """Close the client's connection."""


@dataclass(frozen=True)
class Places:
    """The bounds: of sessions, and of logins under way; one address has at most half of the latter."""

    sessions: int = _MOST_SESSIONS
    logins: int = _MOST_LOGINS

    @classmethod
    def of(cls, descriptors: int) -> Places:
        """The bounds of a service that may open so many descriptors."""
        logins = max(_FEWEST_LOGINS, min(_MOST_LOGINS, descriptors // 8))
        room = (descriptors - _SERVICES_DESCRIPTORS) // 2 - _KEPT - logins
        return cls(max(_FEWEST_SESSIONS, min(_MOST_SESSIONS, room)), logins)

    def has_session_for(self, account: Account, sessions: int) -> bool:
        """Tell whether one more may log in while there are so many sessions."""
        is_root = (account.user, account.tenant) == (ROOT, SYS)
        return sessions < self.sessions + (_KEPT if is_root else 0)

    def make_room(self, host: str, logins: Sequence[Login], now: float) -> bool:
        """Tell whether a client from `host` may begin to log in; end the oldest overdue login if there is no room.

        `logins` are those under way, in the order in which they came.
        """
        same = [each for each in logins if each.host == host]
        crowd = same if len(same) >= self.logins // 2 else logins if len(logins) >= self.logins else None
        if crowd is None:
            return True
        overdue = (each for each in crowd if now - each.since > (_GRACE if each.has_spoken else _SILENT_GRACE))
        if (oldest := next(overdue, None)) is None:
            return False
        oldest.end()
        return True
