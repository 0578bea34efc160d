"""The tokenizer: where words, strings and comments begin and end."""

from __future__ import annotations

import pytest
from hypothesis import given

from redoubt.sql.tokens import Kind, Modes, fold, tokens

from .strategies import OTHER_TEXTS


def kinds_and_values(text: str) -> list[tuple[Kind, str]]:
    """The tokens of a text without their offsets and the final END."""
    return [(token.kind, token.value) for token in tokens(text)][:-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_1$ _b $c é漢1 ALTER", [(Kind.WORD, word) for word in ("a_1$", "_b", "$c", "é漢1", "ALTER")]),
        ("12 1.5 120s 0x1F 1d.2", [(Kind.NUMBER, word) for word in ("12", "1.5", "120s", "0x1F", "1d.2")]),
        ("=,().@?-%\x01", [(Kind.SYMBOL, char) for char in "=,().@?-%\x01"]),
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
        "a -- b 'c\r\nd",
        "a# b `c\nd",
        "a# b \v\f\0 `c\r\nd",
        "a/* 'b */d",
        "a/**/d",
        "a/*/ b */d",
        "a/*+ b('c', \"d\", `e`) */d",
        "a d -- ",
        "a d #",
        "\n a\r\n\t\v\fd ",
    ],
)
def test_comments_are_passed_over(text: str) -> None:
    """A comment of any kind separates tokens and is none."""
    expected = [(Kind.WORD, "a"), (Kind.WORD, "d")]

    assert expected == kinds_and_values(text)


@pytest.mark.parametrize("behind", ["1", "", ";", "\v", "\f", "\x01", "\xa0"])
def test_two_dashes_that_open_no_comment(behind: str) -> None:
    """They do only before a blank; the engine takes not all of our blanks for one."""
    found = kinds_and_values(f"5--{behind}'b'")

    assert found[:3] == [(Kind.NUMBER, "5"), (Kind.SYMBOL, "-"), (Kind.SYMBOL, "-")]
    assert found[-1] == (Kind.STRING, "b")


@pytest.mark.parametrize("inside", [" b ", "50000 b ", "40101 SET @a = 'b', `c` = \"\" ", "count(*)", "a - 1"])
def test_version_comment_is_one_token(inside: str) -> None:
    """The engine may run it or pass over it, and finds the same end."""
    expected = [(Kind.WORD, "a"), (Kind.OPAQUE, f"/*!{inside}*/"), (Kind.WORD, "c")]

    assert expected == kinds_and_values(f"a /*!{inside}*/ c")


@pytest.mark.parametrize(
    "tail",
    [
        *("/*! ; */", "/*! 'a*/ ' */", "/*! ' */", "/*! # */", "/*! -- */", "/*! /* */", "/*! '\\' */", '/*! "a;b" */'),
        *("/*+ ' */", "/*+ `a*/` */", '"a\\"b"'),
    ],
)
def test_what_ends_elsewhere_in_another_reading_is_an_error(tail: str) -> None:
    """A version comment that is run or not, a hint with quotes, double quotes with ANSI_QUOTES or without."""
    assert [(Kind.WORD, "a"), (Kind.ERROR, f"{tail} d; 'e")] == kinds_and_values(f"a {tail} d; 'e")


def test_strings_without_backslash_escapes() -> None:
    """The mode makes a plain character of the backslash."""
    found = list(tokens(r"""'a\' "b\" 'c\n''d' """, Modes(backslash_escapes=False)))

    assert [token.value for token in found] == ["a\\", "b\\", "c\\n'd", ""]
    assert [token.kind for token in tokens(r"'a\' 'b")] == [Kind.STRING, Kind.WORD, Kind.END]


@pytest.mark.parametrize(
    "tail",
    [
        "'b",
        '"b',
        "`b",
        "'b\\'",
        "'b\\",
        "'b''",
        "`b``",
        "/* b",
        "/*! b",
        "/*+ b",
        "/*/",
        "\0;b",
        "# b; c\nd",
        "# b\rc\nd",
        "-- b\rc",
        "--\rc",
    ],
)
def test_what_does_not_end_is_an_error(tail: str) -> None:
    """An open string, identifier or comment takes the rest of the text."""
    assert [(Kind.WORD, "a"), (Kind.ERROR, tail)] == kinds_and_values(f"a {tail}")


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
