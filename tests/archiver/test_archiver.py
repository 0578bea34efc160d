"""The archiver: when a segment is sealed, with what in its header, and what is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.segment import SegmentHeader
from redoubt.archive.store import ArchiveEnd, PieceStore
from redoubt.archiver.archiver import Archiver, SealRule
from redoubt.archiver.asking import Retrier
from redoubt.archiver.shipper import DEPTH, Shipper
from redoubt.model.log import LogBatch, LogDamagedError, LogPosition
from redoubt.model.seams import DestinationError
from tests.archive.fakes import (
    OF,
    PATH,
    Clock,
    InlineExecutor,
    MemoryDestination,
    MemoryLog,
    PatientExecutor,
    Pause,
    archived,
    random_log,
)


class Bench:
    """An archiver with segments of about 40 bytes or a second, and all that it works with."""

    def __init__(self, log: MemoryLog | None = None, resumed: ArchiveEnd | None = None) -> None:
        self.log = log or MemoryLog()
        self.destination = MemoryDestination()
        self.store = PieceStore(self.destination, PATH)
        self.storer = PatientExecutor()
        self.clock = Clock()
        self.codec = "none"
        self.longest_age = 1000.0
        self.asker = Retrier(Pause(2))
        self.archiver = Archiver(
            OF,
            self.log,
            Shipper(self.store, InlineExecutor(), self.storer, self.asker, lambda: None),
            resumed or ArchiveEnd(LogPosition(0)),
            lambda: self.codec,
            SealRule(size=40, age=1.0, upkeep_age=45.0),
            self.clock,
            longest_age=lambda: self.longest_age,
        )

    def step(self, *, draining: bool = False) -> bool:
        """A step, after which what was handed over is stored."""
        more = self.archiver.step(draining=draining)
        self.storer.run_all()
        return more

    def headers(self) -> list[SegmentHeader]:
        """The headers of the stored segments."""
        return [self.store.read(name)[0] for name, _ in self.store.segments()]

    def ranges(self) -> list[tuple[int, int]]:
        """The ranges of the stored segments."""
        return [(name.start_lsn, name.end_lsn) for name, _ in self.store.segments()]


@pytest.fixture
def bench() -> Bench:
    """An archiver at the beginning of an empty log."""
    return Bench()


def test_nothing_happens_when_there_is_no_log(bench: Bench) -> None:
    """Whatever the time."""
    first = bench.step()
    bench.clock.now += 1000
    second = bench.step()

    assert not first
    assert not second
    assert bench.destination.stored == []


def test_log_is_sealed_when_it_is_large_enough(bench: Bench) -> None:
    """At once, as soon as the size is reached; what is over stays for the next segment."""
    bench.log.append(*[random_log(15, seed) for seed in range(7)])

    assert bench.step()
    assert bench.ranges() == [(0, 45), (45, 90)]
    assert not bench.step()
    assert bench.archiver.end.position.lsn == 90


def test_log_is_sealed_when_its_first_group_is_old_enough(bench: Bench) -> None:
    """Log that comes later does not put it off."""
    bench.log.append(b"first")
    bench.step()
    bench.clock.now += 0.9
    bench.log.append(b"second")
    bench.step()
    before = bench.ranges()
    bench.clock.now += 0.1
    bench.step()

    assert before == []
    assert bench.ranges() == [(0, 11)]


def test_the_age_counts_from_each_segments_own_first_group(bench: Bench) -> None:
    """Not from the one before."""
    bench.log.append(b"first")
    bench.step()
    bench.clock.now += 1
    bench.step()
    bench.log.append(b"second")
    bench.step()

    assert bench.ranges() == [(0, 5)]


def test_what_an_idle_engine_writes_waits_for_longer(bench: Bench) -> None:
    """But no longer than anything may wait, nor when data joins it: data is sealed at its own age."""
    bench.log.append(b"life", is_upkeep=True)
    bench.step()
    bench.clock.now += 44
    bench.step()
    waited = bench.ranges()
    bench.clock.now += 1
    bench.step()
    bench.log.append(b"life", is_upkeep=True)
    bench.step()
    bench.clock.now += 30
    bench.log.append(b"data")
    bench.step()
    joined = bench.ranges()
    bench.clock.now += 1
    bench.step()
    bench.longest_age = 5
    bench.log.append(b"life", is_upkeep=True)
    bench.step()
    bench.clock.now += 5
    bench.step()

    assert waited == []
    assert joined == [(0, 4)]
    assert bench.ranges() == [(0, 4), (4, 12), (12, 16)]


def test_a_flush_does_not_wait_for_upkeep(bench: Bench) -> None:
    """A synchronous commit asks for all log that there is."""
    bench.log.append(b"life", is_upkeep=True)
    bench.archiver.flush(1)
    bench.step()
    bench.step()

    assert bench.archiver.flushed == 1


def test_a_group_larger_than_a_segment_is_a_segment(bench: Bench) -> None:
    """A group is never cut."""
    bench.log.append(random_log(500), b"small")
    bench.step()

    assert bench.ranges() == [(0, 500)]


def test_draining_seals_what_is_there(bench: Bench) -> None:
    """Whatever its size and age."""
    bench.log.append(b"log")
    bench.step(draining=True)
    before = bench.archiver.is_drained()
    bench.step(draining=True)

    assert not before
    assert bench.archiver.is_drained()
    assert bench.ranges() == [(0, 3)]


def test_draining_ends_where_the_log_ended_then(bench: Bench) -> None:
    """A writer that never pauses does not keep it going."""
    bench.log.append(b"before")
    for _ in range(3):
        bench.step(draining=True)
        bench.log.append(b"after")

    assert bench.archiver.is_drained()
    assert archived(bench.destination) == b"before"


def test_draining_ends_where_the_round_was_stopped(bench: Bench) -> None:
    """A writer that is always ahead of the reader does not keep it going; nor does a reader that is at the end."""
    for _ in range(3):
        bench.log.append(b"before")
    bench.archiver.stop_at(10)
    bench.log.append(*[b"after"] * 100)
    for _ in range(3):
        bench.step(draining=True)
    is_drained = bench.archiver.is_drained()
    bench.archiver.stop_at(10**6)
    bench.step(draining=True)

    assert is_drained
    assert archived(bench.destination).startswith(b"before" * 2)
    assert len(archived(bench.destination)) < 500


def test_nothing_is_drained_before_the_log_was_read_to_its_end(bench: Bench) -> None:
    """Neither before draining began, nor while the log cannot be read."""
    bench.step()
    idle = bench.archiver.is_drained()

    def fail() -> None:
        raise ConnectionError

    bench.log.failing = fail
    with pytest.raises(ConnectionError):
        bench.step(draining=True)

    assert not idle
    assert not bench.archiver.is_drained()


def test_no_more_is_read_than_there_is_room_for(bench: Bench) -> None:
    """While the destination is slow, memory stays bounded, and the log waits where it is."""
    bench.log.append(*[random_log(40, seed) for seed in range(10)])
    for _ in range(5):
        bench.archiver.step()

    assert bench.log.reads == DEPTH
    assert len(bench.storer.waiting) == DEPTH
    for _ in range(5):
        bench.step()
    assert bench.log.data == archived(bench.destination)


def test_old_log_waits_for_room_as_well(bench: Bench) -> None:
    """Age alone does not fill the memory."""
    bench.log.append(*[random_log(40, seed) for seed in range(DEPTH - 1)], b"small")
    bench.archiver.step()
    bench.log.append(random_log(30))
    bench.clock.now += 1
    bench.archiver.step()
    bench.clock.now += 1
    bench.log.append(b"later")
    bench.archiver.step()

    assert len(bench.storer.waiting) == DEPTH


def test_the_codec_changes_at_the_next_segment(bench: Bench) -> None:
    """What was gathered before the change is in it."""
    expected = ["none", "zstd_1.3.8", "lz4_1.0"]
    for codec in expected:
        bench.log.append(random_log(20))
        bench.step()
        bench.codec = codec
        bench.log.append(random_log(20))
        bench.step()

    assert expected == [header.codec for header in bench.headers()]
    assert bench.log.data == archived(bench.destination)


def test_a_header_says_whose_and_which_log_it_is(bench: Bench) -> None:
    """Range, SCNs, and the chain before and after; the first one's chain before is not known."""
    bench.log.append(*[random_log(20, seed) for seed in range(4)])
    bench.step()
    first, second = bench.headers()
    groups = bench.log.groups

    assert first.of == OF
    assert (first.min_scn, first.max_scn, second.min_scn, second.max_scn) == (100, 200, 300, 400)
    assert (None, groups[1].end.chain) == (first.chain_before, first.chain_after)
    assert (groups[1].end.chain, groups[3].end.chain) == (second.chain_before, second.chain_after)


