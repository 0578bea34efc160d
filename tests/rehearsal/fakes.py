"""A scratch engine that says what a test has it say, and a kind whose restored directories hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.kind import RestoredSeekdb, SeekdbKind
from redoubt.engines.seekdb.still_source import StillSource
from redoubt.model.bases import BaseSource
from redoubt.model.log import LogPosition
from redoubt.model.scratch_engine import Login, Roller, Rows, ScratchEngine, StatementError, TableName


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


class DoneRoller:
    """In place of an engine that has brought the log into the files, and answers as it is told."""

    def __init__(self, base: BaseDir, engine: FakeEngine) -> None:
        self._base = base
        self._engine = engine

    def roll(
        self,
        end: LogPosition,
        logins: Sequence[Login],
        source: str,
        version: str,
        look: Callable[[ScratchEngine], None],
    ) -> BaseSource:
        """See `Roller`."""
        look(self._engine)
        return StillSource(self._base, source, version, 0, end)


class FakeRestored(RestoredSeekdb):
    """A directory in which such an engine is found."""

    def __init__(self, directory: Path, engine: FakeEngine) -> None:
        super().__init__(BaseDir(directory))
        self._engine = engine

    def scratch_engine(self, log_bytes: int) -> ScratchEngine:
        """See `RestoredDirectory`."""
        return self._engine

    def roller(self, say: Callable[[str], None]) -> Roller:
        """See `RestoredDirectory`."""
        return DoneRoller(self._base, self._engine)


class FakeKind(SeekdbKind):
    """Lays and cuts log as seekdb does."""

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine

    def restored(self, directory: Path) -> FakeRestored:
        """See `EngineKind`."""
        return FakeRestored(directory, self._engine)


def _given(rows: Rows | StatementError) -> Rows:
    if isinstance(rows, StatementError):
        raise rows
    return rows
