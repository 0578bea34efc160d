"""The small archive, made once."""

from __future__ import annotations

import pytest

from .small import SmallArchive


@pytest.fixture(scope="session")
def small() -> SmallArchive:
    """Not to be changed; `copy` gives a destination that may be."""
    return SmallArchive()
