"""Messages as lines: one JSON object a line, with the message's kind and its fields."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, ClassVar, Generic, Protocol, TypeVar


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


M = TypeVar("M", bound=_Dataclass)


class Lines(Generic[M]):
    """The lines of a protocol that has these kinds of messages: dataclasses of what JSON has."""

    def __init__(self, *kinds: type[M]) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}

    def dump(self, message: M) -> bytes:
        """The message as a line, line end included."""
        return json.dumps({"kind": type(message).__name__} | asdict(message)).encode() + b"\n"

    def load(self, line: bytes) -> M:
        """The message on a line."""
        fields: dict[str, Any] = json.loads(line)
        return self._kinds[fields.pop("kind")](**fields)
