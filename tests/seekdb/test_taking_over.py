"""The takeover on an engine that is played here, over a log as an engine writes it: what can go wrong in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pymysql
import pytest

from redoubt.engines.seekdb import taking_over
from redoubt.engines.seekdb.taking_over import TakingOver
from redoubt.engines.seekdb.undo_log import Orphan, entry_numbers
from redoubt.model.scratch_engine import Login
from redoubt.model.standby import TakeOverError

from .test_orphans import ORPHAN, log
from .written import LOG, WrittenLog

__all__ = ["log"]


class Engine:
    """A connection to an engine that has replayed its log, and its cursor."""

    def __init__(self, log: WrittenLog) -> None:
        self.log = log
        self.open: list[Orphan] = []
        self.role = "STANDBY"
        self.stays = False
        self.refuses = ""
        self.ran: list[str] = []
        self._rows: tuple[tuple[Any, ...], ...] = ()

    @contextmanager
    def cursor(self) -> Iterator[Engine]:
        """See `Connection`."""
        yield self

    def execute(self, sql: str) -> None:
        """See `Cursor`."""
        self.ran.append(sql)
        if self.refuses and self.refuses in sql:
            raise pymysql.err.OperationalError(1227, "you need the privilege")
        if "ACTIVATE" in sql and not self.stays:
            self.role = "PRIMARY"
        answers: dict[str, tuple[tuple[Any, ...], ...]] = {
            "replay_stat": ((self.log.end.lsn, 0),),
            "trans_stat": tuple((each.tx_id, each.start_scn) for each in self.open),
            "SELECT ROLE": ((self.role,),),
        }
        self._rows = next((rows for word, rows in answers.items() if word in sql), ())

    def fetchall(self) -> tuple[tuple[Any, ...], ...]:
        """See `Cursor`."""
        return self._rows

    def close(self) -> None:
        """See `Connection`."""


@pytest.fixture
def engine(log: WrittenLog, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine that root may use, and that has little time."""
    played = Engine(log)

    def connect_as(_base: object, user: str, _password: str, _timeout: float) -> Engine:
        if user != "root":
            raise pymysql.err.OperationalError(1045, "access denied")
        return played

    monkeypatch.setattr(taking_over, "connect_as", connect_as)
    monkeypatch.setattr(taking_over, "_PATIENCE", 0.1)
    log.base.ours.mkdir()
    log.base.parameters_before.touch()
    return played


def _taking(log: WrittenLog) -> closing[TakingOver]:
    return closing(TakingOver(log.base, [Login("nobody", ""), Login("root", "")]))


def test_what_is_open_is_ended_and_the_engine_becomes_a_primary(log: WrittenLog, engine: Engine) -> None:
    """The abort records go on from the log's end; the role comes after them; the marks say so."""
    with _taking(log) as taking:
        assert taking.aborts(log.end.lsn) is None
        engine.open = [ORPHAN]
        last = taking.aborts(log.end.lsn)
        assert last is not None
        assert (last.start, last.end.scn) == (log.end, log.end.scn + 1)
        assert entry_numbers(last.data, frozenset({ORPHAN.tx_id})) == {ORPHAN.tx_id: 7}
        log.put(last.start.lsn, last.data)
        log.ends.append(last.end)
        with pytest.raises(TakeOverError, match="did not replay the abort records"):
            taking.become_primary(last.end)
        engine.open = []
        taking.become_primary(last.end)
    assert engine.ran[-1] == "ALTER SYSTEM SET log_restore_source = ''"
    assert not log.base.settled.exists(), "it will be killed, and may leave transactions open again"
    assert not log.base.parameters_before.exists()


def test_each_failure_is_named(log: WrittenLog, engine: Engine) -> None:
    """A log that ends elsewhere, a block that is full, a damaged block, a privilege, a role that does not change."""
    with pytest.raises(TakeOverError, match="cannot log in"):
        TakingOver(log.base, [Login("nobody", "")])
    with _taking(log) as taking:
        with pytest.raises(TakeOverError, match="did not replay its log"):
            taking.aborts(log.end.lsn + 1)
        engine.stays = True
        with pytest.raises(TakeOverError, match="did not become a primary"):
            taking.become_primary(log.end)
        engine.refuses = "ACTIVATE"
        with pytest.raises(TakeOverError, match="refused ALTER SYSTEM ACTIVATE STANDBY"):
            taking.become_primary(log.end)
        known = log.ends.pop()
        with pytest.raises(TakeOverError, match=f"ends at LSN {known.lsn} instead of at LSN {log.end.lsn}"):
            taking.aborts(log.end.lsn)
        log.ends.append(known)
        log.fill_block()
        engine.open = [ORPHAN]
        with pytest.raises(TakeOverError, match="has no room for abort records"):
            taking.aborts(log.end.lsn)
        assert log.end.lsn == LOG
        log.block(0).write_bytes(b"IB" + bytes(5000))
        with pytest.raises(TakeOverError, match="is damaged"):
            taking.aborts(log.end.lsn)
