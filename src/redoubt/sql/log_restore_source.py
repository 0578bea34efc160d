"""The value of `LOG_RESTORE_SOURCE`, OceanBase 4.x's name for where a standby's log comes from.

    value    := '' | LOCATION '=' uri

Blanks may stand around the words. `SERVICE=…`, a source over the network, has no counterpart here.
"""

from __future__ import annotations

import re

from redoubt.sql.errors import invalid_argument, not_supported
from redoubt.sql.standby_errors import wrong_source_type
from redoubt.sql.tokens import fold

_LONGEST = 4096
_ITEM = re.compile(r"\s*(?P<key>[A-Za-z_]+)\s*=\s*(?P<value>\S*)\s*\Z", re.ASCII)


def parse_log_restore_source(text: str) -> str:
    """The URI of the source; empty without a source. Raises SqlError 1210, 1235."""
    if not text.strip():
        return ""
    if len(text) > _LONGEST:
        raise invalid_argument("log restore source", f"write at most {_LONGEST:,} characters")
    if re.search(r"\bservice\s*=", text[:_LONGEST], re.IGNORECASE):
        raise not_supported(
            "log restore source SERVICE", "an embedded engine serves no log; write 'LOCATION=<uri of a backup_dest>'"
        )
    match = _ITEM.match(text)
    if match is None or fold(match["key"]) != "location" or not match["value"]:
        raise wrong_source_type("write 'LOCATION=<uri of a backup_dest>', or '' for no source")
    return match["value"]
