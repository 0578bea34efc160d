"""mysql-connector-python with its C extension, in a process of its own: a request as JSON in, the answers out.

The extension brings an OpenSSL along that may be newer than Python's, and one process holds only one of them: the
extension has to come first.
"""

from __future__ import annotations

import json
import sys

import _mysql_connector  # noqa: F401 - see above

from tests.clients.drivers import through_connector_cext  # isort: skip

if __name__ == "__main__":
    json.dump(through_connector_cext(json.load(sys.stdin)), sys.stdout)
