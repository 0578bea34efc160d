"""Questions to an engine that hangs: nobody waits for the answer."""

from __future__ import annotations

import threading

import pytest

from redoubt.engines.seekdb.question import Question

from .running import until


def test_an_answer_is_fetched_when_it_is_there() -> None:
    """Until then there is none, and the engine is asked only once; after that it is asked again."""
    may_answer, asked = threading.Event(), list[int]()

    def ask() -> int:
        asked.append(1)
        assert may_answer.wait(20)
        return 40 + len(asked)

    question = Question(ask)
    for _ in range(5):
        assert question() is None
    may_answer.set()
    answers = filter(None, iter(question, 0))

    assert [next(answers), next(answers)] == [41, 42]


def test_an_engine_that_does_not_answer_is_an_error() -> None:
    """Each time; the next call asks again."""

    def ask() -> int:
        raise ConnectionError("no answer")

    question = Question(ask)
    for _ in range(2):
        with pytest.raises(ConnectionError, match="no answer"):
            until(lambda: question() is not None)
