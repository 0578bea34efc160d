"""Targets: the objects of a destination. Behind their checksums anything may stand: who can write there can sign it."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import google_crc32c
import zstandard
from lz4 import frame as lz4_frame

from redoubt.archive.layout import ClusterInfo, HoleInfo, Interruption, PieceInfo
from redoubt.archive.record import FORMAT, Record, RecordError, dump_record, load_record, seal, stored_fields, unseal
from redoubt.archive.segment import SegmentError, SegmentHeader, SegmentName, decode_header, decode_segment

from .mutation import edited
from .palf import in_general
from .target import Target

_FOLDER = Path(__file__).parents[1] / "archive" / "golden"
GOLDEN = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.is_file()}
MARK = b"REDOUBT\x01"
_HEAD = struct.Struct("<8sII")
_FRAME = struct.Struct("<II")
_SKIPPED = _FRAME.pack(0x184D2A51, 3) + b"xyz"
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {"zst": zstandard.compress, "lz4": lz4_frame.compress}
_RECORDS: tuple[type[Record], ...] = (SegmentHeader, PieceInfo, ClusterInfo, Interruption, HoleInfo)
_MOST_MEMORY = 4 * 1024 * 1024
"""Bytes that a refusal of the small inputs used here may take, beside the log that a sound header says is there."""


class TooMuchMemoryError(AssertionError):
    """A refusal took more memory than what was refused can justify."""


def _named(data: bytes) -> tuple[str, bytes]:
    """An input is an object's name, a line feed, and its bytes."""
    name, _, content = data.partition(b"\n")
    return name.decode("utf-8", "replace"), content


def check_segment(data: bytes) -> str:
    """A segment decodes to a log of the size that its name says, always to the same, or is refused."""
    text, content = _named(data)
    name = SegmentName.parse(text)
    if name is None:
        return "no segment's name"
    assert str(name) == text
    header = _header(name, content)
    tracemalloc.start()
    try:
        found, log = decode_segment(name, content)
    except SegmentError as error:
        range_of_name = max(name.end_lsn - name.start_lsn, 0) if header else 0
        if tracemalloc.get_traced_memory()[1] > _MOST_MEMORY + 2 * range_of_name:
            raise TooMuchMemoryError(str(error)) from error
        return in_general(str(error))[:40]
    finally:
        tracemalloc.stop()
    assert found == header
    assert len(log) == name.end_lsn - name.start_lsn == header.end_lsn - header.start_lsn
    assert google_crc32c.value(log) == header.log_crc
    return f"sound {name.suffix}"


def _header(name: SegmentName, content: bytes) -> SegmentHeader | None:
    try:
        return decode_header(name, content)
    except SegmentError:
        return None


def fix_segment(data: bytes) -> bytes:
    """The header's CRC, its length and the stored bytes' CRC made right, and the name that the header says."""
    name, separator, content = data.partition(b"\n")
    at = content.rfind(MARK) if name.endswith(b".redo") else content.find(MARK)
    if at < 0 or at + _HEAD.size > len(content):
        return data
    if name.endswith(b".redo"):
        start = content.rfind(b'{"', 0, at)
        text, stored = content[max(start, 0) : at], content[: max(start, 0)]
        text = _signed(text, stored)
        return name + separator + stored + text + _HEAD.pack(MARK, len(text), google_crc32c.value(text))
    end = content.find(b"}", at) + 1
    text, stored = content[at + _HEAD.size : end], content[end:]
    text = _signed(text, stored)
    head = _HEAD.pack(MARK, len(text), google_crc32c.value(text))
    return b"".join((name, separator, _FRAME.pack(0x184D2A50, _HEAD.size + len(text)), head, text, stored))


def _signed(text: bytes, stored: bytes) -> bytes:
    """The header's text with the CRC of the bytes as they are stored."""
    try:
        values = json.loads(text)
        values["stored_crc"] = google_crc32c.value(stored)
        if values["codec"] == "none":
            values["log_crc"] = values["stored_crc"]
        return json.dumps(values, separators=(",", ":")).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return text


def _object(name: str, content: bytes) -> bytes:
    return name.encode() + b"\n" + content


def _with_header(name: str, stored: bytes | None = None, *, mark: str = "", **changes: object) -> bytes:
    """The golden segment of a name with other values in its header, and signed."""
    content = GOLDEN[name]
    start = content.rfind(b'{"')
    end = content.find(b"}", start) + 1
    values = json.loads(content[start:end]) | changes
    new_name = f"{values['start_lsn']:020d}-{values['end_lsn']:020d}{mark}{Path(name).suffix}"
    rest = content[end:] if stored is None or name.endswith(".redo") else stored
    before = content[:start] if stored is None or not name.endswith(".redo") else stored
    text = json.dumps(values, separators=(",", ":")).encode()
    return fix_segment(_object(new_name, before + text + rest))


