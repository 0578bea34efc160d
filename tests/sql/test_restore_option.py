"""The option text of RESTORE: the grammar, and what cannot be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.sql.errors import SqlError
from redoubt.sql.restore_option import RestoreOption, parse_restore_option

from .strategies import keyword

FIELDS = {
    "backup_cluster_name": "cluster_name",
    "backup_cluster_id": "cluster_id",
    "pool_list": "pool_list",
    "locality": "locality",
    "primary_zone": "primary_zone",
    "restore_job_id": "restore_job_id",
    "kms_encrypt": "kms_encrypt",
}
NUMBERS = ("backup_cluster_id", "restore_job_id")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", RestoreOption()),
        (
            "backup_cluster_name=redoubt&backup_cluster_id=1&pool_list=p1",
            RestoreOption(cluster_name="redoubt", cluster_id=1, pool_list="p1"),
        ),
        ("pool_list=p1,p2", RestoreOption(pool_list="p1,p2")),
        ("Pool_List=P1&LOCALITY=F@z1,F@z2", RestoreOption(pool_list="P1", locality="F@z1,F@z2")),
        ("primary_zone=z1;z2&kms_encrypt=true", RestoreOption(primary_zone="z1;z2", kms_encrypt="true")),
        ("restore_job_id=-7&restore_job_id=+8", RestoreOption(restore_job_id=8)),
        ("colour=blue&pool_list=p", RestoreOption(pool_list="p", unknown=("colour",))),
        ("&pool_list=p", RestoreOption(pool_list="p")),
        (f"colour={'x' * 2040}", RestoreOption(unknown=("colour",))),
    ],
)
def test_what_is_taken(text: str, expected: RestoreOption) -> None:
    """Keys in any order and case, the last of several counts, what is not known is passed over."""
    assert parse_restore_option(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("&", "'' is not of the form key=value"),
        ("&&pool_list=p", "'' is not of the form key=value"),
        ("pool_list=p&", "'' is not of the form key=value"),
        ("pool_list=p&&locality=x", "'' is not of the form key=value"),
        ("pool_list", "'pool_list' is not of the form key=value"),
        ("pool_list=", "'pool_list=' is not of the form key=value"),
        ("=p", "'=p' is not of the form key=value"),
        ("pool_list==p", "'pool_list==p' is not of the form key=value"),
        ("pool_list=p=q", "'pool_list=p=q' is not of the form key=value"),
        ("colour", "'colour' is not of the form key=value"),
        ("x" * 500, "…' is not of the form key=value"),
        ("pool_list=p ", "without spaces"),
        ("pool_list=p & locality=x", "without spaces"),
        ("pool_list=p\n", "without spaces"),
        ("pool_list=größe", "printable ASCII"),
        ("pool_list=p\0", "printable ASCII"),
        ("backup_cluster_id=one", "backup_cluster_id: 'one' is not a whole number"),
        ("backup_cluster_id=1.5", "not a whole number"),
        ("backup_cluster_id=1&backup_cluster_id=x", "not a whole number"),
        (f"Restore_Job_Id={'9' * 600}", "restore_job_id: '9999"),
        (f"colour={'x' * 2041}", "longer than 2,047"),
    ],
)
def test_what_cannot_be_read(text: str, hint: str) -> None:
    """1210 in OceanBase's two words; what follows says what is wrong and stays short."""
    with pytest.raises(SqlError) as raised:
        parse_restore_option(text)
    error = raised.value

    assert (error.code, error.sqlstate) == (1210, "HY000")
    assert error.message.startswith("Invalid argument: restore option after WITH: ")
    assert hint in error.message
    assert len(error.message) < 512


VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="&="), min_size=1, max_size=9)


@st.composite
def items(draw: st.DrawFn) -> tuple[str, str, str]:
    """A key as it is known, the same as typed, and its value."""
    key = draw(st.sampled_from([*FIELDS, "colour"]))
    value = str(draw(st.integers(-(10**17), 10**17))) if key in NUMBERS else draw(VALUES)
    return key, draw(keyword(key)), value


@given(st.lists(items(), min_size=1, max_size=9))
def test_a_text_says_what_was_written(written: list[tuple[str, str, str]]) -> None:
    """Whatever the order, the case and the number of keys, known or not."""
    option = parse_restore_option("&".join(f"{typed}={value}" for _, typed, value in written))

    assert set(option.unknown) == {key for key, _, _ in written} - set(FIELDS)
    last = {key: value for key, _, value in written}
    said = {key: getattr(option, field) for key, field in FIELDS.items()}
    assert {key: str(value) for key, value in said.items() if value is not None} == {
        key: str(int(value)) if key in NUMBERS else value for key, value in last.items() if key in FIELDS
    }


CHANGES = st.sampled_from(["", "&", "=", " ", "-", "9" * 19, "\t", "\0", "\u0663", "\udcff", "pool_list="])


@given(st.lists(items(), max_size=4), CHANGES, st.integers(0, 60), st.integers(0, 9))
def test_what_is_almost_an_option(written: list[tuple[str, str, str]], change: str, at: int, left_out: int) -> None:
    """Is taken, or refused with 1210, in a short text."""
    text = "&".join(f"{typed}={value}" for _, typed, value in written)
    error = None
    try:
        assert isinstance(parse_restore_option(text[:at] + change + text[at + left_out :]), RestoreOption)
    except SqlError as raised:
        error = raised
    assert error is None or (error.code == 1210 and len(error.message) < 512)
