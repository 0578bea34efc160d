"""The shipper: whatever finishes first, segments become visible in order, and never past one that failed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.segment import SegmentName
from redoubt.archive.store import ArchiveError, PieceStore
from redoubt.archiver.asking import Retrier
from redoubt.archiver.shipper import DEPTH, Shipped, Shipper
from redoubt.model.seams import DestinationError
from tests.archive.fakes import (
    PATH,
    InlineExecutor,
    MemoryDestination,
    PatientExecutor,
    Pause,
    down,
    header_of,
    random_log,
)

SIZE = 10


class Shipping:
    """A shipper at work with executors that wait for the test."""

    def __init__(self, pause_limit: int = 1000) -> None:
        self.destination = MemoryDestination()
        self.encoders, self.storer = PatientExecutor(), PatientExecutor()
        self.pause = Pause(pause_limit)
        self.notified = 0
        store = PieceStore(self.destination, PATH)
        self.asker = Retrier(self.pause)
        self.shipper = Shipper(store, self.encoders, self.storer, self.asker, self._count, small=0)
        self.shipped = 0

    def ship(self, codec: str = "none") -> None:
        """Hand over the next segment."""
        log = random_log(SIZE, self.shipped)
        self.shipper.ship(header_of(log, codec, SIZE * self.shipped), log)
        self.shipped += 1

    def run_all(self) -> None:
        """Let both executors finish."""
        self.encoders.run_all()
        self.storer.run_all()

    def stored(self) -> list[int]:
        """The segments that are visible, by number, in the order in which they became so."""
        names = [SegmentName.parse(name.rpartition("/")[2]) for name in self.destination.stored]
        return [name.start_lsn // SIZE for name in names if name]

    def _count(self) -> None:
        self.notified += 1


def numbers(shipped: list[Shipped]) -> list[int]:
    """The segments by number."""
    return [each.header.start_lsn // SIZE for each in shipped]


def test_a_segment_is_collected_when_it_is_durable() -> None:
    """Not when it is encoded; the one who waits is told."""
    shipping = Shipping()
    shipping.ship()
    shipping.encoders.run_all()
    before = shipping.shipper.collect()
    shipping.storer.run_all()
    after = shipping.shipper.collect()

    assert before == []
    assert numbers(after) == [0]
    assert [len(data) for data in shipping.destination.objects.values()] == [after[0].stored_bytes]
    assert shipping.notified == 1
    assert shipping.shipper.is_idle()


def test_there_is_room_for_a_few() -> None:
    """What is under way is held in memory."""
    shipping = Shipping()
    for _ in range(DEPTH):
        assert shipping.shipper.has_room()
        shipping.ship()

    assert not shipping.shipper.has_room()
    assert not shipping.shipper.is_idle()
    shipping.run_all()
    shipping.shipper.collect()
    assert shipping.shipper.has_room()


@given(st.permutations(range(DEPTH)), st.data())
def test_segments_are_stored_in_order(finishing: list[int], data: st.DataObject) -> None:
    """Though the encoders finish in any order."""
    shipping = Shipping()
    for _ in range(DEPTH):
        shipping.ship(data.draw(st.sampled_from(["none", "lz4_1.0", "zstd_1.3.8"])))
    left = list(range(DEPTH))
    for number in finishing:
        shipping.encoders.run_one(left.index(number))
        left.remove(number)
        while shipping.storer.is_ready():
            shipping.storer.run_one()
        assert list(range(len(shipping.stored()))) == shipping.stored()
        assert all(number in shipping.stored() for number in numbers(shipping.shipper.collect()))

    assert list(range(DEPTH)) == shipping.stored()


def test_trouble_is_retried_with_growing_pauses_until_it_ends() -> None:
    """From a tenth of a second, doubled to ten seconds; the text stands while it lasts and is gone after."""
    shipping = Shipping()
    shipping.destination.failing = down
    seen: list[str] = []

    def look() -> None:
        seen.append(shipping.asker.trouble)
        if len(seen) == 10:
            shipping.destination.failing = lambda *_: None

    shipping.pause.before_each = look
    shipping.ship()
    shipping.run_all()

    assert pytest.approx(shipping.pause.seconds) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]
    assert seen == ["the medium is gone"] * 10
    assert shipping.asker.trouble == ""
    assert numbers(shipping.shipper.collect()) == [0]


def test_a_lost_answer_is_no_trouble_the_second_time() -> None:
    """The object is there already, with the same bytes."""
    shipping = Shipping()
    answers = iter([DestinationError("the answer was lost")])

    def lose(_name: str) -> None:
        for error in answers:
            raise error

    shipping.destination.lost_answer = lose
    shipping.ship()
    shipping.run_all()

    assert numbers(shipping.shipper.collect()) == [0]
    assert len(shipping.pause.seconds) == 1


def test_giving_up_raises_the_trouble() -> None:
    """When the pause says that it is time to."""
    shipping = Shipping(pause_limit=3)
    shipping.destination.failing = down
    shipping.ship()
    shipping.run_all()

    assert len(shipping.pause.seconds) == 3
    assert shipping.asker.trouble == "the medium is gone"
    with pytest.raises(DestinationError, match="the medium is gone"):
        shipping.shipper.collect()


def give_up_on_the_first(shipping: Shipping) -> None:
    """The destination fails the first segment only, and nobody waits for it."""

    def fail(_operation: str, name: str) -> None:
        if f"/{0:020}-" in name:
            raise DestinationError("the medium was gone for a moment")

    shipping.pause.limit = 1
    shipping.destination.failing = fail


def put_another_in_the_way(shipping: Shipping) -> None:
    """Another wrote the first segment with other content."""
    shipping.destination.objects[PATH.segment(SegmentName(0, SIZE, ".redo"))] = b"other"


def break_the_encoder(shipping: Shipping) -> None:
    """The first segment cannot be encoded."""
    future, _, needed = shipping.encoders.waiting[0]

    def fail() -> bytes:
        raise MemoryError

    shipping.encoders.waiting[0] = (future, fail, needed)


@pytest.mark.parametrize(
    ("obstacle", "error"),
    [
        (give_up_on_the_first, DestinationError),
        (put_another_in_the_way, ArchiveError),
        (break_the_encoder, MemoryError),
    ],
)
def test_nothing_is_stored_after_a_segment_that_was_not(
    obstacle: Callable[[Shipping], None], error: type[Exception]
) -> None:
    """A later segment would leave a hole, or follow what it does not continue."""
    shipping = Shipping()
    for _ in range(DEPTH):
        shipping.ship()
    obstacle(shipping)
    shipping.run_all()

    assert shipping.stored() == []
    with pytest.raises(error):
        shipping.shipper.collect()
    with pytest.raises(DestinationError, match="the segment before was not stored"):
        shipping.shipper.collect()


def test_what_became_durable_before_a_failure_is_told_first() -> None:
    """The round ends, but its figures are true."""
    shipping = Shipping()
    shipping.destination.objects[PATH.segment(SegmentName(SIZE, 2 * SIZE, ".redo"))] = b"other"
    shipping.ship()
    shipping.ship()
    shipping.run_all()

    assert numbers(shipping.shipper.collect()) == [0]
    with pytest.raises(ArchiveError, match="exists with other content"):
        shipping.shipper.collect()


def test_a_shipper_without_threads_is_done_at_once() -> None:
    """The executors are the caller's business."""
    store = PieceStore(MemoryDestination(), PATH)
    shipper = Shipper(store, InlineExecutor(), InlineExecutor(), Retrier(Pause()), lambda: None)
    shipper.ship(header_of(b"log"), b"log")

    assert numbers(shipper.collect()) == [0]


def test_a_small_segment_is_encoded_where_it_is_stored() -> None:
    """Without waiting for a thread of the encoders."""
    destination, encoders = MemoryDestination(), PatientExecutor()
    shipper = Shipper(
        PieceStore(destination, PATH), encoders, InlineExecutor(), Retrier(Pause()), lambda: None, small=10
    )
    shipper.ship(header_of(random_log(10)), random_log(10))
    small = numbers(shipper.collect())
    large = Shipper(
        PieceStore(destination, PATH), encoders, PatientExecutor(), Retrier(Pause()), lambda: None, small=10
    )
    large.ship(header_of(random_log(11), start_lsn=10), random_log(11))

    assert small == [0]
    assert len(encoders.waiting) == 1
