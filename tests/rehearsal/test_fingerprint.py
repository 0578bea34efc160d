"""What a fingerprint tells apart."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.archive.layout import ClusterPath
from redoubt.archive.set_layout import set_path
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError
from redoubt.model.bases import SetKey
from redoubt.rehearsal.fingerprint import (
    Fingerprint,
    differences,
    dump_fingerprint,
    fingerprint_of,
    take_fingerprint,
)
from tests.archive.fakes import MemoryDestination

PATH = set_path(ClusterPath("redoubt", 1), 1001, SetKey(1, 20261123))
NAME = f"{PATH.folder}/fingerprint"
_cells = st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.decimals(allow_nan=False), st.datetimes())
_rows = st.lists(st.tuples(_cells, _cells), max_size=5).map(tuple)


@given(_rows, st.integers())
def test_the_order_of_rows_does_not_count(rows: tuple[tuple[object, ...], ...], seed: int) -> None:
    """An engine may give them in any."""
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)

    assert take_fingerprint(5, [("t", rows)]) == take_fingerprint(5, [("t", tuple(shuffled))])


@given(_rows, _rows)
def test_other_rows_give_another_fingerprint(
    some: tuple[tuple[object, ...], ...], others: tuple[tuple[object, ...], ...]
) -> None:
    """Whatever is in the cells."""
    one, other = take_fingerprint(5, [("t", some)]), take_fingerprint(5, [("t", others)])

    assert (differences(one, other) == []) == (sorted(map(repr, some)) == sorted(map(repr, others)))


def test_what_looks_alike_is_told_apart() -> None:
    """A number, its text, nothing; cells that run together."""
    alike = [
        ((1,),),
        (("1",),),
        ((None,),),
        (("None",),),
        ((Decimal(1),),),
        ((b"1",),),
        (("a\tstr:b",),),
        (("a", "b"),),
    ]
    moment = datetime(2026, 11, 23, tzinfo=UTC)

    assert len({take_fingerprint(5, [("t", rows)]).tables for rows in [*alike, ((moment,),)]}) == len(alike) + 1


def test_differences_are_said_for_each_table() -> None:
    """Tables that are missing, that have more rows, that have others."""
    recorded = take_fingerprint(5, [("a", ((1,),)), ("b", ((1,),)), ("c", ()), ("d", ((1,),))])
    found = take_fingerprint(5, [("a", ((1,), (2,))), ("b", ((2,),)), ("d", ((1,),)), ("e", ())])

    assert differences(recorded, found) == [
        "a has 2 rows, not 1",
        "b has 1 rows, but with other content",
        "c exists only in the fingerprint",
        "e exists only in the engine",
    ]


def test_a_fingerprint_is_read_where_it_was_recorded() -> None:
    """None where none was; a damaged one is named."""
    taken = take_fingerprint(5, [("a", ((1,),))])
    there = MemoryDestination({NAME: dump_fingerprint(taken)})

    assert fingerprint_of(SetStore(there, PATH)) == taken
    assert fingerprint_of(SetStore(MemoryDestination(), PATH)) is None
    with pytest.raises(ArchiveError, match="fingerprint is damaged"):
        fingerprint_of(SetStore(MemoryDestination({NAME: b"{"}), PATH))


def test_lines_that_are_none_are_passed_over() -> None:
    """Another version may say more."""
    assert differences(Fingerprint(5, "more\na 1 d"), Fingerprint(5, "a 1 d")) == []
