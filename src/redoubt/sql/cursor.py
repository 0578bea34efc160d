"""A reading position in a statement, with one token of look-ahead."""

from __future__ import annotations

from collections.abc import Iterator

from redoubt.sql.bounds import MOST_WORDS
from redoubt.sql.tokens import DEFAULT_MODES, Kind, Modes, Token, fold, tokens

NAME = (Kind.WORD, Kind.BACKTICK, Kind.STRING)
"""The kinds of token that may be a tenant's name."""

_MOST_DIGITS = 18  # fits a BIGINT, and reading it takes no time


class NotOurs(Exception):  # noqa: N818 - not an error: the engine answers the statement
    """The text is not one of Redoubt's statements."""


class Cursor:
    """Reads `text` token by token, no further than it is asked to, and no more than MOST_WORDS of them: then `NotOurs`.

    `token` is the next token to read. `word` is that token in lower case if it is a bare word, else empty. `end` is the
    offset behind the last token that was read. `take_…` reads the next token if it matches, and returns whether it did.
    `expect_…` raises `NotOurs` if the next token does not match.
    """

    def __init__(self, text: str, modes: Modes = DEFAULT_MODES) -> None:
        self.text = text
        self.end = 0
        self._left = MOST_WORDS
        self._rest = tokens(text, modes)
        self.token = next(self._rest)
        self.word = fold(self.token.raw) if self.token.kind is Kind.WORD else ""

    def advance(self) -> Token:
        """Read the next token, which must not be END, and return it."""
        if not self._left:
            raise NotOurs
        self._left -= 1
        token = self.token
        self.end = token.end
        self.token = ahead = next(self._rest)
        self.word = fold(ahead.raw) if ahead.kind is Kind.WORD else ""
        return token

    def at_word(self, *words: str) -> bool:
        """Tell whether the next token is one of the bare `words`, which are given in lower case."""
        return self.word in words

    def at_symbol(self, symbol: str) -> bool:
        """Tell whether the next token is the character `symbol`."""
        return self.token.raw == symbol

    def at_end(self) -> bool:
        """Tell whether the statement ends here: at a semicolon or at the text's end."""
        return self.token.kind is Kind.END or self.at_symbol(";")

    def take_word(self, *words: str) -> bool:
        """Read one of the bare `words`, if it is next."""
        if self.word not in words:
            return False
        self.advance()
        return True

    def take_symbol(self, symbol: str) -> bool:
        """Read the character `symbol`, if it is next."""
        if self.token.raw != symbol:
            return False
        self.advance()
        return True

    def expect_word(self, *words: str) -> None:
        """Read one of the bare `words`."""
        if self.word not in words:
            raise NotOurs
        self.advance()

    def expect_symbol(self, symbol: str) -> None:
        """Read the character `symbol`."""
        if self.token.raw != symbol:
            raise NotOurs
        self.advance()

    def expect(self, *kinds: Kind) -> Token:
        """Read a token of one of these `kinds` (END is none to ask for) and return it."""
        if self.token.kind not in kinds:
            raise NotOurs
        return self.advance()

    def expect_words(self, *words: str) -> None:
        """Read the bare `words`, one after the other."""
        for word in words:
            self.expect_word(word)

    def expect_number(self) -> int:
        """Read a whole number that is written in decimal digits alone and fits a BIGINT."""
        raw = self.expect(Kind.NUMBER).raw
        if not (raw.isascii() and raw.isdigit() and len(raw) <= _MOST_DIGITS):
            raise NotOurs
        return int(raw)

    def expect_list(self, *kinds: Kind) -> list[Token]:
        """Read one token or several with commas between them."""
        found = [self.expect(*kinds)]
        while self.take_symbol(","):
            found.append(self.expect(*kinds))
        return found

    def expect_one_or_list(self, *kinds: Kind) -> list[Token]:
        """Read one token, or a list in parentheses."""
        if not self.take_symbol("("):
            return [self.expect(*kinds)]
        found = self.expect_list(*kinds)
        self.expect_symbol(")")
        return found

    def each_once(self, *words: str) -> Iterator[str]:
        """Read and yield, in the order typed, those of the bare `words` that come next; a repeated one stays unread."""
        left = set(words)
        while self.word in left:
            word = self.word
            self.advance()
            left.remove(word)
            yield word
