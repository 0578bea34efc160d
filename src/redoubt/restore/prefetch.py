"""Makes the next item in a thread while the current item is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def made_ahead(things: Iterator[T]) -> Iterator[Iterator[T]]:
    """The same items, each made while the previous one is used; at most one item waits.

    An exception from making an item is raised when the item is taken.
    """
    with ThreadPoolExecutor(1, "ahead") as pool:

        def taken() -> Iterator[T]:
            coming = pool.submit(_next, things)
            while (thing := coming.result()) is not None:
                coming = pool.submit(_next, things)
                yield thing[0]
                del thing

        yield taken()


def _next(things: Iterator[T]) -> tuple[T] | None:
    for thing in things:
        return (thing,)
    return None
