"""Services for tests: one that tests share, one after another, and fresh ones for tests that break things."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.cluster import QUICK, ServiceUnderTest
from tests.service.disks import StallingDisk
from tests.service.lending import lent

MASTER_KEY_FILE = "master.key"
"""Beside the home of the shared service: the key that encrypts its archives when a test wants it."""


@pytest.fixture
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A fresh service that has been started.

    Own service: whoever takes it says why.
    """
    fresh = ServiceUnderTest(tmp_path, is_new=_is_new(request))
    fresh.start()
    yield fresh
    fresh.close()


@pytest.fixture
def hasty_service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A fresh service that waits two seconds for the end of a round.

    Own service: whoever takes it says why.
    """
    fresh = ServiceUnderTest(tmp_path, "[archive]\nstop_patience = 2.0\n")
    fresh.start()
    yield fresh
    fresh.close()


@pytest.fixture
def stopped_service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A fresh service that has not been started yet.

    Own service: whoever takes it says why.
    """
    fresh = ServiceUnderTest(tmp_path, is_new=_is_new(request))
    yield fresh
    fresh.close()


@pytest.fixture(scope="session")
def running_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """The one service of this process for all tests that neither kill nor restart one.

    Own service: for all tests of this process that neither kill nor restart nor configure one.
    """
    folder = tmp_path_factory.mktemp("s")
    (folder / MASTER_KEY_FILE).touch(0o600)
    (folder / MASTER_KEY_FILE).write_text("ab" * 32)
    encryption = f'[encryption]\nmaster_key = "file:{folder / MASTER_KEY_FILE}"\n'
    running = ServiceUnderTest(folder, QUICK + encryption)
    running.start()
    yield running
    running.close()


@pytest.fixture
def shared_service(running_service: ServiceUnderTest, tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """The service that tests share, with a destination and rounds of the test's own; left in STOP, and as it was."""
    with lent(running_service, tmp_path / "lent") as service:
        yield service


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
