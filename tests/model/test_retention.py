"""What may be deleted: OceanBase's conditions, and that what a restore may need always stays."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.bases import Base, SetKey
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun, windows
from redoubt.model.retention import (
    BackupPiece,
    BackupSet,
    FileStatus,
    NotDeletableError,
    Obsolete,
    Periods,
    Refusal,
    obsolete,
    piece_to_delete,
    round_to_delete,
    set_to_delete,
)

HERE, ELSEWHERE = "file:///here", "file:///elsewhere"
NOW = 1000
PIECE = BackupPiece(PieceKey(2, 5, 20260921), "FROZEN", FileStatus.AVAILABLE, 100, HERE, (1001,))
FULL = BackupSet(
    7, is_full=True, status="SUCCESS", file_status=FileStatus.AVAILABLE, snapshot_scn=150, start_replay_scn=100,
    destination=HERE,
)  # fmt: skip


def _why(deleting: object) -> Refusal | None:
    assert callable(deleting)
    try:
        deleting()
    except NotDeletableError as error:
        return error.refusal
    return None


@pytest.mark.parametrize(
    ("number", "piece", "sets", "why"),
    [
        (5, PIECE, [FULL], None),
        (5, replace(PIECE, status="INACTIVE"), [FULL], None),
        (5, replace(PIECE, file_status=FileStatus.DELETING), [FULL], None),
        (6, PIECE, [FULL], Refusal.MISSING),
        (0, replace(PIECE, key=PieceKey(2)), [FULL], Refusal.MISSING),
        (5, replace(PIECE, status="ACTIVE"), [FULL], Refusal.NOT_FROZEN),
        (5, replace(PIECE, status="FREEZING"), [FULL], Refusal.NOT_FROZEN),
        (5, replace(PIECE, file_status=FileStatus.DELETED), [FULL], Refusal.DELETED),
        (5, replace(PIECE, file_status=FileStatus.COPYING), [FULL], Refusal.DELETED),
        (5, PIECE, [], Refusal.NEEDED),
        (5, PIECE, [replace(FULL, start_replay_scn=99)], Refusal.NEEDED),
        (5, PIECE, [replace(FULL, is_full=False)], Refusal.NEEDED),
        (5, PIECE, [replace(FULL, status="DOING")], Refusal.NEEDED),
        (5, PIECE, [replace(FULL, file_status=FileStatus.BROKEN)], Refusal.NEEDED),
        (5, PIECE, [replace(FULL, destination=ELSEWHERE)], Refusal.NEEDED),
        (5, replace(PIECE, destination=ELSEWHERE), [], None),
    ],
)
def test_a_piece_goes_when_a_full_set_makes_it_needless(
    number: int, piece: BackupPiece, sets: list[BackupSet], why: Refusal | None
) -> None:
    """Or in an old destination; in OceanBase's order of conditions."""
    assert why == _why(lambda: piece_to_delete(number, [piece], sets, HERE, NOW))


def test_a_round_goes_as_a_whole_when_it_has_ended() -> None:
    """Its pieces that are left, the oldest first; each by the piece's conditions."""
    second = replace(PIECE, key=PieceKey(2, 6, 20260922), max_scn=101)
    sets = [replace(FULL, start_replay_scn=101)]

    assert round_to_delete(2, {1, 2}, [second, PIECE], sets, HERE, NOW) == (PIECE, second)
    gone = replace(PIECE, file_status=FileStatus.DELETED)
    assert round_to_delete(2, {2}, [gone, second], sets, HERE, NOW) == (second,)
    assert _why(lambda: round_to_delete(2, {1}, [PIECE], sets, HERE, NOW)) is Refusal.MISSING
    assert _why(lambda: round_to_delete(3, {3}, [PIECE], sets, HERE, NOW)) is Refusal.MISSING
    assert _why(lambda: round_to_delete(2, {2}, [gone], sets, HERE, NOW)) is Refusal.DELETED
    assert _why(lambda: round_to_delete(2, {2}, [PIECE, second], [FULL], HERE, NOW)) is Refusal.NEEDED
    assert (
        _why(lambda: round_to_delete(2, {2}, [replace(PIECE, status="ACTIVE")], sets, HERE, NOW)) is Refusal.NOT_FROZEN
    )


