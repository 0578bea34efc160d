"""No reader takes more than its input's length warrants: sixteen times the input, about sixteen times the time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from redoubt.archive.layout import ClusterInfo
from redoubt.archive.record import RecordError, load_record
from redoubt.engines.seekdb.palf import verify_groups
from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.handshake import decode_login
from redoubt.gateway.replies import Reply
from redoubt.gateway.shapes import Shape
from redoubt.sql.backup_dest_option import parse_dest_option
from redoubt.sql.effects import effect_of
from redoubt.sql.errors import SqlError
from redoubt.sql.log_archive_dest import parse_log_archive_dest
from redoubt.sql.log_archive_option import parse_option
from redoubt.sql.parser import parse, split
from redoubt.sql.tokens import tokens
from tests.gateway.raw import CAPABILITIES, login_packet
from tests.seekdb.written import chain_after, group

SMALL, TIMES = 2 * 1024, 16
_BOUND = 50
"""How much longer is too long: a square would be 256 times, and a loaded machine has its moods."""


def _groups(size: int) -> bytes:
    """The smallest groups there are."""
    parts, chain = [], 0
    for number in range(size // 80):
        parts.append(group([b""], number + 1, chain))
        chain = chain_after(parts[-1])
    return b"".join(parts)


def _fill(part: bytes) -> Callable[[int], bytes]:
    return lambda size: (part * size)[:size]


def _relay(data: bytes) -> None:
    """In the pieces in which a slow engine's network brings it."""
    reply, held = Reply(Shape.RESULTS), bytearray()
    for at in range(0, len(data), 100):
        held += data[at : at + 100]
        del held[: reply.feed(held)]


def _reply(body: bytes) -> Callable[[int], bytes]:
    return lambda size: b"\1\0\0\1\1\1\0\0\2a\5\0\0\3\xfe\0\0\2\0" + (body * size)[:size]


def _condition(data: bytes) -> None:
    parse("show parameters where " + data.decode())


_SQL: dict[str, bytes] = {
    **{
        name: name.encode() for name in ("'", '"', "`", "/*", "/*/", "--", "-- ", "#", "\\", "(", "a.", "a(", "1.", ";")
    },
    "calls": b"select f (",
    "with": b"with a(",
    "strings": b"'\\''",
    "writing": b"select a for ",
    "assignments": b"set a=1,",
    "blanks": b" ",
    "statements": b"select 1;",
    "ours": b"alter system set a='b', ",
}
_LONG_STATEMENTS = {
    "tenants of a round": (b"alter system archivelog tenant a", b",a"),
    "tenants in parentheses": (b"alter system set a=1 tenant=(a", b",a"),
    "options": (b"create tenant t", b" charset a,comment''"),
    "a list of an option": (b"create tenant t zone_list(a", b",a"),
    "variables": (b"create tenant t set a=1", b",a=1"),
    "many variables": (b"create tenant t variables ", b"`" + b"a" * 30),
    "a number": (b"alter system delete backuppiece ", b"9"),
    "a name": (b"drop tenant ", b"a"),
    "a pattern": (b"show tenants like '", b"''"),
}


def _from(head: bytes, part: bytes) -> Callable[[int], bytes]:
    return lambda size: head + (part * size)[:size]


def _statements(data: bytes) -> None:
    for piece in split(data.decode()):
        parse(piece)


CASES: dict[str, tuple[Callable[[int], bytes], Callable[[bytes], object]]] = {
    **{f"tokens {name}": (_fill(part), lambda data: list(tokens(data.decode()))) for name, part in _SQL.items()},
    **{f"parse {name}": (_fill(_SQL[name]), _condition) for name in ("'", "/*/", "--", "calls", "ours")},
    **{f"effect {name}": (_fill(part), effect_of) for name, part in _SQL.items()},
    **{f"parse {name}": (_from(*parts), _statements) for name, parts in _LONG_STATEMENTS.items()},
    "dest option": (_fill(b"backup_copies=0&"), lambda data: parse_dest_option(data.decode(), short_intervals=False)),
    "dest": (_fill(b"binding=a "), lambda data: parse_log_archive_dest(data.decode(), short_intervals=False)),
    "option": (_fill(b"compression=enable "), lambda data: parse_option(data.decode()[: 64 * 1024])),
    "groups": (_groups, lambda data: verify_groups(data, 0)),
    "record": (_fill(b'{"a":['), lambda data: load_record(ClusterInfo, data)),
    "record of figures": (_fill(b"1"), lambda data: load_record(ClusterInfo, data)),
    "login": (lambda size: login_packet(b"a" * size, capabilities=CAPABILITIES), decode_login),
    "rows": (_reply(b"\2\0\0\4\1a"), _relay),
    "empty rows": (_reply(b"\0\0\0\4"), _relay),
    "a long row": (lambda size: _reply(size.to_bytes(3, "little") + b"\4")(4) + bytes(size), _relay),
}


@pytest.mark.parametrize(("make", "read"), CASES.values(), ids=CASES.keys())
def test_time_grows_with_the_input(make: Callable[[int], bytes], read: Callable[[bytes], object]) -> None:
    """In processor time, and in one of three tries: another process may have the caches."""

    def took(data: bytes) -> float:
        started = time.thread_time()
        with contextlib.suppress(SqlError, ProtocolError, RecordError):
            read(data)
        return time.thread_time() - started

    bound = _BOUND * max(0.0005, min(took(make(SMALL)) for _ in range(3)))
    large = make(SMALL * TIMES)

    assert any(took(large) < bound for _ in range(3))
