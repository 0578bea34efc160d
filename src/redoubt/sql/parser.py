"""From text to the statements that Redoubt answers itself; everything else is the engine's.

The grammar (keywords in any case, white space and comments anywhere between the words):

    statement  := ALTER SYSTEM (ARCHIVELOG | NOARCHIVELOG | MINOR FREEZE scope* | SET item (',' item)*) | show
    scope      := TENANT ['='] names | SERVER ['='] strings | ZONE ['='] string | PARTITION_ID ['='] string
    names      := ALL | name | '(' name (',' name)* ')'              strings alike, without ALL
    item       := name '=' value clause*
    value      := string | word | ['-'] number
    clause     := COMMENT string | SCOPE '=' (MEMORY | SPFILE | BOTH) | SERVER '=' string | ZONE '=' string
                | TENANT ['='] name
    show       := SHOW PARAMETERS [LIKE string | WHERE condition]

Scopes and clauses come in any order, each at most once. A text that is anything else, even by one word, is not ours:
the engine runs it, or answers with its own syntax error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from redoubt.sql.cursor import Cursor, NotOurs
from redoubt.sql.statements import (
    ALL_TENANTS,
    ArchiveLog,
    Assignment,
    MinorFreeze,
    NoArchiveLog,
    SetParameters,
    ShowParameters,
    Statement,
)
from redoubt.sql.tokens import BLANKS, Kind, fold, token_at

_NAME = (Kind.WORD, Kind.BACKTICK, Kind.STRING)

# Where a statement may end, or something begins in which it cannot.
_SPLIT_MARK = re.compile(r"[;'\"`#]|--(?![^\x00- ])|/\*")

# What a text may hold by the thousand is told by its beginning, without a cursor: empty statements, statements that are
# not ours, and those without a body. The event loop waits for this, whatever a client sends.
_BLANK = rf"[{BLANKS}]*+"
_BLOCK_COMMENT = r"/\*(?!!)(?:[^*]++|\*(?!/))*+\*/"
_LINE_COMMENT = r"(?:--(?=[\x00- ]|\Z)|#)[^\n]*+"
_GAP = rf"(?:[{BLANKS}]++|{_BLOCK_COMMENT}|{_LINE_COMMENT})*+"
_EMPTY_STATEMENTS = re.compile(rf"(?:{_BLANK};)*+")
_MAY_BE_OURS = re.compile(rf"{_GAP}(?:alter|show)", re.IGNORECASE)
_MAY_HAVE_BODY = re.compile(rf"{_GAP}(?:create|alter)", re.IGNORECASE)


def parse(text: str) -> Statement | None:
    """Return the one statement in `text` (a semicolon may follow it) if it is Redoubt's, else None; never raises.

    No more of the text is read than it takes to decide: for a statement of the engine's, its first word or two.
    """
    if not _MAY_BE_OURS.match(text):
        return None
    try:
        cursor = Cursor(text)
        statement = _statement(cursor)
    except NotOurs:
        return None
    cursor.take_symbol(";")
    return statement if cursor.token.kind is Kind.END else None


def split(text: str) -> list[str]:
    """Cut `text` at the semicolons between its statements, and drop the pieces that are only white space.

    The pieces are as typed, with white space and comments, without the semicolons; only behind two dashes the semicolon
    stays, as they would open a comment at the end of a text. The body of a stored program has
    semicolons of its own, and where it ends only the engine knows: from the statement that creates or alters one
    on, the rest of the text is one piece.
    """
    pieces = []
    start = _after_empty_statements(text, 0)
    while start < len(text):
        has_body = _MAY_HAVE_BODY.match(text, start) and _has_body(Cursor(text, start))
        end = len(text) if has_body else _separator(text, start)
        pieces.append(text[start : end + text.endswith("--", start, end)])
        start = _after_empty_statements(text, end + 1)
    return [piece for piece in pieces if piece.strip(BLANKS)]


def may_be_ours(text: bytes) -> bool:
    """Tell cheaply whether any statement in `text` can be Redoubt's; False is certain, True is a reason to parse.

    `text` is the whole text as the client sent it, in any character set that extends ASCII, with one statement or
    several: our words are bare and in one piece, so they are found whatever stands between them.
    """
    lowered = text.lower()
    return (b"system" in lowered and b"alter" in lowered) or (b"parameters" in lowered and b"show" in lowered)


def _statement(cursor: Cursor) -> Statement:
    if cursor.at_word("show"):
        return _show_parameters(cursor)
    cursor.expect_word("alter")
    cursor.expect_word("system")
    if cursor.take_word("archivelog"):
        return ArchiveLog()
    if cursor.take_word("noarchivelog"):
        return NoArchiveLog()
    if cursor.take_word("minor"):
        cursor.expect_word("freeze")
        return _minor_freeze(cursor)
    cursor.expect_word("set")
    return _set_parameters(cursor)


def _minor_freeze(cursor: Cursor) -> MinorFreeze:
    tenants: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    zone = partition_id = None
    for scope in _each_once(cursor, "tenant", "server", "zone", "partition_id"):
        cursor.take_symbol("=")
        if scope == "tenant":
            tenants = ALL_TENANTS if cursor.take_word("all") else _list(cursor, *_NAME)
        elif scope == "server":
            servers = _list(cursor, Kind.STRING)
        elif scope == "zone":
            zone = cursor.expect(Kind.STRING).value
        else:
            partition_id = cursor.expect(Kind.STRING).value
    return MinorFreeze(tenants, servers, zone, partition_id)


def _set_parameters(cursor: Cursor) -> SetParameters:
    assignments = [_assignment(cursor)]
    while cursor.take_symbol(","):
        assignments.append(_assignment(cursor))
    return SetParameters(tuple(assignments))


def _assignment(cursor: Cursor) -> Assignment:
    start = cursor.token.start
    name = fold(cursor.expect(Kind.WORD, Kind.BACKTICK).value)
    cursor.expect_symbol("=")
    value = _value(cursor)
    clauses = []
    for clause in _each_once(cursor, "comment", "scope", "server", "zone", "tenant"):
        _rest_of_clause(cursor, clause)
        clauses.append(clause)
    return Assignment(name, value, cursor.text[start : cursor.end], tuple(clauses))


def _value(cursor: Cursor) -> str:
    if cursor.take_symbol("-"):
        return "-" + cursor.expect(Kind.NUMBER).raw
    return cursor.expect(Kind.STRING, Kind.WORD, Kind.NUMBER).value


def _rest_of_clause(cursor: Cursor, clause: str) -> None:
    """Read what follows the clause's first word; the engine minds what it says."""
    if clause == "comment":
        cursor.expect(Kind.STRING)
    elif clause == "tenant":
        cursor.take_symbol("=")
        cursor.expect(*_NAME)
    else:
        cursor.expect_symbol("=")
        if clause == "scope":
            cursor.expect_word("memory", "spfile", "both")
        else:
            cursor.expect(Kind.STRING)


