"""The holder's process: links the new redo blocks of all engines, so that an engine cannot recycle log unheld.

Composition root of the holder, as `service.py` is of the service. In a process of its own, nothing that a client, a
destination or another tenant does can delay the links; each directory has a thread of its own. The process ends when
its standard input ends: the service is gone.

`python -m redoubt.holder` reads lines with directories and writes lines with troubles (`messages/holding.py`).
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import BinaryIO

from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.messages.holding import Hold, HoldingTrouble, from_line, to_line

_PAUSE = 0.25
"""Seconds between two looks: an engine that writes 30 MB/s fills a block in two seconds, and keeps it for a while."""


class Holder:
    """The directories whose log is held, each by a thread."""

    def __init__(self, reports: BinaryIO) -> None:
        self._reports = reports
        self._threads: dict[tuple[str, str], threading.Event] = {}
        """For each kind and directory, the event that ends the thread."""

    def obey(self, command: Hold) -> None:
        """Hold the log in these directories and in no others."""
        wanted = {(kind, directory) for kind, directory in command.directories}
        for key in set(self._threads) - wanted:
            self._threads.pop(key).set()
        for key in wanted - set(self._threads):
            self._threads[key] = threading.Event()
            threading.Thread(target=self._keep_up, args=(*key, self._threads[key]), daemon=True).start()

    def _keep_up(self, kind: str, directory: str, end: threading.Event) -> None:
        told = ""
        while not end.is_set():
            cause = _trouble(kind, Path(directory))
            if cause != told:
                told = cause
                self._reports.write(to_line(HoldingTrouble(directory, cause)))
            end.wait(_PAUSE)


def _trouble(kind: str, directory: Path) -> str:
    """Why the new log in a directory cannot be held; empty if it is held, or if nothing is to be held there."""
    try:
        engine_kind(kind).keep_up(directory)
    except (OSError, RedoubtError) as error:
        return str(error)
    return ""


def main() -> None:
    """`python -m redoubt.holder`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the service
    holder = Holder(os.fdopen(sys.stdout.fileno(), "wb", buffering=0, closefd=False))
    for line in sys.stdin.buffer:
        command = from_line(line)
        assert isinstance(command, Hold)
        holder.obey(command)
    os._exit(0)  # a file system that hangs must not keep the process alive


if __name__ == "__main__":
    main()
