"""The files of the client that a text names: `LOAD DATA LOCAL INFILE 'name'`, and the same with XML."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, takewhile

from redoubt.sql.bounds import LONGEST_TEXT
from redoubt.sql.tokens import DEFAULT_MODES, Kind, Modes, Token, fold, tokens

_MOST_TOKENS = 4096
"""What follows so many tokens names no file: reading on would keep other sessions waiting."""
_OPTIONS = ("low_priority", "concurrent")
_ALL_MODES = (DEFAULT_MODES, Modes(backslash_escapes=False))


def local_files(text: bytes) -> frozenset[bytes]:
    """Return the names of the client's files that the statements of `text` read; never raises.

    `text` is as the client sent it. Where a name depends on the session's SQL mode, all its meanings are returned. A
    text that is too long names no file.
    """
    if len(text) > LONGEST_TEXT or b"infile" not in text.lower():
        return frozenset()
    readable = text.decode("utf-8", "surrogateescape")
    names = {name for modes in _ALL_MODES for name in _names(readable, modes)}
    return frozenset(name.encode("utf-8", "surrogateescape") for name in names if name)


def _names(text: str, modes: Modes) -> Iterator[str]:
    found = list(islice(_tokens(text, modes), _MOST_TOKENS))
    words = [fold(token.raw) for token in found]
    for at, word in enumerate(words):
        if word == "infile" and _is_local_load(words[max(0, at - 4) : at]):
            yield "".join(part.value for part in takewhile(lambda token: token.kind is Kind.STRING, found[at + 1 :]))


def _is_local_load(before: list[str]) -> bool:
    """Tell whether the words before INFILE end with `LOAD DATA|XML [option] LOCAL`."""
    kept = [word for word in before if word not in _OPTIONS]
    return kept[-1:] == ["local"] and kept[-3:-1] in (["load", "data"], ["load", "xml"])


def _tokens(text: str, modes: Modes) -> Iterator[Token]:
    """Yield the tokens, with those inside version comments, which the engine runs."""
    for token in tokens(text, modes):
        if token.kind is Kind.OPAQUE:
            yield from _tokens(token.raw[3:-2].lstrip("0123456789"), modes)
        elif token.kind is not Kind.END:
            yield token
