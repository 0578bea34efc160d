"""The registry of engine kinds: what is built in, what plug-ins bring, and what is not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from redoubt.engines import registry
from redoubt.engines.registry import engine_kind
from redoubt.engines.seekdb.kind import SEEKDB_KIND
from redoubt.model.engine_kind import UnknownEngineKindError
from tests.double import PLUGIN


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The plug-in with the double is installed."""
    monkeypatch.syspath_prepend(PLUGIN)
    registry.engine_kind.cache_clear()
    yield
    registry.engine_kind.cache_clear()


def test_seekdb_is_built_in() -> None:
    """Under its name."""
    assert engine_kind("seekdb") is SEEKDB_KIND
    assert SEEKDB_KIND.name == "seekdb"


def test_a_plug_in_brings_a_kind(plugin: None) -> None:
    """By an entry point of the kind's name; seekdb stays what it is."""
    assert engine_kind("double").name == "double"
    assert engine_kind("seekdb") is SEEKDB_KIND


def test_a_kind_that_is_not_there_is_named(plugin: None) -> None:
    """With those that are, and what to do."""
    with pytest.raises(
        UnknownEngineKindError, match=r"'tripled' is not installed \(installed: broken, double, seekdb\)"
    ):
        engine_kind("tripled")


def test_a_kind_that_cannot_be_imported_is_named(plugin: None) -> None:
    """With the cause."""
    with pytest.raises(
        UnknownEngineKindError, match=r"cannot import the engine kind 'broken' from tests\.double\.nothing:NOTHING: No"
    ):
        engine_kind("broken")


@pytest.mark.parametrize("start", ["import redoubt.cli.main", "import redoubt.engines.registry"])
def test_no_kind_is_imported_before_it_is_asked_for(start: str) -> None:
    """So that `redoubt --help` is quick."""
    code = f"import sys; {start}; print([name for name in sys.modules if name.startswith('redoubt.engines.seekdb')])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout == "[]\n"
