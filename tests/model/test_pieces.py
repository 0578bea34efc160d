"""Keys of pieces, and a round that goes on in new pieces."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from redoubt.model import rounds
from redoubt.model.pieces import Piece, PieceKey, PieceStatus
from redoubt.model.rounds import Round, RoundStatus, RoundTransitionError
from tests.dose import dose

START = 1_000
DAY = 20261123
ORDER = list(PieceStatus)


@given(st.integers(1, 2**40), st.integers(1, 2**40), st.integers(20000101, 99991231))
def test_a_key_is_read_back_from_the_name_of_its_folder(round_id: int, piece_id: int, date: int) -> None:
    """With and without pieces."""
    for key in (PieceKey(round_id), PieceKey(round_id, piece_id, date)):
        assert PieceKey.parse(str(key)) == key


@pytest.mark.parametrize(
    "name", ["", "0", "01", "1_1", "1_0_20260101", "1_1_2026011", "1_1_20260101_", "x", "1\n", "1_2_2"]
)
def test_what_is_no_key(name: str) -> None:
    """Foreign folders are passed over."""
    assert PieceKey.parse(name) is None


def begun(*tenants: int, has_pieces: bool = True, last: Round | None = None) -> Round:
    """A round that has just begun."""
    return rounds.begin(
        last or Round(), tenants=list(tenants), start_scn=START, create_date=DAY, destination="d", has_pieces=has_pieces
    )


def doing(*tenants: int) -> Round:
    """A round with pieces whose tenants have all reached the start."""
    now = begun(*tenants)
    for tenant_id in tenants:
        now = rounds.progressed(now, tenant_id, START + 1, 10, 5, 1)
    return now


def test_a_switch_step_by_step() -> None:
    """The old piece is FROZEN when every tenant's part is, and the next one begins where it ended."""
    now = rounds.switched(doing(1001, 1002), 2 * START, DAY + 1)
    first = [(piece.piece_id, piece.status, piece.start_scn) for piece in now.pieces]
    now = rounds.piece_cut(now, 1001, 1, 2 * START + 3)
    now = rounds.progressed(now, 1001, 2 * START + 3, 20, 8, 1)
    now = rounds.piece_frozen(now, 1001, 1)
    second = [(piece.piece_id, piece.status) for piece in now.pieces]
    open_then = ([piece.piece_id for piece in now.open_pieces(1001)], [p.piece_id for p in now.open_pieces(1002)])
    now = rounds.progressed(now, 1002, 2 * START + 7, 30, 9, 1)
    now = rounds.piece_cut(now, 1002, 1, 2 * START + 7)
    now = rounds.piece_frozen(now, 1002, 1)
    now = rounds.progressed(now, 1001, 3 * START, 1, 1, 2)

    assert first == [(1, PieceStatus.FREEZING, START), (2, PieceStatus.ACTIVE, 2 * START)]
    assert second == [(1, PieceStatus.FREEZING), (2, PieceStatus.ACTIVE)]
    assert open_then == ([2], [1])
    old, new = now.pieces
    assert (old.status, old.checkpoint_scn, old.input_bytes) == (PieceStatus.FROZEN, 2 * START + 7, 50)
    assert (new.start_scn, [part.start_scn for part in new.tenants.values()]) == (
        2 * START + 7,
        [2 * START + 3, 2 * START + 7],
    )
    assert (now.tenants[1001].input_bytes, now.tenants[1001].output_bytes) == (21, 9)
    assert (now.start_piece_id, now.last_piece_id) == (1, 2)


def test_a_second_switch_waits_for_the_first() -> None:
    """At most two pieces are not frozen; a round without pieces, or not DOING, has none to switch."""
    switched = rounds.switched(doing(1001), 2 * START, DAY)

    for now in (switched, begun(1001, has_pieces=False), begun(1001), rounds.stopping(doing(1001))):
        assert not rounds.may_switch(now)
        with pytest.raises(RoundTransitionError, match="cannot go on in a new piece"):
            rounds.switched(now, 3 * START, DAY)


def test_a_round_that_stops_before_the_switch_is_reached() -> None:
    """The piece that never began is empty, at the end of the log."""
    now = rounds.stopping(rounds.switched(doing(1001), 2 * START, DAY))
    now = rounds.tenant_stopped(now, 1001)

    assert now.status is RoundStatus.STOP
    assert [piece.status for piece in now.pieces] == [PieceStatus.FROZEN, PieceStatus.FROZEN]
    empty = now.pieces[1].tenants[1001]
    assert (empty.start_scn, empty.checkpoint_scn, empty.input_bytes) == (START + 1, START + 1, 0)


