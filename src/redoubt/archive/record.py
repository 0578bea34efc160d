"""Records as flat JSON objects of integers, strings and nulls: the form of headers and info objects.

A field of a record may be a record itself; its fields are stored in its place. The fields of `of` (the owner of the
object) keep their names. The fields of any other record get that field's name as a prefix, such as `end_lsn` and
`end_scn` of `end`.

Every field is checked when a record is decoded. Whoever can write into a destination can also seal what he writes.
Numbers are from 0 to 2^63 - 1. A text is a name: printable, and not long. A text of type `Prose` is for people: it is
made printable and cut. A text of type `Lines` may be long and have line breaks.

An info object is sealed: its last field is a checksum of the text before that field. A header is not sealed, because
the segment has a checksum of the header's text.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Annotated, Any, ClassVar, Protocol, TypeVar, get_type_hints

import google_crc32c

from redoubt.printable import printable


class Record(Protocol):
    """A frozen dataclass of such fields, one of them `format`: the version of the record.

    The default of `format` is the version that is written, and the newest version that is read.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def format(self) -> int:
        """The version of the record."""
        ...


T = TypeVar("T", bound=Record)

FORMAT = 1
"""The version of headers, which are not sealed, and of info objects of earlier releases."""
INFO_FORMAT = 2
"""The version of info objects, which are sealed."""

LONGEST_NAME = 255
"""The most characters of a name: of a cluster, a tenant, an engine, a codec, a machine."""
LARGEST_NUMBER = 2**63 - 1
Prose = Annotated[str, "prose"]
"""A cause or a statement. Decoding makes the text printable, and cuts the text."""
Hex = Annotated[str, "hex"]
"""At most 256 hexadecimal digits in pairs, lower case. A field that is empty by default is stored only if it is not."""
Lines = Annotated[str, "lines"]
"""A text of any length, with line breaks. Make parts of the text printable before they enter a message."""

_TYPES: dict[Any, tuple[type, ...]] = {
    int: (int,),
    str: (str,),
    int | None: (int, NoneType),
    Prose: (str,),
    Hex: (str,),
    Lines: (str,),
}
_HEX = re.compile(r"[0-9a-f]*\Z")
_LONGEST_HEX = 256
_MANY = 10_000
_LEAST_OF_A_LIST = 16
"""The fewest bytes of a large text for each of its lists and objects; an empty list takes 20 times its text."""
_ENDS = {b"\n}": b',\n  "crc": "%08x"\n}', b"}": b',"crc":"%08x"}'}
"""The end of an object's text, on several lines or on one line, and the end of the sealed text."""


class RecordError(ValueError):
    """The bytes are not the expected record; the text says why."""


def dump_record(record: Record, *, indent: int | None = None) -> bytes:
    """The JSON text of a record, on one line unless `indent` is given; sealed if the record's format is INFO_FORMAT."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(stored_fields(record), indent=indent, separators=separators).encode()
    return seal(text) if record.format == INFO_FORMAT else text


def load_record(kind: type[T], text: bytes) -> T:
    """The record in `text`. Raises RecordError. See `record_of`."""
    return record_of(kind, unseal(text, kind.__dataclass_fields__["format"].default))


def record_of(kind: type[T], values: dict[str, Any]) -> T:
    """The record with the fields in `values`, which `unseal` returned. Raises RecordError.

    Unknown fields of later versions are ignored. Fields that earlier versions lack get their default. `format` is
    always the default of `kind`, because the record is read as this version understands it.
    """
    return kind(**dict(_known(kind, values)))


def stored_fields(record: Any) -> dict[str, Any]:
    """The fields of a record, or of a record in it, by their stored names."""
    found: dict[str, Any] = {}
    hints = _hints(record.__class__)
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            found |= {_prefix(field.name) + name: inner for name, inner in stored_fields(value).items()}
        elif value or hints[field.name] is not Hex:
            found[field.name] = value
    return found


def _known(kind: Any, values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The arguments of a record, or of a record in it. Raises RecordError."""
    hints = _hints(kind)
    for field in fields(kind):
        name, hint = prefix + field.name, hints[field.name]
        if isinstance(hint, type) and is_dataclass(hint):
            yield field.name, hint(**dict(_known(hint, values, prefix + _prefix(field.name))))
        elif field.name != "format" and (name in values or prefix or field.default is MISSING):
            value = values.get(name)
            if type(value) not in _TYPES[hint] or name not in values:
                raise RecordError(f"invalid value: {name!r} is {shown(value)}")
            yield field.name, _checked(name, value, hint)


def _prefix(name: str) -> str:
    return "" if name == "of" else f"{name}_"


def _checked(name: str, value: Any, hint: Any) -> Any:
    """The value of a field that has the right type. Raises RecordError if no writer could have written the value."""
    if hint is Prose:
        return printable(value)
    if hint is Hex and (len(value) > _LONGEST_HEX or len(value) % 2 or not _HEX.match(value)):
        raise RecordError(f"invalid value: {name!r} is {shown(value)}")
    if hint is str and (len(value) > LONGEST_NAME or not value.isprintable()):
        raise RecordError(f"invalid value: {name!r} is {shown(value)}")
    if isinstance(value, int) and not 0 <= value <= LARGEST_NUMBER:
        raise RecordError(f"invalid value: {name!r} is {shown(value)}")
    return value


def shown(value: Any) -> str:
    """A decoded value for a message: escaped, and cut at any depth."""
    return printable(reprlib.repr(value))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def seal(text: bytes) -> bytes:
    """The text of a JSON object with an added last field `crc`: the CRC-32C of the text before that field.

    The object must have a field `format` with the value INFO_FORMAT, and no field `crc`.
    """
    end = b"\n}" if text.endswith(b"\n}") else b"}"
    body = text.removesuffix(end)
    return body + _ENDS[end] % int(google_crc32c.value(body))


def unseal(text: bytes, newest: int = INFO_FORMAT) -> dict[str, Any]:
    """The fields of the JSON object in `text`, whose format must be at most `newest`. Raises RecordError.

    An object that must be sealed, or has a field `crc`, is refused unless its checksum matches.
    """
    if text.count(b"[") + text.count(b"{") > max(_MANY, len(text) // _LEAST_OF_A_LIST):
        raise RecordError("not JSON: it has too many lists for its length")
    try:
        values: Any = json.loads(text, object_pairs_hook=_without_doubles if newest == FORMAT else None)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise RecordError("not a JSON object")
    version = values.get("format")
    if type(version) is not int:
        raise RecordError(f"invalid value: 'format' is {shown(version)}")
    if not FORMAT <= version <= newest:
        reads = "format 1" if newest == FORMAT else f"formats 1 to {newest}"
        raise RecordError(f"unsupported format {shown(version)}; this version reads {reads}")
    if (version == INFO_FORMAT or "crc" in values) and not _is_sealed(text):
        raise RecordError("its checksum does not match")
    return values


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of a header. Raises ValueError if one is there twice: only the first may be authenticated."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is there twice")
    return found


def _is_sealed(text: bytes) -> bool:
    """Whether the text equals, byte by byte, the sealed text of the fields before its last field."""
    at = text.rfind(b",")
    return any(text == seal(text[: max(at, 0)] + end) for end in _ENDS)
