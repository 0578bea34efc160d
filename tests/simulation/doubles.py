"""What stands in the product's modules where the real thing would be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from unittest import mock

from redoubt import worker
from redoubt.archiver import merger, merging, opening
from redoubt.archiver import piece_job as job
from redoubt.messages.archiving import Event

from . import fibers
from .medium import Doubles, Medium

_SILENT = SimpleNamespace(error=lambda *_, **__: None, warning=lambda *_, **__: None)


@contextmanager
def in_place(medium: Medium, turns: fibers.Turns, rules: Mapping[str, object]) -> Iterator[None]:
    """While this runs, the product has the simulated medium and turns; `rules` say when segments are merged."""
    fibers.Event.turns = fibers.Lock.turns = turns
    threads = SimpleNamespace(Event=fibers.Event, Lock=fibers.Lock)
    doubles: Doubles = [*medium.doubles, (worker, "_log", _SILENT), (worker, "to_line", _as_it_is)]
    doubles += [(module, "threading", threads) for module in (job, opening)]
    doubles += [(module, name, rules[name]) for module in (merging, merger) for name in rules]
    with ExitStack() as stack:
        for module, name, double in doubles:
            stack.enter_context(mock.patch.object(module, name, double))
        yield


def _as_it_is(event: Event) -> Event:
    return event
