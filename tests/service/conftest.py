"""Services for tests: one that a module's tests share, and fresh ones for tests that break things."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.cluster import ServiceUnderTest
from tests.service.disks import StallingDisk


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A fresh service that has been started."""
    fresh = ServiceUnderTest(tmp_path, is_new=_is_new(request))
    fresh.start()
    yield fresh
    fresh.close()


@pytest.fixture
def hasty_service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A fresh service that does not wait for long for the end of a round."""
    config = tmp_path / "hasty.toml"
    config.write_text("[archive]\nstop_patience = 2.0\n")
    fresh = ServiceUnderTest(tmp_path)
    fresh.start("--config", str(config))
    yield fresh
    fresh.close()


@pytest.fixture
def stopped_service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A fresh service that has not been started yet."""
    fresh = ServiceUnderTest(tmp_path, is_new=_is_new(request))
    yield fresh
    fresh.close()


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """A service for a module's tests, each of which leaves it in STOP with root's password empty."""
    shared = ServiceUnderTest(tmp_path_factory.mktemp("shared"))
    shared.start()
    yield shared
    shared.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def stalling_disk(tmp_path: Path) -> Iterator[StallingDisk]:
    """A file system that can be made to give no answer, as a network file system whose server is gone."""
    disk = StallingDisk(tmp_path)
    yield disk
    disk.close()


def _is_new(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("new_engines") is not None
