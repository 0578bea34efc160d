"""Who may come in beside the engine's judgement: the addresses of a tenant's white list, and root without a password.

All clients of an engine's unix socket are local to the engine, so the engine judges no addresses: the gateway does.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from redoubt.sql.errors import SqlError

Address = tuple[str, int]
"""A host's address as text, and a port."""

WHITE_LIST: Final = "ob_tcp_invited_nodes"
"""OceanBase's variable with the addresses from which clients may log in to a tenant."""
_LONGEST_PATTERN = 64
_AS_FILE_PATTERN = {ord("%"): "*", ord("_"): "?", ord("*"): "[*]", ord("?"): "[?]", ord("["): "[[]"}
_SOCKET_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _STATE, _UID, _INODE = 1, 2, 3, 7, 9
"""Columns of a socket table."""
_ESTABLISHED, _NOBODYS = "01", "0"


def is_invited(white_list: str, host: str) -> bool:
    """Tell whether an address is in a white list: addresses, networks (10.0.0.0/8) and patterns (10.0.%, 10.0.0._).

    An entry that is none of these matches nothing.
    """
    address = _unmapped(host)
    return any(_matches(entry.strip(), address) for entry in white_list.split(","))


def _matches(entry: str, address: str) -> bool:
    if ("%" in entry or "_" in entry) and len(entry) <= _LONGEST_PATTERN:
        return fnmatchcase(address, entry.translate(_AS_FILE_PATTERN))
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def uid_of_peer(own: Address, peer: Address) -> int | None:
    """The user id of the process at the other end of a loopback connection; None if this machine does not know it.

    `own` is this end's address. A client that has closed its end counts as unknown: the kernel shows such a socket as
    root's. Blocks: the kernel's table of sockets is read.
    """
    wanted = {(_encoded(*peer, family), _encoded(*own, family)) for family in (socket.AF_INET, socket.AF_INET6)}
    for table in _SOCKET_TABLES:
        for columns in _lines(table):
            if (columns[_LOCAL], columns[_REMOTE]) in wanted:
                is_held = columns[_STATE] == _ESTABLISHED and columns[_INODE] != _NOBODYS
                return int(columns[_UID]) if is_held else None
    return None


def may_be_root_without_password(uid: int | None) -> bool:
    """Tell whether a user of this machine may log in as a root that has no password: the service's own, or root."""
    return uid is not None and uid in {0, os.geteuid()}


def not_invited(host: str) -> SqlError:
    """The client's address is not in the tenant's white list; OceanBase has the same number."""
    return SqlError(1227, "42501", f"Access denied; the address {host} is not in the tenant's {WHITE_LIST}")


def root_needs_password() -> SqlError:
    """Somebody else than the service's user tries to log in as a root without a password."""
    return SqlError(
        1045,
        "28000",
        "Access denied for user 'root'@'%' (using password: NO): root has no password yet, and only the user that runs "
        "the service may log in; as that user, run ALTER USER root IDENTIFIED BY '…'",
    )


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
        if family is socket.AF_INET:
            packed = socket.inet_pton(family, _unmapped(host))
        else:
            packed = socket.inet_pton(family, host if ":" in host else f"::ffff:{host}")
    except OSError:
        return ""
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def _unmapped(host: str) -> str:
    """An address without the prefix of an IPv4 address in IPv6's form, and without a zone."""
    address = host.partition("%")[0]
    return address.removeprefix("::ffff:") if "." in address else address
