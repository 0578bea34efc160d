"""Parses the statements that Redoubt answers itself; all other statements go to the engine.

This module cuts a text into statements and chooses the grammar by a statement's first words. Keywords are in any case;
white space and comments may stand anywhere between the words. If a statement differs from a grammar in even one word,
the engine gets the statement, and runs it or answers with its own syntax error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from redoubt.sql.account_grammar import create_user, rename_user
from redoubt.sql.backup_grammar import backup, cancel, change, delete, resume, start, stop, suspend, validate
from redoubt.sql.bounds import LONGEST_TEXT, MOST_STATEMENTS
from redoubt.sql.cursor import Cursor, NotOurs
from redoubt.sql.encryption_grammar import set_decryption, set_encryption
from redoubt.sql.restore_grammar import add_restore_source, clear_restore_source, restore, show_restore_preview
from redoubt.sql.round_grammar import archive_log, minor_freeze, no_archive_log, set_parameters, show_parameters
from redoubt.sql.standby_grammar import activate, recover, switchover
from redoubt.sql.statements import MisspelledSecret, Statement
from redoubt.sql.tenant_grammar import create_tenant, drop_tenant, show_tenants
from redoubt.sql.tokens import BLANKS, DEFAULT_MODES, GAP, Kind, Modes, patterns

_Grammar = Callable[[Cursor], Statement]

_ALTER_SYSTEM: Final[Mapping[str, _Grammar]] = {
    "activate": activate,
    "add": add_restore_source,
    "alter": change,
    "archivelog": archive_log,
    "backup": backup,
    "cancel": cancel,
    "change": change,
    "clear": clear_restore_source,
    "delete": delete,
    "minor": minor_freeze,
    "modify": change,
    "noarchivelog": no_archive_log,
    "recover": recover,
    "restore": restore,
    "resume": resume,
    "set": set_parameters,
    "start": start,
    "stop": stop,
    "suspend": suspend,
    "switchover": switchover,
    "validate": validate,
}
_USERS: Final[Mapping[str, _Grammar]] = {"create": create_user, "rename": rename_user}
_TENANTS: Final[Mapping[str, _Grammar]] = {"create": create_tenant, "drop": drop_tenant, "show": show_tenants}

# Without a cursor, a regular expression on the beginning recognizes most of the engine's statements.
_MAY_BE_OURS = re.compile(
    rf"{GAP}(?:alter|show|create|drop|rename|set{GAP}(?:en|de)cryption)", re.IGNORECASE | re.DOTALL
)
_MAY_HOLD_SECRET = re.compile(
    rf"{GAP}(?:set{GAP}(?:en|de)cryption|alter{GAP}system{GAP}(?:alter|change|modify){GAP}external_storage_dest)\b",
    re.IGNORECASE | re.DOTALL,
)
_OF_THE_SYSTEM = re.compile(rf"{GAP}alter{GAP}system\b", re.IGNORECASE | re.DOTALL)
_KEY = re.compile(r"access_key\s*=", re.IGNORECASE)
_MAY_HAVE_BODY = re.compile(rf"{GAP}(?:create|alter)(?!{GAP}(?:system|tenant)\b)", re.IGNORECASE | re.DOTALL)
_PROGRAM = re.compile("procedure|function|trigger|event", re.IGNORECASE)

# `SELECT tenant_id, created_at` is the engine's. Each pattern begins with a word, which makes the search fast.
_OPENING = rb"%s[ \t\n\v\f\r]*+(?:%s|/\*|--|#)"
_TENANT_OPENINGS = tuple(re.compile(_OPENING % (word, b"tenant")) for word in (b"create", b"drop", b"show"))
_USER_OPENINGS = tuple(re.compile(_OPENING % (word, b"user")) for word in (b"create", b"rename"))


def parse(text: str, modes: Modes = DEFAULT_MODES) -> Statement | None:
    """Return the one statement in `text` (a semicolon may follow it) if it is Redoubt's, else None; never raises.

    Reads no more of the text than the decision needs: of an engine's statement, one or two words. A statement that
    names a password or a key is never the engine's, even with a mistake in it.
    """
    if len(text) > LONGEST_TEXT or not _MAY_BE_OURS.match(text):
        return None
    try:
        cursor = Cursor(text, modes)
        statement = _statement(cursor)
        cursor.take_symbol(";")
        if cursor.token.kind is Kind.END:
            return statement
    except NotOurs:
        pass
    return MisspelledSecret() if _may_hold_secret(text) else None


def _may_hold_secret(text: str) -> bool:
    """Whether a text begins like a statement with a password, or is one of the system with the key of a store."""
    return bool(_MAY_HOLD_SECRET.match(text) or (_OF_THE_SYSTEM.match(text) and _KEY.search(text)))


def split(text: str, modes: Modes = DEFAULT_MODES) -> list[str]:
    """Cut `text` at the semicolons between its statements; what is only white space at the text's end is dropped.

    The pieces are as typed, with white space and comments, without the semicolons; an empty one is an error to the
    engine. From a place on where only the engine knows the next end, the rest is one piece: a token without a certain
    end, or a statement that may create or alter a stored program, whose body has semicolons of its own. A text that
    is too long, or has too many statements, is one piece.
    """
    pieces: list[str] = []
    start = 0
    while start <= len(text) <= LONGEST_TEXT and len(pieces) <= MOST_STATEMENTS:
        match = patterns(modes).statement.match(text, start)
        end = match.end() if match else start
        if not text.startswith(";", end) or _may_have_body(text[start:end], modes):
            end = len(text)
        pieces.append(text[start:end])
        start = end + 1
    while pieces and not pieces[-1].strip(BLANKS + "\0"):
        pieces.pop()
    return pieces if start > len(text) and len(pieces) <= MOST_STATEMENTS else [text]


def may_be_ours(text: bytes) -> bool:
    """Tell cheaply whether any statement in `text` can be Redoubt's. False is certain; True means: parse the text.

    `text` is the whole text as the client sent it, in any character set that extends ASCII, with one statement or
    several. Our keywords are never quoted or split, so a search for the words finds them.
    """
    if len(text) > LONGEST_TEXT:
        return False
    lowered = text.lower()
    return (
        (b"system" in lowered and b"alter" in lowered)
        or (b"parameters" in lowered and b"show" in lowered)
        or (b"cryption" in lowered and b"set" in lowered)
        or (b"preview" in lowered and b"restore" in lowered and b"show" in lowered)
        or (b"tenant" in lowered and any(opening.search(lowered) for opening in _TENANT_OPENINGS))
        or (b"@" in lowered and b"user" in lowered and any(opening.search(lowered) for opening in _USER_OPENINGS))
    )


def _statement(cursor: Cursor) -> Statement:
    opening, start = cursor.word, cursor.token.start
    cursor.expect_word("alter", "show", "create", "drop", "rename", "set")
    if opening == "set":
        is_encryption = cursor.at_word("encryption")
        cursor.expect_word("encryption", "decryption")
        return set_encryption(cursor) if is_encryption else set_decryption(cursor)
    if opening == "alter":
        cursor.expect_word("system")
        grammar = _ALTER_SYSTEM.get(cursor.word)
        if grammar is None:
            raise NotOurs
        cursor.advance()
        return grammar(cursor)
    if opening == "show" and cursor.take_word("parameters"):
        return show_parameters(cursor, start)
    if opening == "show" and cursor.take_word("restore"):
        return show_restore_preview(cursor)
    is_user = opening in _USERS and cursor.take_word("user")
    if not is_user:
        cursor.expect_word("tenants" if opening == "show" else "tenant")
    grammar = (_USERS if is_user else _TENANTS).get(opening)
    if grammar is None:
        raise NotOurs
    return grammar(cursor)


def _may_have_body(text: str, modes: Modes) -> bool:
    """Tell whether the statement is one that may hold the body of a stored program."""
    if "/*!" in text and _PROGRAM.search(text):
        return True
    try:
        return bool(_MAY_HAVE_BODY.match(text)) and _has_body(Cursor(text, modes))
    except NotOurs:
        return True


def _has_body(cursor: Cursor) -> bool:
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
    """Skip `= user@host`, which has many spellings, up to a word that can follow it."""
    while not cursor.at_end() and not cursor.at_word("sql", "view", "aggregate", *programs):
        cursor.advance()
