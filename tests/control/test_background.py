"""Background work: what fails is begun again, its trouble is on record, and nothing else notices."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from redoubt.control import background as background_module
from redoubt.control.background import Background


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_FIRST_PAUSE", 0.001), ("_LONGEST_PAUSE", 0.004), ("_SOUND", 0.05)):
        monkeypatch.setattr(background_module, name, seconds)


def test_what_fails_is_begun_again() -> None:
    """Whatever the error is; the trouble is told once, and ends when the work goes on. Other work goes on all along."""
    began: list[str] = []
    changes: list[dict[str, str]] = []

    async def weak() -> None:
        began.append("weak")
        if len(began) < 4:
            raise (ValueError, OSError, MemoryError)[len(began) % 3](f"no {min(len(began), 2)}\x1b")
        await asyncio.sleep(60)

    async def sound() -> None:
        await asyncio.sleep(60)

    async def scene() -> None:
        background, is_well = Background(), asyncio.Event()

        def note() -> None:
            changes.append(dict(background.troubles))
            if not background.troubles:
                is_well.set()

        background.changed = note
        other = background.keep("other", sound)
        background.keep("weak", weak)
        await is_well.wait()
        assert not other.done()
        await background.stop()

    asyncio.run(scene())

    assert changes == [
        {"weak": "OSError: no 1\\x1b"},
        {"weak": "MemoryError: no 2\\x1b"},
        {"weak": "ValueError: no 2\\x1b"},
        {},
    ]


def test_work_may_end_or_be_cancelled() -> None:
    """Neither is a trouble; the end of work that had failed ends its trouble."""
    background = Background()
    work = mock.AsyncMock(side_effect=[OSError("once"), None])

    async def scene() -> None:
        cancelled = background.keep("long", lambda: asyncio.sleep(60))
        cancelled.cancel()
        await background.keep("short", work)
        await asyncio.wait([cancelled])
        await background.stop()

    asyncio.run(scene())

    assert work.await_count == 2
    assert background.troubles == {}


def test_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a limit."""
    pauses: list[float] = []

    async def note(pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 5:
            raise asyncio.CancelledError

    async def scene() -> None:
        monkeypatch.setattr("redoubt.control.background.asyncio.sleep", note)
        await asyncio.wait([Background().keep("weak", mock.AsyncMock(side_effect=OSError("no")))])

    asyncio.run(scene())

    assert pauses == [0.001, 0.002, 0.004, 0.004, 0.004]
