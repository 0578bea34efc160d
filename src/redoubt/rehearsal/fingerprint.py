"""The fingerprint of an engine's system tables at a data backup's snapshot: counts and checksums of their rows.

The fingerprint is taken from the source and stored beside the set (`fingerprint`). A restored engine with the same
fingerprint has the same databases, tables, columns, indexes, users and grants.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from redoubt.archive.record import INFO_FORMAT, Lines, RecordError, dump_record, load_record
from redoubt.archive.set_store import SetStore
from redoubt.archive.store import ArchiveError
from redoubt.model.scratch_engine import Rows
from redoubt.model.seams import ObjectMissingError


@dataclass(frozen=True)
class Fingerprint:
    """The system tables as of `scn` (ns since the epoch). `tables` has a line for each: name, rows, SHA-256."""

    scn: int
    tables: Lines
    format: int = INFO_FORMAT


def take_fingerprint(scn: int, tables: Iterable[tuple[str, Rows]]) -> Fingerprint:
    """The fingerprint of tables, each by its name, as they were at an SCN."""
    return Fingerprint(scn, "\n".join(f"{name} {len(rows)} {_digest(rows)}" for name, rows in tables))


def dump_fingerprint(fingerprint: Fingerprint) -> bytes:
    """The object's bytes."""
    return dump_record(fingerprint, indent=2)


def fingerprint_of(store: SetStore) -> Fingerprint | None:
    """The fingerprint of a set, None without one. Raises ArchiveError if the fingerprint is damaged."""
    try:
        return load_record(Fingerprint, store.remark(store.path.fingerprint))
    except ObjectMissingError:
        return None
    except RecordError as error:
        raise ArchiveError(f"{store.path.fingerprint} is damaged ({error})") from error


def differences(recorded: Fingerprint, found: Fingerprint) -> list[str]:
    """The differences, a phrase for each table."""
    before, after = _by_name(recorded), _by_name(found)
    said = []
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            said.append(f"{name} exists only in the {'engine' if was is None else 'fingerprint'}")
        elif was != now:
            rows = f"{now[0]} rows, not {was[0]}" if was[0] != now[0] else f"{was[0]} rows, but with other content"
            said.append(f"{name} has {rows}")
    return said


def _by_name(fingerprint: Fingerprint) -> dict[str, tuple[str, str]]:
    lines = [line.split() for line in fingerprint.tables.splitlines()]
    return {line[0]: (line[1], line[2]) for line in lines if len(line) == 3}  # noqa: PLR2004 - name, rows, digest


def _digest(rows: Rows) -> str:
    """The SHA-256 of rows, whatever their order."""
    whole = hashlib.sha256()
    for line in sorted("\t".join(_text(value) for value in row) for row in rows):
        whole.update(hashlib.sha256(line.encode()).digest())
    return whole.hexdigest()


def _text(value: object) -> str:
    return f"{type(value).__name__}:{value.hex() if isinstance(value, bytes) else ascii(str(value))}"
