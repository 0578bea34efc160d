"""Target: what a text may do, told from its words. It may be called worse than it is, and never better."""

from __future__ import annotations

from collections.abc import Iterator

from redoubt.sql.effects import Effect, effect_of
from redoubt.sql.parser import parse, split
from redoubt.sql.statements import ShowParameters, ShowRestorePreview, ShowTenants
from redoubt.sql.tokens import Kind, Modes, fold, tokens

from .target import Target
from .texts import GAPS, OTHERS, SQL_WORDS, STATEMENTS, text_of

_LONGEST = 2048
_WRITING_FIRST = frozenset(
    (
        *("alter", "analyze", "call", "create", "do", "execute", "grant", "handler", "import", "load"),
        *("optimize", "rename", "revoke", "truncate", "xa"),
    )
)
TEXTS = (
    "select f(1)",
    "select count(*), `f` (2) from t for update",
    "with x(a) as (select 1) select * from x",
    "with x as (select 1) delete from t",
    "set autocommit = 0; insert into t values ('a;b')",
    "set @a = f(), global b = 1",
    "begin; update t set a = 1; commit",
    "begin update t",
    "start transaction read only",
    "explain into x select 1",
    "(select 1) union (select 2) into outfile 'x'",
    "select /*! f() */ 1",
    "select 'a\\'; drop table t; -- '",
    'select "\\"; insert into t values(1); -- "',
    "insert into t values (';') ; ",
    "insert into t select f();delete from t",
    "drop prepare s; deallocate prepare s; prepare s from 'x'; execute s",
    "unlock tables; lock tables t write",
    "set sql_mode = 'ansi_quotes'; select \"'\"; insert into t values (1); -- '\"",
)


def check_effect(data: bytes) -> str:
    """A part is no worse than the whole; letters' case, blanks and comments mean nothing; a writing word is seen."""
    effect = effect_of(data)
    assert b"\\" in data or effect_of(data, Modes(backslash_escapes=False)) is effect
    assert effect_of(data.upper()) == effect_of(data.lower())
    text = text_of(data)
    found = list(tokens(text))
    if any(token.kind is Kind.ERROR for token in found):
        assert effect is Effect.WRITE or _is_dml(found[0].raw)
        return f"unclear {effect.name}"
    if len(data) < _LONGEST:
        gap = GAPS[len(data) % len(GAPS)]
        assert effect_of(gap.join(token.raw for token in found).encode("utf-8", "surrogateescape")) >= effect
    for piece in split(text):
        _check_statement(piece, effect)
    return effect.name


def _check_statement(piece: str, effect: Effect) -> None:
    """What one statement of a text shows plainly, the whole text's effect takes into account."""
    first = fold(next(tokens(piece)).raw)
    if not isinstance(parse(piece), ShowParameters | ShowTenants | ShowRestorePreview | None):
        assert effect is Effect.WRITE
    if _is_dml(first):
        assert effect >= Effect.DML
    elif first in _WRITING_FIRST:
        assert effect is Effect.WRITE


def _is_dml(word: str) -> bool:
    return fold(word) in ("insert", "update", "delete", "replace")


def seeds() -> Iterator[tuple[str, bytes]]:
    """Texts of each effect, and those that hide it."""
    for number, text in enumerate((*TEXTS, *OTHERS, *STATEMENTS)):
        yield f"text-{number}", text.encode()


_WORDS = (
    *SQL_WORDS,
    b"into",
    b"for update",
    b"(",
    b"commit",
    b"/*!",
    b"f(",
    b"autocommit",
    b"sql_mode",
    b"with x(a) as",
)
TARGETS = (Target("sql-effect", check_effect, seeds, _WORDS, longest=_LONGEST, executions=300),)
