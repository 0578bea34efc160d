"""Services for tests: one that a module's tests share, and fresh ones for tests that break things."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.cluster import ServiceUnderTest


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A fresh service that has been started."""
    fresh = ServiceUnderTest(tmp_path)
    fresh.start()
    yield fresh
    fresh.close()


@pytest.fixture
def stopped_service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A fresh service that has not been started yet."""
    fresh = ServiceUnderTest(tmp_path)
    yield fresh
    fresh.close()


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """A service for a module's tests, each of which leaves it in STOP with root's password empty."""
    shared = ServiceUnderTest(tmp_path_factory.mktemp("shared"))
    shared.start()
    yield shared
    shared.close()
