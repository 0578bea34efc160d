"""The data keys of a folder: who may read them, two that make one at a time, a new master key, and what is lost."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from redoubt.archive.encryption import Key, KeyLostError, KeyMissingError, wrap
from redoubt.archive.folder_keys import FolderKeys, wrapped_key_in
from redoubt.archive.master_keys import FORMER_MASTER_KEYS, MASTER_KEY, PASSWORDS, MasterKeyError, name_sources
from redoubt.model.seams import DestinationError

from .fakes import MemoryDestination, know

FIRST, SECOND = Key(b"1" * 32), Key(b"2" * 32)
FOLDER = "redoubt/1/incarnation_1/1001/clog/3"


@pytest.fixture
def destination() -> MemoryDestination:
    """An empty destination."""
    return MemoryDestination()


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key is known."""
    know(monkeypatch, None)


def test_a_key_for_a_folder(destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once, found by all who know the master key, and named by an object that does not tell it."""
    know(monkeypatch, FIRST)
    key = FolderKeys(destination, FOLDER).for_writing()

    assert FolderKeys(destination, FOLDER).for_writing() == FolderKeys(destination, FOLDER)(key.id) == key
    assert FolderKeys(destination, FOLDER).for_remark() == key
    ((name, data),) = destination.objects.items()
    assert wrapped_key_in(name) == (key.id, FIRST.id)
    assert key.secret.hex().encode() not in data


def test_a_new_master_key(destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes with a key of its own; what the former one wrapped is read as long as the former one is named."""
    know(monkeypatch, FIRST)
    old = FolderKeys(destination, FOLDER).for_writing()
    know(monkeypatch, SECOND, FIRST)
    keys = FolderKeys(destination, FOLDER)
    new = keys.for_writing()

    assert new != old
    assert (keys(old.id), keys(new.id)) == (old, new)

    know(monkeypatch, SECOND)
    with pytest.raises(KeyMissingError, match=rf"{FIRST.id}: none of the keys that are given is this one\. Name"):
        FolderKeys(destination, FOLDER)(old.id)
    FolderKeys(destination, FOLDER).put(wrap(old, SECOND))
    assert FolderKeys(destination, FOLDER)(old.id) == old


def test_no_key(destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says what to do: of a reader and of a writer."""
    know(monkeypatch, FIRST)
    key = FolderKeys(destination, FOLDER).for_writing()
    know(monkeypatch, None)

    with pytest.raises(KeyMissingError, match=rf"{FIRST.id}: no key is given\. Name the source"):
        FolderKeys(destination, FOLDER)(key.id)
    with pytest.raises(KeyMissingError, match="no master key is set: set REDOUBT_MASTER_KEY"):
        FolderKeys(destination, FOLDER).for_writing()


def test_passwords(destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the right one opens the key, whatever master key is known; what to do is said."""
    key = FolderKeys(destination, FOLDER).for_password("correct horse")
    know(monkeypatch, FIRST)

    def opened(*given: str) -> Key:
        return FolderKeys(destination, FOLDER, lambda: given)(key.id)

    assert opened("wrong", "correct horse") == key
    with pytest.raises(KeyMissingError, match="with a password, and no password is given: run SET DECRYPTION"):
        opened()
    with pytest.raises(KeyMissingError, match="the passwords that were given are others"):
        opened("wrong")
    assert b"correct" not in b"".join(destination.objects.values())
    monkeypatch.setenv(PASSWORDS, "wrong\ncorrect horse")
    assert FolderKeys(destination, FOLDER)(key.id) == key
    know(monkeypatch, None)
    with pytest.raises(KeyMissingError, match="no master key is set"):  # a password is for data backups only
        FolderKeys(MemoryDestination(), FOLDER).for_writing()
    keys = FolderKeys(destination, FOLDER, lambda: ["wrong", "correct horse"])
    assert (keys(key.id), keys.password, keys.is_of_password(key.id)) == (key, "correct horse", True)


def test_two_writers_at_a_time(destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither sees the other's key yet, and makes one: both are there, and each is found by its id."""
    know(monkeypatch, FIRST)
    late = MemoryDestination()
    one, other = FolderKeys(destination, FOLDER).for_writing(), FolderKeys(late, FOLDER).for_writing()
    destination.objects |= late.objects

    keys = FolderKeys(destination, FOLDER)

    assert (keys(one.id), keys(other.id)) == (one, other)
    assert keys.for_writing() in {one, other}


def test_lost_keys(destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object with a key that is gone or damaged is told apart from a key that somebody must give."""
    know(monkeypatch, FIRST)
    key = FolderKeys(destination, FOLDER).for_writing()
    ((name, data),) = destination.objects.items()

    destination.objects[name] = data.replace(b'"wrapped": "', b'"wrapped": "00')
    with pytest.raises(KeyLostError, match="is damaged: its checksum does not match"):
        FolderKeys(destination, FOLDER)(key.id)
    del destination.objects[name]
    with pytest.raises(KeyLostError, match="the object with this key is gone"):
        FolderKeys(destination, FOLDER)(key.id)


def test_a_damaged_key_is_no_end(destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """New log is encrypted with another; a second copy of it is used where there is one."""
    know(monkeypatch, FIRST)
    old = FolderKeys(destination, FOLDER).for_writing()
    ((name, data),) = destination.objects.items()
    FolderKeys(destination, FOLDER).put(wrap(old, SECOND))
    destination.objects[name] = data[:-9]
    new = FolderKeys(destination, FOLDER).for_writing()

    assert new != old
    assert FolderKeys(destination, FOLDER)(new.id) == new
    know(monkeypatch, FIRST, SECOND)
    assert FolderKeys(destination, FOLDER)(old.id) == old


def test_a_good_copy_that_needs_another_key(destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is not lost, although the copy beside it is damaged: somebody must give the other key."""
    know(monkeypatch, FIRST)
    key = FolderKeys(destination, FOLDER).for_writing()
    ((name, data),) = destination.objects.items()
    FolderKeys(destination, FOLDER).put(wrap(key, SECOND))
    destination.objects[name] = data[:-9]

    with pytest.raises(KeyMissingError, match="none of the keys that are given is this one") as caught:
        FolderKeys(destination, FOLDER)(key.id)
    assert not isinstance(caught.value, KeyLostError)


def test_a_key_in_anothers_place(destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody encrypts with a key that has no object of its own name."""
    know(monkeypatch, FIRST)
    FolderKeys(destination, FOLDER).for_writing()
    (data,) = destination.objects.values()
    hostile = MemoryDestination({f"{FOLDER}/data_key-{'0' * 16}-{FIRST.id}": data})

    key = FolderKeys(hostile, FOLDER).for_writing()

    assert f"{FOLDER}/data_key-{key.id}-{FIRST.id}" in hostile.objects
    with pytest.raises(KeyLostError, match="it names other keys"):
        FolderKeys(hostile, FOLDER)("0" * 16)


def test_a_source_that_is_gone_stops_no_other(destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right key is found; without it, the message has the source's trouble too."""
    know(monkeypatch, FIRST)
    key = FolderKeys(destination, FOLDER).for_writing()
    monkeypatch.setenv(FORMER_MASTER_KEYS, "file:/nowhere/old.key")
    assert FolderKeys(destination, FOLDER)(key.id) == key

    know(monkeypatch, SECOND)
    monkeypatch.setenv(FORMER_MASTER_KEYS, "file:/nowhere/old.key")
    with pytest.raises(KeyMissingError, match=r"cannot read the master key in /nowhere/old\.key.*none of the keys"):
        FolderKeys(destination, FOLDER)(key.id)


def test_very_many_keys_take_bounded_time(destination: MemoryDestination) -> None:
    """Somebody who can write there puts any number of them in the way of a password."""
    for number in range(200):
        made = wrap(Key.new(), Key(bytes([number]) * 32), bytes(16))
        FolderKeys(destination, FOLDER).put(replace(made, data_key="0" * 16))
    keys = FolderKeys(destination, FOLDER, lambda: ["a password"])
    began = time.monotonic()
    with pytest.raises(KeyMissingError, match="the passwords that were given are others"):
        keys("0" * 16)
    assert time.monotonic() - began < 60


def test_a_failing_destination_makes_no_second_key(
    destination: MemoryDestination, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the answer of the PUT is lost, the next try finds the key that is there."""
    know(monkeypatch, FIRST)

    def lose(_name: str) -> None:
        raise DestinationError("no answer")

    destination.lost_answer = lose
    keys = FolderKeys(destination, FOLDER)
    with pytest.raises(DestinationError, match="no answer"):
        keys.for_writing()
    destination.lost_answer = lambda _name: None

    assert wrapped_key_in(next(iter(destination.objects))) == (keys.for_writing().id, FIRST.id)
    assert len(destination.objects) == 1


def test_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, a variable and a command give the same key, in digits or in base64."""
    file = tmp_path / "key"
    file.write_text(f"{FIRST.secret.hex().upper()}\n")
    file.chmod(0o640)
    monkeypatch.setenv("MY_KEY", "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE=")
    for source in (f"file:{file}", "env:MY_KEY", f"command:cat '{file}'"):
        monkeypatch.setenv(MASTER_KEY, source)
        destination = MemoryDestination()
        key = FolderKeys(destination, FOLDER).for_writing()
        assert [wrapped_key_in(name) for name in destination.objects] == [(key.id, FIRST.id)]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("file:/nowhere/key", "cannot read the master key in /nowhere/key: No such file"),
        ("env:NOT_SET", "the environment variable NOT_SET with the master key is empty: set it"),
        ("command:/nowhere/program", r"\(/nowhere/program\) fails: No such file"),
        ("command:sh -c 'echo denied >&2; exit 3'", r"\(sh\) ends with 3: denied"),
        ("command:false", "ends with 1: no text on its standard error"),
        ("command:true", "gives nothing and no master key: a key is 32 random bytes"),
        ("command:echo 'my secret'", "command:echo gives 9 characters and no master key"),
        ("command:echo '", "cannot be read: No closing quotation"),
        ("command:cat --token=my\\ secret /nowhere", r"\(cat\) ends with 1"),
        ("secret", "write the source of a master key as file:/path"),
    ],
)
def test_bad_sources(source: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says what is wrong, and never what it gave."""
    monkeypatch.setenv(MASTER_KEY, source)
    with pytest.raises(MasterKeyError, match=text) as caught:
        FolderKeys(MemoryDestination(), FOLDER).for_writing()
    assert "my secret" not in str(caught.value)


def test_a_file_that_all_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is no place for a key."""
    file = tmp_path / "key"
    file.write_text(FIRST.secret.hex())
    file.chmod(0o644)
    monkeypatch.setenv(MASTER_KEY, f"file:{file}")
    with pytest.raises(MasterKeyError, match="every user of this machine can reach the master key"):
        FolderKeys(MemoryDestination(), FOLDER).for_writing()


def test_sources_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace those of the environment; without them, the environment's stay."""
    know(monkeypatch, FIRST, SECOND)
    name_sources(None, ())
    destination = MemoryDestination()
    FolderKeys(destination, FOLDER).for_writing()
    name_sources(f"env:KEY_{SECOND.id}", ())
    FolderKeys(destination, FOLDER).for_writing()

    masters = [wrapped_key_in(name) for name in destination.objects]
    assert [each[1] for each in masters if each] == [FIRST.id, SECOND.id]
