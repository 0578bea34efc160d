"""The benchmark of parsing: that it measures what it says, not how fast that is."""

from __future__ import annotations

import pytest
from benchmarks.parsing import OTHERS, OURS, measure

from redoubt.sql.parser import may_be_ours, parse
from redoubt.sql.statements import Statement


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """And prints a line for each text."""
    measure(repeats=1, runs=1)

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(OURS) + len(OTHERS) + 2
    assert all(any(line.endswith(text) for line in lines) for text in (*OURS, *OTHERS))


def test_its_statements_are_ours_and_all_that_there_are() -> None:
    """Each kind of statement is measured, and what an application sends is dismissed at once."""
    assert {type(parse(text)) for text in OURS} == set(Statement.__args__)
    assert not any(may_be_ours(text.encode()) for text in OTHERS)
