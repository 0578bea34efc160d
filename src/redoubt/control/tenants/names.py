"""Checks tenant names, and matches names with LIKE patterns."""

from __future__ import annotations

import re
from itertools import islice

from redoubt.sql.errors import identifier_too_long, invalid_tenant_name

_LONGEST = 63
_MOST_PARTS = 2 * _LONGEST + 2
"""A pattern with so many characters, and texts between them, matches no name."""
_NAME = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_PART = re.compile(r"\\.|%++|.", re.DOTALL)
_RESERVED = frozenset({"all", "all_user", "all_meta"})
"""Words that stand for several tenants in a TENANT clause."""


def checked_name(name: str) -> str:
    """The name of a new tenant in lower case, as it is stored. Raises SqlError."""
    if len(name.encode(errors="surrogateescape")) > _LONGEST:
        raise identifier_too_long(name)
    if not _NAME.fullmatch(name):
        raise invalid_tenant_name(f"{name!r} may contain only letters, digits and underscores")
    if name.lower() in _RESERVED:
        raise invalid_tenant_name(f"{name!r} is a reserved word; choose another name")
    return name.lower()


class Like:
    r"""A LIKE pattern of SQL: % is any text, _ any character, \ escapes them."""

    def __init__(self, pattern: str) -> None:
        self._parts = [match[0] for match in islice(_PART.finditer(pattern.lower()), _MOST_PARTS)]

    def matches(self, name: str) -> bool:
        """Whether a tenant's name matches; takes time in proportion to the square of the name's length at most."""
        return len(self._parts) < _MOST_PARTS and _matches(name.lower(), self._parts)


def _matches(text: str, parts: list[str]) -> bool:
    ends = {0}  # where the pattern so far may end in the text; each part but a % leaves none before the next character
    for part in parts:
        if part[0] == "%":
            ends = set(range(min(ends), len(text) + 1))
        else:
            ends = {end + 1 for end in ends if end < len(text) and part in ("_", text[end], "\\" + text[end])}
        if not ends:
            return False
    return len(text) in ends
