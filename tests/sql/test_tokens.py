"""The tokenizer: where words, strings and comments begin and end."""

from __future__ import annotations

import pytest
from hypothesis import given

from redoubt.sql.tokens import Kind, Token, fold, tokens

from .strategies import OTHER_TEXTS


def kinds_and_values(text: str) -> list[tuple[Kind, str]]:
    """The tokens of a text without their offsets and the final END."""
    return [(token.kind, token.value) for token in tokens(text)][:-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_1$ _b $c é漢1 ALTER", [(Kind.WORD, word) for word in ("a_1$", "_b", "$c", "é漢1", "ALTER")]),
        ("12 1.5 120s 0x1F 1d.2", [(Kind.NUMBER, word) for word in ("12", "1.5", "120s", "0x1F", "1d.2")]),
        ("=,().@?-%\0", [(Kind.SYMBOL, char) for char in "=,().@?-%\0"]),
        ("`a``b` `c;d\\`", [(Kind.BACKTICK, "a`b"), (Kind.BACKTICK, "c;d\\")]),
        ('\'it\'\'s\' "say ""x"""', [(Kind.STRING, "it's"), (Kind.STRING, 'say "x"')]),
        ("'a\"\"b' \"c''d\"", [(Kind.STRING, 'a""b'), (Kind.STRING, "c''d")]),
        (r"'\'\"\\\n\t\r\b\0\Z\x'", [(Kind.STRING, "'\"\\\n\t\r\b\0\x1ax")]),
        (r"'50\% a\_b'", [(Kind.STRING, r"50\% a\_b")]),
        ("'a\\\nb' ''", [(Kind.STRING, "a\nb"), (Kind.STRING, "")]),
        ("a'b'c", [(Kind.WORD, "a"), (Kind.STRING, "b"), (Kind.WORD, "c")]),
        ("a\u2003b\u3000c", [(Kind.WORD, "a\u2003b\u3000c")]),
    ],
)
def test_words_strings_and_symbols(text: str, expected: list[tuple[Kind, str]]) -> None:
    """Each kind of token has its value, without quotes and escapes."""
    assert expected == kinds_and_values(text)


@pytest.mark.parametrize(
    "text",
    [
        "a -- b 'c\nd",
        "a --\td\nd",
        "a --\nd",
        "a# b `c\nd",
        "a/* 'b */d",
        "a/**/d",
        "a/*/ b */d",
        "a/*+ b */d",
        "a d --",
        "a d -- ",
        "a d #",
        "\n a\r\n\t\v\fd ",
    ],
)
def test_comments_are_passed_over(text: str) -> None:
    """A comment of any kind separates tokens and is none."""
    expected = [(Kind.WORD, "a"), (Kind.WORD, "d")]

    assert expected == kinds_and_values(text)


def test_dashes_in_arithmetic() -> None:
    """Two dashes without white space behind them are two signs."""
    expected = [(Kind.NUMBER, "5"), (Kind.SYMBOL, "-"), (Kind.SYMBOL, "-"), (Kind.NUMBER, "1")]

    assert expected == kinds_and_values("5--1")


def test_executable_comment_is_one_token() -> None:
    """What some servers run and others skip stays in one piece."""
    expected = [(Kind.WORD, "a"), (Kind.OPAQUE, "/*!50000 b; */"), (Kind.WORD, "c")]

    assert expected == kinds_and_values("a /*!50000 b; */ c")


@pytest.mark.parametrize("tail", ["'b", '"b', "`b", "'b\\'", "'b\\", "'b''", "`b``", "/* b", "/*! b", "/*+ b", "/*/"])
def test_what_does_not_end_is_an_error(tail: str) -> None:
    """An open string, identifier or comment takes the rest of the text."""
    assert [(Kind.WORD, "a"), (Kind.ERROR, tail)] == kinds_and_values(f"a {tail}")


def test_tokens_from_an_offset() -> None:
    """Reading may begin inside the text; offsets stay those of the whole text."""
    expected = [Token(Kind.WORD, "cd", 4, 6), Token(Kind.END, "", 7, 7)]

    assert expected == list(tokens("ab; cd ", 3))


@pytest.mark.parametrize(
    ("word", "expected"), [("LiKe", "like"), ("LI\N{KELVIN SIGN}E", "LI\N{KELVIN SIGN}E"), ("É", "É")]
)
def test_folding_is_ascii_only(word: str, expected: str) -> None:
    """A word with letters beyond ASCII is no keyword in any case."""
    assert expected == fold(word)


@given(OTHER_TEXTS)
def test_tokens_cover_the_text(text: str) -> None:
    """Tokens come in order, each at its place, and the last one is the end."""
    found = list(tokens(text))
    starts = [token.start for token in found]

    assert sorted(starts) == starts
    assert [text[token.start : token.end] for token in found] == [token.raw for token in found]
    assert (Kind.END, len(text)) == (found[-1].kind, found[-1].end)
