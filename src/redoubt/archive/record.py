"""Flat records (whole numbers, text, nothing) as JSON: what headers and info objects are written as."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields
from types import NoneType
from typing import Any, ClassVar, Protocol, TypeVar


class Record(Protocol):
    """A frozen dataclass of such fields, one of them `format`: the version of its meaning."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def format(self) -> int:
        """The version of the record's meaning."""
        ...


T = TypeVar("T", bound=Record)

FORMAT = 1
"""The version of every record that this version writes and reads."""

_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "str": (str,), "int | None": (int, NoneType)}


class RecordError(ValueError):
    """Bytes that are not the record that was expected; the text says in what."""


def dump_record(record: Record, *, indent: int | None = None) -> bytes:
    """The JSON text of a record, on one line unless `indent` is given."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(asdict(record), indent=indent, separators=separators).encode()


def load_record(kind: type[T], text: bytes) -> T:
    """The record in `text`. Raises RecordError.

    Fields that a later version added are passed over; those that an earlier one lacked have their default.
    """
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise RecordError("not a JSON object")
    if type(values.get("format")) is int and values["format"] != FORMAT:
        raise RecordError(f"format {values['format']}; this version reads format {FORMAT}")
    known: dict[str, Any] = {}
    for field in fields(kind):
        if field.name not in values and field.default is not MISSING and field.name != "format":
            continue
        value = values.get(field.name)
        if type(value) not in _TYPES[str(field.type)] or field.name not in values:
            raise RecordError(f"{field.name!r} is {value!r}")
        known[field.name] = value
    return kind(**known)
