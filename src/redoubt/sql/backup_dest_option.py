"""`backup_dest_option`: what OceanBase 3.x sets beside the backup destination, such as the length of a piece.

The grammar is OceanBase's, to the letter: `key=value` joined with `&`, keys in lower case only, no spaces. Of a
repeated key the last one counts. Empty items are ignored. A value replaces the whole option: a key that the value omits
falls back to its parameter, and without a piece interval pieces are off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

from redoubt.sql.errors import SqlError, invalid_argument, not_supported, not_supported_text
from redoubt.sql.literals import parse_bool, parse_int, parse_time, time_text

_NAME = "backup_dest_option"
_LONGEST_SHOWN = 40  # characters of a wrong item in an error's text

_HOUR = 3600.0
_DAY = 24 * _HOUR
_LEAST_CHECKPOINT, _MOST_CHECKPOINT = 5.0, _HOUR
_LEAST_SWITCH, _LEAST_PIECE, _MOST_PIECE = 10.0, _DAY, 7 * _DAY
_SHORT = 1.0
_TOO_LONG = 2**63 / 1e6  # OceanBase counts microseconds in a BIGINT


@dataclass(frozen=True)
class BackupDestOption:
    """A parsed value. None means that the key is not given. Times are in seconds; an interval of 0 means no pieces.

    Without a value, `checkpoint_interval` is the parameter log_archive_checkpoint_interval, `recovery_window` is
    backup_recovery_window, and `auto_delete_obsolete_backup` is auto_delete_expired_backup.
    """

    checkpoint_interval: float | None = None
    recovery_window: float | None = None
    piece_switch_interval: float | None = None
    backup_copies: int | None = None
    auto_delete_obsolete_backup: bool | None = None
    auto_update_reserved_backup_timestamp: bool | None = None

    @property
    def has_pieces(self) -> bool:
        """Whether a round under this setting is cut into pieces."""
        return bool(self.piece_switch_interval)


_KEYS: Final[dict[str, tuple[str, Callable[[str], float | int | bool]]]] = {
    "log_archive_checkpoint_interval": ("checkpoint_interval", parse_time),
    "recovery_window": ("recovery_window", parse_time),
    "log_archive_piece_switch_interval": ("piece_switch_interval", parse_time),
    "backup_copies": ("backup_copies", parse_int),
    "auto_delete_obsolete_backup": ("auto_delete_obsolete_backup", parse_bool),
    "auto_update_reserved_backup_timestamp": ("auto_update_reserved_backup_timestamp", parse_bool),
}


def parse_dest_option(text: str, *, short_intervals: bool) -> BackupDestOption:
    """Parse the parameter's value `text`.

    With `short_intervals` the intervals may be as short as 1 s. Raises `SqlError`: 1210 for an item that is not
    `key=value`, for an unknown key and for a malformed value; 1235 for a value out of the key's range.
    """
    if any(character.isspace() for character in text):
        raise invalid_argument(_NAME, "the value must not contain spaces; write key=value&key=value")
    values = {}
    for item in filter(None, text.split("&")):
        name, value = _item(item)
        values[name] = value
    option = BackupDestOption(**values)  # type: ignore[arg-type]  # _KEYS pairs each field with what reads it
    _check_least(option, short_intervals=short_intervals)
    _check_ranges(option, short_intervals=short_intervals)
    return option


def as_text(option: BackupDestOption) -> str:
    """Return `option` as a value of the parameter; `parse_dest_option` reads it back to the microsecond."""
    values = {field.name: getattr(option, field.name) for field in fields(option)}
    return "&".join(f"{key}={_written(values[name])}" for key, (name, _) in _KEYS.items() if values[name] is not None)


def _item(item: str) -> tuple[str, float | int | bool]:
    """Read one `key=value` into the field's name and its value."""
    key, sign, value = item.partition("=")
    if not sign or key not in _KEYS:
        raise invalid_argument(_NAME, f"{_shown(item)} has no known key; use {', '.join(_KEYS)}")
    name, read = _KEYS[key]
    try:
        figure = read(value)
    except SqlError as error:
        hint = error.message.removeprefix("Invalid config: ")
        raise invalid_argument(_NAME, f"{key}: {hint}") from error
    if figure >= _TOO_LONG:
        raise invalid_argument(_NAME, f"{_shown(item)} is too large")
    return name, figure


def _check_least(option: BackupDestOption, *, short_intervals: bool) -> None:
    """Check what OceanBase checks first, in its order. A negative recovery window is no valid time."""
    if 0 < (option.checkpoint_interval or 0) < (_SHORT if short_intervals else _LEAST_CHECKPOINT):
        raise not_supported("log_archive_checkpoint_interval_ less than 5s")
    if 0 < (option.piece_switch_interval or 0) < (_SHORT if short_intervals else _LEAST_SWITCH):
        raise not_supported_text("piece_switch_interval_ less than 10s is ")
    if (option.backup_copies or 0) < 0:
        raise not_supported("backup copies less than 0")
    check_auto_delete(
        deletes=bool(option.auto_delete_obsolete_backup), touches=bool(option.auto_update_reserved_backup_timestamp)
    )


def _check_ranges(option: BackupDestOption, *, short_intervals: bool) -> None:
    checkpoint, piece = option.checkpoint_interval, option.piece_switch_interval
    if (
        checkpoint is not None
        and not (_SHORT if short_intervals else _LEAST_CHECKPOINT) <= checkpoint <= _MOST_CHECKPOINT
    ):
        raise not_supported("invalid log_archive_checkpoint_interval out of range [5s,1h]")
    if piece and not (_SHORT if short_intervals else _LEAST_PIECE) <= piece <= _MOST_PIECE:
        raise not_supported("invalid piece_switch_interval out of range [1d,7d]")
    if option.backup_copies:
        raise not_supported("backup_copies out of range [0,8]", "Redoubt keeps one copy; leave backup_copies out")
    if option.auto_update_reserved_backup_timestamp:
        raise not_supported(
            "auto_update_reserved_backup_timestamp=true",
            "only storage that expires files by age needs this option; leave it out",
        )


def check_auto_delete(*, deletes: bool, touches: bool) -> None:
    """Raise `SqlError` 1235 if backups are both deleted and kept from expiring. Also used for parameters."""
    if deletes and touches:
        raise not_supported("auto delete and touch backup at same time")


def _written(value: float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else time_text(value)


def _shown(item: str) -> str:
    return repr(item if len(item) <= _LONGEST_SHOWN else item[:_LONGEST_SHOWN] + "…")
