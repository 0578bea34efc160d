"""The grammar of statements on a session's own statements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.gateway.session_grammar import Deallocate, Execute, Prepare, ShowDiagnostics, parse_session_statement

WORDS = "prepare execute drop show warnings count ( * ) from @ ' s 1 limit , ; using"


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("prepare S from 'alter system archivelog'", Prepare("s", "alter system archivelog")),
        ('/* x */ PREPARE `A b` FROM "its" ;', Prepare("a b", "its")),
        ("prepare s from @Text", Prepare("s", variable="@Text")),
        ("prepare s from @`a b`", Prepare("s", variable="@`a b`")),
        ("execute s", Execute("s")),
        ("execute s using @a, @b;", Execute("s", with_values=True)),
        ("deallocate prepare s", Deallocate("s")),
        ("DROP PREPARE s", Deallocate("s")),
        ("show warnings", ShowDiagnostics("warnings")),
        ("show errors limit 2", ShowDiagnostics("errors", limit=2)),
        ("show warnings limit 1, 2", ShowDiagnostics("warnings", 1, 2)),
        ("show count(*) warnings", ShowDiagnostics("warnings", count=True)),
        ("show count ( * ) errors", ShowDiagnostics("errors", count=True)),
        ("prepare s", None),
        ("prepare s from 1", None),
        ("prepare 's' from 'x'", None),
        ("drop table s", None),
        ("show tables", None),
        ("show count(*) rows", None),
        ("show warnings limit x", None),
        ("show warnings limit 0x1", None),
        ("show warnings limit 1, 2, 3", None),
        ("execute s; select 1", None),
        ("select 1", None),
        ("", None),
    ],
)
def test_a_text_is_one_of_these_or_none(text: str, statement: object) -> None:
    """By its words; what is anything else is the engine's."""
    assert parse_session_statement(text) == statement


@given(st.lists(st.sampled_from(WORDS.split())))
def test_no_text_is_a_fault(words: list[str]) -> None:
    """Whatever comes, the grammar has an answer."""
    parse_session_statement(" ".join(words))