def test_numbers_go_on_over_rounds() -> None:
    """Also over one without pieces, which keeps the last number."""
    first = rounds.tenant_stopped(rounds.stopping(rounds.switched(doing(1001), 2 * START, DAY)), 1001)
    second = rounds.tenant_stopped(rounds.stopping(begun(1001, has_pieces=False, last=first)), 1001)
    third = begun(1001, last=second)

    assert (second.start_piece_id, second.last_piece_id, second.pieces[0].key(2)) == (0, 2, PieceKey(2))
    assert (third.start_piece_id, third.pieces[0].key(3)) == (3, PieceKey(3, 3, DAY))


def test_a_round_without_tenants() -> None:
    """It is DOING at once, nothing is missing at any time, and it stops at once."""
    now = rounds.ticked(begun(), 5 * START)
    switched = rounds.switched(now, 6 * START, DAY)

    assert (now.status, now.checkpoint_scn) == (RoundStatus.DOING, 5 * START)
    assert rounds.ticked(now, START) == now
    assert [piece.status for piece in switched.pieces] == [PieceStatus.FROZEN, PieceStatus.ACTIVE]
    stopped = rounds.stopping(switched)
    assert (stopped.status, stopped.pieces[1].status) == (RoundStatus.STOP, PieceStatus.FROZEN)
    assert rounds.ticked(stopped, 9 * START) == stopped


def test_a_tenant_joins() -> None:
    """It is BEGINNING until it has caught up with the others, for which the cluster waits."""
    now = rounds.joined(doing(1001), 1003, START + 500)
    now = rounds.progressed(now, 1001, START + 600, 1, 1, 1)
    joining = (now.tenants[1003].status, now.status, now.checkpoint_scn)
    now = rounds.progressed(now, 1003, START + 500, 1, 1, 1)

    assert joining == (RoundStatus.BEGINNING, RoundStatus.DOING, START + 1)
    assert (now.tenants[1003].status, now.checkpoint_scn) == (RoundStatus.DOING, START + 500)
    assert now.pieces[0].tenants[1003].start_scn == START + 500
    assert rounds.ticked(now, 9 * START) == now


def test_a_tenant_that_left_stays_complete() -> None:
    """Whatever becomes of the round."""
    now = rounds.left(doing(1001, 1002), 1002)
    now = rounds.tenant_stopped(rounds.stopping(now), 1001)

    assert {part.status for part in now.pieces[0].tenants.values()} == {PieceStatus.FROZEN}
    assert (now.status, now.pieces[0].status) == (RoundStatus.STOP, PieceStatus.FROZEN)


def test_a_tenant_leaves() -> None:
    """Its pieces are complete; a stopping round stops without it, a beginning one is DOING without it."""
    slow = rounds.progressed(begun(1001, 1002), 1001, START, 1, 1, 1)
    now = rounds.left(slow, 1002)
    stopping = rounds.left(rounds.tenant_stopped(rounds.stopping(doing(1001, 1002)), 1001), 1002)

    assert (now.status, list(now.tenants), now.checkpoint_scn) == (RoundStatus.DOING, [1001], START)
    assert now.pieces[0].tenants[1002].status is PieceStatus.FROZEN
    assert now.pieces[0].status is PieceStatus.ACTIVE
    assert (stopping.status, stopping.pieces[0].status) == (RoundStatus.STOP, PieceStatus.FROZEN)


