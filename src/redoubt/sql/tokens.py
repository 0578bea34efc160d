"""The words of a MySQL text: a hand-written tokenizer, lazy, and linear in the text's length whatever the text is.

The tokenizer knows MySQL's lexical rules well enough to find the ends of strings, comments and words. It skips comments
and optimizer hints. A version comment (`/*! … */`), which one server runs and another ignores, is one OPAQUE token. A
token without an end is one ERROR token. So no statement of Redoubt's is ever found inside either.

Two server modes change these rules and cannot be seen from here: NO_BACKSLASH_ESCAPES and ANSI_QUOTES are taken as off.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

BLANKS = " \t\n\v\f\r"

_WORD_CHARACTERS = r"0-9A-Za-z_$\x80-\U0010ffff"

# Blanks, then a token whose characters show its end, by group: nearly all tokens are of this kind. Before any other
# token the pattern matches the blanks alone, and `token_at` looks closer.
_PLAIN = re.compile(
    rf"[{BLANKS}]*+(?:"
    rf"([A-Za-z_$\x80-\U0010ffff][{_WORD_CHARACTERS}]*+)"
    rf"|([0-9][{_WORD_CHARACTERS}.]*+)"
    r"|('[^'\\]*+'(?!')|\"[^\"\\]*+\"(?!\"))"
    r"|(`[^`]*+`(?!`))"
    rf"|([^{BLANKS}{_WORD_CHARACTERS}'\"`/#-]))?"
)

# For each quote: the characters to stop at while searching for its end, and the escape sequences inside.
_QUOTE_MARKS = {"'": re.compile(r"['\\]"), '"': re.compile(r'["\\]'), "`": re.compile("`")}
_ESCAPED = {"'": re.compile(r"\\.|''", re.DOTALL), '"': re.compile(r'\\.|""', re.DOTALL), "`": re.compile("``")}

# `\%` and `\_` keep their backslash: they mean something to LIKE. A letter that is not here stands for itself.
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": r"\%", "_": r"\_"}


class Kind(Enum):
    """The kind of a token."""

    WORD = "a bare identifier or keyword"
    BACKTICK = "an identifier in backticks"
    STRING = "a string in single or double quotes"
    NUMBER = "a run that begins with a digit: 12, 1.5, 120s, 0x1f"
    SYMBOL = "any other single character"
    OPAQUE = "an executable comment, /*! … */"
    ERROR = "a string, identifier or comment without an end; reaches to the end of the text"
    END = "the end of the text"
    COMMENT = "a comment or a hint; skipped"


_PLAIN_KINDS = (Kind.END, Kind.WORD, Kind.NUMBER, Kind.STRING, Kind.BACKTICK, Kind.SYMBOL)


class Token(NamedTuple):
    """A piece of the text: `raw` is `text[start:end]`, offsets in characters."""

    kind: Kind
    raw: str
    start: int
    end: int

    @property
    def value(self) -> str:
        """The meaning: strings and backticked identifiers without quotes and escapes, other tokens as typed."""
        if self.kind not in (Kind.STRING, Kind.BACKTICK):
            return self.raw
        quote, inside = self.raw[0], self.raw[1:-1]
        if quote not in inside and "\\" not in inside:
            return inside
        return _ESCAPED[quote].sub(_unescaped, inside)


def fold(word: str) -> str:
    """Return `word` in lower case, to compare it with a keyword or a parameter's name.

    Those are ASCII, so a word with other letters stays as it is: Unicode's rules would make a `k` of the Kelvin sign.
    """
    return word.lower() if word.isascii() else word


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """Yield the tokens of `text` from offset `start`, the last one being END; nothing is read ahead."""
    at = start
    while match := _PLAIN.match(text, at):  # pragma: no branch - it matches at the end, too
        at = match.end()
        if group := match.lastindex:
            yield Token(_PLAIN_KINDS[group], match[group], match.start(group), at)
        elif at == len(text):
            yield Token(Kind.END, "", at, at)
            return
        else:
            token = token_at(text, at)
            at = token.end
            if token.kind is not Kind.COMMENT:
                yield token


def token_at(text: str, at: int) -> Token:
    """Return the token or comment at offset `at`, where there is a quote or another character that is in no word."""
    first = text[at]
    if first in _QUOTE_MARKS:
        kind = Kind.BACKTICK if first == "`" else Kind.STRING
        return _token(kind, text, at, _quoted_end(text, at))
    if text.startswith("/*", at):
        kind = Kind.OPAQUE if text.startswith("!", at + 2) else Kind.COMMENT
        return _token(kind, text, at, _block_end(text, at))
    if first == "#" or _dashes_open_comment(text, at):
        return _token(Kind.COMMENT, text, at, _line_end(text, at))
    return Token(Kind.SYMBOL, first, at, at + 1)


def _token(kind: Kind, text: str, start: int, end: int | None) -> Token:
    """Build a token; one without an end is an ERROR that takes the rest of the text."""
    if end is None:
        return Token(Kind.ERROR, text[start:], start, len(text))
    return Token(kind, text[start:end], start, end)


def _quoted_end(text: str, at: int) -> int | None:
    """Offset behind the quote that closes the one at `at`; None without such a quote."""
    quote = text[at]
    at += 1
    while mark := _QUOTE_MARKS[quote].search(text, at):
        at = mark.end()
        if mark.group() == quote and not text.startswith(quote, at):
            return at
        at += 1  # the character behind a backslash, or the second of a doubled quote
    return None


def _block_end(text: str, at: int) -> int | None:
    """Offset behind the end of the `/*` comment at `at`; None if it has no end."""
    close = text.find("*/", at + 2)
    return None if close < 0 else close + 2


def _dashes_open_comment(text: str, at: int) -> bool:
    """Two dashes open a comment only before white space, a control character or the end: `5--1` is arithmetic."""
    return text.startswith("--", at) and (at + 2 == len(text) or text[at + 2] <= " ")


def _line_end(text: str, at: int) -> int:
    """Offset of the line feed that ends the line of `at`, or the text's end."""
    feed = text.find("\n", at)
    return len(text) if feed < 0 else feed


def _unescaped(escape: re.Match[str]) -> str:
    """Return the character that a backslash sequence or a doubled quote stands for."""
    second = escape.group()[1]
    return _ESCAPES.get(second, second)
