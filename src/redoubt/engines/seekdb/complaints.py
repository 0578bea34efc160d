"""The cause of an engine's end, from its diagnostic log, for our messages: the log may be thrown away later.

The engine and its threads continue to log while the engine gives up. The last line of level ERROR has the code with
which the engine ended; the first lines with that code name the cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_LINE = re.compile(rb"\[[^]]*\] (ERROR|EDIAG) .*?\[errcode=(-\d+)\] (.*)")
_STATE = re.compile(rb"(?:\(\w+=| BACKTRACE:).*")
"""The text after the words: the state of a few of the engine's objects, and addresses in its program."""
_NAME = re.compile(rb'ret="(OB_\w+)"')
_AGAIN = -4023
"""The code of an operation that the engine only has to retry."""
_SHOWN = 2
_LONGEST = 200


class _Error(NamedTuple):
    is_for_people: bool
    code: int
    words: str
    name: str


def size_of(log: Path) -> int:
    """The size of the log in bytes, 0 without a log: the next run's part of the log begins there."""
    return log.stat().st_size if log.exists() else 0


def complaint(log: Path, since: int) -> str:
    """The cause of a run's end; the run's part of the log begins at byte `since`. Empty if the log names no cause."""
    try:
        errors = [each for each in _errors(log, since) if each.code != _AGAIN]
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot read {log}: {error.strerror}"
    if not errors:
        return ""
    code = next((each.code for each in reversed(errors) if each.is_for_people), errors[-1].code)
    causes = [each for each in errors if each.code == code]
    words = list(dict.fromkeys(each.words for each in causes))[:_SHOWN]
    name = next((f" {each.name}" for each in causes if each.name), "")
    return f"{'; '.join(words)} (error {code}{name})"


def _errors(log: Path, since: int) -> Iterator[_Error]:
    """Each error, in order. A log that has become smaller was started anew."""
    with log.open("rb") as file:
        file.seek(since if since <= size_of(log) else 0)
        for line in file:
            if match := _LINE.match(line):
                name = _NAME.search(match[3])
                words = _STATE.sub(b"", match[3]).decode(errors="replace").strip()
                yield _Error(match[1] == b"ERROR", int(match[2]), words[:_LONGEST], name[1].decode() if name else "")
