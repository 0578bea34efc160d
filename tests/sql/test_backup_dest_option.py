"""`backup_dest_option`: the grammar, the ranges, and the errors in OceanBase's order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.sql.backup_dest_option import BackupDestOption, as_text, check_auto_delete, parse_dest_option
from redoubt.sql.errors import SqlError

KEYS = {
    "log_archive_checkpoint_interval": ("5s", "120", "1H", "90000ms"),
    "recovery_window": ("0", "7d", "1us", "36500d"),
    "log_archive_piece_switch_interval": ("0", "1d", "7D", "36h"),
    "backup_copies": ("0",),
    "auto_delete_obsolete_backup": ("true", "False", "on", "0"),
    "auto_update_reserved_backup_timestamp": ("false", "NO"),
}


def refused(text: str, *, short_intervals: bool = False) -> SqlError:
    """The error of a value."""
    with pytest.raises(SqlError) as raised:
        parse_dest_option(text, short_intervals=short_intervals)
    return raised.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", BackupDestOption()),
        ("&&", BackupDestOption()),
        (
            "recovery_window=7d&auto_delete_obsolete_backup=true&log_archive_piece_switch_interval=1d",
            BackupDestOption(None, 604800.0, 86400.0, None, auto_delete_obsolete_backup=True),
        ),
        ("recovery_window=1d&&recovery_window=2d&", BackupDestOption(recovery_window=172800.0)),
        ("log_archive_checkpoint_interval=5s", BackupDestOption(checkpoint_interval=5.0)),
        ("log_archive_checkpoint_interval=3600", BackupDestOption(checkpoint_interval=3600.0)),
        ("log_archive_piece_switch_interval=0", BackupDestOption(piece_switch_interval=0.0)),
        ("log_archive_piece_switch_interval=7D", BackupDestOption(piece_switch_interval=604800.0)),
        ("backup_copies=0", BackupDestOption(backup_copies=0)),
        ("auto_delete_obsolete_backup=Off", BackupDestOption(auto_delete_obsolete_backup=False)),
        ("auto_update_reserved_backup_timestamp=f", BackupDestOption(auto_update_reserved_backup_timestamp=False)),
        ("backup_copies=9&backup_copies=0", BackupDestOption(backup_copies=0)),
    ],
)
def test_what_is_taken(text: str, expected: BackupDestOption) -> None:
    """Keys in any order, the last of several counts, what is not named is None."""
    assert parse_dest_option(text, short_intervals=False) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (" ", "must not contain spaces"),
        ("recovery_window=7d ", "must not contain spaces"),
        ("recovery_window =7d", "must not contain spaces"),
        ("recovery_window=7d& backup_copies=0", "must not contain spaces"),
        ("recovery_window=7d\t", "must not contain spaces"),
        ("Recovery_Window=7d", "has no known key"),
        ("RECOVERY_WINDOW=7d", "has no known key"),
        ("compression=enable", "has no known key"),
        ("recovery_window", "has no known key"),
        ("=7d", "has no known key"),
        ("a" * 500, "has no known key"),
        ("recovery_window=7d,backup_copies=0", "recovery_window: '7d,backup_copies=0' is not a time"),
        ("recovery_window=", "recovery_window: '' is not a time"),
        ("recovery_window==7d", "recovery_window: '=7d' is not a time"),
        ("recovery_window=-1d", "is not a time"),
        ("recovery_window=7w", "is not a time"),
        ("recovery_window=106751992d", "is too large"),
        ("recovery_window=7w&recovery_window=7d", "is not a time"),
        ("backup_copies=one", "backup_copies: 'one' is not a whole number"),
        ("auto_delete_obsolete_backup=maybe", "is not a truth value"),
        ("backup_copies=1&x=1", "has no known key"),
    ],
)
def test_what_cannot_be_read(text: str, hint: str) -> None:
    """1210, before any range is looked at; the text says what and stays short."""
    error = refused(text)

    assert (error.code, error.sqlstate) == (1210, "HY000")
    assert error.message.startswith("Incorrect arguments to backup_dest_option: ")
    assert hint in error.message
    assert len(error.message) < 512


LESS_THAN_5S = "log_archive_checkpoint_interval_ less than 5s is not supported"
LESS_THAN_10S = "piece_switch_interval_ less than 10s is  not supported"
BOTH = "auto delete and touch backup at same time is not supported"
CHECKPOINT = "invalid log_archive_checkpoint_interval out of range [5s,1h] is not supported"
PIECE = "invalid piece_switch_interval out of range [1d,7d] is not supported"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("log_archive_checkpoint_interval=4999ms", LESS_THAN_5S),
        ("log_archive_checkpoint_interval=0", CHECKPOINT),
        ("log_archive_checkpoint_interval=3601s", CHECKPOINT),
        ("log_archive_piece_switch_interval=9s", LESS_THAN_10S),
        ("log_archive_piece_switch_interval=10s", PIECE),
        ("log_archive_piece_switch_interval=23h", PIECE),
        ("log_archive_piece_switch_interval=169h", PIECE),
        ("backup_copies=-1", "backup copies less than 0 is not supported"),
        (
            "backup_copies=1",
            "backup_copies out of range [0,8] is not supported: Redoubt keeps one copy; leave backup_copies out",
        ),
        ("auto_delete_obsolete_backup=1&auto_update_reserved_backup_timestamp=1", BOTH),
        (
            "auto_update_reserved_backup_timestamp=true",
            (
                "auto_update_reserved_backup_timestamp=true is not supported: "
                "only storage that expires files by age needs this option; leave it out"
            ),
        ),
        ("log_archive_piece_switch_interval=1s&log_archive_checkpoint_interval=1s", LESS_THAN_5S),
        ("log_archive_checkpoint_interval=2h&log_archive_piece_switch_interval=1s", LESS_THAN_10S),
        ("log_archive_piece_switch_interval=1h&backup_copies=-1", "backup copies less than 0 is not supported"),
        ("backup_copies=3&log_archive_piece_switch_interval=1h", PIECE),
        ("log_archive_piece_switch_interval=1h&log_archive_checkpoint_interval=2h", CHECKPOINT),
        (
            "auto_delete_obsolete_backup=1&auto_update_reserved_backup_timestamp=1&log_archive_checkpoint_interval=0",
            BOTH,
        ),
    ],
)
def test_what_is_out_of_range(text: str, message: str) -> None:
    """1235 in OceanBase's words; of several faults the one that OceanBase looks for first."""
    error = refused(text)

    assert (error.code, error.sqlstate, error.message) == (1235, "0A000", message)