def test_figures_go_on_from_where_the_archive_ended() -> None:
    """What is counted is what is durable, in log and in objects."""
    log = MemoryLog()
    log.append(random_log(40), random_log(40))
    resumed = ArchiveEnd(log.groups[0].end, input_bytes=40, output_bytes=500, segments=1)
    bench = Bench(log, resumed)
    bench.step()
    before = bench.archiver.end
    bench.step()
    size = sum(len(data) for data in bench.destination.objects.values())

    assert resumed == before
    assert ArchiveEnd(log.end, 80, 500 + size, 2) == bench.archiver.end


def test_a_log_that_does_not_continue_the_archive_is_refused() -> None:
    """A restored engine writes another log at the same positions."""
    log = MemoryLog()
    log.append(b"first", b"second")
    bench = Bench(log, ArchiveEnd(LogPosition(5, 100, 12345)))
    with pytest.raises(LogDamagedError, match="does not continue"):
        bench.step()

    assert bench.destination.stored == []


def test_the_destinations_trouble_ends_the_archiving_when_it_is_given_up(bench: Bench) -> None:
    """It is shown, and raised when nobody waits for its end any more."""

    def fail(_operation: str, _name: str) -> None:
        raise DestinationError("the medium is gone")

    bench.destination.failing = fail
    bench.log.append(random_log(40))
    bench.step()

    assert bench.asker.trouble == "the medium is gone"
    with pytest.raises(DestinationError):
        bench.step()


