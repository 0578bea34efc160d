"""A process that has an engine stand still until it is told to let it go on, or is killed.

`python -m tests.seekdb.pauser DIRECTORY LIMIT`
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.pausing import pause


class Pauser:
    """Such a process, as a test has it: the engine stands still when this returns. In a process group of its own."""

    def __init__(self, base: BaseDir, limit: float) -> None:
        command = [sys.executable, "-m", "tests.seekdb.pauser", str(base.path), str(limit)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        self.guard = int(self.process.stdout.readline())

    def close(self) -> None:
        """Have it end, if it was not killed."""
        with suppress(BrokenPipeError):
            self.process.communicate(timeout=30)


def main() -> None:
    """Pause, tell the guard's id, and wait for the end of input."""
    with pause(BaseDir(Path(sys.argv[1])), float(sys.argv[2])) as standing:
        print(standing._guard.pid, flush=True)  # noqa: T201 - to the test
        sys.stdin.read()


if __name__ == "__main__":
    main()