def test_short_intervals() -> None:
    """The lower bounds fall to a second, the upper ones stay."""
    text = "log_archive_checkpoint_interval=1s&log_archive_piece_switch_interval=1s"

    assert parse_dest_option(text, short_intervals=True) == BackupDestOption(1.0, None, 1.0)
    assert refused("log_archive_checkpoint_interval=999ms", short_intervals=True).message == LESS_THAN_5S
    assert refused("log_archive_checkpoint_interval=0", short_intervals=True).message == CHECKPOINT
    assert refused("log_archive_checkpoint_interval=2h", short_intervals=True).message == CHECKPOINT
    assert refused("log_archive_piece_switch_interval=999ms", short_intervals=True).message == LESS_THAN_10S
    assert refused("log_archive_piece_switch_interval=8d", short_intervals=True).message == PIECE


def test_pieces_are_off_unless_named() -> None:
    """And with a value of 0."""
    assert BackupDestOption(piece_switch_interval=86400.0).has_pieces
    assert not BackupDestOption().has_pieces
    assert not BackupDestOption(piece_switch_interval=0.0).has_pieces


def test_deleting_and_touching_from_elsewhere() -> None:
    """The same rule for what the parameters behind the option say."""
    check_auto_delete(deletes=True, touches=False)
    with pytest.raises(SqlError, match="auto delete and touch") as raised:
        check_auto_delete(deletes=True, touches=True)
    assert raised.value.code == 1235


VALUES = st.lists(
    st.sampled_from(list(KEYS)).flatmap(lambda key: st.sampled_from(KEYS[key]).map(lambda value: f"{key}={value}")),
    max_size=8,
).map("&".join)


@given(VALUES)
def test_a_value_as_text_is_read_back(text: str) -> None:
    """Valid pairs in any number and order are a value, and its text says the same."""
    option = parse_dest_option(text, short_intervals=False)

    assert parse_dest_option(as_text(option), short_intervals=False) == option


CHANGES = st.sampled_from(
    ["", "&", "=", " ", "0", "-", "9" * 19, "d", "T", "true", "\0", "\u0663", "\udcff", "backup_copies="]
)


@given(VALUES, CHANGES, st.integers(0, 400), st.integers(0, 30), st.booleans())
def test_what_is_almost_a_value(text: str, change: str, at: int, left_out: int, short: bool) -> None:  # noqa: FBT001
    """Is taken, or refused with 1210 or 1235, in a short text."""
    changed = text[:at] + change + text[at + left_out :]
    error = None
    try:
        option = parse_dest_option(changed, short_intervals=short)
        assert parse_dest_option(as_text(option), short_intervals=short) == option
    except SqlError as raised:
        error = raised
    assert error is None or (error.code in (1210, 1235) and len(error.message) < 512)
