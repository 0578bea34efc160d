"""An application that embeds the engine with pylibseekdb: inserts a row for each line that it reads, and tells so.

`python -m tests.service.application DIRECTORY`
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.seekdb.template import copy_of_new


class Application:
    """Such a process, as a test has it.

    A directory that does not exist becomes a copy of a new engine's: while the machine is busy, a new engine may not
    get ready in its own 30 s.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        if not directory.exists():
            copy_of_new(directory)
        command = [sys.executable, "-m", "tests.service.application", str(directory)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._read() != "open":
            self.kill()
            raise AssertionError("the application's engine did not open; its own words are on standard error")

    def insert(self, rows: int = 1) -> None:
        """Have it insert rows, and wait until it has."""
        assert self._process.stdin is not None
        for _ in range(rows):
            self._process.stdin.write("insert\n")
            self._process.stdin.flush()
            assert self._read() == "inserted"

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """Have it end by itself, and wait."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):  # it was killed
                stream.close()
        self._process.wait(60)

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def main() -> None:
    """Open the engine and do as told."""
    import pylibseekdb  # noqa: PLC0415 - not by the test that starts this: the engine's library is not for every process

    pylibseekdb.open(sys.argv[1])
    cursor = pylibseekdb.connect(database="test", autocommit=True).cursor()
    cursor.execute("CREATE TABLE IF NOT EXISTS t (id BIGINT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(2000))")
    print("open", flush=True)  # noqa: T201 - to the test
    for _ in sys.stdin:
        cursor.execute(f"INSERT INTO t (note) VALUES ('{'a note ' * 200}')")
        print("inserted", flush=True)  # noqa: T201 - to the test


if __name__ == "__main__":
    main()
