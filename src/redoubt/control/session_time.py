"""Moments as statements name them and answers show them: with an offset, or in the session's time zone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from redoubt.control.session import Session
from redoubt.moments import MomentError, instant, moment
from redoubt.sql.answers import Rows
from redoubt.sql.errors import SqlError
from redoubt.sql.restore_errors import wrong_restore_timestamp
from redoubt.sql.statements import Until

REST = 999
"""The last nanosecond of a microsecond."""
_WRONG_VALUE = 1292
_LONGEST = 64
_OFFSET = re.compile(r"\s*(?P<time>.*\d:\d\d\S*?)\s*(?P<offset>[-+]\d\d:?\d\d|[zZ])\s*\Z", re.ASCII)
_FRACTION = r"(?:\.\d{1,6})?"
_TIME = rf"[\sT]+\d\d?(?::\d\d?(?::\d\d?{_FRACTION})?)?"
_LOCAL = re.compile(rf"\s*(?:\d{{4}}[-/.]\d\d?[-/.]\d\d?(?:{_TIME})?|\d{{8}}|\d{{14}}{_FRACTION})\s*\Z", re.ASCII)
"""The engine passes over what it does not understand behind a time; another moment would then be restored."""


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


def checked_until(until: str) -> int | str:
    """The microseconds since the epoch of a time with an offset; any other time as it is. Raises MomentError. Pure."""
    if len(until) > _LONGEST:
        raise MomentError("the text is too long for a time")
    if (match := _OFFSET.match(until)) is not None and _LOCAL.match(match["time"]):
        scn = moment(match["time"] + match["offset"].upper(), utc=False)
        if scn % 1000:
            raise MomentError("the time is more precise than a microsecond")
        return scn // 1000
    if _LOCAL.match(until) is None:
        raise MomentError("there is more than a time, or less")
    return until


async def until_microseconds(until: str, session: Session) -> int:
    """The microseconds since the epoch of a time with an offset, or else in the session's time zone.

    Raises SqlError 1525.
    """
    try:
        found = checked_until(until)
    except MomentError as error:
        raise wrong_restore_timestamp(until) from error
    microseconds = found if isinstance(found, int) else await _local_microseconds(found, session)
    if microseconds <= 0:
        raise wrong_restore_timestamp(until)
    return microseconds


async def scn_of(until: Until, session: Session) -> int:
    """The SCN of a moment: a time names a microsecond, whose last nanosecond is taken. Raises SqlError 1525."""
    if until.scn is not None:
        return until.scn
    return await until_microseconds(until.time or "", session) * 1000 + REST


async def _local_microseconds(until: str, session: Session) -> int:
    try:
        answer = await session.query(f"SELECT time_to_usec('{until}')")
    except SqlError as error:
        if error.code != _WRONG_VALUE:
            raise
        return 0
    assert isinstance(answer, Rows)
    value = answer.rows[0][0]
    return 0 if value is None else int(value)
