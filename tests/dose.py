"""How much of each kind of test a run takes: the small dose of `make test`, or the large one of `make soak`.

Every kind of test is in both. What is in the large dose only has the mark `soak`. CONTRIBUTING.md lists the kinds.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

IS_SOAK = os.environ.get("REDOUBT_DOSE") == "soak"


def dose(small: T, large: T) -> T:
    """The figure for this run."""
    return large if IS_SOAK else small
