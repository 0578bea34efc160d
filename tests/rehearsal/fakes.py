"""A scratch engine that says what a test has it say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from redoubt.model.log import LogPosition
from redoubt.model.scratch_engine import Login, Rows, StatementError, TableName


@dataclass
class FakeEngine:
    """Holds what it is given; an exception in place of rows is raised."""

    system: dict[int | None, Rows | StatementError] = field(default_factory=dict)
    counts: dict[TableName, int | StatementError] = field(default_factory=dict)
    answers: list[Rows | None] = field(default_factory=list)
    at_start: Exception | None = None
    goes_on: bool = True
    lets_in: str | None = "root"
    stopped: bool = False

    def start(self) -> None:
        """See `ScratchEngine`."""
        if self.at_start is not None:
            raise self.at_start

    def goes_on_from(self, end: LogPosition) -> bool:
        """See `ScratchEngine`."""
        return self.goes_on

    def log_in(self, logins: Iterable[Login]) -> str | None:
        """See `ScratchEngine`."""
        return self.lets_in

    def catalog(self, scn: int | None) -> Iterator[tuple[str, Rows]]:
        """See `ScratchEngine`."""
        yield "system", _given(self.system.get(scn, ()))

    def tables(self) -> list[TableName]:
        """See `ScratchEngine`."""
        return sorted(self.counts)

    def read_table(self, table: TableName, *, whole: bool) -> int | None:
        """See `ScratchEngine`."""
        count = self.counts[table]
        if isinstance(count, StatementError):
            raise count
        return count if whole else None

    def results(self, sql: str) -> Iterator[Rows | None]:
        """See `ScratchEngine`."""
        yield from self.answers

    def stop(self) -> None:
        """See `ScratchEngine`."""
        self.stopped = True


def _given(rows: Rows | StatementError) -> Rows:
    if isinstance(rows, StatementError):
        raise rows
    return rows
