"""The record of what was verified: kept, shared, aged, and never believed when it is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from redoubt.verify.verified_objects import VerifiedObject, VerifiedObjects
from tests.archive.fakes import header_of

SOUND = VerifiedObject(7, "a" * 64, 100, header_of(b"log"), 0)
PART = VerifiedObject(9, "b" * 64, 50, None, 20)


def test_the_record_is_kept(tmp_path: Path) -> None:
    """With headers and sizes; what is another size, or was read too long ago, is to be read."""
    path = tmp_path / "cache" / "state"
    first = VerifiedObjects(path)
    first.put("a/segment", SOUND)
    first.put("a/part", PART)
    first.save()
    again, strict = VerifiedObjects(path), VerifiedObjects(path, read_since=60)

    assert again.known("a/segment", 7) == SOUND
    assert again.last_seen("a") == {"segment": SOUND, "part": PART}
    assert again.known("a/segment", 8) is None
    assert strict.known("a/part", 9) is None
    assert strict.known("a/segment", 7) == SOUND


def test_two_at_once_do_not_hurt_each_other(tmp_path: Path) -> None:
    """What either has read is on record; the later reading counts; what one found gone is gone."""
    path = tmp_path / "state"
    old = VerifiedObjects(path)
    old.put("gone", SOUND)
    old.save()
    one, other = VerifiedObjects(path), VerifiedObjects(path)
    one.put("a", SOUND)
    one.put("both", replace(SOUND, at=300))
    other.put("b", PART)
    other.put("both", replace(SOUND, at=200))
    other.forget("gone")
    one.save()
    other.save()
    kept = VerifiedObjects(path)

    assert (kept.known("a", 7), kept.known("b", 9), kept.known("gone", 7)) == (SOUND, PART, None)
    assert kept.known("both", 7) == replace(SOUND, at=300)


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"format":2}', b'{"format":1,"objects":7}', b'{"format":1,"objects":{"a":{}}}']
)
def test_a_record_that_is_none_counts_as_empty(tmp_path: Path, text: bytes) -> None:
    """Everything is read again then."""
    path = tmp_path / "state"
    path.write_bytes(text)

    assert VerifiedObjects(path).known("a", 7) is None


def test_without_a_file_nothing_is_kept() -> None:
    """As for the tests, and for who has no place for it."""
    VerifiedObjects().save()
