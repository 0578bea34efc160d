"""Accounts with a host part: which statements make one."""

from __future__ import annotations

import pytest

from redoubt.sql.parser import may_be_ours, parse
from redoubt.sql.statements import AccountWithHost


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("create user u@localhost", AccountWithHost("u", "localhost")),
        ("CREATE USER IF NOT EXISTS 'u' @ '10.0.0.%' IDENTIFIED BY 'p@x' ;", AccountWithHost("u", "10.0.0.%")),
        ("create /* it */ user `u`@10.0.0.1", AccountWithHost("u", "10.0.0.1")),
        ("create user a@'%' identified by 'x', b@'::1' identified by 'y'", AccountWithHost("b", "::1")),
        ("rename user a to b@'10.%'", AccountWithHost("b", "10.%")),
        ("rename user a@'10.%' to a, c to 'd'@'h'", AccountWithHost("d", "h")),
    ],
)
def test_a_host_part_makes_it_ours(text: str, account: AccountWithHost) -> None:
    """Of any account that the statement makes; what else it says does not matter."""
    assert may_be_ours(text.encode())
    assert parse(text) == account


@pytest.mark.parametrize(
    "text",
    [
        "create user u",
        "create user u@'%' identified by 'p@x'",
        "create user 'u@h'",
        "create user u@",
        "create user @h",
        "create user",
        "create user u@h; select 1",
        "rename user a@'10.%' to a",
        "rename user a to b@'%'",
        "rename user a to",
        "rename user a",
        "rename table a to b",
        "rename tenant a to b@h",
        "rename",
        "drop user u@h",
        "alter user u@h identified by 'x'",
        "grant all on *.* to u@h",
        "select 'create user u@h'",
    ],
)
def test_all_others_are_the_engines(text: str) -> None:
    """An old account with a host part can be renamed, changed and dropped."""
    assert parse(text) is None
