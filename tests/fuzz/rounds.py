"""Targets: a round as it lies in a destination: its folder's names, its merged objects, its manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from redoubt.archive.joining import Joined
from redoubt.archive.listing import HoleError, Listing, segments_in_order
from redoubt.archive.manifest import Entry, Manifest, ManifestPiece, dump_manifest, load_manifest
from redoubt.archive.record import RecordError
from redoubt.archive.segment import SegmentError, SegmentHeader, SegmentName, decode_segment, encode_segment
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
from redoubt.model.bases import BASE_FOLDERS
from redoubt.model.seams import ObjectInfo
from tests.archive.fakes import OF, changed

from .palf import in_general
from .segments import sealed_again
from .target import Target

_PIECE = ManifestPiece(
    identity="i",
    cluster="redoubt",
    cluster_id=1,
    tenant_id=1001,
    tenant="main",
    round=3,
    piece=0,
    source="engine-a",
    start_lsn=0,
    end_lsn=9,
    start_scn=1,
    end_scn=2,
    chain_before=None,
    chain_after=7,
    frozen_at=5,
    broken_by="",
)
_SET = dump_set_manifest(
    SetManifest(
        SetSummary(
            SetIdentity("i", "redoubt", 1, 1001, "main", "engine-a", 3, 20261101),
            "e",
            0,
            1,
            9,
            2,
            3,
            4,
            5,
            1,
            "hot",
            9,
            8,
        ),
        (SetPart(1, 100, "ab" * 32),),
        (SetFile("store/file", 100, 0o640, (Extent(10, 5, 1, 0), Extent(30, 4, 1, 50))),),
    )
)
_CODECS = ("none", "lz4_1.0", "zstd_1.3.8")
_SUFFIXES = (".redo", ".lz4", ".zst")
_HEADER = SegmentHeader(OF, start_lsn=0, end_lsn=0, min_scn=1, max_scn=2, chain_before=0, chain_after=0, codec="")


def check_manifest(data: bytes) -> str:
    """A manifest is read as what it says, and written and read again as the same; or it is refused."""
    try:
        manifest = load_manifest(data)
    except RecordError as error:
        return in_general(str(error))[:24]
    assert load_manifest(dump_manifest(manifest)) == manifest
    said = json.loads(data)
    assert [entry.name for entry in manifest.segments] == [entry["name"] for entry in said["segments"]]
    assert manifest.output_bytes == sum(entry["size"] for entry in said["segments"])
    return f"{min(len(manifest.segments), 3)} segments"


def seeds_of_manifests() -> Iterator[tuple[str, bytes]]:
    """Of no, and of two segments; values that are none."""
    name = "00000000000000000000-00000000000000000009.merged.zst"
    text = dump_manifest(Manifest(_PIECE, (Entry(name, 5, "0" * 64), Entry("x", -1, "f" * 64))))
    yield "empty", dump_manifest(Manifest(_PIECE, ()))
    yield "two", text
    yield "two-of-format-1", text.replace(b'"format": 2', b'"format": 1')[: text.rfind(b",")] + b"}"
    for number, (old, new) in enumerate(
        (
            (b'"size": 5', b'"size": 5.0'),
            (b'"size": 5', b'"size": true'),
            (b"0" * 64, b"0" * 64 + b"\\n"),
            (b'"x"', b'"\\ud800"'),
            (b'"segments": [', b'"segments": [' + b"[" * 900 + b"]" * 900 + b","),
            (b'"segments": [', b'"segments": {}, "s": ['),
        )
    ):
        yield f"odd-{number}", sealed_again(text.replace(old, new))


def check_set_manifest(data: bytes) -> str:
    """A data backup's manifest names only files of a base, within bounds, and is written and read again as the same."""
    try:
        manifest = load_set_manifest(data)
    except RecordError as error:
        return in_general(_shown(error))[:24]
    assert load_set_manifest(dump_set_manifest(manifest)) == manifest
    for file in manifest.files:
        assert file.path.partition("/")[0] in BASE_FOLDERS
        assert not {"", ".", ".."} & set(file.path.split("/"))
        assert all(0 < extent.length <= file.size - extent.offset for extent in file.extents)
    assert sum(extent.length for file in manifest.files for extent in file.extents) <= manifest.summary.input_bytes
    return f"{min(len(manifest.files), 3)} files, {min(len(manifest.parts), 3)} parts"


def _shown(error: RecordError) -> str:
    """The text, which has to fit into a message."""
    assert str(error).isprintable()
    assert len(str(error)) < 1000
    return str(error)


def seeds_of_set_manifests() -> Iterator[tuple[str, bytes]]:
    """A sound one; files that no base holds; numbers that cannot be."""
    yield "sound", _SET
    for number, (old, new) in enumerate(
        (
            (b"store/file", b"redoubt/account"),
            (b"store/file", b"../file"),
            (b"store/file", b"store/../../file"),
            (b"store/file", b"/etc/passwd"),
            (b"store/file", b"etc/\\ud800"),
            (b'"input_bytes": 9', b'"input_bytes": 8'),
            (b'"size": 100', b'"size": -1'),
            (b'"number": 1', b'"number": 1' + b"0" * 400),
            (b'"extents": [', b'"extents": [' + b"[" * 900 + b"]" * 900 + b","),
        )
    ):
        yield f"odd-{number}", sealed_again(_SET.replace(old, new))


