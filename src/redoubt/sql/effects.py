"""What a text may do to the data and to an open transaction, judged by its words alone.

The judgement errs on the safe side: a text that is not plainly harmless is a WRITE. Three things decide: the first word
of each statement; a call of a function that is not built in, as a stored function may write (`SELECT f()` commits what
f inserts); and anything whose meaning the text does not show. A version comment counts with its content and without.

The text cannot show the definition of a view: a view that calls a writing function looks like any table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import IntEnum
from functools import reduce
from typing import Final

from redoubt.sql.bounds import LONGEST_TEXT, MOST_STATEMENTS
from redoubt.sql.tokens import BLANKS, DEFAULT_MODES, Modes, patterns


class Effect(IntEnum):
    """The effect of a text; a greater value is a worse effect."""

    READ = 0
    """Neither writes nor commits. ROLLBACK is a READ."""
    COMMITTING = 1
    """Commits an open transaction, and writes nothing by itself."""
    DML = 2
    """Writes, and commits only what it wrote itself, unless a transaction is open."""
    WRITE = 3
    """May write and commit whatever is open."""


# Names that stand before a parenthesis without a stored function being called: keywords and built-in functions. Checked
# on the engine (`tests/gateway/test_functions.py`): a stored function of such a name is not what a bare call means. A
# query with a function that is missing here counts as a WRITE; no other harm is done.
_KEYWORDS = """
    against all and any as between by case convert cross distinct div else end escape except exists explain from
    having if in index inner intersect interval into is join key lateral like limit match minus mod not offset on or
    over partition recursive regexp return rlike row rows select set some straight_join then union using values when
    where with xor
"""

_TYPES = """
    bigint binary char datetime decimal double float int nchar time timestamp varbinary varchar year
"""

_AGGREGATES = """
    any_value approx_count_distinct avg bit_and bit_or bit_xor count cume_dist dense_rank first_value group_concat
    grouping json_arrayagg json_objectagg lag last_value lead max min nth_value ntile percent_rank rank row_number std
    stddev stddev_pop stddev_samp sum var_pop var_samp variance
"""

_NUMBERS = """
    abs acos asin atan atan2 bin bit_count ceil ceiling conv cos cot crc32 degrees exp floor format greatest hex least
    ln log log10 log2 oct pi pow power radians rand round sign sin sqrt tan truncate unhex
"""

_STRINGS = """
    ascii bit_length cast char_length character_length charset coalesce collation concat concat_ws elt export_set
    extractvalue field find_in_set from_base64 ifnull insert instr isnull lcase left length locate lower lpad ltrim
    make_set md5 mid nullif nvl octet_length ord position quote regexp_instr regexp_like regexp_replace regexp_substr
    repeat replace reverse right rpad rtrim sha sha1 sha2 soundex space strcmp substr substring substring_index
    to_base64 trim ucase updatexml upper weight_string
"""

_TIMES = """
    adddate addtime convert_tz curdate current_date current_time current_timestamp curtime date date_add date_format
    date_sub datediff day dayname dayofmonth dayofweek dayofyear extract from_days from_unixtime get_format hour
    last_day localtime localtimestamp makedate maketime microsecond minute month monthname now period_add period_diff
    quarter sec_to_time second str_to_date subdate subtime sysdate time_format time_to_sec timediff timestampadd
    timestampdiff to_days to_seconds unix_timestamp utc_date utc_time utc_timestamp week weekday weekofyear yearweek
"""

_DOCUMENTS_AND_VECTORS = """
    cosine_distance inner_product json_array json_array_append json_array_insert json_contains json_contains_path
    json_depth json_extract json_insert json_keys json_length json_merge json_merge_patch json_merge_preserve
    json_object json_overlaps json_pretty json_quote json_remove json_replace json_search json_set json_table
    json_type json_unquote json_valid json_value l1_distance l2_distance negative_inner_product st_area st_asgeojson
    st_astext st_contains st_distance st_geomfromtext st_intersects st_within st_x st_y vector_distance
