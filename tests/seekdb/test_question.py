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


def test_an_answer_of_now_is_of_now() -> None:
    """It is waited for; an earlier answer does not count, and an engine that hangs is waited for once."""
    may_answer, asked = threading.Event(), list[int]()

    def ask() -> int:
        asked.append(1)
        number = len(asked)
        assert number != 3 or may_answer.wait(20)
        return number

    question = Question(ask)
    assert question.now(20) == 1
    while question() is None:
        pass
    assert len(asked) == 2
    for _ in range(3):
        with pytest.raises(TimeoutError):
            question.now(0.01)
    assert len(asked) == 3
    may_answer.set()
    until(lambda: question() is not None)
    assert question.now(20) == 4
