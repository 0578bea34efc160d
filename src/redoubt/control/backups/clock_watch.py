"""Watches the clock against the time since the machine's boot, so that a clock that jumps deletes no backup."""

from __future__ import annotations

import time
from pathlib import Path

import structlog

from redoubt.archive.record import RecordError, dump_record, load_record
from redoubt.durable import replace_file
from redoubt.model import clock_trust
from redoubt.model.clock_trust import SECOND, ClockTrust, Reading

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SAVE_EVERY = 600 * SECOND
_log = structlog.get_logger("redoubt.control.backups.clock_watch")


class ClockWatch:
    """Blocks for the disk. What is known is kept in `path`, over restarts of the service and of the machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: ClockTrust | None = None
        self._saved_at = 0
        self._is_doubted = False

    def look(self, window: float) -> str:
        """Read the clock; returns why it is not believed, empty if it is. `window`: the recovery window in seconds."""
        now = reading()
        if self._known is None:
            self._known = self._load()
        self._known = clock_trust.read(self._known, now, round(window * SECOND))
        is_doubted = not self._known.is_believed
        if is_doubted != self._is_doubted or abs(now.wall - self._saved_at) >= _SAVE_EVERY:
            self._save(now.wall)
        self._is_doubted = is_doubted
        return _cause(self._known, now, window) if is_doubted else ""

    def _load(self) -> ClockTrust | None:
        try:
            return load_record(ClockTrust, self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, RecordError) as error:
            _log.warning("cannot read what is known of the clock", path=str(self._path), cause=str(error))
            return clock_trust.NOTHING_KNOWN

    def _save(self, now: int) -> None:
        assert self._known is not None
        try:
            replace_file(self._path, dump_record(self._known, indent=2))
            self._saved_at = now
        except OSError as error:
            _log.warning("cannot keep what is known of the clock", path=str(self._path), cause=str(error))


def reading() -> Reading:
    """The clock and the machine's time since its boot."""
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:  # a container that hides it: a reboot then looks like a clock that is ahead
        boot = "unknown"
    return Reading(time.time_ns(), boot, time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def _cause(known: ClockTrust, now: Reading, window: float) -> str:
    ahead = known.ahead(now.wall)
    left = max(round(window * SECOND) - known.witnessed, 0) / SECOND / 3600
    side = "ahead of" if ahead > 0 else "behind"
    return (
        f"the clock is {abs(ahead) / SECOND / 3600:.1f} h {side} the time that this service has witnessed: set the "
        f"clock right; if it is right, backups are deleted by age in {left:.0f} h, or delete them by number"
    )