def test_sets_go_in_the_order_of_their_age_and_never_the_last() -> None:
    """In the present destination; in an old one its owner knows best."""
    newer = replace(FULL, set_id=8)

    assert set_to_delete(7, [FULL, newer], HERE, NOW) == FULL
    assert _why(lambda: set_to_delete(9, [FULL, newer], HERE, NOW)) is Refusal.MISSING
    assert _why(lambda: set_to_delete(8, [FULL, newer], HERE, NOW)) is Refusal.NEEDED
    assert _why(lambda: set_to_delete(7, [FULL, replace(newer, is_full=False)], HERE, NOW)) is Refusal.NEEDED
    assert _why(lambda: set_to_delete(8, [FULL, newer, replace(FULL, set_id=9)], HERE, NOW)) is Refusal.NEEDED
    assert _why(lambda: set_to_delete(7, [replace(FULL, file_status=FileStatus.DELETED)], HERE, NOW)) is Refusal.MISSING
    assert set_to_delete(8, [FULL, newer], ELSEWHERE, NOW) == newer


def test_what_failed_may_go_and_what_is_under_way_may_not() -> None:
    """Whatever else there is; and a set that failed is in nobody's way."""
    newer, broken = replace(FULL, set_id=8), replace(FULL, status="FAILED", file_status=FileStatus.BROKEN)

    assert set_to_delete(7, [broken], HERE, NOW) == broken
    partial = replace(broken, file_status=FileStatus.AVAILABLE)
    assert _why(lambda: set_to_delete(7, [partial], HERE, NOW)) is Refusal.NEEDED, "it may be a tenant's only base"
    assert set_to_delete(7, [partial, newer], HERE, NOW) == partial
    assert set_to_delete(8, [broken, newer, replace(newer, set_id=9)], HERE, NOW) == newer
    assert _why(lambda: set_to_delete(8, [replace(newer, status="DOING")], HERE, NOW)) is Refusal.NEEDED
    assert _why(lambda: set_to_delete(8, [replace(newer, status="DOING")], ELSEWHERE, NOW)) is Refusal.NEEDED


def test_what_the_window_does_not_need_is_obsolete() -> None:
    """Log before the replay of the newest full set at the expire point, and older sets."""
    old = replace(FULL, set_id=6, snapshot_scn=50, start_replay_scn=40)
    later = replace(PIECE, key=PieceKey(2, 6, 20260922), max_scn=101)

    assert obsolete([later, PIECE], [old, FULL], HERE, window=10, now=160) == Obsolete((old,), (PIECE,))
    assert obsolete([later, PIECE], [old, FULL], HERE, window=11, now=160) == Obsolete((), ())
    assert obsolete([PIECE], [], HERE, window=0, now=1000) == Obsolete()
    under_way = replace(old, set_id=5, status="DOING", start_replay_scn=0)
    assert obsolete([PIECE], [under_way, FULL], HERE, window=0, now=1000) == Obsolete()


def test_a_set_that_is_kept_stays_with_its_log() -> None:
    """From the start of its replay to its snapshot, and no more; when the time is over, all of it goes."""
    pieces = [
        replace(PIECE, key=PieceKey(2, number, 20260921), min_scn=10 * number - 10, max_scn=10 * number)
        for number in range(1, 9)
    ]
    point = replace(FULL, set_id=5, snapshot_scn=35, start_replay_scn=25, keep_until=NOW + 1)
    old = replace(FULL, set_id=6, snapshot_scn=55, start_replay_scn=50)
    last = replace(FULL, set_id=7, snapshot_scn=75, start_replay_scn=70)

    gone = obsolete(pieces, [point, old, last], HERE, window=0, now=NOW)
    assert gone.sets == (old,)
    assert [each.key.piece for each in gone.pieces] == [1, 2, 5, 6, 7]
    over = obsolete(pieces, [point, old, last], HERE, window=0, now=NOW + 1)
    assert (over.sets, [each.key.piece for each in over.pieces]) == ((point, old), [1, 2, 3, 4, 5, 6, 7])


