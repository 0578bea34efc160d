"""Nothing that a client sends stops the event loop for long: hostile texts, as long as the gateway reads as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from redoubt.control.restores.restore_session import RestoreSession
from redoubt.control.session_time import checked_until
from redoubt.control.tenants.names import Like
from redoubt.gateway.kill import killed_id
from redoubt.gateway.session import _TEXT_LIMIT
from redoubt.gateway.session_grammar import parse_session_statement
from redoubt.moments import MomentError
from redoubt.sql.bounds import LONGEST_TEXT
from redoubt.sql.effects import effect_of
from redoubt.sql.parser import may_be_ours, parse, split
from redoubt.sql.tokens import Modes

from .clients import longest_stall
from .stalls import LONGEST, least, timed_turns

pytestmark = pytest.mark.repeated  # coverage would double the times
SHAPES: dict[str, tuple[bytes, bytes]] = {
    "patterns": (b"show tenants like '", b"%"),
    "patterns of letters": (b"show tenants like '", b"%a_"),
    "assignments": (b"alter system set a=1", b",a=1"),
    "short statements": (b"alter system archivelog;", b"a;"),
    "statements of ours": (b"", b"alter system archivelog;"),
    "statements of ours with backslashes": (b"", b"show parameters like '\\_';"),
    "empty statements": (b"alter system archivelog", b";"),
    "parts of SET": (b"set a=1 /* alter system */", b",@a=f(1)"),
    "quotes": (b"select 'alter system", b"'"),
    "strings": (b"select 'alter system', '\\'", b"'a',"),
    "escapes": (b"select 'alter system", b"\\'"),
    "identifiers": (b"alter system set a=1", b"`a`."),
    "open quotes": (b"alter system set a=1", b"'\\' \" ` "),
    "comments": (b"alter system archivelog", b"/**/"),
    "version comments": (b"alter system archivelog", b"/*! */"),
    "hints": (b"alter system archivelog", b"/*+*/"),
    "open comments": (b"alter system archivelog /*! ", b"/*"),
    "lines": (b"alter system archivelog", b"--\n"),
    "variables": (b"execute s using @a", b",@a"),
    "at signs": (b"select /* alter system */ ", b"@"),
    "deep": (b"select /* alter system */ ", b"("),
    "calls": (b"select /* alter system */ ", b"f("),
    "blanks": (b"kill 1", b" "),
    "what is prepared": (b"prepare s from '", b"''"),
    "accounts": (b"create tenant;create definer=a", b" a"),
    "accounts without hosts": (b"create user a", b",a@'%'"),
    "renamed accounts": (b"rename user a to a@'%'", b",a to a@'%'"),
    "openings": (b"tenant", b"create drop show "),
    "rows": (b"insert into t values ('alter system')", b",('a')"),
    "numbers": (b"select ", b"1,"),
    "known calls": (b"select ", b"in(1),"),
    "parts of WITH": (b"with a(b) ", b"as("),
    "plain statements": (b"", b"a;"),
    "blank statements": (b"", b" ;"),
    "columns": (b"select ", b"a.`"),
    "minuses": (b"set ", b"-"),
    "not UTF-8": (b"alter system set a='", b"\xff"),
}


def _filled(shape: str, size: int) -> bytes:
    head, part = SHAPES[shape]
    return (head + part * (size // len(part) + 1))[:size]


SIZES = (LONGEST_TEXT, _TEXT_LIMIT - 1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_text_stops_the_loop(shape: str, size: int) -> None:
    """As text and prepared, in a session whose tenant has a write gate."""
    text = _filled(shape, size)

    assert longest_stall(b"\x03" + text) < LONGEST
    assert longest_stall(b"\x16" + text) < LONGEST


def _pieces(data: bytes) -> None:
    """What is done before any of the text runs, without a turn for anybody else."""
    split(data.decode("utf-8", "surrogateescape"))


def _one(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    parse(text)
    parse_session_statement(text)


def _like(data: bytes) -> None:
    like = Like(data.decode("latin-1"))
    for _ in range(10):
        like.matches("a" * 63)


def _until(data: bytes) -> None:
    with suppress(MomentError):
        checked_until(data[:LONGEST_TEXT].decode("latin-1"))


READERS: dict[str, Callable[[bytes], object]] = {
    "one statement": _one,
    "pieces": _pieces,
    "effect": effect_of,
    "effect without escapes": lambda data: effect_of(data, Modes(backslash_escapes=False)),
    "kill": killed_id,
    "maybe": may_be_ours,
    "like": _like,
    "until": _until,
    "source": lambda data: RestoreSession([data[:LONGEST_TEXT].decode("latin-1")]).destination(),
}


@pytest.mark.parametrize("reader", READERS)
def test_no_reader_takes_long(reader: str) -> None:
    """Each of them, of every shape."""

    def took(data: bytes) -> float:
        started = time.thread_time()
        READERS[reader](data)
        return time.thread_time() - started

    for shape in SHAPES:
        for size in SIZES:
            data = _filled(shape, size)
            assert least(lambda data=data: took(data)) < LONGEST, shape  # type: ignore[misc]


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        ("until", b":" * LONGEST_TEXT),
        ("source", b"a://" + b"/1/1/incarnation_1/" * 3400 + b"\n"),
        ("like", b"%a" * 100 + b"%b"),
        ("kill", b"kill 1" + b" " * LONGEST_TEXT + b"x"),
    ],
)
def test_patterns_do_not_search_again_and_again(reader: str, text: bytes) -> None:
    """Texts that took the square of their length, or more."""
    started = time.thread_time()
    READERS[reader](text)

    assert time.thread_time() - started < LONGEST * 4


def test_the_measure_sees_a_turn_that_takes_long() -> None:
    """Not the time that it waits, but what it computes."""
    import asyncio  # noqa: PLC0415

    async def compute(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    with timed_turns() as turns:
        asyncio.run(asyncio.sleep(0.01))
    assert turns.longest < 0.01
    with timed_turns() as turns:
        asyncio.run(compute(0.02))
    assert turns.longest >= 0.02