def seeds_of_segments() -> Iterator[tuple[str, bytes]]:
    """The golden ones; names and sizes that cannot be; frames that claim to be huge."""
    for name, content in GOLDEN.items():
        kind = Path(name).suffix[1:]
        start = int(name[:20])
        yield f"golden-{kind}", _object(name, content)
        yield f"backwards-{kind}", _with_header(name, end_lsn=start - 2)
        yield f"empty-{kind}", _with_header(name, end_lsn=start)
        yield f"largest-{kind}", _with_header(name, start_lsn=0, end_lsn=10**20 - 1)
        yield f"huge-{kind}", _with_header(name, start_lsn=0, end_lsn=2**62)
        yield f"trailing-{kind}", fix_segment(_object(name, content + b"more"))
        yield f"other-name-{kind}", _object(name[:19] + "9" + name[20:], content)
        yield f"negative-{kind}", _with_header(name, chain_after=-1, chain_before=10**30, max_scn=-5)
    zst, lz4 = (next(name for name in GOLDEN if name.endswith(suffix)) for suffix in (".zst", ".lz4"))
    for name in (zst, lz4):
        kind, end = Path(name).suffix[1:], int(name[:20]) + 5
        parts = [_COMPRESS[kind](part) for part in (b"ab", b"", b"cde")]
        crc = google_crc32c.value(b"abcde")
        yield f"merged-{kind}", _with_header(name, b"".join(parts), mark=".merged", end_lsn=end, log_crc=crc)
        yield f"merged-cut-{kind}", _with_header(name, b"".join(parts)[:-3], mark=".merged", end_lsn=end, log_crc=crc)
        yield f"merged-skips-{kind}", _with_header(name, parts[0] + _SKIPPED + parts[2], mark=".merged", log_crc=crc)
    yield "no-frame", _with_header(zst, stored=b"")
    for bits in (28, 34, 45, 60, 63):
        claims = bytes.fromhex("28b52ffde4") + (1 << bits).to_bytes(8, "little") + b"\1\0\0" + bytes(4)
        yield f"claims-2-{bits}-zst", _with_header(zst, stored=claims)
    unsized = bytes.fromhex("28b52ffd0458010000")
    for bits in (40, 62):
        yield f"unsized-2-{bits}-zst", _with_header(zst, stored=unsized, start_lsn=0, end_lsn=1 << bits)
    yield "unsized-backwards-zst", _with_header(zst, stored=unsized, start_lsn=9, end_lsn=7)
    yield "bomb-lz4", _with_header(lz4, stored=bytes(lz4_frame.compress(bytes(6 * 1024 * 1024))))
    yield "bomb-zst", _with_header(zst, stored=zstandard.compress(bytes(64 * 1024 * 1024)))


def check_changed_segment(data: bytes) -> str:
    """Of a golden segment that was changed anywhere, nothing is accepted: every byte is covered.

    Input: which (1), the edits. The name is not changed: it is the destination's, and the header repeats it.
    """
    if not data:
        return "too short"
    name, content = list(GOLDEN.items())[data[0] % len(GOLDEN)]
    changed = edited(content, data[1:])
    parsed = SegmentName.parse(name)
    assert parsed
    try:
        decode_segment(parsed, changed)
    except SegmentError as error:
        assert changed != content
        return in_general(str(error))[:40]
    assert changed == content
    return "unchanged"


def seeds_of_changes() -> Iterator[tuple[str, bytes]]:
    """No edit, and one of each kind, of each segment."""
    for which in range(len(GOLDEN)):
        yield f"{which}-none", bytes((which,))
        for kind in range(7):
            yield f"{which}-kind-{kind}", bytes((which, kind, 0, 0x01, 60, 0, 40, 1, 7))


_DEFAULTS = {"start_chain": None, "log_crc": 0, "stored_crc": 0, "engine_kind": "seekdb"}
"""What a field is that is not there."""


def check_record(data: bytes) -> str:
    """A record is read as what it says, and written and read again as the same; or it is refused.

    Input: which record (1), its text.
    """
    if not data:
        return "too short"
    kind = _RECORDS[data[0] % len(_RECORDS)]
    try:
        record = load_record(kind, data[1:])
    except RecordError as error:
        return in_general(_bounded(str(error), 4096 + 8 * len(data)))[:24]
    assert load_record(kind, dump_record(record)) == record == load_record(kind, dump_record(record, indent=2))
    said = json.loads(data[1:])
    assert FORMAT <= said["format"] <= record.format
    known = stored_fields(record) | {"format": said["format"]}
    assert all(said.get(name, _DEFAULTS.get(name)) == value for name, value in known.items())
    return f"a {kind.__name__} of format {said['format']}"


