"""What texts may do: by a table of examples, and that no disguise makes a text look more harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.sql.effects import Effect, effect_of
from redoubt.sql.tokens import Modes

from .strategies import OTHER_TEXTS, PADDING

READS = [
    "",
    " ;; ",
    "-- nothing",
    "select 1",
    "SELECT * FROM t WHERE a = 'x;insert into t' AND b IN (1, 2) -- ; drop table t\n",
    "select count(*), max (a), `count` from t where (a or b) and not (c) and exists (select 1)",
    "(select 1) union all (select 2)",
    "( ( select 1 ) )",
    "select replace(a, 'b', 'c'), insert('abc', 1, 1, 'x'), `update` from t as share",
    'select \'f(\', "g(", "it\'s", \'say "\\""\', /* h( */ 1 # i(',
    "select /*+ query_timeout(100) */ 1",
    "select @a, @@autocommit, 5--1",
    "select a into @v from t",
    "select cast(a as decimal(10, 2)), date_add(b, interval (1) day), row_number() over (partition by c) from t",
    "with c as (select 1) select * from c",
    "with recursive c (n) as (select 1 union all select n + 1 from c) select * from c",
    "values row(1, 2)",
    "show tables",
    "show create table t; SHOW VARIABLES WHERE variable_name IN ('a')",
    "show restore preview",
    "desc t",
    "describe t",
    "explain update t set a = 1",
    "explain extended select count(*) from t",
    "use d",
    "kill query 5",
    "rollback",
    "rollback work",
    "rollback to savepoint a",
    "savepoint a",
    "release savepoint a",
    "prepare s from 'insert into t values (1)'",
    "deallocate prepare s",
    "drop prepare s",
    "set @a = 'autocommit', @b = (select max(x) from t)",
    "set names utf8mb4",
    "set sql_mode = ''",
    "set session transaction isolation level read committed",
    "select 1; rollback; set @a = 1;",
    "select /*!40001 sql_no_cache */ * from t",
    "/*!40101 set names utf8 */",
    "/*!40103 set time_zone = '+00:00' */; select /*! 1, */ 2",
    "select 1 /*!999999 , 'garbage' ( */",
]
COMMITTING = [
    "commit",
    "COMMIT WORK;",
    "begin",
    "begin work",
    "/* x */ Begin # y",
    "start transaction",
    "start transaction read only",
    "set autocommit = 1",
    "set @a = 1, @@session.autocommit = 0",
    "lock tables t write",
    "unlock tables",
    "unlock table",
    "begin; select 1; commit",
    "start transaction /*!40100 with consistent snapshot */",
]
DMLS = [
    "insert into t values (f(1))",
    "INSERT t SELECT 1;",
    " update t set a = 'a;b'",
    "delete from t",
    "replace into t values ('/*')",
    "-- why\ninsert into t values (';')",
    "select * from t for update",
    "select * from t for update nowait",
    "select * from t for share",
    "select * from t lock in /**/ share mode",
    "with c as (select 1) delete from t",
    "with c as (select 1) update t set a = 1",
    "set @a = (select a from t for update)",
    "select 1; insert into t values (1)",
    "/*!50000 insert into t values (1) */",
    "insert into t values (1) /*! , (2) */",
    "insert into t values (1); insert into t values (2)",
]
WRITES = [
    "create table t (a int)",
    "create procedure p() begin select 1; end",
    "drop table t",
    "drop",
    "truncate t",
    "alter system set a = 1",
    "alter system restore t from s until 'u' with 'o'",
    "alter system restore t from s until 'u' with 'o' preview",
    "alter system add restore source 'file:///b'",
    "call p()",
    "execute s",
    "grant all on *.* to u",
    "load data infile 'x' into table t",
    "analyze table t",
    "do f()",
    "do 1",
    "lock instance for backup",
    "start slave",
    "begin insert into t values (1); end",
    "begin not atomic",
    "table t",
    "1",
    "?",
    "\u3000select 1",
    "select\u00a01",
    "select1",
    "select f()",
    "select F ()",
    "select f/**/()",
    "select f -- x\n()",
    "select `f`()",
    "select `count`(1)",
    'select "f"()',
    "select d.f()",
    "select d . count(1)",
    "select 1 where f(1) = 1",
    "select $f(1), ff(1)",
    "select größe(1)",
    "select nextval(s)",
    "values row(f())",
    "with c as (select f()) select * from c",
    "with f() as (select 1) select f(), 2, f()",
    "show tables where f()",
    "explain select f()",
    "explain into t select 1",
    "explain insert into t values (1)",
    "set global a = 1",
    "set @@global.a = 1",
    "set password = 'x'",
    "set persist a = 1",
    "set default role all to u",
    "set @a = f()",
    "set autocommit = f()",
    "set `autocommit` = 1",
    "set @@session.`autocommit` := 1",
    'set "autocommit" = 1',
    "set sql_mode = 'ansi_quotes'; select 1",
    "set autocommit = (select 1 from t for update)",
    "/*!50000insert into t values (1) */",
    "/*!5000 insert into t values (1) */",
    "/*!50000 drop table t */",
    "select 1 /*! ; insert into t values (1) */",
    "select 1 /*! 'a*/ ; insert into t values (1); -- ' */",
    "select /*! f(1), */ 1",
    "select f /*! , */ (1)",
    "select /*!1234567count(1)*/",
    "/*! commit */; /*! select */ insert into t values (1)",
    "select /*+ ' */ 1, ' */",
    "# a; insert into t values (1)",
    "select 1 -- \r; insert into t values (1)",
    "select 1 # '\r; insert into t values (1)",
    "select 'open",
    "select `open",
    "select /* open",
    'select "\\"; insert into t values (1) -- "',
    "begin; insert into t values (1)",
    "insert into t values (1); commit",
    "select 1; drop table t; select 2",
    ";" + "select 1;" * 257,
    "select '" + "x" * 70_000 + "'",
]


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        *((text, Effect.READ) for text in READS),
        *((text, Effect.COMMITTING) for text in COMMITTING),
        *((text, Effect.DML) for text in DMLS),
        *((text, Effect.WRITE) for text in WRITES),
    ],
)
def test_effects(text: str, effect: Effect) -> None:
    """Each text has its effect, in any case."""
    assert effect_of(text.encode()) is effect
    assert effect_of(text.upper().encode()) is effect


def test_worse_is_greater() -> None:
    """The order that several statements are judged by."""
    assert Effect.WRITE > Effect.DML > Effect.COMMITTING > Effect.READ


@pytest.mark.parametrize(
    ("text", "effect", "without_escapes"),
    [
        ("select 'a\\'; insert into t values (1) -- '", Effect.READ, Effect.DML),
        ("select 'a\\''; insert into t values (1) -- ", Effect.DML, Effect.WRITE),
        ("select 'a\\n'", Effect.READ, Effect.READ),
        ("insert into t values ('\\')", Effect.DML, Effect.DML),
    ],
)
def test_backslashes_escape_or_not(text: str, effect: Effect, without_escapes: Effect) -> None:
    """Where a string ends depends on the session's modes."""
    assert effect_of(text.encode()) is effect
    assert effect_of(text.encode(), Modes(backslash_escapes=False)) is without_escapes


