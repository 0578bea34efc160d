"""Keeps a data backup below a number of bytes a second, so that it leaves room on the network for others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """The pace of all threads that share it; with 0 bytes a second there is no limit.

    `clock()` gives seconds, `sleep(seconds)` waits.
    """

    def __init__(
        self,
        bytes_per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_second = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self, size: int) -> None:
        """Wait until `size` bytes may be sent: what was sent before has had its time."""
        if not self._bytes_per_second:
            return
        with self._lock:
            now = self._clock()
            start = max(now, self._free_at)
            self._free_at = start + size / self._bytes_per_second
        if start > now:
            self._sleep(start - now)
