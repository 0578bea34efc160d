"""What child processes say: messages, other versions' messages, printed text, and lines without an end."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.control.child_messages import messages_from
from redoubt.messages import archiving, jobs
from redoubt.messages.archiving import PieceTrouble

LIMIT = 1000
MESSAGE = PieceTrouble(1001, 1, "it stands")
LINE = archiving.to_line(MESSAGE)
OTHERS = (
    b"\n",
    b"printed by a library\n",
    b"{}\n",
    b"[1]\n",
    b"null\n",
    b"\xff\xfe\n",
    b'{"kind": "Unknown"}\n',
    b'{"kind": "PieceTrouble", "tenant_id": 1}\n',
    json.dumps({"kind": "PieceTrouble", "tenant_id": 1, "round": 1, "text": "", "new": 1}).encode() + b"\n",
    b"x" * LIMIT + b"\n",
    b"x" * (3 * LIMIT) + b"\n",
)


async def _read(output: bytes) -> list[object]:
    child = asyncio.StreamReader(limit=LIMIT)
    child.feed_data(output)
    child.feed_eof()
    return [message async for message in messages_from(child, archiving.from_line)]


@given(st.lists(st.sampled_from([LINE, *OTHERS])), st.sampled_from([b"", b"half a line", b"y" * 2 * LIMIT]))
def test_only_messages_are_heard(lines: list[bytes], rest: bytes) -> None:
    """All of them, in order, and nothing else ends the listening."""
    assert asyncio.run(_read(b"".join(lines) + rest)) == [MESSAGE] * lines.count(LINE)


@pytest.mark.parametrize("line", OTHERS)
def test_jobs_speak_likewise(line: bytes) -> None:
    """Their protocol has the same reader."""

    async def scene() -> list[object]:
        child = asyncio.StreamReader(limit=LIMIT)
        child.feed_data(line + jobs.to_line(jobs.Progress(1, 2)))
        child.feed_eof()
        return [message async for message in messages_from(child, jobs.from_line)]

    assert asyncio.run(scene()) == [jobs.Progress(1, 2)]
