"""What every test has: hypothesis profiles, and its place in the order in which processes share the tests.

CI takes the same examples each time, a developer new ones. Tests that share engines are run by one process, one after
another: engines that wait for others' tests take a share of the processors all the time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.seekdb.template import FOLDER as TEMPLATE

settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

_HERE = Path(__file__).parent
_SERVICES = "service"
_SHARING = frozenset({"catalog", "clients", "conformance", "gateway", "rehearsal", "restore", "seekdb"})
"""Folders in which engines are shared by the tests of all files; elsewhere they are by those of one."""


def pytest_configure(config: pytest.Config) -> None:
    """Have a folder for what all processes that share the tests make once."""
    if not hasattr(config, "workerinput"):  # those that only take a share have it from this one
        os.environ[TEMPLATE] = tempfile.mkdtemp(prefix="redoubt-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ[TEMPLATE])


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have tests that share engines in one process; at `pytest_collection_modifyitems` xdist has looked already."""
    item.add_marker(pytest.mark.xdist_group(_group(item)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """See to it that they are: where xdist cannot tell, every engine is started in every process, without a word."""
    items = session.items if session.config.getoption("loadgroup", default=False) else []
    if not all(item.nodeid.endswith(f"@{_group(item)}") for item in items):
        raise pytest.UsageError("this pytest-xdist does not keep groups together with this pytest")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have tests that share engines beside each other, and what takes long first; else they stay as shuffled."""
    groups: dict[str, int] = {}
    for item in items:
        groups.setdefault(_group(item), len(groups))
    items.sort(key=lambda item: (_rank(item), groups[_group(item)]))


def _group(item: pytest.Item) -> str:
    path = item.path.relative_to(_HERE)
    return path.parts[0] if path.parts[0] in _SHARING else str(path)


def _rank(item: pytest.Item) -> int:
    folder = item.path.relative_to(_HERE).parts[0]
    return 0 if folder == _SERVICES else 1 if folder in _SHARING else 2
