"""Login names that carry a tenant and a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass

SYS = "sys"
ROOT = "root"
SERVICE = "redoubt_service"
"""The service's own account on every engine; the gateway refuses logins with it."""
_CANONICAL = re.compile(r"[\w.$-]{1,64}")


@dataclass(frozen=True)
class Account:
    """A parsed login name; the tenant is in lower case, the cluster is None if not given."""

    user: str
    tenant: str = SYS
    cluster: str | None = None

    @property
    def may_log_in(self) -> bool:
        """Whether an engine may get this user's name.

        An engine takes `'name'` and `name@sys` for `name`. So a name has only letters, digits and `_.$-`, up to 64, and
        is not the service's.
        """
        return _CANONICAL.fullmatch(self.user) is not None and self.user.casefold() != SERVICE

    def is_in(self, cluster_name: str) -> bool:
        """Tell whether the account is one of that cluster (names are compared in lower case)."""
        return self.cluster is None or self.cluster.lower() == cluster_name.lower()


def parse_account(name: str) -> Account:
    """Parse `user`, `user@tenant`, `user@tenant#cluster` or `cluster:tenant:user`.

    The last `@` counts, because a user's name may contain one. Every text is a valid name; the login checks later
    whether tenant and cluster exist.
    """
    user, at, place = name.rpartition("@")
    if at:
        tenant, hash_sign, cluster = place.partition("#")
        return Account(user, tenant.lower(), cluster if hash_sign else None)
    cluster, *rest = name.split(":", 2)
    if len(rest) == 2:  # noqa: PLR2004 - two colons make three parts
        return Account(rest[1], rest[0].lower(), cluster)
    return Account(name)
