"""Manifests of data backups: what was written is read, and nothing that could do harm."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.part import MAX_LENGTH, MAX_SIZE
from redoubt.archive.record import RecordError, seal
from redoubt.archive.set_layout import SetIdentity
from redoubt.archive.set_manifest import (
    Extent,
    SetFile,
    SetManifest,
    SetPart,
    SetSummary,
    dump_set_manifest,
    load_set_manifest,
)
from redoubt.model.bases import Base, SetKey

from .fakes import NAMES

SUMMARY = SetSummary(
    SetIdentity("id", "redoubt", 1, 1001, "main", "engine-a", set_id=3, create_date=20261101),
    engine="seekdb 1.4",
    start_lsn=0,
    start_scn=2,
    snapshot_lsn=900,
    snapshot_scn=90,
    began_at=5,
    completed_at=95,
    pause_us=20_000,
    passes=2,
    method="hot",
    input_bytes=30,
    output_bytes=20,
)
PART = SetPart(1, 100, "ab" * 32)
FILE = SetFile("store/file", 100, 0o640, (Extent(10, 20, 1, 0), Extent(30, 5, 1, 50)))
MANIFEST = SetManifest(SUMMARY, (PART,), (FILE,))

PATHS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=10)


@st.composite
def manifests(draw: st.DrawFn) -> SetManifest:
    """Any that a backup could write."""
    parts = tuple(
        SetPart(number, draw(st.integers(0, MAX_SIZE)), "0" * 64) for number in range(1, draw(st.integers(1, 4)))
    )
    folders = draw(st.lists(PATHS, unique=True, max_size=3))
    files = []
    for name in draw(st.lists(PATHS, unique=True, max_size=4)):
        extents, end = [], 0
        for _ in range(draw(st.integers(0, 3)) if parts else 0):
            offset, length = end + draw(st.integers(0, 2**40)), draw(st.integers(1, 10**6))
            place = draw(st.integers(0, MAX_LENGTH - length))
            extents.append(Extent(offset, length, draw(st.sampled_from(parts)).number, place))
            end = offset + length
        path = "/".join(["store"] + ["d" + folder for folder in folders] + ["f" + name])
        files.append(SetFile(path, end + draw(st.integers(0, 2**40)), draw(st.integers(0, 0o777)), tuple(extents)))
    of = replace(SUMMARY.of, tenant=draw(NAMES))
    held = sum(extent.length for file in files for extent in file.extents)
    return SetManifest(replace(SUMMARY, of=of, input_bytes=held), parts, tuple(files))


@given(manifest=manifests())
def test_a_manifest_survives_the_round_trip(manifest: SetManifest) -> None:
    """Every field."""
    assert load_set_manifest(dump_set_manifest(manifest)) == manifest


def test_a_manifest_says_where_a_restore_begins() -> None:
    """The set as a base."""
    assert SUMMARY.base == Base(SetKey(3, 20261101), "engine-a", 0, 900, 90)


def fields_of(manifest: SetManifest) -> dict[str, Any]:
    """What a manifest's text says, without its seal."""
    values: dict[str, Any] = json.loads(dump_set_manifest(manifest))
    del values["crc"]
    return values


def sealed(values: object) -> bytes:
    """The text with these fields, and the seal that it has to have."""
    text = json.dumps(values, indent=2).encode()
    return seal(text) if isinstance(values, dict) else text


def with_file(**fields: object) -> dict[str, Any]:
    """The manifest's fields, with a file that is not as it should be."""
    values = fields_of(MANIFEST)
    values["files"][0] |= fields
    return values


def with_part(**fields: object) -> dict[str, Any]:
    """The manifest's fields, with a part that is not as it should be."""
    values = fields_of(MANIFEST)
    values["parts"][0] |= fields
    return values


def twice(name: str, **fields: object) -> dict[str, Any]:
    """The manifest's fields, with a second file or part."""
    values = fields_of(MANIFEST)
    values[name].append(values[name][0] | fields)
    return values


@pytest.mark.parametrize(
    "path",
    [
        *("", "/etc/passwd", "../file", "store/../../file", "store//file", "./file", "store/", "store/.", "."),
        *("store/a\0b", "store", "etc", "file", "redoubt/account", "redoubt/parameters_before", "run/seekdb.pid"),
        *("etc/../redoubt/account", "store/" + "a/" * 3000 + "a", "store/\ud800", "Store/file", "store\\file"),
    ],
)
def test_a_path_that_no_base_has_is_refused(path: str) -> None:
    """Outside the directory, in our own folder and the engine's, or written in another way than there is."""
    with pytest.raises(RecordError, match="not inside etc or store"):
        load_set_manifest(sealed(with_file(path=path)))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (with_file(extents=[[10, 20, 1, 0], [29, 5, 1, 50]]), "the one before ends at 30"),
        (with_file(extents=[[10, 20, 1, 0], [0, 5, 1, 50]]), "the one before ends at 30"),
        (with_file(extents=[[10, 0, 1, 0]]), "'extents' is"),
        (with_file(extents=[[81, 20, 1, 0]]), "reaches past a file's 100 bytes"),
        (with_file(extents=[[0, 20, 1, MAX_LENGTH - 19]]), "no part is that long"),
        (with_file(extents=[[0, 20, 2, 0]]), "does not list part 2"),
        (with_file(extents=[[0, -1, 1, 0]]), "'extents' is"),
        (with_file(extents=[[0, 1, 1]]), "'extents' is"),
        (with_file(extents=[[0, 1, 1, True]]), "'extents' is"),
        (with_file(extents=[7]), "'extents' is 7"),
        (with_file(extents={}), "'extents' is {}"),
        (with_file(size=-1, extents=[]), "has size -1"),
        (with_file(size=2**63), "has size"),
        (with_file(mode=0o4777), "and mode"),
        (with_file(mode="rw"), "'mode' is 'rw'"),
        (with_part(sha256="ab"), "one of 'parts'"),
        (with_part(number=0), "one of 'parts'"),
        (with_part(size=MAX_SIZE + 1), "one of 'parts'"),
        (with_part(size=1.0), "'size' is 1.0"),
        (with_file(extents=[[0, 1, 1, 2**63]]), "'extents' is"),
        (with_part(number=2**63), "one of 'parts'"),
        (fields_of(MANIFEST) | {"input_bytes": 24}, "'input_bytes' is 24, but the files hold 25 bytes"),
        (twice("files"), "lists a file twice"),
        (twice("files", path="store/file/below/it"), "as a file and as a folder"),
        (twice("files", path="store/file/below"), "'store/file' as a file and as a folder"),
        (twice("parts"), "lists a part twice"),
        (with_file() | {"files": [1]}, "'path' is None"),
        (with_file() | {"parts": None}, "'parts' is None"),
        (with_file() | {"format": 3}, "format 3"),
        ([], "not a JSON object"),
    ],
)
def test_what_cannot_be_is_refused(values: object, why: str) -> None:
    """With the reason."""
    with pytest.raises(RecordError, match=why):
        load_set_manifest(sealed(values))
