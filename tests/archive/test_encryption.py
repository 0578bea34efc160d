"""Encrypted objects: what was encrypted comes back, nothing changed does, and the header stays readable."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.codec import CODECS
from redoubt.archive.encryption import (
    DecryptionError,
    Key,
    KeyMissingError,
    decrypt_text,
    encrypt_text,
    unwrap,
    wrap,
)
from redoubt.archive.framing import head_first, split_head_first
from redoubt.archive.joining import Joined
from redoubt.archive.part import PartError, PartHeader, check_part, decode_part, encode_part
from redoubt.archive.record import RecordError, dump_record, seal
from redoubt.archive.segment import (
    SegmentError,
    SegmentHeader,
    SegmentName,
    check_stored,
    decode_header,
    decode_segment,
    encode_segment,
    suffix_of,
)

from .fakes import header_of, random_log
from .test_joining import chain_of

KEY, OTHER = Key(bytes(range(32))), Key(bytes(range(1, 33)))
KEYS = {KEY.id: KEY, OTHER.id: OTHER}.__getitem__
PART = PartHeader("redoubt", 1, 1001, "engine-a", 7, 3)


def named(header: SegmentHeader, key: Key | None) -> SegmentName:
    """The name of a segment."""
    return SegmentName(header.start_lsn, header.end_lsn, suffix_of(header.codec, key))


@given(st.binary(min_size=1, max_size=3000), st.sampled_from(list(CODECS)))
def test_an_encrypted_segment_is_its_log(log: bytes, codec: str) -> None:
    """The header is readable without a key, the log only with it; the same segment is the same bytes again."""
    header = header_of(log, codec)
    name, data = named(header, KEY), encode_segment(header, log, KEY)

    assert SegmentName.parse(str(name)) == name
    assert decode_segment(name, data, KEYS)[1] == log
    assert decode_header(name, data) == check_stored(name, data)
    assert data == encode_segment(header, log, KEY)
    assert data != encode_segment(header, log, OTHER)
    with pytest.raises(KeyMissingError, match=KEY.id):
        decode_segment(name, data)


def test_nothing_of_the_log_is_readable() -> None:
    """Whatever the codec: neither in the log's own form nor compressed."""
    log = b"a secret that everybody would like to read" * 20
    for codec in CODECS:
        data = encode_segment(header_of(log, codec), log, KEY)
        assert b"secret" not in data
        assert CODECS[codec].encode(log) not in data


@pytest.mark.parametrize("codec", CODECS)
def test_every_changed_bit_is_noticed(codec: str) -> None:
    """Also where the checksums were made to match: of the header up to them, and of what is encrypted."""
    log = random_log(60)
    header = header_of(log, codec)
    name, data = named(header, KEY), encode_segment(header, log, KEY)
    for at in range(len(data)):
        for bit in (1, 128):
            flipped = bytearray(data)
            flipped[at] ^= bit
            with pytest.raises(SegmentError):
                decode_segment(name, bytes(flipped), KEYS)


def test_a_forger_without_the_key() -> None:
    """Who writes a valid header around an encrypted log, with another range, owner or order, is refused."""
    log = random_log(60)
    header = header_of(log, "lz4_1.0")
    data = encode_segment(header, log, KEY)
    stored = data[data.index(b'"format":1}') + len(b'"format":1}') :]
    true = check_stored(named(header, KEY), data)
    for forged in (replace(true, max_scn=true.max_scn + 1), replace(true, of=replace(true.of, source="engine-b"))):
        again = _framed(forged, stored)
        assert check_stored(named(header, KEY), again) == forged
        with pytest.raises(SegmentError, match="cannot be decrypted"):
            decode_segment(named(header, KEY), again, KEYS)


def test_no_field_is_added_behind_what_is_authenticated() -> None:
    """A field that is there twice counts as the last one; so none may be."""
    log = random_log(60)
    header = header_of(log, "lz4_1.0")
    name, data = named(header, KEY), encode_segment(header, log, KEY)
    part = encode_part(PART, log, KEY)
    for more in (b'"max_scn":1', b'"source":"engine-b"', b'"chain_before":123', b'"number":4', b'"set_id":8'):
        with pytest.raises(SegmentError, match="a field is there twice"):
            decode_segment(name, _with_more(data, more), KEYS)
        with pytest.raises(PartError, match="a field is there twice"):
            decode_part(_with_more(part, more), KEYS)


def _with_more(data: bytes, more: bytes) -> bytes:
    """An object with another field at the end of its header; if that has none of that name, it is a new one."""
    text, stored = split_head_first(data)
    if more.partition(b":")[0] not in text:
        more = b'"start_lsn":1,"start_lsn":2' if b'"start_lsn"' in text else b'"length":1'
    return head_first(text[:-1] + b"," + more + b"}", stored)


def _framed(header: SegmentHeader, stored: bytes) -> bytes:
    return head_first(dump_record(header), stored)


