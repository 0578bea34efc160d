"""Statements of rounds and parameters.

After ALTER SYSTEM, and SHOW PARAMETERS:

    round      := (ARCHIVELOG | NOARCHIVELOG) [TENANT ['='] (ALL | names | '(' names ')')]
    freeze     := MINOR FREEZE scope*
    scope      := TENANT ['='] tenants | SERVER ['='] strings | ZONE ['='] string | PARTITION_ID ['='] string
    tenants    := ALL | name | '(' names ')'                 strings alike, without ALL
    set        := SET item (',' item)*
    item       := name '=' value clause*
    value      := string | word | ['-'] number
    clause     := COMMENT string | SCOPE '=' (MEMORY | SPFILE | BOTH) | SERVER '=' string | ZONE '=' string
                | TENANT ['='] tenants
    show       := SHOW PARAMETERS [LIKE string | WHERE condition]

Scopes and clauses come in any order, each at most once.
"""

from __future__ import annotations

from redoubt.sql.cursor import NAME, Cursor, NotOurs
from redoubt.sql.statements import (
    ALL_TENANTS,
    ArchiveLog,
    Assignment,
    MinorFreeze,
    NoArchiveLog,
    SetParameters,
    ShowParameters,
)
from redoubt.sql.tokens import Kind, Token, fold


def archive_log(cursor: Cursor) -> ArchiveLog:
    """Parse the text after ARCHIVELOG."""
    return ArchiveLog(_tenants_of_round(cursor))


def no_archive_log(cursor: Cursor) -> NoArchiveLog:
    """Parse the text after NOARCHIVELOG."""
    return NoArchiveLog(_tenants_of_round(cursor))


def minor_freeze(cursor: Cursor) -> MinorFreeze:
    """Parse the text after MINOR."""
    cursor.expect_word("freeze")
    tenants: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    zone = partition_id = None
    for scope in cursor.each_once("tenant", "server", "zone", "partition_id"):
        cursor.take_symbol("=")
        if scope == "tenant":
            tenants = _tenants(cursor)
        elif scope == "server":
            servers = _values(cursor.expect_one_or_list(Kind.STRING))
        elif scope == "zone":
            zone = cursor.expect(Kind.STRING).value
        else:
            partition_id = cursor.expect(Kind.STRING).value
    return MinorFreeze(tenants, servers, zone, partition_id)


def set_parameters(cursor: Cursor) -> SetParameters:
    """Parse the text after SET."""
    assignments = [_assignment(cursor)]
    while cursor.take_symbol(","):
        assignments.append(_assignment(cursor))
    return SetParameters(tuple(assignments))


def show_parameters(cursor: Cursor, start: int) -> ShowParameters:
    """Parse the text after SHOW PARAMETERS; the statement begins at offset `start`."""
    like = where = None
    if cursor.take_word("like"):
        like = cursor.expect(Kind.STRING).value
    elif cursor.take_word("where"):
        where = _condition(cursor)
    return ShowParameters(cursor.text[start : cursor.end], like, where)


def _tenants_of_round(cursor: Cursor) -> tuple[str, ...]:
    """Read the TENANT clause. The clause ends the statement, so its names need no parentheses."""
    if not cursor.take_word("tenant"):
        return ()
    cursor.take_symbol("=")
    if cursor.at_symbol("("):
        return _tenants(cursor)
    return _named(cursor.expect_list(*NAME))


def _tenants(cursor: Cursor) -> tuple[str, ...]:
    return _named(cursor.expect_one_or_list(*NAME))


def _named(names: list[Token]) -> tuple[str, ...]:
    """ALL is the word alone; in quotes it is the name of a tenant."""
    if len(names) == 1 and names[0].kind is Kind.WORD and fold(names[0].raw) == "all":
        return ALL_TENANTS
    return _values(names)


def _values(tokens: list[Token]) -> tuple[str, ...]:
    return tuple(token.value for token in tokens)


def _assignment(cursor: Cursor) -> Assignment:
    start = cursor.token.start
    name = fold(cursor.expect(Kind.WORD, Kind.BACKTICK).value)
    cursor.expect_symbol("=")
    value = _value(cursor)
    clauses = []
    tenants: tuple[str, ...] = ()
    for clause in cursor.each_once("comment", "scope", "server", "zone", "tenant"):
        clauses.append(clause)
        if clause == "tenant":
            cursor.take_symbol("=")
            tenants = _tenants(cursor)
        else:
            _rest_of_clause(cursor, clause)
    return Assignment(name, value, cursor.text[start : cursor.end], tuple(clauses), tenants)


def _value(cursor: Cursor) -> str:
    if cursor.take_symbol("-"):
        return "-" + cursor.expect(Kind.NUMBER).raw
    return cursor.expect(Kind.STRING, Kind.WORD, Kind.NUMBER).value


def _rest_of_clause(cursor: Cursor, clause: str) -> None:
    """Read the rest of a clause after its first word. The engine judges the content."""
    if clause == "comment":
        cursor.expect(Kind.STRING)
        return
    cursor.expect_symbol("=")
    if clause == "scope":
        cursor.expect_word("memory", "spfile", "both")
    else:
        cursor.expect(Kind.STRING)


def _condition(cursor: Cursor) -> str:
    """Read to the end of the statement: at least one token, and no token of unclear meaning."""
    start = cursor.token.start
    if cursor.at_end():
        raise NotOurs
    while not cursor.at_end():
        if cursor.at_word("tenant") or cursor.at_symbol("?"):
            raise NotOurs
        if cursor.token.kind in (Kind.OPAQUE, Kind.ERROR):
            raise NotOurs
        cursor.advance()
    return cursor.text[start : cursor.end]
