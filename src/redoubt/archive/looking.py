"""Looks at what others may merge or delete meanwhile: damage is believed when two looks in a row show the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from redoubt.archive.store import ArchiveError
from redoubt.model.seams import ObjectMissingError

_LOOKS = 10
"""How often something is looked at that is another one each time."""
_Found = TypeVar("_Found")


def look_until_settled(look: Callable[[], _Found], what: str) -> _Found:
    """What `look` finds, once nothing vanishes under it. Raises ArchiveError, and what else `look` raises."""
    seen: Exception | None = None
    for _ in range(_LOOKS):
        try:
            return look()
        except ObjectMissingError as error:  # it has just been merged, or deleted
            seen = error
        except ArchiveError as error:
            if str(error) == str(seen):
                raise
            seen = error
    raise ArchiveError(f"{what} changes while it is looked at: {seen}")