def test_a_set_that_is_kept_is_deleted_by_no_statement() -> None:
    """Nor is its log, in any destination; it is in the way of no newer set."""
    point = replace(FULL, set_id=5, snapshot_scn=90, start_replay_scn=50, keep_until=NOW + 1)
    newer, last = replace(FULL, set_id=6), FULL
    sets = [point, newer, last]

    assert _why(lambda: set_to_delete(5, sets, HERE, NOW)) is Refusal.NEEDED
    assert _why(lambda: set_to_delete(5, sets, ELSEWHERE, NOW)) is Refusal.NEEDED
    assert set_to_delete(6, sets, HERE, NOW) == newer
    assert _why(lambda: piece_to_delete(5, [PIECE], sets, HERE, NOW)) is Refusal.NEEDED
    assert _why(lambda: piece_to_delete(5, [PIECE], sets, ELSEWHERE, NOW)) is Refusal.NEEDED
    assert _why(lambda: round_to_delete(2, {2}, [PIECE], sets, HERE, NOW)) is Refusal.NEEDED
    assert piece_to_delete(5, [PIECE], sets, HERE, NOW + 1) == PIECE
    elsewhere = replace(point, destination=ELSEWHERE)
    assert piece_to_delete(5, [PIECE], [elsewhere, last], HERE, NOW) == PIECE


def test_the_first_set_of_each_period_is_a_restore_point() -> None:
    """For as long as the window says; one that cannot be used is none."""
    sets = [
        replace(FULL, set_id=number, snapshot_scn=scn, start_replay_scn=scn)
        for number, scn in enumerate((10, 15, 20, 29, 41, 45, 60), 1)
    ]

    def gone(periods: Periods, now: int = 61) -> list[int]:
        return [each.set_id for each in obsolete([], sets, HERE, 0, now, periods).sets]

    assert gone(Periods()) == [1, 2, 3, 4, 5, 6]
    assert gone(Periods(interval=10)) == [2, 4, 6]
    assert gone(Periods(interval=10, window=45)) == [1, 2, 4, 6]
    assert gone(Periods(interval=20, window=1000)) == [2, 4, 6]
    sets[0] = replace(sets[0], status="FAILED")
    assert gone(Periods(interval=10)) == [1, 4, 6]


SCNS = st.integers(0, 20)
PLACES = st.sampled_from([HERE, ELSEWHERE])
PIECES = st.lists(
    st.builds(
        BackupPiece,
        key=st.builds(PieceKey, st.integers(1, 3), st.integers(1, 9), st.just(20260921)),
        status=st.sampled_from(["ACTIVE", "FREEZING", "FROZEN", "FROZEN"]),
        file_status=st.sampled_from(FileStatus),
        max_scn=SCNS,
        destination=PLACES,
    ),
    max_size=8,
    unique_by=lambda piece: piece.key,
)
SETS = st.lists(
    st.builds(
        BackupSet,
        set_id=st.integers(1, 9),
        is_full=st.booleans(),
        status=st.sampled_from(["SUCCESS", "SUCCESS", "DOING", "FAILED"]),
        file_status=st.sampled_from(FileStatus),
        snapshot_scn=SCNS,
        start_replay_scn=SCNS,
        destination=PLACES,
    ),
    max_size=6,
    unique_by=lambda each: each.set_id,
)


@given(PIECES, SETS, st.integers(0, 20), st.integers(0, 25))
def test_what_a_restore_within_the_window_needs_always_stays(
    pieces: list[BackupPiece], sets: list[BackupSet], window: int, now: int
) -> None:
    """Whatever the rows are."""
    gone = obsolete(pieces, sets, HERE, window, now)

    bases = [
        each
        for each in sets
        if each.is_full and each.is_usable and each.destination == HERE and each.snapshot_scn <= now - window
    ]
    if not bases:
        assert gone == Obsolete()
        return
    base = max(bases, key=lambda each: (each.snapshot_scn, each.set_id))
    assert base not in gone.sets
    assert all(each.set_id < base.set_id and each.snapshot_scn <= base.snapshot_scn for each in gone.sets)
    staying = [each for each in sets if each.is_usable and each.destination == HERE and each not in gone.sets]
    for piece in gone.pieces:
        assert (piece.status, piece.destination) == ("FROZEN", HERE)
        assert all(piece.max_scn <= each.start_replay_scn for each in staying)
    left = [replace(each, file_status=FileStatus.DELETED) if each in gone.pieces else each for each in pieces]
    assert obsolete(left, sets, HERE, window, now).pieces == ()
    assert set(obsolete(pieces, sets, HERE, window + 1, now).pieces) <= set(gone.pieces)


