"""Makes text from outside fit for a message: no escape sequence, no line break, and not too long.

A destination, a file or an engine may hold any text. A terminal obeys the escape sequences in a text, and a line break
begins a line that looks like Redoubt's own.
"""

from __future__ import annotations

LONGEST = 4000
"""The most characters of a message; the catalog's columns for causes have 4096."""


def printable(text: str, longest: int = LONGEST) -> str:
    """The text with every character that is not printable written as its escape, cut to `longest` characters."""
    if len(text) > longest:
        text = text[: longest - 3] + "..."
    if not text.isprintable():
        text = "".join(each if each.isprintable() else _escape(each) for each in text)
        text = text if len(text) <= longest else text[: longest - 3] + "..."
    return text


def printable_lines(text: str) -> str:
    """The text with its line breaks and tabs, but with every other character as `printable` writes it. Not cut."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else _escape(each) for each in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