def fix_record(data: bytes) -> bytes:
    """The text sealed again, if it was."""
    return data[:1] + sealed_again(data[1:])


def sealed_again(text: bytes) -> bytes:
    """With the checksum of the text before the last field, if that field is a checksum."""
    body, _, rest = text.rpartition(b",")
    if b'"crc"' not in rest:
        return text
    return seal(body + (b"\n}" if rest.endswith(b"\n}") else b"}"))


def check_changed_record(data: bytes) -> str:
    """Of an info object that was changed anywhere, nothing is accepted: every byte is covered.

    Input: which (1), one edit: more of them could make an object of format 1, which has no checksum.
    """
    if not data:
        return "too short"
    text = _INFOS[data[0] % len(_INFOS)]
    changed = edited(text, data[1:])
    try:
        unseal(changed)
    except RecordError as error:
        assert changed != text
        return in_general(str(error))[:24]
    assert changed == text
    return "unchanged"


def seeds_of_changed_records() -> Iterator[tuple[str, bytes]]:
    """No edit, and one of each kind, of each object."""
    for which in range(len(_INFOS)):
        yield f"{which}-none", bytes((which,))
        for kind in range(7):
            yield f"{which}-kind-{kind}", bytes((which, kind, 0, 0x01, 60, 0, 40, 1, 7))


def _bounded(message: str, longest: int) -> str:
    assert len(message) < longest
    return message


def seeds_of_records() -> Iterator[tuple[str, bytes]]:
    """One of each kind; values that JSON has and records have not; text that is hard on a parser."""
    header = next(iter(GOLDEN.values()))
    start = header.rfind(b'{"')
    yield "header", b"\0" + header[start : header.find(b"}", start) + 1]
    for number, (name, text) in enumerate(zip(_NAMES, _INFOS, strict=True), 1):
        yield name, bytes((number,)) + text
        yield f"{name}-of-format-1", bytes((number,)) + _of_format_1(text)
    text = _of_format_1(dump_record(ClusterInfo("redoubt", 1, "i")))
    for name, value in {
        "float": b"1.0",
        "infinite": b"1e999",
        "not-a-number": b"NaN",
        "true": b"true",
        "long": b"1" * 5000,
        "negative": b"-1",
        "nothing": b"null",
        "deep": b"[" * 900 + b"]" * 900,
        "deeper": b"[" * 100_000,
    }.items():
        yield f"id-{name}", b"\2" + text.replace(b'"cluster_id":1', b'"cluster_id":' + value)
    yield "surrogate", b"\2" + text.replace(b'"i"', b'"\\ud800"')
    yield "utf-16", b"\2" + text.decode().encode("utf-16")
    yield "latin", b"\2" + text.replace(b'"i"', b'"\xe9"')
    yield "double", b"\2" + text[:-1] + b',"format":1,"format":1}'
    yield "other-format", b"\2" + text.replace(b'"format":1', b'"format":2')
    yield "more", b"\2" + text[:-1] + b',"later":{"a":[1]}}'


def _of_format_1(text: bytes) -> bytes:
    """As an earlier version wrote it."""
    values = json.loads(text) | {"format": 1}
    del values["crc"]
    return json.dumps(values, separators=(",", ":")).encode()


_NAMES = ("round-info", "cluster-info", "interruption", "hole-info")
_INFOS = tuple(
    dump_record(record, indent=2)
    for record in (
        PieceInfo("i", 1001, "main", "engine-a", 3, 0, 67104768, 1700000000000000001),
        ClusterInfo("redoubt", 1, "i"),
        Interruption(1001, 3, "engine-a", 9, 2, 5, "cause"),
        HoleInfo(1001, 4, 3, 9, 2, 20, 5, 0, "cause"),
    )
)
_JSON = (
    b"{",
    b"}",
    b"[",
    b'"',
    b":",
    b",",
    b"null",
    b"1e9",
    b"-",
    b"\\u0000",
    b'"format":1',
    b'"format":2',
    b'"codec":"none"',
)
_FRAMES = (
    MARK,
    bytes.fromhex("28b52ffd"),
    bytes.fromhex("04224d18"),
    bytes.fromhex("502a4d18"),
    b".redo\n",
    b".zst\n",
    b".merged",
    _SKIPPED,
)
TARGETS = (
    Target("segment", check_segment, seeds_of_segments, _JSON + _FRAMES, fix_segment, executions=300),
    Target("segment-changed", check_changed_segment, seeds_of_changes, longest=64, executions=300),
    Target("record", check_record, seeds_of_records, _JSON, fix_record, executions=600),
    Target("record-changed", check_changed_record, seeds_of_changed_records, longest=9, executions=300),
)
