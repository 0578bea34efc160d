"""One real engine for the conformance tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.seekdb.running import Seekdb, running_seekdb


@pytest.fixture(scope="package")
def seekdb() -> Iterator[Seekdb]:
    """A running engine with some log.

    Own engine: for all tests of the folder.
    """
    with running_seekdb() as seekdb:
        seekdb.write_rows(100, 1000)
        yield seekdb
