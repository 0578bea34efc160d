"""Targets: SQL texts and what is written into parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from redoubt.sql.backup_dest_option import as_text as dest_option_as_text
from redoubt.sql.backup_dest_option import parse_dest_option
from redoubt.sql.bounds import MOST_STATEMENTS
from redoubt.sql.errors import SqlError
from redoubt.sql.log_archive_dest import as_text as dest_as_text
from redoubt.sql.log_archive_dest import parse_log_archive_dest
from redoubt.sql.log_archive_option import LogArchiveOption, as_text, parse_option
from redoubt.sql.parser import _may_have_body, may_be_ours, parse, split
from redoubt.sql.statements import SetParameters, ShowParameters, Statement
from redoubt.sql.tokens import BLANKS, Kind, Modes, tokens
from tests.sql.strategies import WORDS

from .target import Target

GAPS = ("\n", " /* it's; */ ", "-- `;\n", "/*+ x */", "#'\n", "\t \r\v\f")
STATEMENTS = (
    "ALTER SYSTEM ARCHIVELOG",
    "alter system noarchivelog;",
    "alter system minor freeze tenant = (a, `b`, 'c') server '1.2.3.4:5' zone='z' partition_id = '1'",
    "alter system minor freeze tenant all",
    "alter system set backup_dest = 'file:///a;b', x = -1 comment 'it''s' scope = both, `y` = 120s tenant = t",
    "alter system set a = \"b\\\"c\" server='x' zone = 'y'",
    "show parameters like '%log\\_%'",
    "show parameters where name = 'a;b' and (edit_level like \"x\");",
    "alter system archivelog tenant = a, `b`,'c'",
    "alter system noarchivelog tenant (all)",
    "alter system set log_archive_dest = 'LOCATION=file:///a BINDING=Optional' tenant = (a, `b`), c = 1",
    "alter system backup incremental database",
    "alter system delete backuppiece 3 copy 1;",
    "alter system delete expired backup copy 1",
    "alter system cancel all backup force",
    "alter system cancel validate 3 copy 4",
    "alter system backup backuppiece all not backed up 3 times with active tenant_id = 1 backup_backup_dest = 'x'",
    (
        "create tenant if not exists `t` charset = utf8mb4, zone_list = ('z1', 'z2') locality 'F@z1' force "
        "default tablegroup null read only source='seekdb:///a;b' set global a = -1, b = '%'"
    ),
    "drop tenant if exists 't' force;",
    "show tenants like 't%'",
    "alter system restore t from `s` at 'file:///a;b' until '2026-11-23' with 'pool_list=p&locality=x' preview;",
    "alter system restore `a`.b, c for t from s until 'u' with 'o'",
    "alter system add restore source 'file:///a;b';",
    "alter system clear restore source",
    "show restore preview;",
)
OTHERS = (
    "select 1; select ';' -- ;\n; # ;\n; /* ; */ ; `;`; \"';\"",
    "create procedure p() begin select 1; select 2; end; alter system archivelog",
    "create definer = `a`@`b;` trigger t before insert on x for each row begin set @a = 1; end",
    "alter event e do begin select 1; end; x",
    "create or replace aggregate function f returns int soname 'x'; select 1",
    "alter system archivelog /*! ; noarchivelog */",
    "alter system set a = 'unclosed",
    "5--1;--\n;--x;a-- ;/",
    "; ;\t;;\n; /**/ ;",
    "show parameters where a = 1 --;alter system archivelog--;",
    "",
)


def text_of(data: bytes) -> str:
    """As the gateway reads it."""
    return data.decode("utf-8", "surrogateescape")


def check_tokens(data: bytes) -> str:
    """Tokens are pieces of the text in order; between them are only blanks and comments; the last is the end."""
    text = text_of(data)
    at, kinds = 0, set()
    for token in tokens(text, _modes(data)):
        assert token.raw == text[token.start : token.end]
        assert token.start >= at
        assert _is_gap(text[at : token.start])
        assert token.kind is not Kind.ERROR or token.end == len(text)
        assert token.kind is Kind.END or token.end > token.start
        assert isinstance(token.value, str)
        kinds.add(token.kind.name)
        at = token.end
    assert at == len(text)
    assert token.kind is Kind.END
    return " ".join(sorted(kinds))


def _modes(data: bytes) -> Modes:
    """Either, chosen by what a mutation changes."""
    return Modes(backslash_escapes=len(data) % 4 > 0)


def _is_gap(gap: str) -> bool:
    gap = gap.lstrip(BLANKS)
    return not gap or gap.startswith(("/*", "--", "#"))


def check_split(data: bytes) -> str:
    """The pieces and semicolons are the text, cut where the tokens say that a statement ends."""
    text, modes = text_of(data), _modes(data)
    pieces = split(text, modes)
    found = list(_split_by_tokens(text, modes))
    is_too_long = len(found) > MOST_STATEMENTS + 1  # whatever the last ones are
    while found and not found[-1].strip(BLANKS + "\0"):
        found.pop()
    assert pieces == ([text] if is_too_long or len(found) > MOST_STATEMENTS else found)
    joined = ";".join(pieces)
    assert text.startswith(joined)
    assert not text[len(joined) :].strip(BLANKS + "\0;")
    assert all(split(piece, modes) == [piece] for piece in pieces if piece.strip(BLANKS))
    ours = [bool(parse(piece, modes)) for piece in pieces]
    assert not any(ours) or may_be_ours(data)
    return f"{min(len(pieces), 4)} pieces {ours[:3]}"


def _split_by_tokens(text: str, modes: Modes) -> Iterator[str]:
    while True:
        ends = (token.start for token in tokens(text, modes) if token.kind is Kind.SYMBOL and token.raw == ";")
        end = next(ends, len(text))
        is_last = end == len(text) or _may_have_body(text[:end], modes)
        yield text if is_last else text[:end]
        if is_last:
            return
        text = text[end + 1 :]


def check_parse(data: bytes) -> str:
    """What a text means is the same with blanks and comments between its tokens, and it is found by the cheap test."""
    text = text_of(data)
    statement = parse(text)
    assert statement is None or may_be_ours(data)
    found = [token.raw for token in tokens(text)]
    if any(token.kind is Kind.ERROR for token in tokens(text)):
        assert statement is None
        return "an error"
    gap = GAPS[len(data) % len(GAPS)]
    spaced = gap + gap.join(found) + gap
    assert _plain(parse(spaced)) == _plain(statement), spaced
    pieces = split(text)
    assert statement is None or statement == parse(pieces[0])
    assert statement is None or all(next(tokens(piece)).kind is Kind.END for piece in pieces[1:])
    return _shape(statement)


def _plain(statement: Statement | None) -> Statement | None:
    """A statement without the parts that say how it was typed."""
    if isinstance(statement, SetParameters):
        return SetParameters(tuple(replace(item, sql="") for item in statement.assignments))
    if isinstance(statement, ShowParameters):
        return ShowParameters("", statement.like, None if statement.where is None else "")
    return statement


def _shape(statement: Statement | None) -> str:
    """Kind and clauses of a statement."""
    if isinstance(statement, SetParameters):
        return f"set {[len(item.clauses) for item in statement.assignments[:3]]}"
    return f"{type(statement).__name__} {[key for key, value in vars(statement).items() if value]}" if statement else ""


def seeds() -> Iterator[tuple[str, bytes]]:
    """Statements of ours and others."""
    for number, text in enumerate(STATEMENTS):
        yield f"ours-{number}", text.encode()
    for number, text in enumerate(OTHERS):
        yield f"other-{number}", text.encode()
    yield "not-utf-8", b"alter system set a = '\xff\xc3' -- \x80"
    yield "kelvin", "alter system archivelo\u212a; \u017fhow parameters".encode()


def check_option(data: bytes) -> str:
    """A value is refused, or says what its full form says as well."""
    text = text_of(data)
    change = parse_option(text)
    assert parse_option(text + " ") == change
    if change.mode and change.compression:
        option = LogArchiveOption(change.mode, change.compression)
        assert parse_option(as_text(option)) == change
        assert LogArchiveOption.DEFAULT.changed_by(change) == option
    return repr(change)


def seeds_of_options() -> Iterator[tuple[str, bytes]]:
    """Values of each form."""
    for number, text in enumerate(
        (
            *("optional", "MANDATORY COMPRESSION=lz4_1.0", "compression= zstd_1.3.8 optional", "compression=disable"),
            *("compression = enable", "compression", "compression==", "a" * 50, "\tx\0", "optional,mandatory", ""),
        )
    ):
        yield f"value-{number}", text.encode()


_DOCUMENTED = (1210, 1235)
_LONGEST_MESSAGE = 512


def check_dest_option(data: bytes) -> str:
    """Which (1): with long intervals, with short ones, the 4.x spelling. A value's text says what the value does."""
    text, which = text_of(data[1:]), data[0] % 3 if data else 0
    try:
        if which == 2:
            dest = parse_log_archive_dest(text, short_intervals=True)
            assert parse_log_archive_dest(dest_as_text(dest), short_intervals=True) == dest
            return f"dest {dest and dest.binding}"
        option = parse_dest_option(text, short_intervals=which == 1)
        assert parse_dest_option(dest_option_as_text(option), short_intervals=which == 1) == option
        return " ".join(name for name, value in vars(option).items() if value is not None)
    except SqlError as error:
        return _refused(error)


