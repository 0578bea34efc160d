"""The chronicle: nothing is lost while the catalog is away, and order is kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from redoubt.model.holes import Hole
from tests.control.stage import Stage, play

HOLE = Hole(1001, 1, 10, 20, "too much log", opened_at=30)


def _causes(stage: Stage) -> list[str]:
    return [event.cause for event in stage.journal.events]


def test_nothing_is_lost_while_the_catalog_is_away(stage: Stage) -> None:
    """Events are written later, each once, in order; of states the last one; of holes how they are then."""
    chronicle, journal = stage.chronicle, stage.journal

    async def scene() -> None:
        await stage.look()  # has the state written
        journal.failures = 2
        for number in range(3):
            chronicle.event(1001, 1, "HEALTH", "FINE", "BEHIND", str(number))
            chronicle.open_hole(replace(HOLE, after=number))
            await chronicle.write()
        assert _causes(stage) == ["0", "1", "2"]
        await chronicle.write()

    play(scene())

    assert journal.writings == 3
    assert sorted(journal.kept) == [(1001, 0), (1001, 1), (1001, 2)]
    assert journal.states[1001].tenant_name == "main"


def test_what_comes_during_a_writing_is_written_next(stage: Stage) -> None:
    """Events, and holes that change in that moment, also back to none."""
    chronicle, journal = stage.chronicle, stage.journal
    gone = replace(HOLE, after=2)

    def meanwhile() -> None:
        journal.during = lambda: None
        chronicle.event(1001, 1, "GATE", "OPEN", "CLOSED", "second")
        chronicle.begin_hole_at(1001, 1, 11, 21)
        chronicle.close_hole(1001, 2, (5, 5), (5, 5))
        chronicle.open_hole(replace(HOLE, after=3))

    async def scene() -> None:
        journal.during = meanwhile
        chronicle.event(1001, 1, "GATE", "CLOSED", "OPEN", "first")
        chronicle.open_hole(HOLE)
        chronicle.open_hole(gone)
        await chronicle.write()
        assert (_causes(stage), journal.kept) == (["first"], {(1001, 1): HOLE, (1001, 2): gone})
        await chronicle.write()
        assert chronicle._unwritten == {}

    play(scene())

    assert _causes(stage) == ["first", "second"]
    assert journal.kept == {
        (1001, 1): replace(HOLE, start_lsn=11, start_scn=21),
        (1001, 3): replace(HOLE, after=3),
    }


def test_a_hole_that_is_not_taken_back_doubles_no_event(stage: Stage) -> None:
    """What fails is done again as a whole."""
    chronicle, journal = stage.chronicle, stage.journal

    async def scene() -> None:
        chronicle.open_hole(HOLE)
        await chronicle.write()
        chronicle.close_hole(1001, 1, (10, 20), (10, 20))
        chronicle.event(1001, 1, "HEALTH", "BROKEN", "FINE", "once")
        journal.removal_failures = 1
        await chronicle.write()
        await chronicle.write()

    play(scene())

    assert (_causes(stage), journal.kept) == (["once"], {})


def test_the_life_of_a_hole(stage: Stage) -> None:
    """Opened once, begun where the destination says, closed once; after that nothing changes it."""
    chronicle = stage.chronicle
    chronicle.open_hole(HOLE)
    chronicle.open_hole(replace(HOLE, cause="something else"))
    assert chronicle.hole(1001, 1) is HOLE
    chronicle.begin_hole_at(1001, 1, HOLE.start_lsn, HOLE.start_scn)
    assert chronicle.hole(1001, 1) is HOLE
    chronicle.begin_hole_at(1001, 1, 12, 22)
    chronicle.begin_hole_at(1001, 99, 12, 22)
    chronicle.close_hole(1001, 1, (12, 22), (50, 60))
    closed = chronicle.hole(1001, 1)
    assert closed is not None
    assert (closed.start_lsn, closed.end_lsn, closed.cause, closed.opened_at) == (12, 50, "too much log", 30)
    chronicle.close_hole(1001, 1, (12, 22), (70, 80))
    chronicle.begin_hole_at(1001, 1, 13, 23)
    chronicle.open_hole(HOLE)

    assert chronicle.hole(1001, 1) is closed
    assert chronicle.hole(1001, 99) is None


def test_a_stop_may_leave_a_hole(stage: Stage) -> None:
    """Log that was written between NOARCHIVELOG and ARCHIVELOG; and there is none if nothing was."""
    stage.chronicle.close_hole(1001, 1, (10, 20), (30, 40))
    stage.chronicle.close_hole(1001, 2, (50, 60), (50, 60))

    hole = stage.chronicle.hole(1001, 1)
    assert hole is not None
    assert "NOARCHIVELOG" in hole.cause
    assert stage.chronicle.hole(1001, 2) is None
    assert list(stage.chronicle._unwritten) == [(1001, 1)]


def test_holes_are_taken_over_from_the_catalog(stage: Stage) -> None:
    """A new service goes on with them."""
    stage.journal.kept[1001, 1] = HOLE

    play(stage.chronicle.load())

    assert stage.chronicle.hole(1001, 1) is HOLE


def test_two_who_write_at_once_write_each_event_once(stage: Stage) -> None:
    """The second waits for the first, and has nothing left to do."""
    stage.chronicle.event(1001, 1, "HEALTH", "FINE", "BEHIND", "once")

    async def scene() -> None:
        await asyncio.gather(stage.chronicle.write(), stage.chronicle.write())

    play(scene())

    assert (_causes(stage), stage.journal.writings) == (["once"], 1)
