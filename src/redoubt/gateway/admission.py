"""Who may come in beside the engine's judgement: the addresses of a tenant's white list, and root without a password.

All clients of an engine's unix socket are local to the engine, so the engine judges no addresses: the gateway does.
"""

from __future__ import annotations

import ipaddress
import os
from fnmatch import fnmatchcase
from typing import Final

from redoubt.gateway.socket_owner import unmapped
from redoubt.sql.errors import SqlError

WHITE_LIST: Final = "ob_tcp_invited_nodes"
"""OceanBase's variable with the addresses from which clients may log in to a tenant."""
_LONGEST_PATTERN = 64
_AS_FILE_PATTERN = {ord("%"): "*", ord("_"): "?", ord("*"): "[*]", ord("?"): "[?]", ord("["): "[[]"}


def is_invited(white_list: str, host: str) -> bool:
    """Tell whether an address is in a white list: addresses, networks (10.0.0.0/8) and patterns (10.0.%, 10.0.0._).

    An entry that is none of these matches nothing.
    """
    address = unmapped(host)
    return any(_matches(entry.strip(), address) for entry in white_list.split(","))


def _matches(entry: str, address: str) -> bool:
    if ("%" in entry or "_" in entry) and len(entry) <= _LONGEST_PATTERN:
        return fnmatchcase(address, entry.translate(_AS_FILE_PATTERN))
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


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
