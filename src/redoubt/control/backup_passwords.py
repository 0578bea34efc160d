"""The passwords of data backups that a session has set: kept in memory, and gone with the session."""

from __future__ import annotations

from redoubt.control.session import Session
from redoubt.sql.errors import invalid_argument, not_supported
from redoubt.sql.statements import SetDecryption, SetEncryption

_ENCRYPTION, _DECRYPTION = "encryption", "decryption"
_MOST = 16
"""The most passwords of a session: a restore tries each of them, a tenth of a second each."""
_LONGEST = 1024


async def set_encryption(statement: SetEncryption, session: Session) -> None:
    """`SET ENCRYPTION`: the session's next data backups are encrypted with a password. Raises SqlError 1210, 1235."""
    if not statement.is_only:
        raise not_supported(
            "encryption with a password and a key together", "write SET ENCRYPTION ON IDENTIFIED BY 'password' ONLY"
        )
    if statement.password is not None:
        _check("set encryption", statement.password)
    session.kept[_ENCRYPTION] = statement.password or ""


async def set_decryption(statement: SetDecryption, session: Session) -> None:
    """`SET DECRYPTION`: the session's next restores may use these passwords. Raises SqlError 1210."""
    if len(statement.passwords) > _MOST:
        raise invalid_argument("set decryption", f"give at most {_MOST} passwords")
    for password in statement.passwords:
        _check("set decryption", password)
    session.kept[_DECRYPTION] = statement.passwords


def encryption_of(session: Session) -> str:
    """The password of the session's next data backups, empty without one."""
    return str(session.kept.get(_ENCRYPTION, ""))


def decryption_of(session: Session) -> tuple[str, ...]:
    """The passwords of the session's next restores."""
    found = session.kept.get(_DECRYPTION, ())
    assert isinstance(found, tuple)
    return found


def _check(what: str, password: str) -> None:
    if not password or not password.isprintable() or len(password) > _LONGEST:
        raise invalid_argument(what, f"the password must have 1 to {_LONGEST:,} printable characters")
