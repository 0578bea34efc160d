"""The piece of a round goes forward as the round does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.pieces import PieceStatus, piece_of
from redoubt.model.rounds import ALLOWED, RoundStatus

ORDER = list(PieceStatus)


@given(st.sampled_from(RoundStatus), st.data())
def test_a_piece_only_goes_forward(now: RoundStatus, data: st.DataObject) -> None:
    """Within a round; a new round has a new piece."""
    then = data.draw(st.sampled_from(sorted(ALLOWED[now] | {now})))

    if then is not RoundStatus.BEGINNING:
        assert ORDER.index(piece_of(then)) >= ORDER.index(piece_of(now))


def test_the_state_of_a_piece() -> None:
    """It is written to until the round stops."""
    assert {status: piece_of(status) for status in RoundStatus} == {
        RoundStatus.BEGINNING: PieceStatus.ACTIVE,
        RoundStatus.DOING: PieceStatus.ACTIVE,
        RoundStatus.INTERRUPTED: PieceStatus.ACTIVE,
        RoundStatus.STOPPING: PieceStatus.FREEZING,
        RoundStatus.STOP: PieceStatus.FROZEN,
    }
