"""The words of a MySQL text as the engine sees them: the one tokenizer of all that looks into texts.

Patterns find the ends of strings, comments and words. Each of them is linear in the text's length, whatever the text
is. Where the end of a token is not certain, the token is an ERROR and reaches to the end of the text. So no statement
of Redoubt's is found behind such a place.

What the engine does was measured (`tests/gateway/test_words.py`). Two dashes open a comment only before a blank. A line
comment ends at a line feed; also at a carriage return, but not at the beginning of some texts; and, if # opens it, at a
semicolon in some places: with either in it, its end is not certain. The engine runs a version comment (`/*! … */`)
whatever its version is, and ignores it if the text cannot be parsed with its content. A NUL outside of strings and
comments is an error, but at the end of a text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import NamedTuple

BLANKS = " \t\n\v\f\r"


@dataclass(frozen=True)
class Modes:
    """The SQL modes of a session that move the ends of strings.

    `backslash_escapes` is False under NO_BACKSLASH_ESCAPES. ANSI_QUOTES is not here, because the engine's status flags
    do not show it: in double quotes the mode makes a plain character of the backslash, so a text in double quotes with
    an escaped double quote has no certain end.
    """

    backslash_escapes: bool = True


DEFAULT_MODES = Modes()


class Kind(Enum):
    """The kind of a token."""

    WORD = "a bare identifier or keyword"
    NUMBER = "a run that begins with a digit: 12, 1.5, 120s, 0x1f"
    STRING = "a string in single or double quotes"
    BACKTICK = "an identifier in backticks"
    OPAQUE = "a version comment, /*! … */"
    ERROR = "a string, identifier or comment without a certain end, or a NUL; reaches to the end of the text"
    SYMBOL = "any other single character"
    END = "the end of the text"


_KINDS = (Kind.END, Kind.WORD, Kind.NUMBER, Kind.STRING, Kind.BACKTICK, Kind.OPAQUE, Kind.ERROR, Kind.SYMBOL)

_WORD_CHARACTERS = r"0-9A-Za-z_$\x80-\U0010ffff"
_BACKTICK = "`(?:[^`]++|``)*+`"
_STRINGS = {
    True: r"""'(?:[^'\\]++|\\.|'')*+'|"(?:[^"\\]++|\\[^"]|"")*+\"""",
    False: r"""'(?:[^']++|'')*+'|"(?:[^"]++|"")*+\"""",
}

# What a version comment or a hint holds if its end is certain: no semicolon, comment, backslash or quote outside of
# short strings. The engine reads such a comment in two ways (as code, to the end of the comment), which then agree.
_CONTENT = r"""(?:[^'"`\\;#/*\0-]|\*(?!/)|-(?!-)|'[^'\\*;]*+'|"[^"\\*;]*+"|`[^`\\*;]*+`)*+"""
_VERSION_COMMENT = rf"/\*!{_CONTENT}\*/"
_DASHES = r"--(?=[ \t\r\n])"
_COMMENT = rf"/\*(?:\+{_CONTENT}|(?![!+])(?:[^*]++|\*(?!/))*+)\*/|(?:#[^;\r\n]*+|{_DASHES}[^\r\n]*+)(?=\r?\n|\Z)"
_ERROR = rf"(?:['\"`#\0]|/\*|{_DASHES}).*+"

GAP = rf"(?:[{BLANKS}]++|{_COMMENT})*+"
"""Pattern of what may stand between two words."""

# `\%` and `\_` keep their backslash: they mean something to LIKE. A letter that is not here stands for itself.
_ESCAPES = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": r"\%", "_": r"\_"}
_ESCAPED = re.compile(r"\\.|''|\"\"", re.DOTALL)


class Patterns(NamedTuple):
    """The patterns of a session's modes.

    `token`: a gap and a token, in the group whose number is its kind's. `statement`: a statement, up to a semicolon,
    the text's end or an ERROR. `other`: what is not plain words, by group: a string or identifier, a comment, the
    content of a version comment; an ERROR has none.
    """

    token: re.Pattern[str]
    statement: re.Pattern[str]
    other: re.Pattern[str]


@cache
def patterns(modes: Modes) -> Patterns:
    """Return the patterns of `modes`."""
    string = _STRINGS[modes.backslash_escapes]
    token = (
        rf"{GAP}(?:([A-Za-z_$\x80-\U0010ffff][{_WORD_CHARACTERS}]*+)|([0-9][{_WORD_CHARACTERS}.]*+)|({string})"
        rf"|({_BACKTICK})|({_VERSION_COMMENT})|({_ERROR})|(.))?"
    )
    statement = rf"(?:[^;'\"`#/\0-]++|{string}|{_BACKTICK}|{_COMMENT}|{_VERSION_COMMENT}|/(?!\*)|(?!{_DASHES})-)*+"
    other = rf"({string}|{_BACKTICK})|({_COMMENT})|/\*!({_CONTENT})\*/|{_ERROR}"
    return Patterns(*(re.compile(pattern, re.DOTALL) for pattern in (token, statement, other)))


class Token(NamedTuple):
    """A piece of the text: `raw` is `text[start:end]`, offsets in characters."""

    kind: Kind
    raw: str
    start: int
    end: int
    modes: Modes = DEFAULT_MODES

    @property
    def value(self) -> str:
        """The meaning: strings and backticked identifiers without quotes and escapes, other tokens as typed."""
        if self.kind not in (Kind.STRING, Kind.BACKTICK):
            return self.raw
        quote, inside = self.raw[0], self.raw[1:-1]
        if self.kind is Kind.STRING and self.modes.backslash_escapes and "\\" in inside:
            return _ESCAPED.sub(lambda escape: _unescaped(escape.group(), quote), inside)
        return inside.replace(quote * 2, quote)


def fold(word: str) -> str:
    """Return `word` in lower case, to compare it with a keyword or a parameter's name.

    Those are ASCII, so a word with other letters stays as it is: Unicode's rules would make a `k` of the Kelvin sign.
    """
    return word.lower() if word.isascii() else word


def tokens(text: str, modes: Modes = DEFAULT_MODES) -> Iterator[Token]:
    """Yield the tokens of `text`, the last one being END; nothing is read ahead."""
    pattern = patterns(modes).token
    at = 0
    while match := pattern.match(text, at):  # pragma: no branch - it matches at the end, too
        group = match.lastindex or 0
        if not group:
            yield Token(Kind.END, "", match.end(), match.end())
            return
        at = match.end()
        yield Token(_KINDS[group], match[group], match.start(group), at, modes)


def _unescaped(escape: str, quote: str) -> str:
    """Return what a backslash and a character, or a doubled quote, stand for."""
    if escape[0] == "\\":
        return _ESCAPES.get(escape[1], escape[1])
    return quote if escape[0] == quote else escape
