"""The files of the client that a text names: `LOAD DATA LOCAL INFILE 'name'`, and the same with XML."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, takewhile

from redoubt.sql.tokens import Kind, Token, fold, tokens

# A longer text names no file, and what follows so many tokens names none: reading on would keep other sessions waiting.
LONGEST_TEXT = 64 * 1024
_MOST_TOKENS = 4096
_OPTIONS = ("low_priority", "concurrent")


def local_files(text: bytes, *, backslash_escapes: bool = True) -> frozenset[bytes]:
    """Return the names of the client's files that the statements of `text` read; never raises.

    `text` is as the client sent it. `backslash_escapes` is False in a session with NO_BACKSLASH_ESCAPES.
    """
    if len(text) > LONGEST_TEXT or b"infile" not in text.lower():
        return frozenset()
    readable = text.decode("utf-8", "surrogateescape")
    all_tokens = _tokens(readable if backslash_escapes else readable.replace("\\", "\\\\"))
    found = list(islice(all_tokens, _MOST_TOKENS))
    words = [fold(token.raw) for token in found]
    names = (
        "".join(part.value for part in takewhile(lambda token: token.kind is Kind.STRING, found[at + 1 :]))
        for at, word in enumerate(words)
        if word == "infile" and _is_local_load(words[max(0, at - 4) : at])
    )
    return frozenset(name.encode("utf-8", "surrogateescape") for name in names if name)


def _is_local_load(before: list[str]) -> bool:
    """Tell whether the words before INFILE end with `LOAD DATA|XML [option] LOCAL`."""
    kept = [word for word in before if word not in _OPTIONS]
    return kept[-1:] == ["local"] and kept[-3:-1] in (["load", "data"], ["load", "xml"])


def _tokens(text: str) -> Iterator[Token]:
    """Yield the tokens, with those inside version comments, which the engine runs."""
    for token in tokens(text):
        if token.kind is Kind.OPAQUE:
            yield from _tokens(token.raw[3:-2].lstrip("0123456789"))
        elif token.kind is not Kind.END:
            yield token
