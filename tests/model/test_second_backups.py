"""Which backups are copied, and how copies are numbered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.model.pieces import PieceKey
from redoubt.model.retention import Backup, BackupPiece, BackupSet, FileStatus, NotDeletableError, Refusal
from redoubt.model.second_backups import (
    Copies,
    NotCopyableError,
    Selection,
    copies_of_round_to_delete,
    copies_to_delete,
    to_copy,
)

FIRST, SECOND, THIRD = "file:///first", "file:///second", "file:///third"
ALL = Selection()


def piece(number: int, status: str = "FROZEN", file_status: FileStatus = FileStatus.AVAILABLE) -> BackupPiece:
    """A piece of round 1 in the first destination."""
    return BackupPiece(PieceKey(1, number, 20260921), status, file_status, 9, FIRST, (1001,))


def backup_set(number: int, status: str = "SUCCESS", file_status: FileStatus = FileStatus.AVAILABLE) -> BackupSet:
    """A data backup in the first destination."""
    return BackupSet(
        number,
        is_full=True,
        status=status,
        file_status=file_status,
        snapshot_scn=9,
        start_replay_scn=5,
        destination=FIRST,
    )


def copy(original: Backup, copy_id: int, destination: str, file_status: FileStatus = FileStatus.AVAILABLE) -> Backup:
    """A copy of a backup."""
    return replace(original, copy_id=copy_id, destination=destination, file_status=file_status)


def chosen(
    selection: Selection, originals: list[Backup], copies: list[Backup], destination: str = SECOND
) -> list[Backup]:
    """The copies in the configured destination."""
    there = Copies(copies, {destination, f"{destination}/"}, destination, is_configured=destination == SECOND)
    return to_copy(selection, originals, there)


def test_all_that_is_complete_is_copied_in_order() -> None:
    """What is written, failed, broken or deleted is left out."""
    originals: list[Backup] = [
        *(piece(1), piece(2), piece(3, "FREEZING"), piece(4, "ACTIVE")),
        *(piece(5, file_status=FileStatus.DELETED), piece(6, file_status=FileStatus.DELETING)),
    ]
    assert chosen(ALL, originals, []) == [
        copy(piece(1), 1, SECOND, FileStatus.COPYING),
        copy(piece(2), 1, SECOND, FileStatus.COPYING),
    ]
    sets: list[Backup] = [backup_set(1), backup_set(2, "DOING"), backup_set(3, "FAILED", FileStatus.BROKEN)]
    assert [each.key for each in chosen(ALL, sets, [])] == [backup_set(1).key]


def test_what_is_there_is_not_copied_again() -> None:
    """What was left incomplete is continued under its number; what was deleted there stays deleted."""
    originals: list[Backup] = [piece(1), piece(2), piece(3), piece(4)]
    copies = [
        copy(piece(1), 1, SECOND),
        copy(piece(2), 4, SECOND, FileStatus.INCOMPLETE),
        copy(piece(3), 1, SECOND, FileStatus.DELETED),
        copy(piece(4), 10_001, THIRD),
    ]
    assert chosen(ALL, originals, copies) == [
        copy(piece(2), 4, SECOND, FileStatus.COPYING),
        copy(piece(4), 1, SECOND, FileStatus.COPYING),
    ]
    assert chosen(ALL, [piece(1)], [copy(piece(1), 1, f"{SECOND}/")]) == []


def test_each_destination_has_a_number_of_its_own() -> None:
    """The configured ones from 1 on, named ones from 10001 on; none is used twice, also not for other backups."""
    copies = [copy(piece(1), 1, "file:///former", FileStatus.DELETED), copy(backup_set(9), 10_001, "file:///other")]
    assert [each.copy_id for each in chosen(ALL, [piece(1), piece(2)], copies)] == [2, 2]
    assert [each.copy_id for each in chosen(ALL, [piece(1), piece(2)], copies, THIRD)] == [10_002, 10_002]
    assert [each.copy_id for each in chosen(ALL, [piece(1), piece(2)], copies, "file:///other")] == [10_001, 10_001]


def test_only_what_has_too_few_copies() -> None:
    """A copy that was deleted, or is not complete, does not count."""
    originals: list[Backup] = [piece(1), piece(2), piece(3)]
    copies = [
        *(copy(piece(1), 1, SECOND), copy(piece(1), 10_001, "file:///x")),
        *(copy(piece(2), 1, SECOND), copy(piece(2), 10_001, "file:///x", FileStatus.DELETED)),
    ]
    for most, numbers in ((0, []), (1, [3]), (2, [2, 3]), (3, [1, 2, 3])):
        found = chosen(Selection(max_copies=most), originals, copies, THIRD)
        assert [each.key.piece for each in found if isinstance(each, BackupPiece)] == numbers


@pytest.mark.parametrize(
    ("number", "copies", "text"),
    [
        (9, [], "there is no backup with the number 9"),
        (0, [], "there is no backup with the number 0"),
        (2, [], "piece 2 is not complete: its STATUS is ACTIVE"),
        (3, [], "piece 3 is not available: its FILE_STATUS is DELETED"),
        (1, [copy(piece(1), 1, SECOND)], "piece 1 is there already, as COPY_ID 1"),
        (1, [copy(piece(1), 1, SECOND, FileStatus.DELETED)], "and is DELETED; name another destination"),
    ],
)
def test_why_one_backup_cannot_be_copied(number: int, copies: list[Backup], text: str) -> None:
    """The number was typed by a person, who learns why."""
    originals: list[Backup] = [
        *(piece(0), piece(1), piece(2, "ACTIVE"), piece(3, file_status=FileStatus.DELETED)),
    ]
    with pytest.raises(NotCopyableError, match=text):
        chosen(Selection(number), originals, copies)


def test_nothing_is_copied_onto_itself() -> None:
    """Neither by number nor among all."""
    with pytest.raises(NotCopyableError, match="is in that destination itself"):
        chosen(Selection(1), [piece(1)], [], FIRST)
    assert chosen(ALL, [piece(1)], [], FIRST) == []


def test_a_copy_is_deleted_by_its_number() -> None:
    """Whatever its original needs: the copy is an extra."""
    copies = [copy(backup_set(1), 1, SECOND), copy(backup_set(2), 1, SECOND, FileStatus.INCOMPLETE)]
    assert copies_to_delete(1, 1, copies) == [copies[0]]
    assert copies_to_delete(2, 1, copies) == [copies[1]]
    pieces = [copy(piece(1), 1, SECOND), copy(piece(2), 1, SECOND, FileStatus.DELETED), copy(piece(1), 2, THIRD)]
    assert copies_of_round_to_delete(1, 1, [each for each in pieces if isinstance(each, BackupPiece)]) == [pieces[0]]


@pytest.mark.parametrize(
    ("number", "copy_id", "refusal"),
    [(1, 2, Refusal.MISSING), (3, 1, Refusal.MISSING), (2, 1, Refusal.DELETED), (1, 1, Refusal.NOT_FROZEN)],
)
def test_which_copies_are_not_deleted(number: int, copy_id: int, refusal: Refusal) -> None:
    """None of that number, one that is being made, one that is gone."""
    copies = [
        copy(backup_set(1), 1, SECOND, FileStatus.COPYING),
        copy(backup_set(2), 1, SECOND, FileStatus.DELETED),
    ]
    with pytest.raises(NotDeletableError) as refused:
        copies_to_delete(number, copy_id, copies)
    assert refused.value.refusal is refusal


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from([SECOND, THIRD]), st.sampled_from(list(FileStatus))),
        unique_by=lambda made: made[:2],
    ),
    st.sampled_from([SECOND, THIRD, "file:///new"]),
)
def test_a_number_is_one_destination(made: list[tuple[int, str, FileStatus]], destination: str) -> None:
    """Whatever copies there are: all copies in a destination have one number, and no other destination has it."""
    ids = {SECOND: 1, THIRD: 10_001}
    copies = [copy(piece(number), ids[place], place, status) for number, place, status in made]
    found = [*copies, *chosen(ALL, [piece(number) for number in range(1, 5)], copies, destination)]
    assert len({(each.destination, each.copy_id) for each in found}) == len({each.destination for each in found})
    assert len({each.copy_id for each in found}) == len({each.destination for each in found})
