"""What is known to be wrong and not mended yet: by target, and by the place as `driver.place_of` names it.

An entry is a debt. It keeps `make test` and `make fuzz` from stopping at what is known, and goes with the mending.
"""

from __future__ import annotations

KNOWN: dict[tuple[str, str], str] = {}
