"""The synchronous commit: who waits, for which flush, for how long, and who is let go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from redoubt.control.modes.commits import SynchronousCommit, SyncRule, SyncState
from redoubt.sql.errors import SqlError, commit_interrupted
from tests.control.stage import TimelessLoop
from tests.dose import dose

STRICT = SyncRule(10.0, falls_back=False)
LENIENT = SyncRule(10.0, falls_back=True)
MOMENT = 1e-10
"""Less than the loop's clock can tell apart: what is due within it is due in the same turn."""
OFF, SYNC, ASYNC = SyncState.OFF, SyncState.SYNC, SyncState.ASYNC


class Flushes:
    """A synchronous commit on a loop of its own; `sent` are the flushes asked for, `changes` what was told."""

    def __init__(self) -> None:
        self.loop = TimelessLoop()
        self.sent: list[int] = []
        self.changes: list[tuple[SyncState, SyncState, str]] = []
        self.commits = SynchronousCommit(self.sent.append, lambda *change: self.changes.append(change))

    def commit(self, number: int = 1) -> list[asyncio.Task[None]]:
        """So many commits begin."""
        begun = [self.loop.create_task(self.commits.make_durable()) for _ in range(number)]
        for task in begun:
            task.add_done_callback(_look_at)
        self.loop.settle()
        return begun

    def end(self) -> None:
        """Nobody waits any more."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.settle()
        self.loop.close()

    def flushed(self, number: int) -> None:
        """The archive has flushed."""
        self.commits.flushed(number)
        self.loop.settle()


@pytest.fixture
def flushes() -> Iterator[Flushes]:
    """A flushes where commits wait."""
    flushes = Flushes()
    flushes.commits.turn_on(STRICT)
    yield flushes
    flushes.end()


def done(tasks: list[asyncio.Task[None]]) -> list[bool]:
    """Which commits are acknowledged; one that was refused fails here."""
    return [task.done() and task.result() is None for task in tasks]


def test_a_commit_does_not_wait_where_nobody_asked_for_it() -> None:
    """And no flush is sent."""
    flushes = Flushes()
    (commit,) = flushes.commit()
    flushes.loop.close()

    assert commit.done()
    assert (flushes.sent, flushes.changes, flushes.commits.is_synchronous) == ([], [], False)


def test_commits_that_come_during_a_flush_share_the_next(flushes: Flushes) -> None:
    """The flush that was asked for before they came does not count for them."""
    first = flushes.commit()
    later = flushes.commit(3)
    assert (flushes.sent, done(first + later)) == ([1], [False] * 4)
    flushes.flushed(1)
    assert (flushes.sent, done(first + later)) == ([1, 2], [True, False, False, False])
    flushes.flushed(2)

    assert (flushes.sent, done(later)) == ([1, 2], [True] * 3)


def test_an_answer_to_an_earlier_number_ends_no_later_flush(flushes: Flushes) -> None:
    """Commits were turned off and on while it was under way."""
    flushes.commit()
    flushes.commits.turn_off()
    flushes.commits.turn_on(STRICT)
    later = flushes.commit()
    flushes.flushed(1)
    assert (flushes.sent, done(later)) == ([1, 2], [False])
    flushes.flushed(2)

    assert done(later) == [True]


def test_a_commit_that_is_not_archived_in_time_is_refused(flushes: Flushes) -> None:
    """All of a group in the same moment; the next ones wait as before."""
    commits = flushes.commit(5)
    flushes.loop.pass_time(10)
    errors = [commit.exception() for commit in commits]
    assert all(isinstance(error, SqlError) and error.code == 4012 for error in errors)
    assert "not archived within 10 s" in str(errors[0])
    later = flushes.commit()
    flushes.flushed(1)
    flushes.flushed(2)

    assert (flushes.commits.state, done(later)) == (SYNC, [True])


def test_where_fallback_is_wished_all_are_acknowledged(flushes: Flushes) -> None:
    """Those of the same moment too, and it is told once; the flush that succeeds ends it."""
    flushes.commits.turn_on(LENIENT)
    early = flushes.commit(5)
    flushes.loop.pass_time(5)
    late = flushes.commit(5)
    flushes.loop.pass_time(5)
    assert done(early + late) == [True] * 10
    assert flushes.commits.cause == "a commit was not archived within 10 s"
    assert done(flushes.commit()) == [True]
    flushes.commits.turn_on(LENIENT)
    assert flushes.sent == [1]  # the old one is still asked for
    flushes.flushed(1)

    assert [change[:2] for change in flushes.changes] == [(OFF, SYNC), (SYNC, ASYNC), (ASYNC, SYNC)]
    assert (flushes.commits.cause, done(flushes.commit())) == ("", [False])


def test_the_archive_is_asked_whether_it_has_recovered(flushes: Flushes) -> None:
    """Also when no commit asks for a flush, and the one before was given up."""
    flushes.commits.turn_on(LENIENT)
    flushes.commit()
    flushes.loop.pass_time(10)
    flushes.commits._is_under_way = False
    flushes.commits.turn_on(LENIENT)
    assert flushes.sent == [1, 2]
    flushes.flushed(2)

    assert flushes.commits.state is SYNC


def test_fallback_that_is_taken_back_ends_at_once(flushes: Flushes) -> None:
    """From then on a commit waits again, and is refused."""
    flushes.commits.turn_on(LENIENT)
    flushes.commit()
    flushes.loop.pass_time(10)
    flushes.commits.turn_on(STRICT)
    (commit,) = flushes.commit()
    assert (flushes.commits.state, flushes.commits.cause) == (SYNC, "")
    flushes.loop.pass_time(10)

    assert isinstance(commit.exception(), SqlError)


def test_an_answer_in_the_moment_of_the_time_out_counts(flushes: Flushes) -> None:
    """What is durable is acknowledged."""
    (commit,) = flushes.commit()
    flushes.loop.call_at(flushes.loop.time() + 10 - MOMENT, flushes.commits.flushed, 1)
    flushes.loop.pass_time(10)

    assert done([commit]) == [True]


@pytest.mark.parametrize("rule", [STRICT, LENIENT])
def test_an_end_in_the_moment_of_the_time_out(flushes: Flushes, rule: SyncRule) -> None:
    """Whatever comes first, what is not archived is not acknowledged after an interruption, and OFF stays OFF."""
    flushes.commits.turn_on(rule)
    end = flushes.loop.time() + 10 - MOMENT
    flushes.loop.call_at(end, flushes.commits.turn_off, commit_interrupted("damaged"))
    before = flushes.commit()
    flushes.loop.pass_time(10)
    flushes.commits.turn_on(rule)
    after = flushes.commit()
    flushes.loop.call_at(flushes.loop.time() + 10, flushes.commits.turn_off, commit_interrupted("damaged"))
    flushes.loop.pass_time(10)

    assert isinstance(before[0].exception(), SqlError)
    assert isinstance(after[0].exception(), SqlError)
    assert flushes.commits.state is OFF


def test_a_commit_that_is_late_after_the_end_is_refused(flushes: Flushes) -> None:
    """Its waiting was over already when the end came, in the same turn of the loop, so that nobody told it."""
    flushes.commits.turn_on(LENIENT)
    answer: asyncio.Future[None] = flushes.loop.create_future()
    answer.cancel()
    flushes.commits.turn_off(commit_interrupted("damaged"))

    with pytest.raises(SqlError, match="not archived within"):
        flushes.commits._late(answer, LENIENT)
    assert flushes.commits.state is OFF


def test_turning_off_lets_go_or_refuses(flushes: Flushes) -> None:
    """An administrator lets them go, an interruption is told; twice changes nothing."""
    let_go = flushes.commit(2)
    flushes.commits.turn_off()
    flushes.loop.settle()
    flushes.commits.turn_on(STRICT)
    refused = flushes.commit(2)
    for _ in range(2):
        flushes.commits.turn_off(commit_interrupted("damaged"))
    flushes.loop.settle()

    assert done(let_go) == [True, True]
    assert ["damaged" in str(task.exception()) for task in refused] == [True, True]
    assert [change[:2] for change in flushes.changes] == [(OFF, SYNC), (SYNC, OFF)] * 2


def test_a_client_that_goes_away_leaves_nothing(flushes: Flushes) -> None:
    """Others that wait are served, and no flush is sent for it."""
    first, gone = flushes.commit(), flushes.commit()
    gone[0].cancel()
    flushes.loop.settle()
    flushes.flushed(1)

    assert gone[0].cancelled()
    assert (done(first), flushes.sent, flushes.commits._waiting) == ([True], [1], [])


def test_a_new_worker_is_asked_again(flushes: Flushes) -> None:
    """For the flush that is under way, if there is one."""
    flushes.commits.resend()
    (commit,) = flushes.commit()
    flushes.commits.resend()
    assert flushes.sent == [1, 1]
    flushes.flushed(1)
    flushes.commits.resend()

    assert (flushes.sent, done([commit])) == ([1, 1], [True])


@dataclass
class Commit:
    """A commit that waits: when it began, and how many times until then nobody had to wait any more."""

    task: asyncio.Task[None]
    began: int
    releases: int


class Traffic(RuleBasedStateMachine):
    """Commits, answers, time-outs, restarts of the worker and administrators in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = TimelessLoop()
        self.at = 0
        self.asked_at: dict[int, int] = {}
        self.outstanding: list[int] = []
        self.answered = 0
        self.releases = 0
        self.waiting: list[Commit] = []
        self.commits = SynchronousCommit(self.send, self.change)

    def send(self, number: int) -> None:
        """The worker is asked."""
        self.at += 1
        assert number not in self.outstanding or number == self.outstanding[-1]
        self.asked_at.setdefault(number, self.at)
        self.outstanding.append(number)

    def change(self, before: SyncState, after: SyncState, cause: str) -> None:
        """A change is told."""
        assert before is not after
        assert (cause != "") == (after is ASYNC)
        if after is not SYNC:
            self.releases += 1

    @rule(falls_back=st.booleans())
    def turn_on(self, *, falls_back: bool) -> None:
        """As the valve does at each look."""
        self.commits.turn_on(SyncRule(10.0, falls_back=falls_back))
        self.settle()

    @rule(error=st.sampled_from([None, commit_interrupted("damaged")]))
    def turn_off(self, error: SqlError | None) -> None:
        """A stop, or an interruption."""
        self.commits.turn_off(error)
        self.settle()

    @rule(number=st.integers(1, 3))
    def commit(self, number: int) -> None:
        """Statements commit."""
        for _ in range(number):
            self.at += 1
            task = self.loop.create_task(self.commits.make_durable())
            task.add_done_callback(_look_at)
            self.waiting.append(Commit(task, self.at, self.releases))
            if not self.commits.is_synchronous:
                self.waiting[-1].releases -= 1  # nobody has to wait
        self.settle()

    @precondition(lambda self: self.outstanding)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """The worker has flushed, up to any of the numbers that it was asked for."""
        number = data.draw(st.sampled_from(self.outstanding))
        self.outstanding = [each for each in self.outstanding if each > number]
        self.answered = max(self.answered, number)
        self.commits.flushed(number)
        self.settle()

    @rule()
    def restart_worker(self) -> None:
        """The worker dies with what it was asked for."""
        self.outstanding.clear()
        self.commits.resend()

    @rule(seconds=st.floats(0.5, 6))
    def pass_time(self, seconds: float) -> None:
        """So that some are too late."""
        self.loop.pass_time(seconds)
        self.settle()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A client goes away."""
        data.draw(st.sampled_from(self.waiting)).task.cancel()
        self.settle()

    def settle(self) -> None:
        """Let the loop run, and judge what was acknowledged."""
        self.loop.settle()
        for commit in [commit for commit in self.waiting if commit.task.done()]:
            self.waiting.remove(commit)
            if commit.task.cancelled() or commit.releases < self.releases:
                continue
            if error := commit.task.exception():
                assert isinstance(error, SqlError)
            else:
                assert any(at > commit.began for n, at in self.asked_at.items() if n <= self.answered)

    @invariant()
    def whoever_waits_waits_for_something(self) -> None:
        """No wake-up is lost: a flush is asked for, and who waits does so in SYNC."""
        assert not self.waiting or (self.commits.state is SYNC and self.outstanding)

    def teardown(self) -> None:
        """An archive that answers lets everybody go; nothing is left."""
        while self.waiting:
            self.outstanding, number = [], self.outstanding[-1]
            self.answered = number
            self.commits.flushed(number)
            self.settle()
        assert not self.commits._waiting
        assert not asyncio.all_tasks(self.loop)
        self.loop.close()


def _look_at(task: asyncio.Task[None]) -> None:
    """Take note of how a task ended, so that asyncio does not complain of it."""
    if not task.cancelled():
        task.exception()


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=dose(33, 1000), stateful_step_count=30)