def test_a_batch_without_chain_is_a_readers_mistake(bench: Bench) -> None:
    """The next segment could not be tied to it."""
    bench.log.groups.append(LogBatch(b"log", LogPosition(0, 0, 0), LogPosition(3, 100), 100))
    with pytest.raises(AssertionError, match="every group has the chain"):
        bench.step(draining=True)


def test_a_flush_seals_at_once(bench: Bench) -> None:
    """Whatever the size and age, and it is done when the segment is durable, not before."""
    bench.log.append(b"log")
    bench.archiver.flush(1)
    bench.archiver.step()
    before = bench.archiver.flushed
    bench.storer.run_all()
    bench.archiver.step()

    assert before == 0
    assert bench.archiver.flushed == 1
    assert bench.ranges() == [(0, 3)]


def test_a_flush_of_nothing_new_is_done_at_once(bench: Bench) -> None:
    """When everything is durable already."""
    bench.archiver.flush(1)
    bench.archiver.step()

    assert bench.archiver.flushed == 1
    assert bench.destination.stored == []


def test_a_flush_waits_for_what_was_read_before_it(bench: Bench) -> None:
    """Also when there is nothing new to read."""
    bench.log.append(random_log(40))
    bench.archiver.step()
    bench.archiver.flush(1)
    bench.archiver.step()
    before = bench.archiver.flushed
    bench.step()
    bench.step()

    assert before == 0
    assert bench.archiver.flushed == 1
    assert bench.ranges() == [(0, 40)]


def test_flushes_share_the_next_segment_while_one_is_under_way(bench: Bench) -> None:
    """The group commit: a segment for the first, one for all that came while it was being stored."""
    for number in range(1, 6):
        bench.log.append(b"commit")
        bench.archiver.flush(number)
        bench.archiver.step()
    bench.storer.run_all()
    bench.step()
    first = bench.archiver.flushed
    bench.step()

    assert first == 1
    assert bench.archiver.flushed == 5
    assert bench.ranges() == [(0, 6), (6, 30)]


def test_a_flush_of_a_backlog_covers_all_of_it(bench: Bench) -> None:
    """A full segment is not the end of what was there."""
    bench.log.append(*[random_log(40, seed) for seed in range(DEPTH + 2)], b"tail")
    bench.archiver.flush(1)
    bench.step()
    before = bench.archiver.flushed
    for _ in range(3):
        bench.step()

    assert before == 0
    assert bench.archiver.flushed == 1
    assert bench.log.data == archived(bench.destination)


@given(data=st.data())
def test_what_was_readable_when_a_flush_was_asked_for_is_durable_when_it_is_done(data: st.DataObject) -> None:
    """Whatever is written, stored and asked for in between; and a flush is always done in the end."""
    bench, asked, lengths = Bench(), 0, {0: 0}
    for action in data.draw(st.lists(st.sampled_from("wfsrt"), max_size=40)):
        if action == "w":
            bench.log.append(random_log(data.draw(st.integers(1, 60)), asked))
        elif action == "f":
            asked += 1
            lengths[asked] = len(bench.log.data)
            bench.archiver.flush(asked)
        elif action == "r" and bench.storer.waiting:
            bench.storer.run_one()
        elif action == "t":
            bench.clock.now += 0.3
        else:
            bench.archiver.step()
        assert lengths[bench.archiver.flushed] <= len(archived(bench.destination))
    for _ in range(40):
        bench.step()

    assert asked == bench.archiver.flushed
