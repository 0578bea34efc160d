"""The numbers of the MySQL client/server protocol that the gateway uses."""

from __future__ import annotations

from typing import Final

MAX_PART: Final = 0xFFFFFF
"""Bytes of payload in one part; a part this long is continued by the next one."""

UTF8MB4: Final = 45
BINARY: Final = 63

AUTH_PLUGIN: Final = b"mysql_native_password"
SALT_BYTES: Final = 20


class Capability:
    """Flags that client and server agree on at login. Plain integers, because every reply tests them."""

    CONNECT_WITH_DB: Final = 1 << 3
    COMPRESS: Final = 1 << 5
    LOCAL_FILES: Final = 1 << 7
    PROTOCOL_41: Final = 1 << 9
    SSL: Final = 1 << 11
    SECURE_CONNECTION: Final = 1 << 15
    MULTI_STATEMENTS: Final = 1 << 16
    PLUGIN_AUTH: Final = 1 << 19
    CONNECT_ATTRS: Final = 1 << 20
    SESSION_TRACK: Final = 1 << 23
    DEPRECATE_EOF: Final = 1 << 24
    ZSTD: Final = 1 << 26


class Status:
    """Flags that the server sends with every OK and EOF."""

    IN_TRANSACTION: Final = 0x0001
    AUTOCOMMIT: Final = 0x0002
    MORE_RESULTS: Final = 0x0008
    CURSOR: Final = 0x0040
    NO_BACKSLASH_ESCAPES: Final = 0x0200
    READ_ONLY_TRANSACTION: Final = 0x2000

    SESSION: Final = IN_TRANSACTION | AUTOCOMMIT | NO_BACKSLASH_ESCAPES | READ_ONLY_TRANSACTION
    """Flags that describe the session, not the statement; our own answers have them too."""


class Marker:
    """First bytes of payloads, which tell the kind of a packet."""

    OK: Final = 0x00
    MORE_AUTH: Final = 0x01
    NULL: Final = 0xFB
    LOCAL_FILE: Final = 0xFB
    EOF: Final = 0xFE
    ERROR: Final = 0xFF

    EOF_BELOW: Final = 9
    """A packet that begins with EOF is an EOF if it is shorter than this, else a row."""


class Command:
    """First byte of a client's packet."""

    QUIT: Final = 0x01
    INIT_DB: Final = 0x02
    QUERY: Final = 0x03
    FIELD_LIST: Final = 0x04
    STATISTICS: Final = 0x09
    PROCESS_INFO: Final = 0x0A
    PROCESS_KILL: Final = 0x0C
    DEBUG: Final = 0x0D
    PING: Final = 0x0E
    CHANGE_USER: Final = 0x11
    STMT_PREPARE: Final = 0x16
    STMT_EXECUTE: Final = 0x17
    STMT_SEND_LONG_DATA: Final = 0x18
    STMT_CLOSE: Final = 0x19
    STMT_RESET: Final = 0x1A
    SET_OPTION: Final = 0x1B
    STMT_FETCH: Final = 0x1C
    RESET_CONNECTION: Final = 0x1F


ENGINE_VERSION: Final = b"5.7.25"
"""The version in the engine's greeting; the engine itself answers `SELECT @@version`."""

OFFERED: Final = 0x9FF7FF & ~(Capability.SSL | Capability.COMPRESS | Capability.SESSION_TRACK | Capability.ZSTD)
"""The engine's capabilities, without those that would hide packets from the gateway, and without session tracking:
MySQL's C library rejects the engine's tracking data as malformed, and ends the connection."""
