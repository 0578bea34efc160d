"""The registry of engine kinds: seekdb, and the kinds that other packages provide as plug-ins.

A plug-in names its kind in the entry-point group `redoubt.engine_kinds`: the entry's name is the kind's name, and the
entry's object is an `EngineKind`. A kind is imported at its first use. Only composition roots use the registry; they
pass the kinds on.
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
    known = {each.name: each for each in (*entry_points(group=_GROUP), *_BUILT_IN)}  # no plug-in replaces seekdb
    if name not in known:
        raise UnknownEngineKindError(
            f"the engine kind {name!r} is not installed (installed: {', '.join(sorted(known))}); install the package "
            "that provides it, or correct the name"
        )
    try:
        return cast("EngineKind", known[name].load())
    except (ImportError, AttributeError) as error:
        raise UnknownEngineKindError(
            f"cannot import the engine kind {name!r} from {known[name].value}: {error}; reinstall the package that "
            "provides it"
        ) from error
