"""The log of an archive as a feed: read anywhere, while more is archived, merged, frozen and deleted."""

from __future__ import annotations

import pytest

from redoubt.archive.archived_log import ArchivedLog
from redoubt.archive.encryption import Key, KeyMissingError
from redoubt.archive.joining import Joined
from redoubt.archive.segment import SegmentName
from redoubt.archive.store import ArchiveError
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter
from redoubt.model.standby import FedLog, NoLogError
from tests.archive.fakes import Clock, know

from .small import SOURCE, SmallArchive, ordinary


def _feed(archive: SmallArchive, clock: Clock | None = None, **options: object) -> ArchivedLog:
    return ArchivedLog(
        archive.destination,
        archive.tenant,
        SeekdbLogCutter(),
        clock=clock or Clock(),
        **options,  # type: ignore[arg-type]
    )


def _all(feed: ArchivedLog, lsn: int = 0) -> bytes:
    """What the feed has from an LSN on."""
    log = b""
    while (fed := feed.log_at(lsn)) is not None:
        log += fed.data[lsn - fed.start.lsn :]
        lsn = fed.end.lsn
    return log


def test_all_log_is_there_from_every_group_on() -> None:
    """Over the end of a piece; the whole run is given, also for a place within it."""
    archive = ordinary()
    for place in archive.ends[:-1]:
        assert _all(_feed(archive), place.lsn) == archive.log[place.lsn :]
    feed = _feed(archive)
    end = feed.end()
    assert (end.lsn, end.scn) == (archive.end.lsn, archive.end.scn)
    assert feed.start_lsn() == 0
    within = feed.log_at(archive.ends[1].lsn)
    assert isinstance(within, FedLog)
    assert (within.start.lsn, within.end) == (0, archive.ends[6])


def test_a_moment_cuts_it_behind_its_last_group() -> None:
    """Also within a segment, and at the end of one; before all log there is none."""
    archive = ordinary()
    for number in range(1, len(archive.ends)):
        feed = _feed(archive, until=archive.ends[number].scn + 50)
        assert _all(feed) == archive.log[: archive.ends[number].lsn]
        assert feed.end().scn <= archive.ends[number].scn + 50
        assert feed.log_at(archive.ends[number].lsn) is None
    with pytest.raises(NoLogError, match="has no log from before that moment"):
        _feed(archive, until=-1).log_at(0)


def test_the_end_at_a_moment_is_known_before_the_log_is_read() -> None:
    """And the moment can be changed: a standby goes on, or stops earlier."""
    archive = ordinary()
    feed = _feed(archive)
    for number in (1, 4, 2, len(archive.ends) - 1):
        feed.end_at(archive.ends[number].scn + 50)
        assert feed.end().lsn == archive.ends[number].lsn
        assert _all(feed) == archive.log[: archive.ends[number].lsn]
    feed.end_at(None)
    assert feed.end().lsn == archive.end.lsn
    assert _all(feed) == archive.log


def test_more_log_comes_and_the_destination_is_asked_once_in_a_while() -> None:
    """Log that is known needs no listing; a new round is found."""
    archive, clock, listed = ordinary(), Clock(), list[str]()
    feed = _feed(archive, clock)
    archive.destination.failing = lambda operation, name: listed.append(name) if operation == "list" else None
    assert _all(feed) == archive.log
    first = len(listed)
    assert _all(feed) == archive.log
    archive.write(2)
    assert feed.log_at(archive.ends[-3].lsn) is None, "the last listing was a moment ago"
    assert len(listed) == first
    assert feed.end(is_new=True).lsn == archive.end.lsn
    clock.now += 1
    archive.freeze()
    archive.begin(2)
    archive.write(1)
    assert _all(feed) == archive.log
    listed.clear()
    clock.now += 1
    assert feed.log_at(archive.end.lsn) is None
    assert len(listed) == 1, "the last piece: the others are complete"


def test_a_merge_meanwhile_changes_nothing() -> None:
    """An object that is gone when it is wanted is found in the merged one."""
    archive = SmallArchive()
    archive.begin()
    archive.write(1, 1, 1, 1)
    feed = _feed(archive)
    assert feed.end().lsn == archive.end.lsn
    joined = Joined(archive.store.keys)
    names = [name for name, _ in archive.store.segments()]
    for name in names:
        joined.add(name, archive.store.get(name))
    archive.store.put(*joined.finish())
    for name in names:
        archive.store.remove(name)
    assert _all(feed) == archive.log


def test_log_that_is_not_there_is_an_error_that_says_which() -> None:
    """Before the first, behind the last, within a gap; and nothing at all."""
    archive = SmallArchive()
    with pytest.raises(NoLogError, match="has no log"):
        _feed(archive).end()
    archive.write_unarchived(2)
    start = archive.end
    archive.begin(1, start=start)
    archive.write(2)
    archive.write_unarchived(1)
    gap = archive.end.lsn
    archive.begin(2, start=archive.end)
    archive.write(1)
    feed = _feed(archive)
    with pytest.raises(NoLogError, match=f"begins at LSN {start.lsn}, after LSN 0"):
        feed.log_at(0)
    with pytest.raises(NoLogError, match=f"ends at LSN {archive.end.lsn}, before LSN {archive.end.lsn + 1}"):
        feed.log_at(archive.end.lsn + 1)
    with pytest.raises(NoLogError, match=f"to {gap} is missing in the archive"):
        feed.log_at(archive.ends[4].lsn)
    assert _all(feed, gap) == archive.log[gap:]


def test_damage_is_named_and_costs_no_other_log() -> None:
    """A damaged segment, a damaged claim; what lies elsewhere is served."""
    archive = ordinary()
    first = next(name for name in sorted(archive.destination.objects) if name.endswith(".zst"))
    data = archive.destination.objects[first]
    archive.destination.objects[first] = data[:-1] + bytes([data[-1] ^ 1])
    feed = _feed(archive)
    with pytest.raises(ArchiveError, match=first):
        feed.log_at(0)
    later = SegmentName.parse(first.rpartition("/")[2])
    assert later is not None
    assert _all(feed, later.end_lsn) == archive.log[later.end_lsn :]
    claim = next(name for name in archive.destination.objects if "/1_1_" in name and name.endswith("_info"))
    archive.destination.objects[claim] = b"{"
    assert _all(_feed(archive), archive.ends[-1].lsn) == b""
    with pytest.raises(ArchiveError, match="is damaged"):
        _feed(archive).log_at(0)


def test_an_encrypted_archive_is_read_with_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the key, the error says which one is needed."""
    archive = ordinary()
    archive.is_encrypted = True
    master = Key(bytes(range(32)))
    know(monkeypatch, master)
    archive.write(2, 1)
    assert _all(_feed(archive)) == archive.log
    know(monkeypatch, None)
    with pytest.raises(KeyMissingError, match=master.id):
        _all(_feed(archive))


def test_log_of_another_engine_is_not_mixed_in() -> None:
    """The newest engine's log by default, a named one's if it is named; log that does not continue is refused."""
    archive = SmallArchive()
    archive.begin(1)
    archive.write(3)
    former = archive.log
    archive.set_back(1)
    archive.source = "engine-b"
    archive.begin(2, start=archive.ends[0])
    archive.write(2, salt=b"other")
    assert _all(_feed(archive)) == archive.log
    assert _all(_feed(archive, source=SOURCE)) == former
