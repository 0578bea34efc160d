"""A new master key in the place of a former one: everything is readable with it alone, and nothing is lost halfway."""

from __future__ import annotations

import pytest

from redoubt.archive.encryption import Key
from redoubt.archive.folder_keys import FolderKeys, wrapped_key_in
from redoubt.archive.rewrapping import rewrap
from redoubt.cli.rewrap_keys import rewrap_keys
from redoubt.model.seams import DestinationError
from tests.verify.small import SmallArchive, verify

from .fakes import MemoryDestination, know

OLD, NEW = Key(b"o" * 32), Key(b"n" * 32)


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> MemoryDestination:
    """An archive that is encrypted with the old key; both keys are known."""
    know(monkeypatch, OLD)
    destination = SmallArchive(encrypts=True).destination
    know(monkeypatch, NEW, OLD)
    return destination


def masters(destination: MemoryDestination) -> set[str]:
    """The master keys that wrap anything."""
    return {ids[1] for name in destination.objects if (ids := wrapped_key_in(name))}


def test_the_new_key_alone_is_enough(archive: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of log and sets; a second time there is nothing to do."""
    others = {name: data for name, data in archive.objects.items() if not wrapped_key_in(name)}
    done = list(rewrap(archive, NEW))
    again = list(rewrap(archive, NEW))
    know(monkeypatch, NEW)
    report = verify(archive)

    assert sum(each.again for each in done) == len(done) == 6
    assert [(each.again, each.before) for each in again] == [(0, 1)] * 6
    assert masters(archive) == {NEW.id}
    assert (report.is_sound, report.tally.objects_opaque) == (True, 0)
    assert others.items() <= archive.objects.items()


def test_the_key_of_a_password_stays(archive: MemoryDestination) -> None:
    """Nobody knows the password here."""
    folder = next(name for name in archive.objects if "/data/" in name).rpartition("/")[0]
    key = FolderKeys(archive, folder).for_password("a password")
    list(rewrap(archive, NEW))

    assert FolderKeys(archive, folder, lambda: ["a password"])(key.id) == key


@pytest.mark.parametrize("operation", ["put", "get", "delete"])
def test_a_failure_anywhere_loses_nothing(
    archive: MemoryDestination, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder's failure stops no other; each of the keys is there all the time, and a second run does the rest."""
    count = 0

    def fail(what: str, name: str) -> None:
        nonlocal count
        if what == operation and wrapped_key_in(name):
            count += 1
            if count == 2:
                raise DestinationError("no answer")

    archive.failing = fail
    done = list(rewrap(archive, NEW))
    archive.failing = lambda _what, _name: None

    assert [each.problem for each in done if each.problem] == ["no answer"]
    assert verify(archive).tally.objects_opaque == 0
    assert not any(each.problem for each in rewrap(archive, NEW))
    know(monkeypatch, NEW)
    assert verify(archive).tally.objects_opaque == 0


def test_a_key_that_cannot_be_read_is_named(archive: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays as it is."""
    know(monkeypatch, NEW)
    before = dict(archive.objects)
    done = list(rewrap(archive, NEW))

    assert all(f"its master key is {OLD.id}" in each.problem for each in done)
    assert archive.objects == before


def test_the_command(
    archive: MemoryDestination, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Says what was done; what failed; and what is missing."""
    monkeypatch.setattr("redoubt.cli.rewrap_keys.open_destination", lambda _uri: archive)
    know(monkeypatch, None)
    assert rewrap_keys("file:///x") == 1
    assert "no master key is set" in capsys.readouterr().err
    know(monkeypatch, NEW)
    assert rewrap_keys("file:///x") == 1
    assert "6 folders still need a former key" in capsys.readouterr().err
    know(monkeypatch, NEW, OLD)
    assert rewrap_keys("file:///x") == 0
    assert f"6 data keys are wrapped with the master key {NEW.id} now; 0 were before" in capsys.readouterr().out
