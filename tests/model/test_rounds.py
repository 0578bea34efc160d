"""Rounds: which status may follow which, and what the cluster's row says of its tenants."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from redoubt.model import pieces, rounds
from redoubt.model.pieces import PieceStatus
from redoubt.model.rounds import ALLOWED, Round, RoundStatus, RoundTransitionError, TenantRound
from tests.dose import dose

START = 1_000
TENANTS = [1001, 1002]
A_TENANT = st.sampled_from(TENANTS)
SCNS = st.integers(0, 2 * START)
SIZES = st.integers(0, 10**12)
CAUSES = st.sampled_from(["the log is damaged", "the log is gone", "the disk is full"])


def begun(tenants: list[int] | None = None, *, has_pieces: bool = False) -> Round:
    """A first round that has just begun."""
    return rounds.begin(
        Round(),
        tenants=tenants or [1001, 1002],
        start_scn=START,
        create_date=20260102,
        destination="file:///backup",
        has_pieces=has_pieces,
    )


def doing(*, has_pieces: bool = False) -> Round:
    """A round whose tenants have all reached its start."""
    now = begun(has_pieces=has_pieces)
    for tenant_id in TENANTS:
        now = rounds.progressed(now, tenant_id, START + tenant_id, 10, 5)
    return now


def test_the_first_round_is_number_one() -> None:
    """A new cluster is in STOP at round 0; its first round is BEGINNING with every tenant."""
    expected = Round(
        round_id=1,
        status=RoundStatus.BEGINNING,
        start_scn=START,
        create_date=20260102,
        destination="file:///backup",
        tenants={1001: TenantRound(1001, start_scn=START), 1002: TenantRound(1002, start_scn=START)},
        pieces=(pieces.begun(0, 20260102, START, TENANTS),),
    )

    assert expected == begun()


def test_a_round_without_tenants_has_nothing_archived() -> None:
    """The figures of the empty round are zero."""
    now = Round()

    assert (now.checkpoint_scn, now.input_bytes, now.output_bytes, now.is_archiving) == (0, 0, 0, False)


def test_the_cluster_is_doing_when_the_last_tenant_reached_the_start() -> None:
    """One tenant at the start is not enough; a tenant just below it is not there."""
    now = rounds.progressed(begun(), 1001, START, 100, 50)
    first = (now.status, now.tenants[1001].status, now.checkpoint_scn)
    now = rounds.progressed(now, 1002, START - 1, 10, 5)
    second = (now.status, now.tenants[1002].status, now.checkpoint_scn)
    now = rounds.progressed(now, 1002, START, 20, 10)
    third = (now.status, now.tenants[1002].status, now.checkpoint_scn)

    assert first == (RoundStatus.BEGINNING, RoundStatus.DOING, 0)
    assert second == (RoundStatus.BEGINNING, RoundStatus.BEGINNING, START - 1)
    assert third == (RoundStatus.DOING, RoundStatus.DOING, START)
    assert (now.input_bytes, now.output_bytes) == (120, 60)


def test_a_round_that_stops_waits_for_every_tenant() -> None:
    """The cluster is in STOP when its last tenant is, and the next round is number two."""
    now = rounds.tenant_stopped(rounds.stopping(doing()), 1001)
    waiting = now.status
    now = rounds.tenant_stopped(now, 1002)
    following = rounds.begin(now, tenants=[1001], start_scn=2 * START, create_date=20260103, destination="file:///b")

    assert RoundStatus.STOPPING is waiting
    assert RoundStatus.STOP is now.status
    assert (following.round_id, following.status, following.comment) == (2, RoundStatus.BEGINNING, "")


def test_stopping_twice_is_refused_with_a_text_of_its_own() -> None:
    """Who stops a stopping round is told that it is stopping."""
    with pytest.raises(RoundTransitionError, match="the round is already stopping"):
        rounds.stopping(rounds.stopping(begun()))


def test_what_may_not_follow_is_refused_by_name() -> None:
    """The error names both statuses."""
    with pytest.raises(RoundTransitionError, match="a round in STOP cannot go to STOPPING"):
        rounds.stopping(Round())


@pytest.mark.parametrize("now", [begun(), doing(), rounds.interrupted(doing(), 1001, "cut")])
def test_a_tenant_stops_only_in_a_stopping_round(now: Round) -> None:
    """No tenant is in STOP while its round goes on."""
    with pytest.raises(RoundTransitionError, match="cannot go to STOP"):
        rounds.tenant_stopped(now, 1001)


def test_the_first_cause_of_an_interruption_stays() -> None:
    """Neither a later cause, nor stopping, nor what a tenant says when it stops takes the first cause's place."""
    now = rounds.interrupted(doing(), 1001, "the log is gone")
    now = rounds.interrupted(now, 1002, "the log is damaged")
    now = rounds.troubled(now, 1001, "")
    kept = now.tenants[1001].comment
    now = rounds.interrupted(rounds.stopping(now), 1002, "the disk is full")
    now = rounds.tenant_stopped(now, 1001, "the destination did not answer in time")
    now = rounds.tenant_stopped(now, 1002)

    assert kept == "the log is gone"
    assert (now.status, now.comment) == (RoundStatus.STOP, "the log is gone")