def check_listing(data: bytes) -> str:
    """A folder's names in any order are one run of log, or a hole; what may go is held by a larger object.

    Input: an object's name a line.
    """
    names = list(dict.fromkeys(data.decode("utf-8", "replace").replace("/", "").split("\n")))
    entries = [ObjectInfo(f"a/b/{name}", len(name)) for name in names]
    listing, turned = _arranged(entries), _arranged(entries[::-1])
    assert (listing is None) == (turned is None)
    if listing is None:
        return "a hole"
    objects = [each.name for each in listing.objects]
    assert all(one.end_lsn == other.start_lsn for one, other in pairwise(objects))
    for each in listing.covered:
        assert any(
            one.is_merged and one.start_lsn <= each.name.start_lsn and each.name.end_lsn <= one.end_lsn
            for one in objects
        )
    parsed = [name for name in map(SegmentName.parse, names) if name]
    assert {*objects, *(each.name for each in listing.covered)} == set(parsed)
    assert all(str(name) in names for name in parsed)
    return f"{min(len(objects), 3)} objects, {min(len(listing.covered), 2)} covered"


def _arranged(entries: list[ObjectInfo]) -> Listing | None:
    try:
        return segments_in_order(entries)
    except HoleError:
        return None


def _name(start: int, end: int, suffix: str = ".zst") -> str:
    return f"{start:020d}-{end:020d}{suffix}"


def seeds_of_listings() -> Iterator[tuple[str, bytes]]:
    """A run, merged ones with and without their parts, holes, overlaps, names that go nowhere or backwards."""
    run = [_name(0, 3), _name(3, 5, ".lz4"), _name(5, 9, ".redo")]
    for number, names in enumerate(
        (
            [*run, "round_info", "single_piece_info", "writer", ""],
            [_name(0, 9, ".merged.zst"), *run],
            [_name(0, 5, ".merged.zst"), *run],
            [_name(0, 5, ".merged.zst"), _name(0, 9, ".merged.zst"), *run[1:], _name(9, 12)],
            [run[0], run[2]],
            [_name(0, 4), *run],
            [_name(0, 5, ".merged.zst"), _name(3, 9)],
            [*run, _name(9, 9), _name(9, 7)],
            [_name(0, 3), _name(0, 3, ".lz4"), _name(0, 3, ".merged.redo")],
        )
    ):
        yield f"names-{number}", "\n".join(names).encode()


def check_joining(data: bytes) -> str:
    """Segments that continue each other are one that decodes to the log of all; others are refused.

    Input: parts of six bytes and their log: codec (1), which field is wrong and how (2), length of the log (1).
    """
    joined, logs, lsn, chain, at = Joined(), list[bytes](), 0, 0, 0
    while at + 4 <= len(data) and len(logs) < 8:
        log = data[at + 4 : at + 4 + data[at + 3]]
        header = replace(
            _HEADER, start_lsn=lsn, end_lsn=lsn + len(log), chain_before=chain, chain_after=chain + 1, codec=_CODECS[0]
        )
        header, is_wrong = _wronged(
            replace(header, codec=_CODECS[data[at] % 3]), data[at + 1] if logs else 0, data[at + 2]
        )
        codec = data[0] % 3
        name = SegmentName(header.start_lsn, header.end_lsn, _SUFFIXES[data[at] % 3])
        try:
            joined.add(name, encode_segment(header, log))
        except SegmentError as error:
            assert is_wrong or data[at] % 3 != codec or not log
            return in_general(str(error))
        assert data[at] % 3 == codec
        assert log
        assert not is_wrong
        logs.append(log)
        lsn, chain, at = header.end_lsn, header.chain_after, at + 4 + len(log)
    if not logs:
        return "nothing"
    header, log = decode_segment(*joined.finish())
    assert log == b"".join(logs)
    return f"{len(logs)} of {header.codec}"


def _wronged(header: SegmentHeader, what: int, how: int) -> tuple[SegmentHeader, bool]:
    """A header that does not continue the one before, in most cases."""
    changes: tuple[dict[str, object], ...] = (
        {},
        {"chain_before": (header.chain_before or 0) + how},
        {"round": header.of.round + how},
        {"source": header.of.source + "x" * min(how, 99)},
        {"start_lsn": header.start_lsn + how, "end_lsn": header.end_lsn + how},
        {"tenant_id": header.of.tenant_id + how},
    )
    wronged = changed(header, **changes[what % len(changes)])
    return wronged, wronged != header


def seeds_of_joining() -> Iterator[tuple[str, bytes]]:
    """Two and three parts of each codec; parts that do not fit."""
    for codec in range(3):
        yield f"two-{codec}", bytes((codec, 0, 0, 3)) + b"abc" + bytes((codec, 0, 0, 2)) + b"de"
        yield f"with-empty-{codec}", bytes((codec, 0, 0, 0)) * 2 + bytes((codec, 0, 0, 1)) + b"x"
        yield f"other-codec-{codec}", bytes((codec, 0, 0, 1)) + b"x" + bytes((codec + 1, 0, 0, 1)) + b"y"
    for what in range(1, 6):
        yield f"wrong-{what}", bytes((1, 0, 0, 1)) + b"x" + bytes((1, what, 1, 1)) + b"y"


_WORDS = (
    *(b'"segments"', b'"sha256"', b'"size"', b"[", b"]", b"{", b"}", b"null", b"-1", b'"', b","),
    *(b"\n", b".merged", b".zst", b".lz4", b".redo", b"0" * 19, _name(9, 12).encode(), b"-"),
)
TARGETS = (
    Target("manifest", check_manifest, seeds_of_manifests, _WORDS, sealed_again, longest=4096, executions=400),
    Target(
        "set-manifest", check_set_manifest, seeds_of_set_manifests, _WORDS, sealed_again, longest=4096, executions=400
    ),
    Target("listing", check_listing, seeds_of_listings, _WORDS, longest=2048, executions=400),
    Target("joining", check_joining, seeds_of_joining, longest=256, executions=300),
)
