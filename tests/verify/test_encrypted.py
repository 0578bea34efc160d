"""An encrypted archive: verified with its key as any other, without it as far as that goes; a lost key is damage."""

from __future__ import annotations

import pytest

from redoubt.archive.encryption import Key, wrap
from redoubt.archive.folder_keys import FolderKeys, wrapped_key_in
from redoubt.archive.inventory import TenantPath, take_inventory
from redoubt.verify.verified_objects import VerifiedObjects
from tests.archive.fakes import MemoryDestination, know

from .small import CLUSTER, FIRST, SET, TENANT, SmallArchive, flips, verify

MASTER = Key(b"m" * 32)


@pytest.fixture
def encrypted(monkeypatch: pytest.MonkeyPatch) -> SmallArchive:
    """The small archive, encrypted; its master key is known."""
    know(monkeypatch, MASTER)
    return SmallArchive(encrypts=True)


def test_an_encrypted_archive_is_sound(encrypted: SmallArchive) -> None:
    """Nothing in it is unknown, and it can be restored as the other one can."""
    report, plain = verify(encrypted.destination), verify(SmallArchive().destination)

    assert [(each.name, each.problem) for each in report.all_findings] == [
        (each.name, each.problem) for each in plain.all_findings
    ]
    assert report.is_sound
    assert report.tally.objects_opaque == 0
    assert report.tenants[0].windows == plain.tenants[0].windows


def test_keys_are_known_again(encrypted: SmallArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verified twice, they are there twice; a new master key may take the place of another, but one must be there."""
    destination, verified = encrypted.copy(), VerifiedObjects()
    assert verify(destination, verified).is_sound
    assert verify(destination, VerifiedObjects.of(verified)).is_sound
    (name,) = (name for name in destination.objects if f"/{FIRST}/data_key-" in name)
    keys, new = FolderKeys(destination, name.rpartition("/")[0]), Key(b"n" * 32)
    ids = wrapped_key_in(name)
    assert ids is not None
    keys.put(wrap(keys(ids[0]), new))
    del destination.objects[name]
    know(monkeypatch, new, MASTER)

    assert verify(destination, VerifiedObjects.of(verified)).is_sound


@pytest.mark.parametrize("folder", [str(FIRST), str(SET)])
@pytest.mark.parametrize("place", ["empty", "another's"])
def test_what_was_sound_is_lost_with_its_key(
    encrypted: SmallArchive, folder: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the objects were verified before, and are not read again: gone, or another key in its place."""
    destination, verified = encrypted.copy(), VerifiedObjects()
    assert verify(destination, verified).is_sound
    (name,) = (name for name in destination.objects if f"/{folder}/data_key-" in name)
    other = next(name for name in destination.objects if "/data_key-" in name and f"/{folder}/" not in name)
    data = destination.objects.pop(name)
    if place != "empty":
        destination.objects[name] = destination.objects[other]
    for known in (MASTER, None):
        know(monkeypatch, known)
        report = verify(destination, VerifiedObjects.of(verified))
        assert [each for each in report.damage if each.losses or each.cost]
    destination.objects[name] = data
    assert verify(destination, VerifiedObjects.of(verified)).is_sound


def test_a_part_that_is_gone_is_missed(encrypted: SmallArchive) -> None:
    """Also if it was verified before."""
    destination, verified = encrypted.copy(), VerifiedObjects()
    assert verify(destination, verified).is_sound
    name = next(name for name in destination.objects if f"/{SET}/part_" in name)
    del destination.objects[name]

    assert [(each.name, each.problem) for each in verify(destination, VerifiedObjects.of(verified)).damage] == [
        (name, "missing")
    ]


def test_without_the_key(encrypted: SmallArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored is checked, and what could not be checked is counted, and read again when the key is there."""
    know(monkeypatch, Key(b"o" * 32))
    verified = VerifiedObjects()
    report = verify(encrypted.destination, verified)

    assert report.is_sound
    assert report.tally.objects_opaque == 10
    know(monkeypatch, MASTER)
    again = verify(encrypted.destination, VerifiedObjects.of(verified))
    assert (again.tally.objects_opaque, again.tally.objects_skipped) == (0, 0)


def test_planning_needs_no_key(encrypted: SmallArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which moments there are is read from what stays readable."""
    inventory = take_inventory(encrypted.destination, TenantPath(CLUSTER, TENANT, "main"))
    know(monkeypatch, None)

    there = take_inventory(encrypted.destination, TenantPath(CLUSTER, TENANT, "main"))

    assert there.runs == inventory.runs
    assert not there.damage


@pytest.mark.parametrize("folder", [str(FIRST), str(SET)])
def test_a_lost_data_key_is_damage(encrypted: SmallArchive, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its object, all that is encrypted with it is lost; the master key does not matter."""
    for known in (MASTER, None):
        destination = encrypted.copy()
        (key,) = (name for name in destination.objects if f"/{folder}" in name and wrapped_key_in(name))
        del destination.objects[key]
        know(monkeypatch, known)
        report = verify(destination)

        assert report.damage
        assert all(each.name.startswith(key.rpartition("/")[0]) for each in report.damage)
        assert all("the object with this key is gone" in each.problem for each in report.damage)


def test_each_flipped_bit_is_found(encrypted: SmallArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key wherever it is; without, as well: the checksums are of what is stored."""
    objects = encrypted.destination.objects
    for known in (MASTER, None):
        know(monkeypatch, known)
        for name, at, data in flips(objects, 61):
            report = verify(MemoryDestination(objects | {name: data}))
            assert name in {each.name for each in report.damage}, (name, at, known)
