"""The checks of a restored engine: the built-in check, or the user's SQL."""

from __future__ import annotations

from typing import Any, Protocol

from redoubt.model.scratch_engine import ScratchEngine, StatementError
from redoubt.rehearsal.fingerprint import Fingerprint, differences, take_fingerprint

_UNTRUE = {"", "0", "FAIL", "FAILED", "FALSE", "NO"}
_SHOWN = 5


class CheckFailedError(Exception):
    """The restored data fails a check; the text says which one."""


class Check(Protocol):
    """Checks a restored engine as a logged-in user."""

    def __call__(self, engine: ScratchEngine) -> str:
        """Run the check; returns a phrase that names it. Raises CheckFailedError, ScratchError."""
        ...


class OwnSql:
    """Every statement must succeed; a result set must have a row, and the first cell of the row must be true.

    NULL, zero, an empty text, FAIL, FAILED, FALSE and NO are not true.
    """

    def __init__(self, sql: str) -> None:
        self._sql = sql

    def __call__(self, engine: ScratchEngine) -> str:
        """See `Check`."""
        number = 0
        try:
            for rows in engine.results(self._sql):
                number += 1
                if rows is not None and not rows:
                    raise CheckFailedError(f"statement {number} returned no row")
                if rows and not is_true(rows[0][0]):
                    raise CheckFailedError(f"statement {number} returned {_said(rows[0][0])}")
        except StatementError as error:
            raise CheckFailedError(f"statement {number + 1} failed: {error}") from error
        return f"{number} user {'statement' if number == 1 else 'statements'}"


class EveryTable:
    """Every table must open; the schema must match the recorded fingerprint, if the two can be compared.

    With `whole`, all rows are counted, by the table and by each index.
    """

    def __init__(self, recorded: Fingerprint | None, *, whole: bool) -> None:
        self._recorded = recorded
        self._whole = whole

    def __call__(self, engine: ScratchEngine) -> str:
        """See `Check`."""
        try:
            system = sum(1 for _ in engine.catalog(None))
            tables = engine.tables()
        except StatementError as error:
            raise CheckFailedError(f"cannot read the system tables: {error}") from error
        compared = self._compare(engine)
        rows, wrong = 0, list[str]()
        for table in tables:
            try:
                rows += engine.read_table(table, whole=self._whole) or 0
            except StatementError as error:
                wrong.append(f"{table}: {error}")
        if wrong:
            more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise CheckFailedError("; ".join(wrong[:_SHOWN]) + more)
        counted = f", {rows} rows counted by table and index" if self._whole else ""
        return f"{len(tables)} tables and {system} system tables read{counted}; {compared}"

    def _compare(self, engine: ScratchEngine) -> str:
        """Compare the schema with the recorded fingerprint. Raises CheckFailedError if they differ."""
        if self._recorded is None:
            return "the set has no schema fingerprint to compare"
        scn = self._recorded.scn
        try:
            found = take_fingerprint(scn, engine.catalog(scn))
        except StatementError as error:
            return f"cannot compare the schema, the engine no longer keeps the schema of the snapshot: {error}"
        if wrong := differences(self._recorded, found):
            raise CheckFailedError(f"the schema differs from the snapshot: {'; '.join(wrong[:_SHOWN])}")
        return "the schema at the snapshot matches the fingerprint"


def is_true(value: Any) -> bool:
    """Whether a cell counts as true."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    if isinstance(text, str):
        return text.strip().upper() not in _UNTRUE
    return bool(text)


def _said(value: Any) -> str:
    return "NULL" if value is None else repr(value)
