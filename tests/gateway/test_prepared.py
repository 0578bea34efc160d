"""The ids of the gateway's own prepared statements."""

from __future__ import annotations

import pytest

from redoubt.gateway.prepared import PreparedStatement, PreparedStatements
from redoubt.sql.errors import SqlError
from redoubt.sql.statements import ArchiveLog

LAST_ID = 0xFFFFFFF0


def test_a_statement_is_kept_until_it_is_closed() -> None:
    """Ids begin where no engine's do."""
    statements = PreparedStatements()
    identity = statements.add(ArchiveLog(), "alter system archivelog")

    assert identity == 0x80000001
    assert statements.get(identity) == PreparedStatement(ArchiveLog(), "alter system archivelog")
    statements.close(identity)
    assert statements.get(identity) is None


def test_ids_begin_anew_and_pass_over_those_in_use() -> None:
    """A session may live long enough to use up the ids: then those that are free are used again."""
    statements = PreparedStatements()
    first = statements.add(ArchiveLog(), "")
    statements._next_id = LAST_ID

    assert statements.add(ArchiveLog(), "") == LAST_ID
    assert statements.add(ArchiveLog(), "") == first + 1


def test_there_is_a_bound() -> None:
    """Past it, a statement is refused as MySQL does; closing one makes room."""
    statements = PreparedStatements(limit=2)
    identities = [statements.add(ArchiveLog(), "") for _ in range(2)]
    with pytest.raises(SqlError) as error:
        statements.add(ArchiveLog(), "")
    assert error.value.code == 1461
    statements.close(identities[0])
    statements.add(ArchiveLog(), "")
    statements.clear()
    assert statements.get(identities[1]) is None