class Walk(RuleBasedStateMachine):
    """A round with two tenants that switches, and is heard of in any order that the worker may tell."""

    def __init__(self) -> None:
        super().__init__()
        self.now = doing(1001, 1002)
        self.scn = 2 * START

    def move(self, then: Round) -> None:
        """Take the next round; every piece only goes forward."""
        before = {piece.piece_id: piece for piece in self.now.pieces}
        for piece in then.pieces:
            old = before.get(piece.piece_id)
            if old is not None:
                assert ORDER.index(piece.status) >= ORDER.index(old.status)
                for tenant_id, part in old.tenants.items():
                    assert piece.tenants[tenant_id].checkpoint_scn >= part.checkpoint_scn
                    assert ORDER.index(piece.tenants[tenant_id].status) >= ORDER.index(part.status)
        self.now = then

    def tick(self) -> int:
        """The next moment."""
        self.scn += 1
        return self.scn

    @precondition(lambda self: rounds.may_switch(self.now))
    @rule()
    def switch(self) -> None:
        """The interval is over."""
        self.move(rounds.switched(self.now, self.tick(), DAY))

    @precondition(lambda self: self.now.tenants)
    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        """Something happens in an open piece of a tenant's: progress, the cut, the manifest."""
        tenant_id = data.draw(st.sampled_from(sorted(self.now.tenants)))
        for piece in self.now.open_pieces(tenant_id):
            self.step(piece, tenant_id, data)

    def step(self, piece: Piece, tenant_id: int, data: st.DataObject) -> None:
        """One step, as the worker tells them: in order within a tenant's pieces."""
        if self.now.status is RoundStatus.STOP:
            return
        following = self.now.piece(piece.piece_id + 1)
        if self.now.status_of(tenant_id) is RoundStatus.INTERRUPTED:
            return  # its worker only writes down why
        if following is not None and tenant_id not in following.tenants:  # it was interrupted before the switch
            self.move(rounds.tenant_stopped(self.now, tenant_id))  # its last piece is frozen only when it stops
            return
        has_followed = following is not None and following.tenants[tenant_id].has_begun
        if not has_followed:
            self.move(rounds.progressed(self.now, tenant_id, self.tick(), 1, 1, piece.piece_id))
            if piece.switch_scn and data.draw(st.booleans()):
                self.move(rounds.piece_cut(self.now, tenant_id, piece.piece_id, self.tick()))
        elif data.draw(st.booleans()):
            self.move(rounds.piece_frozen(self.now, tenant_id, piece.piece_id))

    @precondition(lambda self: self.now.is_archiving and 1003 not in self.now.tenants)
    @rule(odds=st.integers(0, 3))
    def join(self, odds: int) -> None:
        """CREATE TENANT, once."""
        if odds == 0 and not any(1003 in piece.tenants for piece in self.now.pieces):
            self.move(rounds.joined(self.now, 1003, self.tick()))

    @precondition(lambda self: len(self.now.tenants) > 1 and self.now.status is not RoundStatus.STOP)
    @rule(odds=st.integers(0, 9), tenant_id=st.sampled_from([1001, 1002, 1003]))
    def leave(self, odds: int, tenant_id: int) -> None:
        """DROP TENANT."""
        if odds == 0 and tenant_id in self.now.tenants:
            self.move(rounds.left(self.now, tenant_id))

    @precondition(lambda self: self.now.is_archiving)
    @rule(odds=st.integers(0, 3), tenant_id=st.sampled_from([1001, 1002, 1003]))
    def interrupt(self, odds: int, tenant_id: int) -> None:
        """A tenant's log cannot be archived any more."""
        if odds == 0 and tenant_id in self.now.tenants:
            self.move(rounds.interrupted(self.now, tenant_id, "the log is gone"))

    @precondition(lambda self: self.now.is_archiving)
    @rule(odds=st.integers(0, 9))
    def stop(self, odds: int) -> None:
        """NOARCHIVELOG."""
        if odds == 0:
            self.move(rounds.stopping(self.now))

    @precondition(lambda self: self.now.status is RoundStatus.STOPPING)
    @rule(tenant_id=st.sampled_from([1001, 1002, 1003]))
    def tenant_stops(self, tenant_id: int) -> None:
        """A tenant has been archived to its end."""
        if tenant_id in self.now.tenants:
            self.move(rounds.tenant_stopped(self.now, tenant_id))

    @invariant()
    def the_pieces_make_sense(self) -> None:
        """Numbers without a gap; only the last is ACTIVE, only one before it FREEZING for who goes on; ends meet."""
        now = self.now
        assert [piece.piece_id for piece in now.pieces] == list(range(1, now.last_piece_id + 1))
        unfrozen = [piece for piece in now.pieces if piece.status is not PieceStatus.FROZEN]
        waiting = {part.tenant_id for part in now.broken}
        going = [piece for piece in unfrozen if piece is now.pieces[-1] or _is_open(piece, waiting)]
        if now.is_archiving:
            assert going == list(now.pieces[len(now.pieces) - len(going) :])
            assert len(going) <= 2
        assert all(piece.status is PieceStatus.FREEZING for piece in unfrozen[:-1])
        if now.status is RoundStatus.STOP:
            assert not unfrozen
        else:
            assert unfrozen
        for old, new in zip(now.pieces, now.pieces[1:], strict=False):
            if old.status is PieceStatus.FROZEN:
                assert new.start_scn == old.checkpoint_scn


def _is_open(piece: Piece, but_for: set[int]) -> bool:
    parts = (part for part in piece.tenants.values() if part.tenant_id not in but_for)
    return any(part.status is not PieceStatus.FROZEN for part in parts)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=dose(20, 600), stateful_step_count=30)
