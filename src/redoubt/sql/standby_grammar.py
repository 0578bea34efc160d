"""Statements of standbys, OceanBase 4.x's.

After ALTER SYSTEM:

    recover    := RECOVER STANDBY [tenant] [until | CANCEL]
    activate   := ACTIVATE STANDBY [tenant] [VERIFY]
    switchover := SWITCHOVER TO (PRIMARY | STANDBY) [tenant] [VERIFY]
    tenant     := TENANT ['='] name
    until      := UNTIL (UNLIMITED | moment)
    moment     := TIME '=' string | SCN '=' number

The number may be in quotes: ob-operator sends it so.
"""

from __future__ import annotations

from redoubt.sql.cursor import NAME, Cursor, NotOurs
from redoubt.sql.statements import ActivateStandby, RecoverStandby, Switchover, Until
from redoubt.sql.tokens import Kind

_MOST_DIGITS = 19
_LARGEST = 2**63 - 1


def recover(cursor: Cursor) -> RecoverStandby:
    """Parse the text after RECOVER."""
    cursor.expect_word("standby")
    tenant = _tenant(cursor)
    if cursor.take_word("cancel"):
        return RecoverStandby(tenant, is_cancel=True)
    if not cursor.take_word("until"):
        return RecoverStandby(tenant)
    return RecoverStandby(tenant, Until() if cursor.take_word("unlimited") else moment(cursor))


def activate(cursor: Cursor) -> ActivateStandby:
    """Parse the text after ACTIVATE."""
    cursor.expect_word("standby")
    return ActivateStandby(_tenant(cursor), cursor.take_word("verify"))


def switchover(cursor: Cursor) -> Switchover:
    """Parse the text after SWITCHOVER."""
    cursor.expect_word("to")
    is_to_primary = cursor.at_word("primary")
    cursor.expect_word("primary", "standby")
    return Switchover(is_to_primary, _tenant(cursor), cursor.take_word("verify"))


def moment(cursor: Cursor) -> Until:
    """Read a moment, after UNTIL."""
    is_time = cursor.at_word("time")
    cursor.expect_word("time", "scn")
    cursor.expect_symbol("=")
    if is_time:
        return Until(time=cursor.expect(Kind.STRING).value)
    digits = cursor.expect(Kind.NUMBER, Kind.STRING).value
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS and int(digits) <= _LARGEST):
        raise NotOurs
    return Until(scn=int(digits))


def _tenant(cursor: Cursor) -> str | None:
    if not cursor.take_word("tenant"):
        return None
    cursor.take_symbol("=")
    return cursor.expect(*NAME).value