@given(PIECES, SETS, st.integers(0, 10), st.integers(0, 20))
def test_a_statement_never_deletes_what_is_written_to(
    pieces: list[BackupPiece], sets: list[BackupSet], number: int, stopped: int
) -> None:
    """Neither a piece nor a round with such a piece; nor log of the present destination that no set replaces."""
    chosen: list[BackupPiece] = []
    with suppress(NotDeletableError):
        chosen.append(piece_to_delete(number, pieces, sets, HERE, NOW))
    with suppress(NotDeletableError):
        chosen += round_to_delete(number, {stopped}, pieces, sets, HERE, NOW)
    for piece in chosen:
        assert piece.status == "FROZEN"
        assert piece.file_status not in {FileStatus.DELETED, FileStatus.COPYING}
        assert piece.destination == ELSEWHERE or any(
            each.is_full and each.is_usable and each.start_replay_scn >= piece.max_scn for each in sets
        )


GROUP, BLOCK = 10, 4
"""Bytes of a group of log, and groups in a block; the SCN of a group is its number."""


def _base(number: int, checkpoint: int, snapshot: int) -> Base:
    """A base that needs the log from the block of a group on, up to another one."""
    start = checkpoint // BLOCK * BLOCK
    return Base(SetKey(number, 20260921), "engine", start * GROUP, (snapshot + 1) * GROUP, snapshot)


def _reach(bases: list[Base], runs: list[LogRun], first: int, last: int) -> set[int]:
    found = windows(bases, runs)
    return {scn for scn in range(first, last + 1) if any(each.start_scn <= scn <= each.end_scn for each in found)}


@given(
    st.lists(st.integers(1, 59), max_size=8, unique=True).map(sorted),
    st.lists(st.tuples(st.integers(0, 59), st.integers(0, 20)), min_size=1, max_size=4).map(sorted),
    st.integers(0, 60),
    st.integers(0, 70),
    st.sets(st.integers(1, 4)),
    st.sampled_from([Periods(), Periods(15), Periods(15, 40)]),
)
def test_every_moment_of_the_window_that_could_be_restored_still_can(
    cuts: list[int], taken: list[tuple[int, int]], window: int, now: int, held: set[int], periods: Periods
) -> None:
    """And every restore point. With bases as engines give them: they need whole blocks, so more log than they say."""
    ends = [0, *cuts, 60]
    runs = [
        LogRun(PieceKey(1, number, 20260921), "engine", start * GROUP, end * GROUP, start - 1, end - 1)
        for number, (start, end) in enumerate(pairwise(ends), 1)
    ]
    pieces = [
        BackupPiece(run.key, "FROZEN", FileStatus.AVAILABLE, run.end_scn, HERE, min_scn=run.start_scn) for run in runs
    ]
    bases, snapshot = list[Base](), 0
    for number, (checkpoint, more) in enumerate(taken, 1):
        snapshot = min(59, max(snapshot, checkpoint + more))
        bases.append(_base(number, checkpoint, snapshot))
    sets = [
        replace(
            FULL,
            set_id=each.key.set_id,
            snapshot_scn=each.snapshot_scn,
            start_replay_scn=each.start_lsn // 10 - 1,
            keep_until=2000 if each.key.set_id in held else 0,
        )
        for each in bases
    ]

    gone = obsolete(pieces, sets, HERE, window, now, periods)

    kept = [each for each in bases if each.key.set_id not in {one.set_id for one in gone.sets}]
    left = [run for run in runs if run.key not in {one.key for one in gone.pieces}]
    first = max(now - window, 0)
    assert _reach(bases, runs, first, 59) == _reach(kept, left, first, 59)
    assert len(kept) >= 1
    points = {each.snapshot_scn for each in bases if each.key.set_id in held}
    if periods.interval and not periods.window:
        points |= {
            min(scns) for _, scns in groupby(sorted({each.snapshot_scn for each in bases}), lambda scn: scn // 15)
        }
    assert _reach(bases, runs, 0, 59) & points == _reach(kept, left, 0, 59) & points
