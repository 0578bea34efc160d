"""What every test has: the dose, hypothesis profiles, and its place in the order in which processes share the tests.

CI takes the same examples each time, a developer new ones. Tests that share engines are run by one process, one after
another: engines that wait for others' tests take a share of the processors all the time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.dose import IS_SOAK, dose
from tests.seekdb.template import FOLDER as TEMPLATE
from tests.seekdb.template import folder_of_templates

settings.register_profile(
    "dev", deadline=None, max_examples=dose(50, 1000), suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

pytest_plugins = ["tests.run_report", "tests.destinations.fixtures", "tests.service.fixtures"]
_HERE = Path(__file__).parent
_SERVICES = "service"
_LONGEST = "test_roll_forward.py"
"""An engine's checkpoint timer ticks once a minute: who waits for it begins first."""
_MEMORY = "/dev/shm"
_MEMORY_NEEDED = 12 * 1024**3
_WITH_STORE = frozenset({"test_object_store.py", "test_taken_over.py"})
"""Their tests share the S3 server with those of conformance."""
_LONGEST_NAME = 60
"""The most characters of a parameter in the name of a test."""
_SHARING = frozenset({"catalog", "clients", "conformance", "gateway", "rehearsal", "restore", "seekdb"})
"""Folders in which engines are shared by the tests of all files; elsewhere they are by those of one."""


def pytest_make_parametrize_id(val: object) -> str | None:
    """A long text or many bytes, as a short name: the name of a test is in the environment of what it starts."""
    if not isinstance(val, str | bytes) or len(val) <= _LONGEST_NAME:
        return None  # as always
    return f"{ascii(val[:_LONGEST_NAME])[:_LONGEST_NAME]}-{len(val)}"


def pytest_configure(config: pytest.Config) -> None:
    """Tell every process where the engines' templates are, and have what tests write in memory if there is room.

    A power loss is simulated, never made, so nothing here needs a disk. The folder's path is short for sockets' sake.
    """
    os.environ.setdefault(TEMPLATE, str(folder_of_templates()))
    if not hasattr(config, "workerinput") and config.option.basetemp is None and (memory := _memory()) is not None:
        os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="rt-", dir=memory)
        # Without workers, pytest empties this folder at the first `tmp_path`; shared engines lie beside it by then.
        config.option.basetemp = f"{tempfile.tempdir}/p"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Remove the folder in memory when all has passed; else it stays, to be looked at."""
    folder = tempfile.tempdir
    if not hasattr(session.config, "workerinput") and folder is not None and folder.startswith(_MEMORY):
        if exitstatus == 0:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"\nwhat the tests wrote is in {folder}; remove it when you have seen it")  # noqa: T201 - for people


def _memory() -> str | None:
    """The file system in memory, where that and the memory have plenty of room."""
    with suppress(OSError, ValueError):
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if min(free, shutil.disk_usage(_MEMORY).free) > _MEMORY_NEEDED:
            return _MEMORY
    return None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have tests that share engines in one process; at `pytest_collection_modifyitems` xdist has looked already."""
    item.add_marker(pytest.mark.xdist_group(_group(item)))


def pytest_collection_finish(session: pytest.Session) -> None:
    """See to it that they are: where xdist cannot tell, every engine is started in every process, without a word."""
    items = session.items if session.config.getoption("loadgroup", default=False) else []
    if not all(item.nodeid.endswith(f"@{_group(item)}") for item in items):
        raise pytest.UsageError("this pytest-xdist does not keep groups together with this pytest")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have tests that share engines beside each other, and what takes long first; else they stay as shuffled."""
    if not IS_SOAK:
        left_out = [item for item in items if item.get_closest_marker("soak") is not None]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    groups: dict[str, int] = {}
    for item in items:
        groups.setdefault(_group(item), len(groups))
    items.sort(key=lambda item: (_rank(item), groups[_group(item)]))


def _group(item: pytest.Item) -> str:
    path = item.path.relative_to(_HERE)
    if path.parts[0] == "destinations" and path.name in _WITH_STORE:
        return "conformance"
    return path.parts[0] if path.parts[0] in _SHARING else str(path)


def _rank(item: pytest.Item) -> int:
    folder = _group(item).partition("/")[0]
    if item.path.name == _LONGEST:
        return 0
    return 1 if folder == _SERVICES else 2 if folder in _SHARING else 3
