"""The valve's invariants: for any figures, and along any life of a tenant."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from redoubt.model import holes, rounds
from redoubt.model.holes import Hole
from redoubt.model.rounds import Round, RoundStatus
from redoubt.model.valve import DISK_RESERVE, MIN_LIMIT, Act, Situation, decide, effective_limit, lower_mark
from tests.dose import dose

ARCHIVING = {RoundStatus.BEGINNING, RoundStatus.DOING}
HOLDS_NOTHING = {RoundStatus.STOP, RoundStatus.INTERRUPTED}
BYTES = st.integers(0, 2**40)
LIMITS = st.integers(MIN_LIMIT, 2**40)
SITUATIONS = st.builds(
    Situation,
    status=st.sampled_from(RoundStatus),
    is_mandatory=st.booleans(),
    backlog=BYTES,
    limit=LIMITS,
    gate_is_closed=st.booleans(),
)


@given(SITUATIONS)
def test_a_backlog_within_the_limit_does_no_harm(now: Situation) -> None:
    """Nothing is let go of and no gate is closed, but where no round archives."""
    act = decide(now)

    if now.backlog <= now.limit:
        assert act not in {Act.BREAK_ROUND, Act.CLOSE_GATE}
        assert act is not Act.RELEASE_LOG or now.status in HOLDS_NOTHING


@given(SITUATIONS)
def test_mandatory_never_lets_go_of_log_that_is_being_archived(now: Situation) -> None:
    """Beyond the limit the gate is closed, and only below half of the limit it is opened."""
    act = decide(now)

    if now.is_mandatory and now.status in ARCHIVING:
        assert act not in {Act.RELEASE_LOG, Act.BREAK_ROUND}
        assert (act is Act.CLOSE_GATE) == (now.backlog > now.limit and not now.gate_is_closed)
        assert (act is Act.OPEN_GATE) == (now.backlog < lower_mark(now.limit) and now.gate_is_closed)


@given(SITUATIONS)
def test_optional_never_closes_a_gate(now: Situation) -> None:
    """A closed one is opened before anything else; the round is broken exactly when the backlog is beyond the limit."""
    act = decide(now)

    if not now.is_mandatory:
        assert act is not Act.CLOSE_GATE
        assert (act is Act.OPEN_GATE) == now.gate_is_closed
        is_due = now.status in ARCHIVING and now.backlog > now.limit and not now.gate_is_closed
        assert (act is Act.BREAK_ROUND) == is_due


@given(SITUATIONS)
def test_a_round_that_does_not_archive(now: Situation) -> None:
    """Holds nothing in STOP and INTERRUPTED, everything while it stops, and has its gate opened first."""
    act = decide(now)

    if now.status not in ARCHIVING:
        without = Act.RELEASE_LOG if now.status in HOLDS_NOTHING else Act.KEEP_LOG
        assert act is (Act.OPEN_GATE if now.gate_is_closed else without)


@given(limit=LIMITS, backlog=BYTES, free=BYTES)
def test_the_limit_that_holds(limit: int, backlog: int, free: int) -> None:
    """It is never more than was set, never less than the least, and leaves the disk its reserve where it can."""
    now = effective_limit(limit, backlog, free)

    assert MIN_LIMIT <= now <= limit
    room = backlog + free - now
    assert room >= DISK_RESERVE or now == MIN_LIMIT
    assert effective_limit(limit, backlog, free + 1) >= now


class Life(RuleBasedStateMachine):
    """A tenant that writes, an archive that follows or does not, an administrator who changes his mind."""

    def __init__(self) -> None:
        super().__init__()
        self.round = Round()
        self.is_mandatory = False
        self.is_closed = False
        self.limit = MIN_LIMIT
        self.end = 0
        self.durable = 0
        self.held_from: int | None = None
        self.is_taking = True
        self.archived: list[tuple[int, int]] = []
        self.hole: Hole | None = None
        self.record: list[Hole] = []

    @property
    def backlog(self) -> int:
        """What is not durable of a round that archives."""
        return self.end - self.durable if self.round.is_archiving else 0

    @initialize(mandatory=st.booleans())
    def arrange(self, *, mandatory: bool) -> None:
        """Begin in either mode."""
        self.is_mandatory = mandatory

    @rule(size=st.integers(1, 2 * MIN_LIMIT))
    def write(self, size: int) -> None:
        """A statement writes, if the gate lets it."""
        if not self.is_closed:
            self.end += size
        self.step()

    @rule(size=st.integers(1, 3 * MIN_LIMIT))
    def archive(self, size: int) -> None:
        """The worker brings log to the destination; it can only bring what is held."""
        if self.is_taking and self.held_from is not None and self.round.status not in HOLDS_NOTHING:
            assert self.held_from <= self.durable
            self.durable = min(self.end, self.durable + size)
            self.held_from = self.durable
            self.round = rounds.progressed(self.round, 1, self.durable + 1, self.durable, self.durable)
        self.step()

    @rule()
    def die_or_recover(self) -> None:
        """The destination does not take anything any more, or takes it again: that decides nothing by itself."""
        before = self.is_closed, self.round.status
        self.is_taking = not self.is_taking
        self.step()
        assert before == (self.is_closed, self.round.status)

    @rule()
    def switch_mode(self) -> None:
        """ALTER SYSTEM SET backup_log_archive_option."""
        self.is_mandatory = not self.is_mandatory
        self.step()

    @rule(blocks=st.integers(1, 5))
    def set_limit(self, blocks: int) -> None:
        """ALTER SYSTEM SET log_archive_spool_limit."""
        self.limit = blocks * MIN_LIMIT
        self.step()

    @precondition(lambda self: self.round.status is RoundStatus.STOP)
    @rule(back=st.integers(0, 2 * MIN_LIMIT))
    def begin(self, back: int) -> None:
        """ALTER SYSTEM ARCHIVELOG: the round begins at the latest freeze point, in log that the engine has still."""
        before = self.archived[-1] if self.archived else None
        start = max(0, self.end - back)
        if before is not None:
            after, now = self.round.round_id, self.round.round_id + 1
            hole = holes.closed(self.hole, 1, after, (before[1], before[1]), (start, start), now)
            is_missing = set(range(before[1], start, 1 + (start - before[1]) // 3)) if start > before[1] else set()
            assert bool(is_missing) == (hole is not None)
            if hole is not None:
                assert (hole.start_lsn, hole.end_lsn, hole.is_open) == (before[1], start, False)
                assert hole.cause == (self.hole.cause if self.hole else "archiving was stopped (NOARCHIVELOG)")
                self.record.append(hole)
        self.hole = None
        self.round = rounds.begin(self.round, tenants=[1], start_scn=start, create_date=0, destination="d")
        self.held_from = self.durable = start
        self.archived.append((start, start))
        self.step()

    @precondition(lambda self: self.round.status in {*ARCHIVING, RoundStatus.INTERRUPTED})
    @rule()
    def stop(self) -> None:
        """ALTER SYSTEM NOARCHIVELOG."""
        self.round = rounds.stopping(self.round)
        self.step()

    @precondition(lambda self: self.round.status is RoundStatus.STOPPING)
    @rule()
    def end_stop(self) -> None:
        """The worker has archived the rest, or given up."""
        self.round = rounds.tenant_stopped(self.round, 1)
        self.step()

    def step(self) -> None:
        """One look: decide and do until there is nothing more to do."""
        if self.archived and self.round.status not in HOLDS_NOTHING:
            self.archived[-1] = (self.archived[-1][0], self.durable)
        for _ in range(4):
            now = Situation(self.round.status, self.is_mandatory, self.backlog, self.limit, self.is_closed)
            act = decide(now)
            self.do(act)
            if act in {Act.KEEP_LOG, Act.RELEASE_LOG}:
                return
        raise AssertionError("the valve does not come to rest")

    def do(self, act: Act) -> None:
        """What the control does."""
        match act:
            case Act.RELEASE_LOG:
                assert not self.round.is_archiving
                self.held_from = None
            case Act.BREAK_ROUND:
                assert not self.is_mandatory
                assert self.backlog > self.limit
                self.hole = Hole(1, self.round.round_id, self.durable, 0, "too much", 1)
                self.round = rounds.interrupted(self.round, 1, "too much")
            case Act.CLOSE_GATE:
                assert self.backlog > self.limit
                self.is_closed = True
            case Act.OPEN_GATE:
                is_driven = self.is_mandatory and self.round.is_archiving
                assert not is_driven or self.backlog < lower_mark(self.limit)
                self.is_closed = False
            case Act.KEEP_LOG:
                pass

    @invariant()
    def writes_stop_or_the_round_does(self) -> None:
        """Within one step of crossing the limit."""
        if self.backlog > self.limit:
            assert self.is_mandatory
            assert self.is_closed

    @invariant()
    def optional_and_idle_rounds_stop_nobody(self) -> None:
        """The gate is open unless a Mandatory round archives."""
        assert not self.is_closed or (self.is_mandatory and self.round.is_archiving)

    @invariant()
    def unarchived_log_is_held_while_a_round_archives(self) -> None:
        """From where the archive ends; and nothing is held when nothing is archived."""
        if self.round.is_archiving:
            assert self.held_from == self.durable
        if self.round.status in HOLDS_NOTHING:
            assert self.held_from is None

    @invariant()
    def what_is_in_no_round_is_in_a_hole(self) -> None:
        """Each gap between two rounds is on record, from end to end, and nothing else is."""
        pairs = zip(self.archived, self.archived[1:], strict=False)
        gaps = [(one[1], other[0]) for one, other in pairs if other[0] > one[1]]
        assert gaps == [(hole.start_lsn, hole.end_lsn) for hole in self.record]
        assert (self.hole is not None) == (self.round.comment == "too much")


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=dose(26, 800), stateful_step_count=40)
