"""Keys of object stores in statements: taken out, proven, kept, and never quoted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from redoubt.control import destination_keys as module
from redoubt.control.destination_keys import DestinationKeys
from redoubt.destinations.access import Access, AccessFile
from redoubt.gateway.own_statements import _masked
from redoubt.model.seams import DestinationError, ObjectInfo
from redoubt.sql.errors import SqlError
from redoubt.sql.parser import parse
from redoubt.sql.statements import AddRestoreSource, ChangeDestinationAccess, RestoreStandby, RestoreTenant

URI = "s3://bucket/a?host=s3.example.com"
OLD, NEW, READER = Access("old", "old-key"), Access("new", "new-key"), Access("reader", "reader-key")


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> set[Access]:
    """The keys that the store takes; the reader's may not write."""
    found = {OLD, NEW, READER}

    class Store:
        """In place of `ObjectStoreDestination`."""

        def __init__(self, _uri: str, _place: object, access_to: object) -> None:
            self._access = access_to("")  # type: ignore[operator]

        def list(self, _prefix: str) -> Iterator[ObjectInfo]:
            """With keys that are accepted."""
            if self._access not in found:
                raise DestinationError("refused")
            return iter(())

        def probe(self) -> None:
            """With keys that may write."""
            if self._access not in found - {READER}:
                raise DestinationError("may not write")

    monkeypatch.setattr(module, "ObjectStoreDestination", Store)
    return found


@pytest.fixture
def file(tmp_path: Path, accepted: set[Access]) -> AccessFile:
    """The file, with keys of the destination."""
    kept = AccessFile(tmp_path / "access.json")
    kept.remember(URI, OLD)
    return kept


def _with(access: Access, uri: str = URI) -> str:
    return f"{uri}&access_id={access.access_id}&access_key={access.access_key}"


def _without(file: AccessFile, text: str) -> str:
    return asyncio.run(DestinationKeys(file).without(text))


def test_the_keys_of_a_destination_must_be_able_to_write(file: AccessFile) -> None:
    """Then they replace the former ones. In a LOCATION too, and in any order of the URI's parts."""
    with pytest.raises(SqlError, match="may not write"):
        _without(file, _with(READER))
    assert file.of(URI) == OLD
    assert _without(file, f"LOCATION={_with(NEW)} BINDING=Optional") == f"LOCATION={URI} BINDING=Optional"
    assert file.of(URI) == NEW
    assert _without(file, "S3://bucket/a/?access_key=old-key&host=HTTPS://S3.example.com&access_id=old") == URI
    assert file.of(URI) == OLD


def test_a_restore_does_not_replace_keys_that_work(file: AccessFile, accepted: set[Access]) -> None:
    """A round may be archiving with them. Keys that do not work any more are replaced."""
    restore = parse(f"ALTER SYSTEM RESTORE t FROM main AT '{_with(READER)}' UNTIL '2026-01-01'")
    source = parse(f"ALTER SYSTEM ADD RESTORE SOURCE '{_with(READER, URI.replace('a?', 'a/c/1/incarnation_1/1001?'))}'")
    standby = parse(f"ALTER SYSTEM RESTORE t FROM '{_with(READER)}, {_with(READER)}' WITH 'pool_list=p'")
    for statement in (restore, source, standby):
        taken = asyncio.run(DestinationKeys(file).taken_from(statement))  # type: ignore[arg-type]  # it is one
        assert isinstance(taken, RestoreTenant | AddRestoreSource | RestoreStandby)
        assert not isinstance(taken, RestoreStandby) or taken.uris == f"{URI},{URI}"
        assert "reader" not in repr(taken)
        assert file.of(URI) == OLD
    accepted.discard(OLD)
    asyncio.run(DestinationKeys(file).taken_from(source))  # type: ignore[arg-type]
    assert file.of(URI) == READER


@pytest.mark.parametrize(
    "text",
    [
        f"{URI} &access_id=AK&access_key=SECRET",
        "s3:/bucket?host=h&access_key=SECRET",
        "s3//bucket?access_key = SECRET",
        "LOCATION=s3//b?host=h&ACCESS_KEY=SECRET BINDING=Optional",
    ],
)
def test_a_key_in_the_wrong_place_is_refused_unquoted(file: AccessFile, text: str) -> None:
    """Neither the answer nor the log has it."""
    with pytest.raises(SqlError, match="the text holds keys outside of the URI") as refused:
        _without(file, text)

    assert "SECRET" not in refused.value.message
    assert "SECRET" not in _masked(f"SetParameters(assignments=(Assignment(name='x', value='{text}')))")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (ChangeDestinationAccess(f"{URI} ", "access_id=a&access_key=b"), "only object stores have keys"),
        (ChangeDestinationAccess("file:///a", "access_id=a&access_key=b"), "only object stores have keys"),
        (ChangeDestinationAccess(URI, "access_id=a"), "write ACCESS_INFO="),
        (ChangeDestinationAccess(URI, "access_id=a&access_id=b"), "write ACCESS_INFO="),
        (ChangeDestinationAccess(URI, "access_id=a&access_key=b", "max_iops=1"), "ATTRIBUTE"),
    ],
)
def test_a_change_that_would_do_nothing_is_refused(
    file: AccessFile, statement: ChangeDestinationAccess, said: str
) -> None:
    """No answer says OK for it."""
    with pytest.raises(SqlError, match=said):
        asyncio.run(DestinationKeys(file).change(statement))
    assert file.of(URI) == OLD


def test_a_change_is_in_effect(file: AccessFile) -> None:
    """Under any spelling of the destination."""
    path = "s3://bucket/a?host=s3.example.com:443&s3_region=us-east-1"
    change = ChangeDestinationAccess(path, "access_key=new-key&access_id=new")
    asyncio.run(DestinationKeys(file).change(change))

    assert file.of(URI) == NEW
