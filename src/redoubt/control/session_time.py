"""Moments as answers show them: in the session's time zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from redoubt.control.session import Session
from redoubt.moments import instant
from redoubt.sql.answers import Rows


async def local_texts(scns: Sequence[int], session: Session) -> list[str]:
    """SCNs (ns since the epoch) as views show them, in the session's time zone. Raises SqlError."""
    if not scns:
        return []
    columns = ", ".join(f"CAST(usec_to_time({scn // 1000}) AS CHAR(26))" for scn in scns)
    answer = await session.query(f"SELECT {columns}")
    assert isinstance(answer, Rows)
    return [str(value) for value in answer.rows[0]]


async def moment_text(scn: int, session: Session) -> str:
    """A moment in the session's time zone with its offset, and in UTC; UNTIL takes both. Raises SqlError."""
    (text,) = await local_texts([scn], session)
    local = datetime.fromisoformat(text).replace(tzinfo=UTC)
    minutes = round((local - datetime.fromisoformat(instant(scn))).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"{local:%Y-%m-%d %H:%M:%S.%f}{'-' if minutes < 0 else '+'}{hours:02}:{rest:02} ({instant(scn)})"
