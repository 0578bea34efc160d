"""The log's lines: text as it is, whatever the text."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from redoubt.logs import log_to


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """What the test changes is as it was afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_has_the_text_as_it_is(tmp_path: Path) -> None:
    """In any language; what is no text is written as escapes, and no line is lost for that."""
    path = tmp_path / "redoubt.log"
    log_to(path)
    structlog.get_logger("redoubt.test").info("hello", directory="/数据/резерв", name="\udcff", text="two\nlines")
    (line,) = path.read_text(encoding="utf-8").splitlines()

    assert '"/数据/резерв"' in line
    assert r'"\udcff"' in line
    assert r'"two\nlines"' in line
