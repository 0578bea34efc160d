"""Chores, watched destinations and asking: what waits, what is tried again, and what is said meanwhile."""

from __future__ import annotations

import pytest

from redoubt.archive.store import ArchiveError
from redoubt.archiver.asking import SILENCE, Retrier, WatchedDestination
from redoubt.archiver.chores import PERSISTENT, Chores
from redoubt.model.seams import DestinationError
from tests.archive.fakes import Clock, InlineExecutor, MemoryDestination, PatientExecutor, Pause


class Failing:
    """Work that fails until it is told not to."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.tries = 0

    def __call__(self) -> str:
        """Count, and fail."""
        self.tries += 1
        if self.error is not None:
            raise self.error
        return "done"


def test_chores_are_done_in_order_one_at_a_time() -> None:
    """Each result is told in a step."""
    executor, results, notes = PatientExecutor(), list[str](), list[None]()
    chores = Chores(executor, Clock(), lambda: notes.append(None))
    chores.do("first", lambda: "a", results.append)
    chores.do("second", lambda: "b", results.append)
    assert not chores.step()
    assert not chores.step()
    assert len(executor.waiting) == 1
    executor.run_all()
    assert chores.step()
    executor.run_all()
    assert chores.step()

    assert results == ["a", "b"]
    assert len(notes) == 2
    assert chores.is_idle()


@pytest.mark.parametrize("error", [DestinationError("the medium is gone"), ArchiveError("it is damaged")])
def test_a_chore_that_fails_is_tried_again_later(error: Exception) -> None:
    """With growing pauses, while others go on; it is a complaint when it has failed for long, until it succeeds."""
    clock, work, results = Clock(), Failing(error), list[str]()
    chores = Chores(InlineExecutor(), clock, lambda: None)
    chores.do("it cannot be done", work, results.append)
    chores.do("other", lambda: "other", results.append)
    for _ in range(5):
        chores.step()
    early = (work.tries, chores.trouble, chores.failure)
    for _ in range(200):
        clock.now += 0.1
        chores.step()
    late, tries = chores.trouble, work.tries
    work.error = None
    clock.now += 60
    chores.step()
    chores.step()

    assert early == (1, "", f"it cannot be done: {error}")
    assert late == f"it cannot be done: {error}"
    assert 7 <= tries <= 9
    assert results == ["other", "done"]
    assert (chores.trouble, chores.failure, chores.is_idle()) == ("", "", True)
    assert PERSISTENT == 10


def test_a_mistake_of_ours_is_not_tried_again() -> None:
    """It is raised where the job can end."""
    chores = Chores(InlineExecutor(), Clock(), lambda: None)
    chores.do("it", Failing(AssertionError("a mistake")), lambda _: None)
    chores.step()
    with pytest.raises(AssertionError):
        chores.step()


def test_a_question_that_stays_open_is_a_complaint() -> None:
    """The same one for as long as it lasts; it goes with the answer."""
    clock, destination = Clock(), MemoryDestination()
    watched, seen = WatchedDestination(destination, clock), list[str]()

    def hang(_operation: str, _name: str) -> None:
        for seconds in (0.0, SILENCE - 0.1, 0.1, 100.0):
            clock.now += seconds
            seen.append(watched.silence)

    destination.failing = hang
    watched.put_if_absent("folder/name", b"data")

    assert ["", "", *["the destination has not answered for 5 s (storing folder/name)"] * 2] == seen
    assert watched.silence == ""
    assert watched.answers == 1


def test_every_question_is_watched() -> None:
    """And passed on; an error is an answer, but nothing has moved."""
    destination, asked = MemoryDestination(), list[str]()
    clock = Clock()
    watched = WatchedDestination(destination, clock)

    def note(_operation: str, _name: str) -> None:
        clock.now += SILENCE
        asked.append(watched.silence.partition("(")[2])

    watched.put_if_absent("a/b", b"data")
    destination.failing = note
    read = watched.get("a/b", 1, 2)
    listed = [each.name for each in watched.list("a")]
    lock = watched.lock("a/writer", "me")
    lock.release()
    watched.probe()
    watched.delete("a/b")
    with pytest.raises(DestinationError):
        watched.get("a/b", 0, 1)

    assert (read, listed) == (b"at", ["a/b"])
    assert asked == [
        "reading a/b)",
        "listing a)",
        "locking a/writer)",
        "probing the destination)",
        "removing a/b)",
        "reading a/b)",
    ]
    assert watched.answers == 6


def test_a_closed_destination_is_asked_nothing() -> None:
    """Who was given up writes nothing any more."""
    destination = MemoryDestination()
    watched = WatchedDestination(destination, Clock())
    watched.close()
    with pytest.raises(DestinationError, match="the job ended before storing a/b"):
        watched.put_if_absent("a/b", b"data")

    assert destination.objects == {}


def test_asking_goes_on_until_there_is_an_answer() -> None:
    """The complaint stands meanwhile; what is no trouble of the destination is raised at once."""
    pause, work = Pause(), Failing(DestinationError("the medium is gone"))
    asker, seen = Retrier(pause), list[str]()

    def mend() -> None:
        seen.append(asker.trouble)
        work.error = None

    pause.before_each = mend

    assert asker.until_answered(work) == "done"
    assert (seen, asker.trouble) == (["the medium is gone"], "")
    with pytest.raises(ArchiveError):
        asker.until_answered(Failing(ArchiveError("it is damaged")))
