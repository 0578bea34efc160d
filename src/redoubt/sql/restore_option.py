"""The text behind WITH of ALTER SYSTEM RESTORE: from which cluster, and into which resources, a tenant is restored.

The grammar is OceanBase's: `key=value` joined with `&`, in printable ASCII without spaces, keys in any case, neither
key nor value empty. Of a repeated key the last one counts. Unknown keys have no effect; the caller names them. The text
may begin with one `&`, but must not end with one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from redoubt.sql.restore_errors import invalid_restore_option
from redoubt.sql.tokens import fold

_LONGEST = 2047
_LONGEST_SHOWN = 40  # characters of a wrong item in an error's text
_NOT_PRINTABLE = re.compile(r"[^!-~]")
_ITEM = re.compile(r"([^=&]++)=([^=&]++)")
_BIGINT = re.compile(r"[+-]?[0-9]{1,18}")

_TEXTS: Final = {
    "backup_tenant_name": "tenant_name",
    "backup_cluster_name": "cluster_name",
    "pool_list": "pool_list",
    "locality": "locality",
    "primary_zone": "primary_zone",
    "kms_encrypt": "kms_encrypt",
}
_NUMBERS: Final = {"backup_cluster_id": "cluster_id", "restore_job_id": "restore_job_id"}


@dataclass(frozen=True)
class RestoreOption:
    """The parsed text. None means that the key is not given. `cluster_name`, `cluster_id`, `tenant_name`: the backup's.

    `unknown` are the keys that mean nothing.
    OceanBase requires `cluster_name`, `cluster_id` and `pool_list`. Here the caller decides which keys are required.
    """

    cluster_name: str | None = None
    cluster_id: int | None = None
    pool_list: str | None = None
    locality: str | None = None
    primary_zone: str | None = None
    restore_job_id: int | None = None
    kms_encrypt: str | None = None
    tenant_name: str | None = None
    unknown: tuple[str, ...] = ()


def parse_restore_option(text: str) -> RestoreOption:
    """Parse `text`. Raises `SqlError` 1210 if the text is invalid or longer than 2047 characters."""
    if len(text) > _LONGEST:
        raise invalid_restore_option(f"the option must not be longer than {_LONGEST:,} characters")
    if _NOT_PRINTABLE.search(text):
        raise invalid_restore_option("write key=value&key=value, in printable ASCII without spaces")
    values: dict[str, str | int] = {}
    unknown: list[str] = []
    for item in text.removeprefix("&").split("&") if text else ():
        key, value = _item(item)
        if key in _TEXTS:
            values[_TEXTS[key]] = value
        elif key in _NUMBERS:
            values[_NUMBERS[key]] = _number(key, value)
        else:
            unknown.append(key)
    return RestoreOption(**values, unknown=tuple(unknown))  # type: ignore[arg-type]  # each field is in the table of its kind


def _item(item: str) -> tuple[str, str]:
    """Read one `key=value`, the key in lower case."""
    match = _ITEM.fullmatch(item)
    if match is None:
        raise invalid_restore_option(f"{_shown(item)} is not of the form key=value")
    return fold(match[1]), match[2]


def _number(key: str, value: str) -> int:
    if _BIGINT.fullmatch(value) is None:
        raise invalid_restore_option(f"{key}: {_shown(value)} is not a whole number")
    return int(value)


def _shown(item: str) -> str:
    return repr(item if len(item) <= _LONGEST_SHOWN else item[:_LONGEST_SHOWN] + "…")
