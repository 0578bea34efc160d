"""The statements that Redoubt takes out of a session, as typed values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ArchiveLog:
    """`ALTER SYSTEM ARCHIVELOG`: start a round."""


@dataclass(frozen=True)
class NoArchiveLog:
    """`ALTER SYSTEM NOARCHIVELOG`: stop the round."""


@dataclass(frozen=True)
class MinorFreeze:
    """`ALTER SYSTEM MINOR FREEZE …`; an empty tuple or None means that the clause was not given."""

    tenants: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    zone: str | None = None
    partition_id: str | None = None


@dataclass(frozen=True)
class Assignment:
    """One `name = value` of a SET, name in lower case; `sql` is the item as typed, to hand to the engine.

    `clauses` are the first words of what follows the value: any of comment, scope, server, zone, tenant.
    """

    name: str
    value: str
    sql: str
    clauses: tuple[str, ...] = ()


@dataclass(frozen=True)
class SetParameters:
    """`ALTER SYSTEM SET a = b, …`, in the order typed."""

    assignments: tuple[Assignment, ...]


@dataclass(frozen=True)
class ShowParameters:
    """`SHOW PARAMETERS [LIKE 'pattern' | WHERE …]`; `sql` is the whole statement as typed."""

    sql: str
    like: str | None = None
    where: str | None = None


Statement = ArchiveLog | NoArchiveLog | MinorFreeze | SetParameters | ShowParameters