def test_equal_logs_of_two_places_share_no_nonce() -> None:
    """Whatever differs in header or log gives another nonce: the range, the codec, one byte."""
    log = random_log(60)
    headers = [header_of(log, "none"), header_of(log, "lz4_1.0"), header_of(log, "none", 500)]
    objects = [(each, log) for each in headers] + [(headers[0], log[:-1] + b"x")]
    nonces = [decode_header(named(each, KEY), encode_segment(each, text, KEY)).nonce for each, text in objects]

    assert len(set(nonces)) == 4


def test_a_plain_segment_is_as_before() -> None:
    """No byte of its header tells of encryption, and its name is no encrypted one's."""
    log = random_log(60)
    header = header_of(log, "zstd_1.3.8")
    data = encode_segment(header, log)

    assert b"data_key" not in data
    assert b"nonce" not in data
    with pytest.raises(SegmentError, match="names codec zstd"):
        decode_segment(named(header, KEY), data, KEYS)
    with pytest.raises(SegmentError, match="and a data key"):
        decode_segment(named(header, None), encode_segment(header, log, KEY), KEYS)


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=300), st.sampled_from([KEY, OTHER])), min_size=1, max_size=6))
def test_merged_segments(parts: list[tuple[bytes, Key]]) -> None:
    """Their parts may have several keys; the merged one has the last, and the same log."""
    joined = Joined(KEYS)
    for (header, log), (_, key) in zip(chain_of([log for log, _ in parts], "lz4_1.0"), parts, strict=True):
        joined.add(named(header, key), encode_segment(header, log, key))
    name, data = joined.finish()

    assert name.suffix == ".lz4.aes"
    assert decode_header(name, data).data_key == parts[-1][1].id
    assert decode_segment(name, data, KEYS)[1] == b"".join(log for log, _ in parts)


def test_parts() -> None:
    """As segments; each changed bit is noticed here too."""
    content = random_log(100)
    data = encode_part(PART, content, KEY)

    assert decode_part(data, KEYS)[1] == content
    assert check_part(data).length == 100
    assert b"data_key" not in encode_part(PART, content)
    with pytest.raises(KeyMissingError):
        decode_part(data)
    authenticated = data.index(b',"stored_crc"')
    for at in (*range(authenticated), *range(data.index(b'"format":1}') + 11, len(data))):
        flipped = bytearray(data)
        flipped[at] ^= 1
        with pytest.raises(PartError):
            decode_part(bytes(flipped), KEYS)


def test_wrapped_keys() -> None:
    """A data key comes out with its master key only, and in its own name only."""
    wrapped = wrap(KEY, OTHER)

    assert wrapped == wrap(KEY, OTHER)
    assert unwrap(wrapped, OTHER) == KEY
    assert KEY.secret.hex() not in dump_record(wrapped).decode()
    for broken in (
        replace(wrapped, data_key=OTHER.id),
        replace(wrapped, wrapped=wrapped.wrapped[:-2] + "00"),
        replace(wrapped, nonce=""),
        replace(wrapped, cipher="ROT13"),
    ):
        with pytest.raises(DecryptionError):
            unwrap(broken, OTHER)
    with pytest.raises(DecryptionError):
        unwrap(wrapped, KEY)


def test_encrypted_texts() -> None:
    """An info object comes back under its own name only; one that is not encrypted stays as it is."""
    text = seal(b'{"tables":"t1 5 rows","format":2}')
    data = encrypt_text(KEY, "fingerprint", text)

    assert b"t1" not in data
    assert decrypt_text(KEYS, "fingerprint", data) == text
    assert decrypt_text(KEYS, "fingerprint", text) == text
    for name, other in (("drill_1", data), ("fingerprint", data.replace(b'"content": "', b'"content": "AA'))):
        with pytest.raises(RecordError):
            decrypt_text(KEYS, name, other)


def test_a_key_does_not_show() -> None:
    """Neither in its text form nor in that of what holds it."""
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr([KEY])


def test_openssl_reads_it() -> None:
    """docs/FORMAT.md says how to get the log back with openssl and lz4 alone, from the master key on."""
    log = random_log(500)
    header = header_of(log, "lz4_1.0")
    wrapped, data = wrap(KEY, OTHER), encode_segment(header, log, KEY)
    parsed = decode_header(named(header, KEY), data)

    secret = _openssl(OTHER.secret, wrapped.nonce, bytes.fromhex(wrapped.wrapped)[:-16])
    stored = data[8 + int.from_bytes(data[4:8], "little") :]
    frame = _openssl(secret, parsed.nonce, stored[:-16])

    assert secret == KEY.secret
    assert subprocess.run([_tool("lz4"), "-dc"], input=frame, capture_output=True, check=True).stdout == log


def _openssl(key: bytes, nonce: str, encrypted: bytes) -> bytes:
    """GCM without its check is counter mode, which counts from 2."""
    command = [_tool("openssl"), "enc", "-d", "-aes-256-ctr", "-K", key.hex(), "-iv", f"{nonce}00000002"]
    return subprocess.run(command, input=encrypted, capture_output=True, check=True).stdout


def _tool(name: str) -> str:
    found = shutil.which(name)
    assert found, f"install {name}"
    return found