def _show_parameters(cursor: Cursor) -> ShowParameters:
    start = cursor.token.start
    cursor.expect_word("show")
    cursor.expect_word("parameters")
    like = where = None
    if cursor.take_word("like"):
        like = cursor.expect(Kind.STRING).value
    elif cursor.take_word("where"):
        where = _condition(cursor)
    return ShowParameters(cursor.text[start : cursor.end], like, where)


def _condition(cursor: Cursor) -> str:
    """Read to the statement's end: at least one token, and nothing whose meaning is not plain from the text."""
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


def _each_once(cursor: Cursor, *words: str) -> Iterator[str]:
    """Read and yield, in the order typed, those of the bare `words` that come next; a repeated one is left unread."""
    left = set(words)
    while cursor.at_word(*left):
        word = cursor.word
        cursor.advance()
        left.remove(word)
        yield word


def _list(cursor: Cursor, *kinds: Kind) -> tuple[str, ...]:
    """Read one value, or several in parentheses with commas between them."""
    if not cursor.take_symbol("("):
        return (cursor.expect(*kinds).value,)
    values = [cursor.expect(*kinds).value]
    while cursor.take_symbol(","):
        values.append(cursor.expect(*kinds).value)
    cursor.expect_symbol(")")
    return tuple(values)


def _separator(text: str, start: int) -> int:
    """Offset of the semicolon that ends the statement at `start`, or the text's end."""
    while mark := _SPLIT_MARK.search(text, start):
        if mark.group() == ";":
            return mark.start()
        start = token_at(text, mark.start()).end
    return len(text)


def _after_empty_statements(text: str, start: int) -> int:
    """Offset behind the semicolons with nothing but white space before them."""
    match = _EMPTY_STATEMENTS.match(text, start)
    return match.end() if match else start


def _has_body(cursor: Cursor) -> bool:
    """Tell whether the statement is one that may hold the body of a stored program."""
    programs: tuple[str, ...] = ("event",)
    if cursor.take_word("create"):
        programs = ("procedure", "function", "trigger", "event")
        cursor.take_word("or")
        cursor.take_word("replace")
    elif not cursor.take_word("alter"):
        return False
    if cursor.take_word("definer"):
        _skip_account(cursor, programs)
    cursor.take_word("aggregate")
    return cursor.at_word(*programs)


def _skip_account(cursor: Cursor, programs: tuple[str, ...]) -> None:
    """Read over `= user@host`, which may be written in many ways, to the word that can follow it."""
    while not cursor.at_end() and not cursor.at_word("sql", "view", "aggregate", *programs):
        cursor.advance()
