"""`python -m tests.destinations.demo`: the demo in a bucket of a real S3 server, which is started and ended with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from redoubt.destinations.access import ACCESS_ID, ACCESS_KEY
from tests.destinations import rgw
from tests.destinations.rgw import Rgw

_BUCKET = "demo"


def main() -> int:
    """Play it; the exit status is the demo's, or 1 without the server's programs."""
    if shutil.which("radosgw") is None:
        print("Ceph's S3 server is not installed: run 'make test-tools' first", file=sys.stderr)  # noqa: T201
        return 1
    folder = Path(tempfile.mkdtemp(prefix="rgw-"))
    server = Rgw(folder / "c")
    print("Starting Ceph's S3 server (15 s) …", flush=True)  # noqa: T201
    try:
        server.start()
        server.make_bucket(_BUCKET)
        keys = {ACCESS_ID: rgw.ACCESS_ID, ACCESS_KEY: rgw.ACCESS_KEY}
        command = [sys.executable, "-m", "redoubt", "demo", "--dest", server.uri(_BUCKET, "backup")]
        return subprocess.run(command, env=os.environ | keys, check=False).returncode
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
