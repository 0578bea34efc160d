"""The S3 server of a process's tests, and a folder in a bucket for each test."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from redoubt.destinations.access import ACCESS_ID, ACCESS_KEY
from tests.destinations import azurite_server
from tests.destinations import rgw as server
from tests.destinations.azurite_server import Azurite
from tests.destinations.rgw import Rgw

BUCKET = "archive"


@pytest.fixture(scope="session")
def rgw() -> Iterator[Rgw]:
    """The one S3 server of this process."""
    folder = Path(tempfile.mkdtemp(prefix="rgw-"))
    running = Rgw(folder / "c")
    try:
        running.start()
        running.make_bucket(BUCKET)
        yield running
    finally:
        running.close()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """The one Azure server of this process."""
    running = Azurite()
    running.make_container(BUCKET)
    yield running
    running.close()


@pytest.fixture
def container_uri(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a folder that no other test has; the keys are in the environment."""
    monkeypatch.setenv(ACCESS_ID, azurite_server.ACCOUNT)
    monkeypatch.setenv(ACCESS_KEY, azurite_server.KEY)
    return azurite.uri(BUCKET, f"tests/{uuid.uuid4().hex}")


@pytest.fixture
def bucket_uri(rgw: Rgw, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of a folder that no other test has; the keys are in the environment."""
    monkeypatch.setenv(ACCESS_ID, server.ACCESS_ID)
    monkeypatch.setenv(ACCESS_KEY, server.ACCESS_KEY)
    return rgw.uri(BUCKET, f"tests/{uuid.uuid4().hex}")
