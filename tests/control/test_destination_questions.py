"""Questions to a destination that may never answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

from redoubt.control import destination_questions as module
from redoubt.control.destination_questions import DestinationQuestions
from redoubt.sql.errors import SqlError
from tests.control.stage import play


def test_an_answer_and_an_error_come_to_who_asked() -> None:
    """As if the question had been asked at once."""

    async def scene() -> None:
        questions = DestinationQuestions()
        assert await questions.ask("file:///a", int, "10", base=2) == 2
        with pytest.raises(ValueError, match="invalid literal"):
            await questions.ask("file:///a", int, "x")
        assert not +questions._unanswered

    play(scene())


def test_a_destination_that_is_silent_is_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question is given up, and after a few no more are asked of it; others are asked, and so is it later."""
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    speak = threading.Event()

    async def scene() -> None:
        questions = DestinationQuestions()
        for _ in range(3):
            with pytest.raises(SqlError, match=r"file:///a did not answer within 0\.01 s") as refused:
                await questions.ask("file:///a", speak.wait)
            assert refused.value.code == 9026
        with pytest.raises(SqlError, match="has not answered earlier requests yet"):
            await questions.ask("file:///a", speak.wait)
        monkeypatch.setattr(module, "_PATIENCE", 10)
        assert await questions.ask("file:///b", int) == 0
        speak.set()
        async with asyncio.timeout(10):
            while +questions._unanswered:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.001)
        assert await questions.ask("file:///a", speak.wait)

    play(scene())


def test_an_answer_after_the_service_has_ended_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread ends without a word."""
    monkeypatch.setattr(module, "_PATIENCE", 0.01)
    speak = threading.Event()
    threads: list[threading.Thread] = []

    def question() -> None:
        threads.append(threading.current_thread())
        speak.wait()

    async def scene() -> None:
        with pytest.raises(SqlError):
            await DestinationQuestions().ask("file:///a", question)

    play(scene())
    speak.set()
    threads[0].join(10)

    assert not threads[0].is_alive()