def test_an_interruption_is_the_tenants_own() -> None:
    """The others go on, and the cluster's row says whose it is; the round is INTERRUPTED with the last tenant."""
    held_up = rounds.troubled(doing(), 1001, "No space left on device")
    now = rounds.interrupted(held_up, 1002, "the log is gone")
    again = rounds.interrupted(now, 1002, "later")
    later = rounds.interrupted(rounds.troubled(now, 1001, ""), 1001, "the log is damaged")

    assert [(t.status, t.comment) for t in now.tenants.values()] == [
        (RoundStatus.DOING, "No space left on device"),
        (RoundStatus.INTERRUPTED, "the log is gone"),
    ]
    assert again == now
    assert (now.status, now.shown_status) == (RoundStatus.DOING, RoundStatus.INTERRUPTED)
    assert now.shown_comment.startswith("tenant 1002: the log is gone; the others go on; a new round takes all")
    assert [now.is_archiving_of(each) for each in (1001, 1002)] == [True, False]
    assert (later.status, later.shown_status, later.shown_comment) == (
        *(RoundStatus.INTERRUPTED, RoundStatus.INTERRUPTED),
        "the log is damaged",
    )
    assert not later.is_archiving


def test_a_round_switches_beside_an_interrupted_tenant() -> None:
    """As often as its interval is over; what is interrupted waits in its piece for the end of the round."""
    now = rounds.interrupted(doing(has_pieces=True), 1002, "the log is gone")
    for number in (1, 2):
        assert rounds.may_switch(now)
        now = rounds.switched(now, 10 * START * number, 20261123)
        assert not rounds.may_switch(now)
        now = rounds.piece_cut(now, 1001, number, 10 * START * number)
        now = rounds.piece_frozen(now, 1001, number)
    first, *others = now.pieces
    assert (first.status, first.tenants[1002].status) == (PieceStatus.FREEZING, PieceStatus.FREEZING)
    assert [(piece.status, [*piece.tenants]) for piece in others] == [
        (PieceStatus.FROZEN, [1001]),
        (PieceStatus.ACTIVE, [1001]),
    ]
    assert [piece.piece_id for piece in now.open_pieces(1002)] == [1]

    now = rounds.stopping(now)
    for tenant_id in (1002, 1001):
        now = rounds.tenant_stopped(now, tenant_id)
    assert now.status is RoundStatus.STOP
    assert {piece.status for piece in now.pieces} == {PieceStatus.FROZEN}


def test_what_cuts_a_stopping_round_is_on_record() -> None:
    """A round that is stopping goes on stopping, and says what it met."""
    now = rounds.interrupted(rounds.stopping(doing()), 1002, "the log is gone")

    assert (now.status, now.comment) == (RoundStatus.STOPPING, "the log is gone")
    assert now.tenants[1002].comment == "the log is gone"


def test_trouble_comes_and_goes_without_a_change_of_status() -> None:
    """A tenant that is held up says why for as long as it lasts."""
    held_up = rounds.troubled(doing(), 1001, "No space left on device")
    again = rounds.troubled(held_up, 1001, "")

    assert (held_up.status, held_up.tenants[1001].comment) == (RoundStatus.DOING, "No space left on device")
    assert doing() == again


