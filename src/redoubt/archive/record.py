"""Records as flat JSON objects (whole numbers, text, nothing): what headers and info objects are written as.

A field of a record may be a record itself. What is stored in its place are its own fields: those of a field `of`, which
says whose the object is, by their names; those of another after that field's name, as `end_lsn` and `end_scn` of `end`.

An info object stands alone, so it is sealed: its last field is a checksum of all the text before that field. A header
is not: the segment around it has a checksum of its text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any, ClassVar, Protocol, TypeVar, get_type_hints

import google_crc32c


class Record(Protocol):
    """A frozen dataclass of such fields, one of them `format`: the version of its meaning.

    The default of `format` says how the record is written, and that formats up to this one are read.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def format(self) -> int:
        """The version of the record's meaning."""
        ...


T = TypeVar("T", bound=Record)

FORMAT = 1
"""The version of headers, which are not sealed; info objects of earlier versions have it too."""
INFO_FORMAT = 2
"""The version of info objects, which are sealed."""

_TYPES: dict[Any, tuple[type, ...]] = {int: (int,), str: (str,), int | None: (int, NoneType)}
_ENDS = {b"\n}": b',\n  "crc": "%08x"\n}', b"}": b',"crc":"%08x"}'}
"""How an object's text ends, on several lines or on one, and what a sealed one has instead."""


class RecordError(ValueError):
    """Bytes that are not the record that was expected; the text says in what."""


def dump_record(record: Record, *, indent: int | None = None) -> bytes:
    """The JSON text of a record, on one line unless `indent` is given; sealed if its format is."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(stored_fields(record), indent=indent, separators=separators).encode()
    return seal(text) if record.format == INFO_FORMAT else text


def load_record(kind: type[T], text: bytes) -> T:
    """The record in `text`. Raises RecordError. See `record_of`."""
    return record_of(kind, unseal(text, kind.__dataclass_fields__["format"].default))


def record_of(kind: type[T], values: dict[str, Any]) -> T:
    """The record whose fields are among the `values` that `unseal` found. Raises RecordError.

    Fields that a later version added are passed over; those that an earlier one lacked have their default. `format` is
    always the kind's own: what was read is what this version understands by it.
    """
    return kind(**dict(_known(kind, values)))


def stored_fields(record: Any) -> dict[str, Any]:
    """The fields of a record, or of one in it, by the names under which they are stored."""
    found: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            found |= {_prefix(field.name) + name: inner for name, inner in stored_fields(value).items()}
        else:
            found[field.name] = value
    return found


def _known(kind: Any, values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The arguments of a record, or of one in it. Raises RecordError."""
    hints = _hints(kind)
    for field in fields(kind):
        name, hint = prefix + field.name, hints[field.name]
        if isinstance(hint, type) and is_dataclass(hint):
            yield field.name, hint(**dict(_known(hint, values, prefix + _prefix(field.name))))
        elif field.name != "format" and (name in values or prefix or field.default is MISSING):
            value = values.get(name)
            if type(value) not in _TYPES[hint] or name not in values:
                raise RecordError(f"{name!r} is {value!r}")
            yield field.name, value


def _prefix(name: str) -> str:
    return "" if name == "of" else f"{name}_"


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def seal(text: bytes) -> bytes:
    """The text of a JSON object with a last field `crc` added: the CRC-32C of the text before that field.

    The object must have fields, `format` among them with the value INFO_FORMAT, and none called `crc`.
    """
    end = b"\n}" if text.endswith(b"\n}") else b"}"
    body = text.removesuffix(end)
    return body + _ENDS[end] % int(google_crc32c.value(body))


def unseal(text: bytes, newest: int = INFO_FORMAT) -> dict[str, Any]:
    """The fields of the JSON object in `text`, which has a format up to `newest`. Raises RecordError.

    An object that should be sealed, or says that it is, is refused unless its checksum is that of its bytes.
    """
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise RecordError("not a JSON object")
    version = values.get("format")
    if type(version) is not int:
        raise RecordError(f"'format' is {version!r}")
    if not FORMAT <= version <= newest:
        reads = "format 1" if newest == FORMAT else f"formats 1 to {newest}"
        raise RecordError(f"format {version}; this version reads {reads}")
    if (version == INFO_FORMAT or "crc" in values) and not _is_sealed(text):
        raise RecordError("its checksum does not match")
    return values


def _is_sealed(text: bytes) -> bool:
    """Whether the text is, to the last byte, what `seal` makes of the text before its last field."""
    at = text.rfind(b",")
    return any(text == seal(text[: max(at, 0)] + end) for end in _ENDS)
