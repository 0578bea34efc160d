"""Checks tenant names, and matches names with LIKE patterns."""

from __future__ import annotations

import re

from redoubt.sql.errors import identifier_too_long, invalid_tenant_name

_LONGEST = 63
_NAME = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
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
    r"""Whether a text matches a LIKE pattern of SQL: % is any text, _ any character, \ escapes them."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wanted = "".join(
        {"%": ".*", "_": "."}.get(part, re.escape(part[1:] if part[0] == "\\" and part[1:] else part)) for part in parts
    )
    return re.fullmatch(wanted, text, re.IGNORECASE | re.DOTALL) is not None
