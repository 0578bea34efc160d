"""Which intervals of time can be recovered, as far as the log goes, on a real sys engine."""

from __future__ import annotations

from datetime import datetime

import pytest

from redoubt.catalog import tables
from tests.catalog.rows import AT, HOLE, SECOND, Rows


def _windows(rows: Rows) -> list[tuple[int, int, int, int, int, str]]:
    """Round, first and last piece, start and end in seconds after AT, and whether it grows."""
    return [
        (
            row["ROUND_ID"],
            row["FIRST_PIECE_ID"],
            row["LAST_PIECE_ID"],
            (row["START_SCN"] - AT) // SECOND,
            (row["END_SCN"] - AT) // SECOND,
            row["GROWS"],
        )
        for row in rows.view("CDB_REDOUBT_RECOVERABLE_WINDOW")
    ]


def _pieces(rows: Rows, round_id: int, first: int, statuses: list[str]) -> None:
    """Pieces of 10 s each that follow one another, the last of them ACTIVE; piece n begins 10 n s after AT."""
    for number, file_status in enumerate(statuses, first):
        is_last = number == first + len(statuses) - 1
        rows.piece(
            round_id=round_id,
            backup_piece_id=number,
            start_scn=AT + 10 * number * SECOND,
            checkpoint_scn=AT + 10 * (number + 1) * SECOND,
            status="ACTIVE" if is_last else "FROZEN",
            file_status=file_status,
        )


def test_a_round_without_pieces_is_one_window(rows: Rows) -> None:
    """With its destination; the cluster has none, nor has a round that has not reached its beginning."""
    rows.piece(tenant_id=1)
    rows.piece(round_id=2, status="FROZEN", backup_dest="file:///a")
    rows.piece()
    rows.status()
    rows.piece(tenant_id=1002, checkpoint_scn=AT - 1)
    rows.piece(tenant_id=1003, start_scn=0, checkpoint_scn=0)

    assert _windows(rows) == [(2, 0, 0, 0, 1, "NO"), (3, 0, 0, 0, 1, "YES")]
    rows.status(status="INTERRUPTED")
    assert _windows(rows)[1] == (3, 0, 0, 0, 1, "NO")
    window = rows.view("CDB_REDOUBT_RECOVERABLE_WINDOW")[0]
    assert (window["PATH"], window["FILE_STATUS"]) == ("file:///a", "AVAILABLE")
    assert window["END_TIME"] == datetime.fromisoformat("2026-09-21 14:13:21.123456")


@pytest.mark.parametrize("lost", ["DELETING", "DELETED", "BROKEN", "EXPIRED"])
def test_a_piece_that_is_lost_parts_the_window(rows: Rows, lost: str) -> None:
    """Those before it and those after it are unbroken each for itself."""
    _pieces(rows, 3, 4, ["AVAILABLE", "AVAILABLE", lost, "AVAILABLE", lost, "AVAILABLE", "AVAILABLE"])
    _pieces(rows, 2, 1, [lost])
    rows.status(status="STOPPING")

    assert _windows(rows) == [(3, 4, 5, 40, 60, "NO"), (3, 7, 7, 70, 80, "NO"), (3, 9, 10, 90, 110, "YES")]


def test_holes_cut_windows(rows: Rows) -> None:
    """At the end of the round that they come after, and at the beginning of the next; open ones wherever they are."""
    for number in (1, 2, 3):
        _pieces(rows, number, 3 * number, ["AVAILABLE", "AVAILABLE"])
    rows.status()
    closed = {"end_lsn": 9, "closed_at": AT}
    rows.put(
        tables.HOLE_TABLE,
        HOLE | closed | {"after": 1, "start_scn": AT + 45 * SECOND, "end_scn": AT + 65 * SECOND},
        HOLE | {"after": 2, "start_scn": 0, "end_scn": 0},
        HOLE | {"after": 3, "start_scn": AT + 95 * SECOND},
        HOLE | closed | {"tenant_id": 1002, "after": 1, "end_scn": AT + 999 * SECOND},
    )

    assert _windows(rows) == [(1, 3, 4, 30, 45, "NO"), (2, 6, 7, 65, 80, "NO"), (3, 9, 10, 90, 95, "YES")]
