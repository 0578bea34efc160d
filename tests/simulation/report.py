"""What many schedules came to: how often each thing occurred, and the seeds that found a violation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_GROUPS = {
    "crash points (kind of call, before or after)": "crash ",
    "errors": "error ",
    "lasting trouble": "weather ",
    "short": "short ",
}


@dataclass
class Report:
    """Of a number of schedules. Seconds are of the clock on the wall."""

    schedules: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Take in what others found."""
        self.schedules += other.schedules
        self.counts += other.counts
        self.violations += other.violations

    def kinds(self, prefix: str) -> dict[str, int]:
        """The counts whose names begin so."""
        return {name: count for name, count in sorted(self.counts.items()) if name.startswith(prefix)}

    def text(self) -> str:
        """For people."""
        speed = self.schedules / self.seconds if self.seconds else 0.0
        lines = [f"{self.schedules} schedules in {self.seconds:.1f} s ({speed:.0f} a second)"]
        grouped: set[str] = set()
        for title, prefix in _GROUPS.items():
            kinds = self.kinds(prefix)
            grouped |= kinds.keys()
            lines.append(f"{title}: {len(kinds)} kinds, {sum(kinds.values())} times")
            lines += [f"  {count:9d} {name.removeprefix(prefix)}" for name, count in kinds.items()]
        lines.append("what else occurred:")
        lines += [f"  {count:9d} {name}" for name, count in sorted(self.counts.items()) if name not in grouped]
        lines.append(f"violations: {len(self.violations)}")
        lines += [f"  seed {seed}: {text}" for seed, text in sorted(self.violations)[:20]]
        return "\n".join(lines)
