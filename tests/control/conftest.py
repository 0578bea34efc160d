"""A stage with short pauses."""

from __future__ import annotations

from pathlib import Path

import pytest

from redoubt.control.modes import valve
from redoubt.control.rounds import auto_restart as restart
from redoubt.control.rounds import orders, round_book
from tests.control.stage import Stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage with short pauses."""
    monkeypatch.setattr(round_book, "_SAVE_PAUSE", 0.01)
    monkeypatch.setattr(orders, "_RETRY_PAUSE", 0.01)
    for name in ("_PAUSE", "_WRITE_PAUSE"):
        monkeypatch.setattr(valve, name, 0.01)
    monkeypatch.setattr(restart, "_PAUSE", 0.01)
    return Stage(tmp_path)