class Walk(RuleBasedStateMachine):
    """Any order of events, whether it makes sense or not."""

    def __init__(self) -> None:
        super().__init__()
        self.now = Round()
        self.causes: dict[int, str] = {}

    def move(self, then: Round) -> None:
        """Take the next round, if it may follow."""
        assert then.status is self.now.status or then.status in ALLOWED[self.now.status]
        if then.round_id == self.now.round_id:
            for tenant_id, tenant in self.now.tenants.items():
                later = then.tenants[tenant_id]
                assert later.checkpoint_scn >= tenant.checkpoint_scn
                assert later.status is tenant.status or later.status in ALLOWED[tenant.status]
            assert then.checkpoint_scn >= self.now.checkpoint_scn
            assert (self.now.start_scn, self.now.destination) == (then.start_scn, then.destination)
        self.now = then

    @rule()
    def begin(self) -> None:
        """ALTER SYSTEM ARCHIVELOG."""
        if self.now.status is not RoundStatus.STOP:
            with pytest.raises(RoundTransitionError):
                rounds.begin(self.now, tenants=TENANTS, start_scn=START, create_date=20260102, destination="file:///b")
            return
        number = self.now.round_id
        self.move(rounds.begin(self.now, tenants=TENANTS, start_scn=START, create_date=20260102, destination="d"))
        self.causes.clear()

        assert number + 1 == self.now.round_id

    @rule()
    def stop(self) -> None:
        """ALTER SYSTEM NOARCHIVELOG."""
        if self.now.status in {RoundStatus.STOP, RoundStatus.STOPPING}:
            with pytest.raises(RoundTransitionError):
                rounds.stopping(self.now)
            return
        then = rounds.stopping(self.now)
        self.move(then)

        assert RoundStatus.STOPPING is then.status

    @precondition(lambda self: self.now.tenants)
    @rule(tenant_id=A_TENANT, scn=SCNS, taken=SIZES, stored=SIZES)
    def progress(self, tenant_id: int, scn: int, taken: int, stored: int) -> None:
        """A tenant's log is durable up to somewhere, perhaps below where it was."""
        self.move(rounds.progressed(self.now, tenant_id, scn, taken, stored))

    @precondition(lambda self: self.now.tenants)
    @rule(tenant_id=A_TENANT, cause=CAUSES)
    def interrupt(self, tenant_id: int, cause: str) -> None:
        """A tenant's log cannot be read on."""
        was_archiving = self.now.is_archiving_of(tenant_id)
        others = {each: self.now.status_of(each) for each in self.now.tenants if each != tenant_id}
        self.move(rounds.interrupted(self.now, tenant_id, cause))
        assert others == {each: self.now.status_of(each) for each in others}
        if was_archiving:
            self.causes[tenant_id] = cause
            assert RoundStatus.INTERRUPTED is self.now.status_of(tenant_id)

    @precondition(lambda self: self.now.tenants)
    @rule(tenant_id=A_TENANT, cause=CAUSES | st.just(""))
    def trouble(self, tenant_id: int, cause: str) -> None:
        """A tenant is held up, or not any more."""
        status = self.now.status
        self.move(rounds.troubled(self.now, tenant_id, cause))

        assert status is self.now.status

    @precondition(lambda self: self.now.tenants)
    @rule(tenant_id=A_TENANT, comment=CAUSES | st.just(""))
    def tenant_stops(self, tenant_id: int, comment: str) -> None:
        """A tenant says that it has stopped."""
        if self.now.status is not RoundStatus.STOPPING:
            with pytest.raises(RoundTransitionError):
                rounds.tenant_stopped(self.now, tenant_id, comment)
            return
        self.move(rounds.tenant_stopped(self.now, tenant_id, comment))

    @invariant()
    def the_cluster_says_what_its_tenants_say(self) -> None:
        """The cluster's status and figures follow from its tenants' rows."""
        tenants = list(self.now.tenants.values())
        statuses = {tenant.status for tenant in tenants}
        reached = [tenant.checkpoint_scn >= self.now.start_scn for tenant in tenants]
        match self.now.status:
            case RoundStatus.STOP:
                assert statuses <= {RoundStatus.STOP}
            case RoundStatus.BEGINNING:
                assert statuses <= {RoundStatus.BEGINNING, RoundStatus.DOING, RoundStatus.INTERRUPTED}
                assert RoundStatus.BEGINNING in statuses
                assert not all(reached)
            case RoundStatus.DOING:
                assert RoundStatus.DOING in statuses
                assert statuses <= {RoundStatus.DOING, RoundStatus.INTERRUPTED}
                assert all(at or each in self.now.broken for at, each in zip(reached, tenants, strict=True))
            case RoundStatus.STOPPING:
                assert statuses <= {RoundStatus.STOPPING, RoundStatus.STOP}
                assert {RoundStatus.STOP} != statuses
            case RoundStatus.INTERRUPTED:
                assert {RoundStatus.INTERRUPTED} == statuses
                assert all(tenant.comment for tenant in tenants)
        assert self.now.checkpoint_scn == min((tenant.checkpoint_scn for tenant in tenants), default=0)
        assert self.now.input_bytes == sum(tenant.input_bytes for tenant in tenants)
        assert self.now.output_bytes == sum(tenant.output_bytes for tenant in tenants)
        assert self.now.is_archiving == (self.now.status in {RoundStatus.BEGINNING, RoundStatus.DOING})

    @invariant()
    def the_cause_of_an_interruption_stays_on_record(self) -> None:
        """Until a new round begins."""
        assert all(each.comment == self.causes[each.tenant_id] for each in self.now.broken) or not self.now.is_archiving
        if self.causes:
            assert any(cause in self.now.shown_comment for cause in self.causes.values())


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=dose(20, 600), stateful_step_count=25)
