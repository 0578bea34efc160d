"""The bytes that abort a transaction: those that the engine wrote, and log that continues any other."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from redoubt.engines.seekdb.palf import ENTRY_HEADER_SIZE, GROUP_HEADER_SIZE, make_group, verify_groups
from redoubt.engines.seekdb.proven import PROVEN
from redoubt.engines.seekdb.tx_log import Matter, matter_of
from redoubt.engines.seekdb.undo_log import (
    PRE_BARRIER,
    LogEnd,
    Orphan,
    abort_data,
    abort_groups,
    entry_numbers,
    last_log_id,
)
from redoubt.model.log import LogPosition

from .test_tx_log import REDO, transaction
from .written import chain_after, group, padding

RECORDED = bytes.fromhex(
    "4752000300000065000000000599aca018ebc560efa3ef9300000000087954a300000000000002a0000000000000df1b"
    "4c4800020000004518ebc560efa3ef9300000000017c1ec0000000000000e316"
    "00010001000000000000000000000195"
    "01918080800000000000000000e701828080800095030000000000000002000190808080000001898080"
    "8000abdd8ffd8eacf1f518"
)
"""The group in which pylibseekdb 1.4.0.post1 aborted a transaction of 80 MB."""
CHAIN_BEFORE = 3841037548
ORPHAN, NUMBER = Orphan(405, 1795745896565305003), 231
SMALL_ID = bytes.fromhex(
    "00010001000000000000000000000034"
    "019080808000000000000000000c01818080800034000000000000000200019080808000000189808080"
    "00e9f0b181e5abf1f518"
)
"""The data of an entry that aborted a transaction whose id has one byte only."""
DATA_AT = GROUP_HEADER_SIZE + ENTRY_HEADER_SIZE


def test_an_abort_is_what_the_engine_writes() -> None:
    """Bit for bit, the group around it as well."""
    data = abort_data(ORPHAN, NUMBER, flags=0)

    assert make_group(data, 0x0599ACA0, 0x18EBC560EFA3EF93, CHAIN_BEFORE, 672) == RECORDED
    assert abort_data(Orphan(52, 1795745885299964009), 12, flags=0) == SMALL_ID


def test_an_abort_waits_for_the_redo_before_it() -> None:
    """Which several threads replay; the flag is all that is added."""
    data = abort_data(ORPHAN, NUMBER)

    assert data[4:8] == PRE_BARRIER.to_bytes(4)
    assert data[:4] + bytes(4) + data[8:] == RECORDED[DATA_AT:]
    assert matter_of(RECORDED) is Matter.OTHER


IDS = st.integers(1, 2**62)
SCNS = st.integers(1, 2**62)


@given(
    st.dictionaries(st.builds(Orphan, IDS, SCNS), st.integers(0, 2**31), min_size=1, max_size=8),
    st.integers(0, 2**40),
    SCNS,
    st.integers(1, 2**40),
    st.binary(max_size=200),
)
def test_aborts_continue_any_log(orphans: dict[Orphan, int], lsn: int, scn: int, log_id: int, before: bytes) -> None:
    """Every checksum, SCN and number in them follows from what precedes; they are read back as what they are."""
    last = group([before], scn, 7, log_id)
    end = LogEnd(LogPosition(lsn + len(last), scn, chain_after(last)), log_id)

    groups = abort_groups(orphans, end, next(iter(PROVEN)))

    found = verify_groups(last + groups, 7)
    assert found.size == len(last) + len(groups)
    assert (found.min_scn, found.max_scn) == (scn, scn + len(orphans))
    assert last_log_id(last + groups) == log_id + len(orphans)
    for orphan, number in orphans.items():
        assert entry_numbers(groups, frozenset({orphan.tx_id}))[orphan.tx_id] >= number
        assert abort_data(orphan, number) in groups


def test_the_last_entry_of_a_transaction_is_found() -> None:
    """Among those of others, entries of other kinds, compressed ones, and padding."""
    first, second, other = (abort_data(Orphan(tx_id, 9), number) for tx_id, number in ((300, 4), (300, 2), (5, 8)))
    compressed = abort_data(Orphan(300, 9), 77, flags=1 << 29)
    upkeep = transaction(kind=6)
    contents = [[first, upkeep], [compressed], [second, other], [b"short"], [transaction(REDO)]]
    chains = accumulate(contents, lambda chain, each: chain_after(group(each, 1, chain)), initial=0)
    log = b"".join(
        group(each, number + 1, chain) for number, (each, chain) in enumerate(zip(contents, chains, strict=False))
    )
    log += padding(200, 9, chain_after(log[-48:])).ljust(200, b"\0")

    assert entry_numbers(log, frozenset({300, 6})) == {300: 4}
    assert entry_numbers(RECORDED, frozenset({405})) == {405: 231}
    assert last_log_id(b"") == 0