def _refused(error: SqlError) -> str:
    assert error.code in _DOCUMENTED
    assert 0 < len(error.message) < _LONGEST_MESSAGE
    return error.message[-24:]


def seeds_of_dest_options() -> Iterator[tuple[str, bytes]]:
    """Values of each form, and each error."""
    options = (
        *("recovery_window=7d&auto_delete_obsolete_backup=true&log_archive_piece_switch_interval=1d", "", "&&"),
        *("log_archive_checkpoint_interval=4s", "backup_copies=-1&backup_copies=2", "recovery_window=1us"),
        *("auto_delete_obsolete_backup=1&auto_update_reserved_backup_timestamp=on", "a=b", "recovery_window= 7d"),
    )
    dests = (
        *("LOCATION=file:///a BINDING=Mandatory PIECE_SWITCH_INTERVAL=36h", "", "BINDING=Optional"),
        *("location=a location=b", "location=a piece_switch_interval=8d", "LOCATION =a"),
    )
    for which, texts in enumerate((options, options, dests)):
        for number, text in enumerate(texts):
            yield f"{which}-{number}", bytes((which,)) + text.encode()


SQL_WORDS = tuple(word.encode() for word in (*WORDS, *STATEMENTS, ";;;;", "'", "\\'", "-- ", "definer=", "begin"))
_OPTION_WORDS = (
    b"optional",
    b"mandatory",
    b"compression",
    b"=",
    b" ",
    b"lz4_1.0",
    b"zstd_1.3.8",
    b"disable",
    b"enable",
)
_DEST_WORDS = (
    *(b"log_archive_checkpoint_interval=", b"recovery_window=", b"log_archive_piece_switch_interval=", b"&", b"="),
    *(b"backup_copies=", b"auto_delete_obsolete_backup=", b"auto_update_reserved_backup_timestamp=", b"1d", b"true"),
    *(b"LOCATION=", b"BINDING=", b"PIECE_SWITCH_INTERVAL=", b" ", b"Optional", b"999999999999999999d"),
)
TARGETS = (
    Target("sql-tokens", check_tokens, seeds, SQL_WORDS, longest=2048, executions=500),
    Target("sql-split", check_split, seeds, SQL_WORDS, longest=2048, executions=400),
    Target("sql-parse", check_parse, seeds, SQL_WORDS, longest=2048, executions=400),
    Target("dest-option", check_dest_option, seeds_of_dest_options, _DEST_WORDS, longest=512, executions=400),
)
OPTION = (check_option, seeds_of_options, _OPTION_WORDS)
