"""Whose socket is at the other end of a connection within this machine, as the kernel tells it.

The kernel finds one socket by its addresses in some microseconds (netlink's socket diagnosis, sock_diag(7)). Its table
of all sockets costs milliseconds, more on a bigger machine: it is read only where the diagnosis finds nothing, which it
also says where a kernel lacks it.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

Address = tuple[str, int]
"""A host's address as text, and a port."""

_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST = 4, 20, 1
_HEADER: Final = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence, port."""
_QUESTION: Final = struct.Struct("=BBBBI")
"""inet_diag_req_v2 before the addresses: family, protocol, extensions, padding, states."""
_STATE_AT, _ENDS_AT, _OWNER_AT = 17, 20, 80
"""Where an answer has inet_diag_msg's state, addresses (in network order), and user id and inode."""
_OWNER: Final = struct.Struct("=II")
_ANY_STATE, _ANY_INTERFACE, _ANY_COOKIE = 0xFFFFFFFF, 0, 0xFFFFFFFF
_TCP_ESTABLISHED = 1
_ANSWER_LIMIT = 4096
_PATIENCE = 1.0

_SOCKET_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _STATE, _UID, _INODE = 1, 2, 3, 7, 9
"""Columns of a socket table."""
_ESTABLISHED, _NOBODYS = "01", "0"


def uid_of_peer(own: Address, peer: Address) -> int | None:
    """The user id of the process at the other end of a loopback connection; None if this machine does not know it.

    `own` is this end's address. A client that has closed its end counts as unknown: the kernel shows such a socket as
    root's. Blocks for some microseconds, or while the kernel's table of sockets is read.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # without netlink or the diagnosis, and addresses that this family does not have
            if (uid := _diagnosed(own, peer, family)) is not None:
                return uid
    return _uid_in_tables(own, peer)


def unmapped(host: str) -> str:
    """An address without the prefix of an IPv4 address in IPv6's form, and without a zone."""
    address = host.partition("%")[0]
    return address.removeprefix("::ffff:") if "." in address else address


def _diagnosed(own: Address, peer: Address, family: socket.AddressFamily) -> int | None:
    """The owner of the peer's socket; None if it is not found. OSError if this cannot be asked."""
    ends = struct.pack("!HH", peer[1], own[1])
    ends += b"".join(_packed(host, family).ljust(16, b"\0") for host in (peer[0], own[0]))
    question = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, 0, _ANY_STATE)
    question += ends + struct.pack("=III", _ANY_INTERFACE, _ANY_COOKIE, _ANY_COOKIE)
    header = _HEADER.pack(_HEADER.size + len(question), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(_PATIENCE)
        kernel.sendall(header + question)
        return _owner_in(kernel.recv(_ANSWER_LIMIT), ends)


def _owner_in(answer: bytes, ends: bytes) -> int | None:
    """The user id in an answer about a connection between these ends: for others, the kernel may name a listener."""
    _, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind != _SOCK_DIAG_BY_FAMILY or answer[_ENDS_AT : _ENDS_AT + len(ends)] != ends:
        return None
    uid, inode = _OWNER.unpack_from(answer, _OWNER_AT)
    return uid if answer[_STATE_AT] == _TCP_ESTABLISHED and inode else None


def _uid_in_tables(own: Address, peer: Address) -> int | None:
    wanted = {(_encoded(*peer, family), _encoded(*own, family)) for family in (socket.AF_INET, socket.AF_INET6)}
    for table in _SOCKET_TABLES:
        for columns in _lines(table):
            if (columns[_LOCAL], columns[_REMOTE]) in wanted:
                is_held = columns[_STATE] == _ESTABLISHED and columns[_INODE] != _NOBODYS
                return int(columns[_UID]) if is_held else None
    return None


def _lines(table: Path) -> Iterator[list[str]]:
    try:
        text = table.read_text()
    except FileNotFoundError:  # without IPv6
        return
    for line in text.splitlines()[1:]:
        yield line.split()


def _encoded(host: str, port: int, family: socket.AddressFamily) -> str:
    """An address as a socket table has it: words of four bytes in the machine's order; empty if it has no such form."""
    try:
        packed = _packed(host, family)
    except OSError:
        return ""
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def _packed(host: str, family: socket.AddressFamily) -> bytes:
    """An address as bytes. OSError if the family has no such address."""
    if family is socket.AF_INET:
        return socket.inet_pton(family, unmapped(host))
    return socket.inet_pton(family, host.partition("%")[0] if ":" in host else f"::ffff:{host}")
