"""The errors that a person can do something about."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import redoubt
from redoubt import errors
from redoubt.errors import RedoubtError


def _all_below(kind: type[Exception]) -> Iterator[str]:
    for each in kind.__subclasses__():
        yield each.__name__
        yield from _all_below(each)


def test_the_tree_in_the_docstring_has_every_error() -> None:
    """A reader finds there all that a command may say instead of what was asked."""
    for module in pkgutil.walk_packages(redoubt.__path__, "redoubt."):
        importlib.import_module(module.name)
    drawn = re.findall(r"\w+Error\b", errors.__doc__ or "")

    assert drawn.pop(0) == RedoubtError.__name__
    assert sorted(drawn) == sorted(_all_below(RedoubtError))
