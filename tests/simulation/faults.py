"""What goes wrong, drawn from the seed: crashes at any call, errors once or for a while, answers that never come."""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from .disk import failure
from .fibers import CrashError, Turns

_ERRORS = {
    "write": (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE),
    "create": (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE),
    "mkdir": (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE),
    "link": (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE),
    "fsync": (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE),
    "unlink": (errno.EIO, errno.EROFS, errno.ESTALE),
}
_OTHERS = (errno.EIO, errno.ESTALE)
WEATHERS: dict[int, tuple[str, ...]] = {
    errno.ENOSPC: ("write", "create", "mkdir", "link"),
    errno.EDQUOT: ("write", "create", "mkdir", "link"),
    errno.EROFS: ("create", "mkdir", "link", "unlink"),
    errno.EIO: (),
    errno.ESTALE: (),
}
"""Errors that last for a while, and the calls that they meet; none named: all."""
WEAK = ("open folder", "fsync folder", "fsync file", "link", "unlink", "write", "create", "pread", "scandir", "close")
"""Kinds of calls one of which may fail often."""
_WEAKNESS = 0.15
_UNDONE_BUT_REPORTED = ("link", "unlink", "mkdir", "create", "fsync")
"""Calls whose answer may be lost though they were carried out, as on a network."""


@dataclass(frozen=True)
class Odds:
    """How likely each thing is at a call; a schedule is good at some and has nothing of others."""

    error: float
    lost_answer: float
    short: float
    turn: float
    reader: float
    weak: str = ""
    """A kind of call that fails often; none if empty."""


class Faults:
    """The fate of the archive's process."""

    def __init__(self, rng: random.Random, turns: Turns, odds: Odds, counts: Counter[str]) -> None:
        self.odds = odds
        self.counts = counts
        self.weather: int | None = None
        self.calls_to_crash: int | None = None
        self.is_dead = False
        self.trace: Callable[[str], None] = lambda _text: None
        self.in_between: Callable[[], None] = lambda: None
        self._crashes_after = False
        self._rng = rng
        self._turns = turns

    def crash_after(self, calls: int, *, done: bool) -> None:
        """The process will be gone at the call after so many; `done` says whether that call is carried out."""
        self.calls_to_crash, self._crashes_after = calls, done

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.odds = Odds(0, 0, 0, self.odds.turn, 0)
        self.weather = self.calls_to_crash = None

    def before(self, call: str, name: str) -> None:
        """See `Fate`."""
        if self.is_dead:
            raise CrashError
        odds, chance = self.odds, self._rng.random
        if odds.turn and chance() < odds.turn:
            self._turns.yields()
        if odds.reader and chance() < odds.reader:
            self.in_between()
        if self.calls_to_crash is not None:
            self.calls_to_crash -= 1
            if self.calls_to_crash < 0 and not self._crashes_after:
                self._crash("before", call, name)
        if self.weather is not None and _is_met(call, WEATHERS[self.weather]):
            self._fail(self.weather, call, name, "")
        is_weak = odds.weak and call.startswith(odds.weak)
        if (odds.error or is_weak) and chance() < (_WEAKNESS if is_weak else odds.error):
            self._fail(self._rng.choice(_ERRORS.get(call.partition(" ")[0], _OTHERS)), call, name, "")
        self.trace(f"    {call} {name}")

    def after(self, call: str, name: str) -> None:
        """See `Fate`."""
        if self.calls_to_crash is not None and self.calls_to_crash < 0:
            self._crash("after", call, name)
        if (
            self.odds.lost_answer
            and call.startswith(_UNDONE_BUT_REPORTED)
            and self._rng.random() < self.odds.lost_answer
        ):
            number = errno.EEXIST if call == "link" and self._rng.random() < 0.5 else errno.EIO
            self._fail(number, call, name, " (carried out)")

    def is_slow(self, call: str, name: str) -> bool:
        """Whether a request to a store is given up before it arrives there; it arrives later."""
        if not self.odds.lost_answer or self._rng.random() >= self.odds.lost_answer:
            return False
        self.counts["request given up, and carried out later"] += 1
        self.trace(f"    GIVEN UP {call} {name}")
        return True

    def is_sent(self) -> bool:
        """Whether a request to a store was under way when its process ended."""
        if self._rng.random() < 0.5:
            return False
        self.counts["process ended with a request under way"] += 1
        return True

    def of_another(self) -> Faults:
        """The fate of the process that takes this one's place; this one goes on by itself."""
        other = Faults(self._rng, self._turns, self.odds, self.counts)
        other.weather, other.trace, other.in_between = self.weather, self.trace, self.in_between
        return other

    def take(self, call: str, size: int) -> int:
        """See `Fate`."""
        if self._rng.random() >= self.odds.short:
            return size
        self.counts[f"short {call.partition(' ')[0]}"] += 1
        return self._rng.randint(1, size)

    def _crash(self, when: str, call: str, name: str) -> None:
        self.counts[f"crash {when} {call}"] += 1
        self.trace(f"    CRASH {when} {call} {name}")
        self.is_dead, self.calls_to_crash = True, None
        raise CrashError

    def _fail(self, number: int, call: str, name: str, note: str) -> None:
        self.counts[f"error {errno.errorcode[number]}{note}"] += 1
        self.trace(f"    {errno.errorcode[number]}{note}: {call} {name}")
        raise failure(number)


def _is_met(call: str, calls: tuple[str, ...]) -> bool:
    return not calls or call.startswith(calls)
