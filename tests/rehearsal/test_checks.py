"""What a drill's checks make of what an engine says."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.scratch_engine import StatementError, TableName
from redoubt.rehearsal.checks import CheckFailedError, EveryTable, OwnSql, is_true
from redoubt.rehearsal.fingerprint import take_fingerprint

from .fakes import FakeEngine

ROWS = ((1, "a"),)
FINGERPRINT = take_fingerprint(7, [("system", ROWS)])


@pytest.mark.parametrize("value", [None, 0, 0.0, Decimal("0.00"), "", " 0 ", "fail", "No", b"0", b"\x00"[:0], False])
def test_what_says_that_all_is_not_well(value: object) -> None:
    """Nothing, zero, and the words for no."""
    assert not is_true(value)


@given(st.one_of(st.integers().filter(bool), st.sampled_from(["1", "PASS", "ok", "-1", b"yes", b"\xff"])))
def test_what_says_that_all_is_well(value: object) -> None:
    """Everything else."""
    assert is_true(value)


def test_statements_of_the_user_s_that_hold() -> None:
    """Those without rows to give must only run."""
    assert OwnSql("…")(FakeEngine(answers=[None, ((1,), (0,))])) == "2 user statements"
    assert OwnSql("…")(FakeEngine(answers=[(("yes", 0),)])) == "1 user statement"


def test_a_statement_of_the_user_s_that_does_not_hold() -> None:
    """Its number is said, and what it answered."""
    with pytest.raises(CheckFailedError, match="statement 2 returned NULL"):
        OwnSql("…")(FakeEngine(answers=[None, ((None,),)]))
    with pytest.raises(CheckFailedError, match="statement 1 returned no row"):
        OwnSql("…")(FakeEngine(answers=[()]))


def test_every_table_is_read_and_counted() -> None:
    """And how the schema compares is said."""
    engine = FakeEngine({None: ROWS, 7: ROWS}, {TableName("a", "b"): 3, TableName("a", "c"): 4})

    assert EveryTable(FINGERPRINT, whole=True)(engine) == (
        "2 tables and 1 system tables read, 7 rows counted by table and index; "
        "the schema at the snapshot matches the fingerprint"
    )
    assert EveryTable(None, whole=False)(engine) == (
        "2 tables and 1 system tables read; the set has no schema fingerprint to compare"
    )


def test_a_schema_that_cannot_be_compared_is_said_and_does_not_fail() -> None:
    """An engine knows for a while only what was then."""
    engine = FakeEngine({None: ROWS, 7: StatementError("snapshot is too old")})

    assert EveryTable(FINGERPRINT, whole=False)(engine).endswith(
        "no longer keeps the schema of the snapshot: snapshot is too old"
    )


def test_what_cannot_be_read_fails_the_check() -> None:
    """System tables, a schema that differs, tables: the first five by name."""
    broken = {TableName("a", f"t{number}"): StatementError("checksum error") for number in range(7)}

    with pytest.raises(CheckFailedError, match="cannot read the system tables: gone"):
        EveryTable(None, whole=False)(FakeEngine({None: StatementError("gone")}))
    with pytest.raises(CheckFailedError, match="the schema differs from the snapshot: system has 0 rows, not 1"):
        EveryTable(FINGERPRINT, whole=False)(FakeEngine({None: ROWS}))
    with pytest.raises(CheckFailedError, match=r"^a.t0: checksum error; .*a.t4: checksum error; and 2 more$"):
        EveryTable(None, whole=False)(FakeEngine(counts=dict(broken)))
    with pytest.raises(CheckFailedError, match=r"^a.t0: checksum error$"):
        EveryTable(None, whole=False)(FakeEngine(counts=dict([next(iter(broken.items()))])))
