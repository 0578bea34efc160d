"""Checks tenant names, and matches names with LIKE patterns."""

from __future__ import annotations

import re

from redoubt.sql.errors import identifier_too_long, invalid_tenant_name

_LONGEST = 63
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


def is_like(text: str, pattern: str) -> bool:
    r"""Whether a text matches a LIKE pattern of SQL: % is any text, _ any character, \ escapes them.

    The time is in proportion to the square of the text's length at most, whatever the pattern is.
    """
    text = text.lower()
    ends = {0}  # where the pattern so far may end in the text; each part but a % leaves none before the next character
    for match in _PART.finditer(pattern.lower()):
        part = match[0]
        if part[0] == "%":
            ends = set(range(min(ends), len(text) + 1))
        else:
            ends = {end + 1 for end in ends if end < len(text) and part in ("_", text[end], "\\" + text[end])}
        if not ends:
            return False
    return len(text) in ends
