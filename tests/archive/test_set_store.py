"""Sets in a destination: claimed once, complete with their manifest, refused when damaged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redoubt.archive.layout import ClusterPath
from redoubt.archive.part import PartHeader, encode_part
from redoubt.archive.record import dump_record, seal
from redoubt.archive.set_layout import SetIdentity, SetInfo, set_path
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError
from redoubt.model.bases import SetKey
from redoubt.model.seams import ObjectMissingError

from .fakes import MemoryDestination
from .test_set_manifest import MANIFEST

INFO = SetInfo(SetIdentity("id", "redoubt", 1, 1001, "main", "engine-a", 3, 20261101), 5)
HEADER = PartHeader("redoubt", 1, 1001, "engine-a", 3, 1)


@pytest.fixture
def store() -> SetStore:
    """A set that is claimed."""
    claimed = SetStore(MemoryDestination(), set_path(ClusterPath("redoubt", 1), 1001, SetKey(3, 20261101)))
    claimed.claim(INFO)
    return claimed


def objects(store: SetStore) -> dict[str, bytes]:
    """What the destination has."""
    assert isinstance(store.destination, MemoryDestination)
    return store.destination.objects


def test_a_set_lies_where_oceanbase_puts_it(store: SetStore) -> None:
    """Claim, part, manifest, lock and the rest in one folder."""
    folder = "redoubt/1/incarnation_1/1001/data/backup_set_3_full_20261101"
    path = store.path

    assert objects(store).keys() == {f"{folder}/backup_set_info"}
    assert path.part(12) == f"{folder}/part_00000012.zst"
    assert (path.manifest, path.lock) == (f"{folder}/single_backup_set_info", f"{folder}/writer")
    assert (path.deletion, path.fingerprint) == (f"{folder}/deletion", f"{folder}/fingerprint")
    assert SetKey.parse(folder.rpartition("/")[2]) == SetKey(3, 20261101)


def test_a_set_is_claimed_and_completed_once(store: SetStore) -> None:
    """What is there already is an error, and stays."""
    assert store.info() == INFO
    with pytest.raises(ArchiveError, match="never overwritten"):
        store.claim(INFO)
    assert store.manifest() is None
    store.put_manifest(MANIFEST)
    assert store.manifest() == MANIFEST
    with pytest.raises(ArchiveError, match="exists already"):
        store.put_manifest(MANIFEST)


def test_a_part_that_is_not_what_was_stored_is_refused(store: SetStore) -> None:
    """Another, a shorter, a longer one, none, and one with the right digest that is not the part it should be."""
    part = store.put_part(1, encode_part(HEADER, b"content"))
    assert store.read_part(part)[1] == b"content"
    name, data = store.path.part(1), objects(store)[store.path.part(1)]
    for damaged in (encode_part(HEADER, b"another"), data[:-1], data + b"\0"):
        objects(store)[name] = damaged
        with pytest.raises(ArchiveError, match="its size or SHA-256 differs from the manifest"):
            store.read_part(part)
    store.remove_part(1)
    with pytest.raises(ArchiveError, match="is missing"):
        store.read_part(part)

    other = store.put_part(2, data)
    with pytest.raises(ArchiveError, match="its header names part_00000001"):
        store.read_part(other)
    with pytest.raises(ArchiveError, match="is damaged: too short: 7 bytes"):
        store.read_part(store.put_part(3, b"garbage"))


def test_damage_is_told_with_its_place(store: SetStore) -> None:
    """Of a claim and of a manifest."""
    objects(store)[store.path.manifest] = b"{"
    objects(store)[store.path.info] = b"[]"
    with pytest.raises(ArchiveError, match=r"single_backup_set_info is damaged \(not JSON"):
        store.manifest()
    with pytest.raises(ArchiveError, match=r"backup_set_info is damaged \(not a JSON object"):
        store.info()


def test_a_fingerprint_is_there_or_not(store: SetStore) -> None:
    """A set is good without."""
    with pytest.raises(ObjectMissingError):
        store.remark(store.path.fingerprint)
    store.put_remark(store.path.fingerprint, text := seal(b'{"format":2}'))
    assert store.remark(store.path.fingerprint) == text


def test_a_set_of_ours_that_is_not_complete_can_be_given_up(store: SetStore) -> None:
    """Nothing of it stays; one that is complete, another's, or damaged stays as it is."""
    store.put_part(1, encode_part(HEADER, b"content"))
    before = dict(objects(store))
    store.give_up(replace(INFO, began_at=6))
    assert objects(store) == before
    store.put_manifest(MANIFEST)
    store.give_up(INFO)
    assert len(objects(store)) == len(before) + 1
    del objects(store)[store.path.manifest]
    store.give_up(INFO)
    assert objects(store) == {}
    store.give_up(INFO)


def test_the_text_of_a_claim_is_pinned() -> None:
    """What other versions read and write."""
    whose = b'{"identity":"id","cluster":"redoubt","cluster_id":1,"tenant_id":1001,"tenant":"main","source":"engine-a"'

    assert dump_record(INFO).startswith(
        whose + b',"set_id":3,"create_date":20261101,"engine_kind":"seekdb","began_at":5,"format":2,"crc":'
    )
