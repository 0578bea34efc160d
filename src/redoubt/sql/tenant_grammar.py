"""Statements of tenants.

    create    := CREATE TENANT [IF NOT EXISTS] name ([','] option)* [variables]
    drop      := DROP TENANT [IF EXISTS] name [FORCE]
    show      := SHOW TENANTS [LIKE string]
    option    := (SOURCE | COMMENT) ['='] string | (CHARSET | CHARACTER SET | COLLATE | PRIMARY_ZONE) ['='] name
               | LOCALITY ['='] name [FORCE] | [DEFAULT] TABLEGROUP ['='] name | READ (ONLY | WRITE)
               | (ZONE_LIST | RESOURCE_POOL_LIST) ['='] '(' name (',' name)* ')'
               | an option of a number ['='] n | an option that is on or off ['='] (word | n)
    variables := (SET [VARIABLES] | VARIABLES) variable (',' variable)*
    variable  := [GLOBAL] name '=' (name | ['-'] n)

A name is a bare word, in backticks or a string. The options are OceanBase's, of 3.x and 4.x, and our SOURCE. Of a
repeated option the last one counts. In CreateTenant a list's value is its items with commas between them,
CHARACTER SET is CHARSET, READ ONLY and READ WRITE are the option READ, and a variable is the option `SET NAME`.
"""

from __future__ import annotations

from typing import Final

from redoubt.sql.cursor import NAME, Cursor, NotOurs
from redoubt.sql.statements import CreateTenant, DropTenant, ShowTenants
from redoubt.sql.tokens import Kind, fold

_LISTS: Final = frozenset({"zone_list", "resource_pool_list"})
_STRINGS: Final = frozenset({"comment", "source"})
_NAMES: Final = frozenset({"charset", "collate", "primary_zone", "locality", "tablegroup"})
_NUMBERS: Final = frozenset(
    (
        *("replica_num", "logonly_replica_num", "progressive_merge_num", "unit_num"),
        *("rewrite_merge_version", "storage_format_version", "storage_format_work_version"),
    )
)
_SWITCHES: Final = frozenset({"enable_extended_rowid", "enable_arbitration_service"})
_OPTIONS: Final = _LISTS | _STRINGS | _NAMES | _NUMBERS | _SWITCHES | {"character", "default", "read"}


def create_tenant(cursor: Cursor) -> CreateTenant:
    """Parse the text after CREATE TENANT."""
    if_not_exists = cursor.take_word("if")
    if if_not_exists:
        cursor.expect_words("not", "exists")
    name = cursor.expect(*NAME).value
    options: dict[str, str] = {}
    while cursor.take_symbol(",") or cursor.word in _OPTIONS:
        _option(cursor, options)
    _variables(cursor, options)
    source = options.pop("SOURCE", None)
    return CreateTenant(name, if_not_exists, source, tuple(options.items()))


def drop_tenant(cursor: Cursor) -> DropTenant:
    """Parse the text after DROP TENANT."""
    if_exists = cursor.take_word("if")
    if if_exists:
        cursor.expect_word("exists")
    name = cursor.expect(*NAME).value
    return DropTenant(name, if_exists, cursor.take_word("force"))


def show_tenants(cursor: Cursor) -> ShowTenants:
    """Parse the text after SHOW TENANTS."""
    return ShowTenants(cursor.expect(Kind.STRING).value if cursor.take_word("like") else None)


def _option(cursor: Cursor, options: dict[str, str]) -> None:
    """Read an option into `options`. A repeated option takes the place of the last one."""
    word = cursor.word
    if word not in _OPTIONS:
        raise NotOurs
    cursor.advance()
    if word == "character":
        cursor.expect_word("set")
        word = "charset"
    elif word == "default":
        cursor.expect_word("tablegroup")
        word = "tablegroup"
    value = _value(cursor, word)
    options.pop(word.upper(), None)
    options[word.upper()] = value


def _value(cursor: Cursor, option: str) -> str:
    if option == "read":
        word = cursor.word
        cursor.expect_word("only", "write")
        return word.upper()
    cursor.take_symbol("=")
    if option in _LISTS:
        cursor.expect_symbol("(")
        items = cursor.expect_list(*NAME)
        cursor.expect_symbol(")")
        return ",".join(item.value for item in items)
    if option in _NUMBERS:
        return str(cursor.expect_number())
    if option in _STRINGS:
        return cursor.expect(Kind.STRING).value
    if option in _SWITCHES:
        return cursor.expect(Kind.WORD, Kind.NUMBER).value
    value = cursor.expect(*NAME).value
    if option == "locality":
        cursor.take_word("force")
    return value


def _variables(cursor: Cursor, options: dict[str, str]) -> None:
    if not (cursor.take_word("set") or cursor.at_word("variables")):
        return
    cursor.take_word("variables")
    _variable(cursor, options)
    while cursor.take_symbol(","):
        _variable(cursor, options)


def _variable(cursor: Cursor, options: dict[str, str]) -> None:
    cursor.take_word("global")
    name = fold(cursor.expect(Kind.WORD, Kind.BACKTICK).value).upper()
    cursor.expect_symbol("=")
    sign = "-" if cursor.take_symbol("-") else ""
    kinds = (Kind.NUMBER,) if sign else (*NAME, Kind.NUMBER)
    options[f"SET {name}"] = sign + cursor.expect(*kinds).value
