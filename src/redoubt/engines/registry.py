"""The registry of engine kinds: seekdb, and those that other packages bring as plug-ins.

A plug-in names its kind in the entry-point group `redoubt.engine_kinds`: the entry's name is the kind's, its object is
an `EngineKind`. A kind is imported when it is asked for. Only composition roots ask here; they hand on what they get.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from redoubt.model.engine_kind import SEEKDB, EngineKind, UnknownEngineKindError

_GROUP = "redoubt.engine_kinds"
_BUILT_IN = (EntryPoint(SEEKDB, "redoubt.engines.seekdb.kind:SEEKDB_KIND", _GROUP),)


@cache
def engine_kind(name: str) -> EngineKind:
    """The engine kind of that name. Raises UnknownEngineKindError."""
    known = {each.name: each for each in (*entry_points(group=_GROUP), *_BUILT_IN)}  # seekdb is nobody else's
    if name not in known:
        raise UnknownEngineKindError(
            f"the engine kind {name!r} is not installed (there are: {', '.join(sorted(known))}); install the package "
            "that brings it, beside Redoubt, or correct the name"
        )
    try:
        return cast("EngineKind", known[name].load())
    except (ImportError, AttributeError) as error:
        raise UnknownEngineKindError(
            f"the engine kind {name!r} cannot be imported from {known[name].value}: {error}; repair the package that "
            "brings it"
        ) from error
