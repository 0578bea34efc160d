"""`python -m benchmarks [backlog|service|modes|restoring]`: all of them without an argument."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import backlog, modes, restoring, service


def main() -> None:
    """Measure and print."""
    which = sys.argv[1:] or ["backlog", "service", "modes", "restoring"]
    print(f"{os.cpu_count()} cores, {platform.platform()}, CPython {platform.python_version()}", flush=True)
    if "backlog" in which:
        with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as folder:
            backlog.measure(Path(folder))
    if "service" in which:
        service.measure()
    if "modes" in which:
        modes.measure()
    if "restoring" in which:
        with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as folder:
            restoring.measure(Path(folder))


if __name__ == "__main__":
    main()
