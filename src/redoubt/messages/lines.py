"""Messages as lines: one JSON object per line, with the message's kind and its fields."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, ClassVar, Generic, Protocol, TypeVar


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


M = TypeVar("M", bound=_Dataclass)


class Lines(Generic[M]):
    """The lines of a protocol with these kinds of messages, which are dataclasses of JSON values."""

    def __init__(self, *kinds: type[M]) -> None:
        self._kinds = {kind.__name__: kind for kind in kinds}

    def dump(self, message: M) -> bytes:
        """The message as a line, including the line end."""
        return json.dumps({"kind": type(message).__name__} | asdict(message)).encode() + b"\n"

    def load(self, line: bytes) -> M:
        """The message of a line."""
        fields: dict[str, Any] = json.loads(line)
        return self._kinds[fields.pop("kind")](**fields)
