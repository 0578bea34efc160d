"""Targets: values of parameters, destinations, the configuration file: each is taken or refused with its own error."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from redoubt.config import ConfigError, load_config
from redoubt.destinations.file import FileDestination
from redoubt.destinations.uri import UriError, open_destination
from redoubt.sql.errors import SqlError
from redoubt.sql.literals import capacity_text, parse_bool, parse_capacity, parse_time

from .palf import MEMORY, in_general
from .target import Target
from .texts import OPTION, text_of

_INVALID_CONFIG = 4147
CONFIG = b"""[cluster]
name = "redoubt"
id = 7
[gateway]
host = "127.0.0.1"
port = 2881
allow_empty_password = true
[engine]
memory_budget = "1G"
log_disk_size = "2G"
[archive]
segment_size = 4194304
segment_age = 1.0
"""


def refusing(check: Callable[[bytes], str]) -> Callable[[bytes], str]:
    """A check in which the value may be refused with 4147, and with nothing else, in a short text."""

    def refused_or_checked(data: bytes) -> str:
        try:
            return check(data)
        except SqlError as error:
            return _short(error.message if error.code == _INVALID_CONFIG else "")[-24:]

    return refused_or_checked


def _short(message: str) -> str:
    assert 0 < len(message) < 1000
    return message


def _named(message: str, name: str) -> str:
    """A message without the file's name, with which it must begin."""
    assert message.startswith(name)
    return message.removeprefix(name)


def check_literal(data: bytes) -> str:
    """Which (1): a time, a capacity, a truth value."""
    text, which = text_of(data[1:]), data[0] % 3 if data else 0
    if which == 0:
        assert 0 <= parse_time(text) < 10**24
    elif which == 1:
        size = parse_capacity(text)
        assert parse_capacity(capacity_text(size)) == size
    else:
        return f"{parse_bool(text)}"
    assert text.isascii()
    return f"{which} {text.strip()[-1:]}"


def seeds_of_literals() -> Iterator[tuple[str, bytes]]:
    """Each unit, and figures that are none."""
    times = ("500ms", "10", "2m", " 1h ", "7D", "3us", "\u0663s", "9" * 19)
    for which, texts in enumerate((times, ("512M", "4g", "1TB", "0", "8b", "1kk", "\u00b2M"), ("True", "off", "2"))):
        for number, text in enumerate(texts):
            yield f"{which}-{number}", bytes((which,)) + text.encode()


def check_uri(data: bytes) -> str:
    """A destination is one of an absolute path that the system can have, or refused; nothing is touched."""
    text = text_of(data)
    try:
        destination = open_destination(text)
    except UriError as error:
        return in_general(_short(str(error)))
    assert isinstance(destination, FileDestination)
    assert text.lower().startswith("file:///")
    assert "\0" not in text
    return "taken"


def seeds_of_uris() -> Iterator[tuple[str, bytes]]:
    """Each cause of a refusal."""
    for number, text in enumerate(
        (
            *("file:///tmp/backup", "FILE:///a b/\u6f22", "file://host/x", "file://", "oss://bucket/x", "/tmp", ""),
            *("file:///a?b=c", "file:///a\0", "file:///" + "a" * 3000, "file:///../..", "file:////x"),
        )
    ):
        yield f"uri-{number}", text.encode()


def check_config(data: bytes) -> str:
    """A file is a configuration whose sizes the engine understands, or a ConfigError that names it."""
    with tempfile.NamedTemporaryFile(dir=MEMORY if MEMORY.is_dir() else None, suffix=".toml") as file:
        file.write(data)
        file.flush()
        try:
            config = load_config(Path(file.name))
        except ConfigError as error:
            return in_general(_named(str(error), file.name).splitlines()[0])[:60]
    _check_sizes(config.engine.memory_budget, config.engine.log_disk_size)
    assert config.cluster.name.isascii()
    return "taken"


def _check_sizes(*sizes: str) -> None:
    assert all(size.isascii() for size in sizes)


def seeds_of_configs() -> Iterator[tuple[str, bytes]]:
    """A whole file; text that is hard on a parser; values out of their ranges."""
    yield "whole", CONFIG
    yield "empty", b""
    yield "deep", b"a = " + b"[" * 2000
    yield "long-figure", CONFIG.replace(b"2881", b"9" * 5000)
    yield "other-digits", CONFIG.replace(b'"1G"', '"\u0663G"'.encode())
    yield "date", CONFIG.replace(b"2881", b"2026-02-30")
    yield "not-a-number", CONFIG.replace(b"1.0", b"nan")
    yield "latin", CONFIG.replace(b"redoubt", b"\xe9")
    yield "many-dots", b"a" + b".a" * 3000 + b" = 1"
    yield "byte-order-mark", b"\xef\xbb\xbf" + CONFIG


_check_option, _seeds_of_options, _option_words = OPTION
_CONFIG_WORDS = (
    *CONFIG.split(b"\n"),
    b"[",
    b"]",
    b"[[",
    b"{",
    b"'''",
    b'"""',
    b"= nan",
    b"0x",
    b"1979-05-27",
    b"_",
    b".",
)
_UNITS = (b"us", b"ms", b"k", b"t", b"pb", b"true", b"999999999999999999")
TARGETS = (
    Target("option", refusing(_check_option), _seeds_of_options, _option_words, longest=512, executions=400),
    Target("literal", refusing(check_literal), seeds_of_literals, _UNITS, longest=64, executions=400),
    Target("uri", check_uri, seeds_of_uris, (b"file://", b"?", b"/", b"\0"), longest=4096, executions=400),
    Target("config", check_config, seeds_of_configs, _CONFIG_WORDS, longest=4096, executions=300),
)
