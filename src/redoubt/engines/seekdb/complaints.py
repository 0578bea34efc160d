"""What an engine that has ended complains of in its own log, for our messages: that log may be thrown away.

The engine goes on logging while it gives up, so its last errors say only that it does. The first ones that have the
code with which it ended say why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_ERROR = re.compile(rb"\[[^]]*\] (?:ERROR|EDIAG) .*?\[errcode=(-\d+)\] (.*)")
_WORDS = re.compile(rb"(?:\(ret=| BACKTRACE:).*")
"""What follows the words: the state of a few of the engine's objects, and addresses in its program."""
_SHOWN = 2
_LONGEST = 200


def size_of(log: Path) -> int:
    """Bytes in the log now, 0 if there is none: where the next run's part begins."""
    return log.stat().st_size if log.exists() else 0


def complaint(log: Path, since: int) -> str:
    """Why the run ended whose part of the log begins at byte `since`; empty if it does not say. Raises OSError."""
    errors = list(_errors(log, since)) if log.exists() else []
    if not errors:
        return ""
    last = errors[-1][0]
    causes = list(dict.fromkeys(words for code, words in errors if code == last))
    return f"{'; '.join(causes[:_SHOWN])} (error {last})"


def _errors(log: Path, since: int) -> Iterator[tuple[int, str]]:
    """Code and words of each error, in order; a log that has become smaller was begun anew."""
    with log.open("rb") as file:
        file.seek(since if since <= size_of(log) else 0)
        for line in file:
            if match := _ERROR.match(line):
                words = _WORDS.sub(b"", match[2]).decode(errors="replace").strip()
                yield int(match[1]), words[:_LONGEST]