def test_a_long_insert_is_not_looked_into() -> None:
    """A megabyte is judged by its beginning."""
    assert effect_of(b"insert into t values " + b"('a', 'b')," * 90_000) is Effect.DML


EXAMPLES = st.sampled_from(READS + COMMITTING + DMLS + WRITES)


@given(st.binary(max_size=200) | OTHER_TEXTS.map(str.encode), st.booleans())
def test_any_bytes_have_an_effect(text: bytes, backslash_escapes: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever comes, there is an answer."""
    assert effect_of(text, Modes(backslash_escapes)) in Effect


@given(PADDING, EXAMPLES | OTHER_TEXTS)
def test_blanks_and_comments_first_change_nothing(padding: str, text: str) -> None:
    """What stands before a statement is passed over; behind a comment, DML that is not well formed may be a WRITE."""
    plain, padded = effect_of(text.encode()), effect_of((padding + text).encode())

    assert padded is plain or (plain is Effect.DML and padded is Effect.WRITE)


@given(PADDING, st.sampled_from(["insert", "Update", "DELETE", "rePlace"]), OTHER_TEXTS | EXAMPLES)
def test_dml_is_never_harmless(padding: str, verb: str, rest: str) -> None:
    """Whatever follows."""
    assert effect_of(f"{padding}{verb} {rest}".encode()) >= Effect.DML


@given(PADDING, OTHER_TEXTS | EXAMPLES)
def test_a_version_comment_of_no_certain_end_may_do_anything(padding: str, rest: str) -> None:
    """Wherever it stands, outside of strings."""
    assert effect_of(f"{padding}select 1 /*! ' */ {rest}".encode()) is Effect.WRITE


@given(PADDING, EXAMPLES)
def test_a_version_comment_does_what_it_says(padding: str, text: str) -> None:
    """Or is unclear."""
    assert effect_of(f"{padding}/*!50000 {text} */".encode()) >= effect_of(text.encode())


@given(st.from_regex(rb"f[a-z0-9_$\x80-\xff]{1,8}_", fullmatch=True), PADDING, OTHER_TEXTS)
def test_an_unknown_function_may_do_anything(name: bytes, padding: str, rest: str) -> None:
    """With blanks and comments before its parenthesis or without."""
    assert effect_of(b"select " + name + padding.encode() + b"(" + rest.encode()) is Effect.WRITE


@given(st.lists(EXAMPLES, min_size=1, max_size=4))
def test_several_are_no_better_than_the_worst(texts: list[str]) -> None:
    """Joined statements do at least what each does, unless one swallows the next."""
    plain = [text for text in texts if not any(mark in text for mark in ("--", "#", "open"))]
    joined = effect_of(";".join(plain).encode())

    assert joined >= max((effect_of(text.encode()) for text in plain), default=Effect.READ)