"""

_SERVER = """
    aes_decrypt aes_encrypt benchmark bin_to_uuid compress connection_id current_user database found_rows get_lock
    host_ip inet6_aton inet6_ntoa inet_aton inet_ntoa is_free_lock is_ipv4 is_ipv6 is_used_lock is_uuid
    last_insert_id mysql_port ob_version random_bytes release_lock row_count rpc_port schema session_user sleep
    system_user uncompress user uuid uuid_short uuid_to_bin validate_password_strength version
"""

HARMLESS_BEFORE_PARENTHESIS: Final = frozenset(
    f"{_KEYWORDS} {_TYPES} {_AGGREGATES} {_NUMBERS} {_STRINGS} {_TIMES} {_DOCUMENTS_AND_VECTORS} {_SERVER}".split()
)

_BLANK = "[ \\t\\n\\v\\f\\r]"
_WORD = "[0-9a-z_$\\x80-\\xff]"
_NAME = rf"(?<!{_WORD})({_WORD}++|[`\"]){_BLANK}*+\("

_CALL = re.compile(_NAME)
_QUALIFIED_CALL = re.compile(rf"\.{_BLANK}*+{_NAME}")
_FIRST_WORD = re.compile(rf"[ \t\n\v\f\r(]*+([a-z_]++)(?!{_WORD})")
_ONE_DML = re.compile(rf"{_BLANK}*+(?:insert|update|delete|replace)(?!{_WORD})")
_COLUMNS_OF_WITH = re.compile(rf"{_BLANK}*+with{_BLANK}++(?:recursive{_BLANK}++)?{_WORD}++{_BLANK}*+\(")

# Words that make a query, or what follows a WITH, a writing statement; as functions some of them are harmless.
_WRITING = re.compile(
    rf"(?<!{_WORD})(?:insert|update|delete|replace|(?:for|in){_BLANK}++share)(?!{_WORD}|{_BLANK}*+\()"
)
_INTO = re.compile(rf"(?<!{_WORD})into(?!{_WORD})")
_SET_BEYOND_SESSION = re.compile(rf"(?<!{_WORD})(?:global|password|persist|persist_only|role|resource)(?!{_WORD})")
_SET_QUOTED_NAME = re.compile(rf"[`\"]{_BLANK}*+:?=")
_TABLES = re.compile(rf"{_BLANK}++tables?+(?!{_WORD})")
_TRANSACTION = re.compile(rf"{_BLANK}++transaction(?!{_WORD})")
_PREPARE = re.compile(rf"{_BLANK}++prepare(?!{_WORD})")
_NOTHING_OR_WORK = re.compile(rf"{_BLANK}*+(?:work{_BLANK}*+)?\Z")

_STAND_INS = {"'": "''", '"': '"', "`": "`"}
_VERSION = re.compile(rf"(?:[0-9]{{5,6}}(?={_BLANK}))?+(?![0-9])")


def effect_of(text: bytes, modes: Modes = DEFAULT_MODES) -> Effect:
    """Return the worst that `text`, one statement or several, may do in a session's `modes`; never raises.

    `text` is as the client sent it, in a character set that extends ASCII.
    """
    lowered = text.decode("latin-1").lower()
    if _ONE_DML.match(lowered) and ";" not in lowered.rstrip("; \t\n\v\f\r") and "/*!" not in lowered:
        return Effect.DML  # without parsing the text, which may be long
    if len(text) > LONGEST_TEXT:
        return Effect.WRITE
    # The engine runs version comments; where it cannot parse a statement then, it ignores them all.
    readings = (_without_literals(lowered, modes, runs_versions=runs) for runs in {"/*!" in lowered, False})
    return _together(Effect.WRITE if words is None else _of_statements(words) for words in readings)


def _of_statements(words: str) -> Effect:
    statements = [statement for statement in words.split(";") if statement.strip(BLANKS)]
    if len(statements) > MOST_STATEMENTS:
        return Effect.WRITE
    if len(statements) > 1 and "sql_mode" in words:
        return Effect.WRITE  # the next statement's strings may end elsewhere
    return _together(_of_statement(statement) for statement in statements)


def _together(effects: Iterable[Effect]) -> Effect:
    return reduce(_both, effects, Effect.READ)


def _both(one: Effect, other: Effect) -> Effect:
    if {one, other} == {Effect.COMMITTING, Effect.DML}:
        return Effect.WRITE
    return max(one, other)


def _of_statement(words: str) -> Effect:
    first = _FIRST_WORD.match(words)
    kind = _KINDS.get(first[1]) if first else None
    if kind is None or first is None:
        return Effect.WRITE
    return kind if isinstance(kind, Effect) else kind(words, first.end())


def _without_literals(text: str, modes: Modes, *, runs_versions: bool) -> str | None:
    """Return `text` with blanks for comments and stand-ins for strings and quoted names; None if it is not plain."""
    is_plain = True

    def stand_in(match: re.Match[str]) -> str:
        nonlocal is_plain
        literal, comment, content = match.groups()
        if literal:
            return _STAND_INS[literal[0]]
        if comment or (content is not None and not runs_versions):
            return " "
        version = _VERSION.match(content) if content is not None else None
        is_plain = is_plain and version is not None
        return f" {other.sub(stand_in, content[version.end() :])} " if version else ""

    other = patterns(modes).other
    words = other.sub(stand_in, text)
    return words if is_plain else None


# Statements that take a second look: each function gets the words, and where those behind the first begin.


def _query(words: str, at: int) -> Effect:
    if _calls(words):
        return Effect.WRITE
    return Effect.DML if _WRITING.search(words, at) else Effect.READ


def _show(words: str, at: int) -> Effect:
    return Effect.WRITE if _calls(words, at) else Effect.READ


def _explain(words: str, at: int) -> Effect:
    """Only `EXPLAIN INTO table` writes itself; but stored functions are run to make the plan."""
    return Effect.WRITE if _calls(words, at) or _INTO.search(words, at) else Effect.READ


def _set(words: str, at: int) -> Effect:
    if _SET_BEYOND_SESSION.search(words, at) or _SET_QUOTED_NAME.search(words, at):
        return Effect.WRITE
    effect = Effect.COMMITTING if "autocommit" in words else Effect.READ
    return _both(effect, _query(words, at))


def _begin(words: str, at: int) -> Effect:
    return Effect.COMMITTING if _NOTHING_OR_WORK.match(words, at) else Effect.WRITE


def _start(words: str, at: int) -> Effect:
    return Effect.COMMITTING if _TRANSACTION.match(words, at) else Effect.WRITE


def _lock(words: str, at: int) -> Effect:
    return Effect.COMMITTING if _TABLES.match(words, at) else Effect.WRITE


def _drop(words: str, at: int) -> Effect:
    return Effect.READ if _PREPARE.match(words, at) else Effect.WRITE


def _calls(words: str, at: int = 0) -> bool:
    """Tell whether a function may be called that is not built in."""
    if "(" not in words:
        return False
    if _QUALIFIED_CALL.search(words):
        return True
    columns = _COLUMNS_OF_WITH.match(words)
    return not HARMLESS_BEFORE_PARENTHESIS.issuperset(_CALL.findall(words, columns.end() if columns else at))


_KINDS: dict[str, Effect | Callable[[str, int], Effect]] = {
    "select": _query,
    "with": _query,
    "values": _query,
    "show": _show,
    "desc": _explain,
    "describe": _explain,
    "explain": _explain,
    "use": Effect.READ,
    "kill": Effect.READ,
    "rollback": Effect.READ,
    "savepoint": Effect.READ,
    "release": Effect.READ,
    "prepare": Effect.READ,
    "deallocate": Effect.READ,
    "drop": _drop,
    "set": _set,
    "commit": Effect.COMMITTING,
    "begin": _begin,
    "start": _start,
    "lock": _lock,
    "unlock": _lock,
    "insert": Effect.DML,
    "update": Effect.DML,
    "delete": Effect.DML,
    "replace": Effect.DML,
}
