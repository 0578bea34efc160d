"""Statements of encryption.

After SET:

    encryption := ENCRYPTION (ON IDENTIFIED BY string [ONLY] | OFF)
    decryption := DECRYPTION IDENTIFIED BY string (',' string)*

OceanBase's Community Edition requires ONLY, and has no OFF.
"""

from __future__ import annotations

from redoubt.sql.cursor import Cursor
from redoubt.sql.statements import SetDecryption, SetEncryption
from redoubt.sql.tokens import Kind


def set_encryption(cursor: Cursor) -> SetEncryption:
    """Parse the text after SET ENCRYPTION."""
    if cursor.take_word("off"):
        return SetEncryption()
    cursor.expect_words("on", "identified", "by")
    return SetEncryption(cursor.expect(Kind.STRING).value, cursor.take_word("only"))


def set_decryption(cursor: Cursor) -> SetDecryption:
    """Parse the text after SET DECRYPTION."""
    cursor.expect_words("identified", "by")
    return SetDecryption(tuple(token.value for token in cursor.expect_list(Kind.STRING)))
